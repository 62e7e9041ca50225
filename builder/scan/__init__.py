"""Vulnerability data, matching, the policy gate.

The rules that the code of this room and of the inventory names:

D1   A Debian package is judged by its source: ``Source: name (version)``, else the name alone with the
     binary's version, else the package itself. A rebuild's own version (``+b2``) is never compared.
D2   The epoch is part of the version; a missing one is 0.
D3   An entry whose Status says that nothing is unpacked is skipped; no Status line means installed.
D4   The release is that of os-release, else of debian_version; neither is an error and never clean.
D5   "not-affected" and "undetermined" are no findings; "unfixed", "no-dsa", "postponed", "ignored",
     "removed" and "end-of-life" are findings without a fix.
D6   Only a fix that the data gives for the release itself counts.
D7   A DSA or DLA overrides the note on a CVE; of several the highest fixed version counts. In the releases of
     other distributions the first fix mends; of rpm errata those of the installed minor release count.
D8   The status of the data is kept as it is written; "ignored" is not safe.
D9   Severity is the distribution's own word for the package (Debian's urgency, where unimportant and low are
     LOW; Ubuntu's priority), else that of GitHub or of the vendor, else the CVSS score, else UNKNOWN.
D10  A release without security support is reported.
O1   OSV: ``introduced: 0`` is below every version; events are sorted; ``last_affected`` is inclusive;
     ``limit`` is honoured; GIT ranges are passed over; any range is enough, and ``versions`` are affected
     as well (in distributions they only repeat the ranges: not read); withdrawn records say nothing; records
     that are aliases of each other are one finding.
O2   Names have one spelling (PEP 503; Packagist and NuGet in small letters), versions their own order.
G1   A version that nobody knows is never matched, as that of a Go program's own module.
A1   apk packages are judged by their origin; fixed in 0 means never affected.
R1   rpm packages are judged by their own name, in some distributions also by their source's; modular ones by
     errata of their stream only.
X1   Programs that no package owns, or programs without any package, could not be judged.
"""

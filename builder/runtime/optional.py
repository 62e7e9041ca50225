"""Libraries of plug-ins that their own package only recommends: zsh's module for PCRE, and PCRE.

dpkg-shlibdeps writes the libraries of parts that not everybody uses into ``Recommends``. Whoever names the
package wants all of it to work, so the library comes; of its package as little as of any dependency's. Which
of the recommended packages has it, its name says (Debian Policy, section 8.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from builder.dpkg.control import paragraphs
from builder.elf.scope import MissingLibrary
from builder.reason import Reason, ReasonKind
from builder.sources.debian.relations import parse_alternatives
from builder.sysroot import Sysroot

_FIELDS = ("Pre-Depends", "Depends", "Recommends")
_SONAME = re.compile(r"(?P<name>.+)\.so\.(?P<version>[0-9A-Za-z.]+)")
_TRANSITIONS = r"(?:t64|v5|c2|ldbl)?"
"""Endings of packages whose library changed its binary interface without a new name."""


def recommended(missing: Iterable[MissingLibrary], sysroot: Sysroot) -> Iterator[tuple[str, Reason]]:
    """Packages called like a library in ``missing`` that the dependent's package relates to, and why."""
    for one in missing:
        called = _package_name(one.name)
        node = sysroot.get(one.dependent)
        if called is not None and node is not None and node.package in sysroot.packages:
            for name in _related(sysroot.packages[node.package].control):
                if called.fullmatch(name):
                    yield name, Reason(ReasonKind.NEEDED, one.dependent)


def _package_name(soname: str) -> re.Pattern[str] | None:
    match = _SONAME.fullmatch(soname)
    if match is None:
        return None
    name = match["name"].lower().replace("_", "-")
    hyphen = "-" if name[-1].isdigit() else ""
    return re.compile(re.escape(f"{name}{hyphen}{match['version'].lower()}") + _TRANSITIONS)


def _related(control: str) -> Iterator[str]:
    fields = next(paragraphs(control), {})
    for field in _FIELDS:
        try:
            clauses = parse_alternatives(fields.get(field, ""))
        except ValueError:  # the archive's index was read well, which is what counts
            continue
        for clause in clauses:
            for relation in clause:
                yield relation.name

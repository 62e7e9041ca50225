"""Libraries of plug-ins that their own package does not depend on: zsh's module for PCRE, and PCRE.

dpkg-shlibdeps writes the libraries of parts that not everybody uses into ``Recommends`` or ``Suggests``.
Recommended ones come: whoever names the package wants it to work as it usually does; of their packages as
little as of any dependency's. A plug-in whose library is merely suggested does without (collectd has a
hundred). Which of the packages has a library, its name says (Debian Policy, section 8.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from builder.dpkg.control import paragraphs
from builder.elf.scope import MissingLibrary
from builder.reason import Reason, ReasonKind
from builder.sources.debian.relations import parse_alternatives
from builder.sysroot import Sysroot

_WANTED = ("Pre-Depends", "Depends", "Recommends")
_OFFERED = ("Suggests",)
_SONAME = re.compile(r"(?P<name>.+)\.so\.(?P<version>[0-9A-Za-z.]+)")
_TRANSITIONS = r"(?:t64|v5|c2|ldbl)?"
"""Endings of packages whose library changed its binary interface without a new name."""


def recommended(missing: Iterable[MissingLibrary], sysroot: Sysroot) -> Iterator[tuple[str, Reason]]:
    """Packages called like a library in ``missing`` that the dependent's package relates to, and why."""
    for one in missing:
        for name in _named_after(one, _WANTED, sysroot):
            yield name, Reason(ReasonKind.NEEDED, one.dependent)


def suggested(missing: Iterable[MissingLibrary], sysroot: Sysroot) -> dict[str, set[str]]:
    """Dependents of which a library is in a package that theirs suggests, and the names of such packages."""
    found: dict[str, set[str]] = {}
    for one in missing:
        for name in _named_after(one, _OFFERED, sysroot):
            found.setdefault(one.dependent, set()).add(name)
    return found


def _named_after(missing: MissingLibrary, fields: Iterable[str], sysroot: Sysroot) -> Iterator[str]:
    called = _package_name(missing.name)
    node = sysroot.get(missing.dependent)
    if called is not None and node is not None and node.package in sysroot.packages:
        related = _related(sysroot.packages[node.package].control, fields)
        yield from (name for name in related if called.fullmatch(name))


def _package_name(soname: str) -> re.Pattern[str] | None:
    match = _SONAME.fullmatch(soname)
    if match is None:
        return None
    name = match["name"].lower().replace("_", "-")
    hyphen = "-" if name[-1].isdigit() else ""
    return re.compile(re.escape(f"{name}{hyphen}{match['version'].lower()}") + _TRANSITIONS)


def _related(control: str, fields: Iterable[str]) -> Iterator[str]:
    paragraph = next(paragraphs(control), {})
    for field in fields:
        try:
            clauses = parse_alternatives(paragraph.get(field, ""))
        except ValueError:  # the archive's index was read well, which is what counts
            continue
        for clause in clauses:
            for relation in clause:
                yield relation.name

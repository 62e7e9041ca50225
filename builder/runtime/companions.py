"""What is one program with a named package: its parts (pandoc-data), and programs that it calls (yq runs jq).

Debian's policy makes a package depend on the programs it runs (section 7.2), but no header tells these from
dependencies for libraries or for installation. So both are asked: a direct dependency ships the program, and
a script, module or program of the package has its name as a word of its own.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator

from builder.dpkg.control import paragraphs
from builder.elf.facts import ElfFacts
from builder.reason import Reason, ReasonKind
from builder.runtime.payload import is_hook, is_payload
from builder.sources.debian.relations import parse_alternatives
from builder.sysroot import Kind, Node, Package, Sysroot, read_content

DETAIL = "program of a dependency"
"""Detail of the reason of such a program; its subject is the file that has the name."""

_FOLDERS = re.compile(r"(?:/usr)?/(?:s?bin|games)/([^/]+)")
_CODE = re.compile(r".*\.(?:py|pl|pm|rb|js|mjs|cjs|php|tcl|lua|el|scm|R|sh|bash)")
_LARGEST = 4 << 20
_MOST = 64 << 20
"""Bytes of a package that are looked through: beyond it nothing more is found."""
_ELF = b"\x7fELF"
_SHORTEST = 4
"""Letters of a name that is looked for in compiled programs without its folder: fewer stand by chance."""

_FOR_INSTALLATION = frozenset(
    {
        *(
            "adduser",
            "cron",
            "debconf",
            "dpkg",
            "init-system-helpers",
            "install-info",
            "iproute2",
            "logrotate",
        ),
        *(
            "lsb-base",
            "lsb-release",
            "man-db",
            "passwd",
            "perl",
            "perl-base",
            "procps",
            "python3",
            "runit-helper",
        ),
        *("python3-minimal", "sensible-utils", "ssl-cert", "systemd", "sysvinit-utils", "ucf", "xdg-utils"),
    }
)
"""Needed by maintainer scripts or for a desktop, or interpreters, which #! asks for."""


def companions(named: Iterable[str], sysroot: Sysroot, facts: ElfFacts) -> Iterator[tuple[Node, Reason]]:
    """Programs of direct dependencies of the ``named`` packages that these call, and why.

    ``facts`` remembers what was found in a package. BuildError when its bytes cannot be read.
    """
    for name in named:
        package = sysroot.packages[name]
        programs = _programs(package, sysroot)
        content = next((node.content for node in package.nodes if node.content is not None), None)
        if programs and content is not None:
            calls = facts.remembered(
                content, programs, functools.partial(_called, package, frozenset(programs))
            )
            for caller, program in (call.split("\0") for call in calls):
                yield programs[program], Reason(ReasonKind.RULE, caller, DETAIL)


def parts(named: Iterable[str], sysroot: Sysroot) -> Iterator[tuple[str, str]]:
    """Direct dependencies called NAME-…, and theirs in turn, each with the package that it is a part of.

    They come from another source where a program is packed anew each time that a library is: pandoc.
    """
    pending = list(named)
    seen = set(pending)
    while pending:
        whole = sysroot.packages[pending.pop()]
        for name in _dependencies(whole):
            if name.startswith(f"{whole.name}-") and name in sysroot.packages and name not in seen:
                seen.add(name)
                pending.append(name)
                yield name, whole.name


def _programs(package: Package, sysroot: Sysroot) -> dict[str, Node]:
    found: dict[str, Node] = {}
    for dependency in _dependencies(package):
        provider = sysroot.packages.get(dependency)
        if provider is not None and dependency not in _FOR_INSTALLATION:
            for node in provider.nodes:
                match = _FOLDERS.fullmatch(node.path)
                there = sysroot.lookup(node.path).node if match and node.kind is not Kind.DIRECTORY else None
                if match and there is not None:
                    found[match[1]] = sysroot.get(f"/usr{node.path.removeprefix('/usr')}") or there
    return found


def _dependencies(package: Package) -> Iterator[str]:
    fields = next(paragraphs(package.control), {})
    try:
        clauses = parse_alternatives(fields.get("Depends", ""))
    except ValueError:  # the archive's index was read well, which is what counts
        return
    for clause in clauses:
        for relation in clause:
            yield relation.name


def _called(package: Package, programs: frozenset[str]) -> Iterator[str]:
    """Give path and name, a NUL between them, of the first file that calls each of ``programs``."""
    ordered = sorted(programs, key=lambda name: (-len(name), name))
    names = b"|".join(re.escape(name.encode()) for name in ordered)
    long = b"|".join(re.escape(name.encode()) for name in ordered if len(name) >= _SHORTEST) or b"(?!)"
    in_code = re.compile(rb"(?:[\"'`]|bin/)(" + names + rb")(?=[\"'` ])")
    compiled = re.compile(rb"(?:bin/(" + names + rb")|\0(" + long + rb"))(?=[\0 ])")
    left = _MOST
    unseen = set(programs)
    for node in package.nodes:
        if left <= 0 or not unseen:
            return
        body = _code(node)
        left -= len(body)
        for match in (compiled if body.startswith(_ELF) else in_code).finditer(body):
            program = next(filter(None, match.groups())).decode()
            if program in unseen:
                unseen.remove(program)
                yield f"{node.path}\0{program}"


def _code(node: Node) -> bytes:
    """The bytes of a script, module or program; nothing of other files."""
    if (
        node.content is None
        or not is_payload(node.path)
        or is_hook(node.path)
        or node.content.size > _LARGEST
    ):
        return b""
    if not (node.mode & 0o111 or _CODE.fullmatch(node.path)):
        return b""
    return read_content(node.content)

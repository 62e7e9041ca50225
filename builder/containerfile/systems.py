"""The system in which a build stage runs, when it starts from an archive of packages.

It is laid as rootlet lays it (builder/sources/stage/dpkg_root.py): unpacked packages and a package database
that says so; the packages' own scripts are run once, inside the stage and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from builder.containerfile import packages
from builder.containerfile.provision import Stage
from builder.containerfile.quote import shell_word
from builder.containerfile.script import Command, comment, runs
from builder.lock import LockedPackage
from builder.sources.stage.dpkg_root import POLICY, SCRIPT, configuring_script
from builder.sysroot import Package

SYSTEM = "/system"
CONFIGURE = f"sh {SCRIPT}"
"""What is run first in the stage."""
_MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libo32", "libx32")
_UNWANTED = ("bug", "help", "info", "linda", "lintian", "locale", "man")
_FIRST = "base-files"
_DATABASE = (
    'dpkg-deb --control "/debs/$deb" /control',
    'name="$(dpkg-deb --field "/debs/$deb" Package)"',
    'if test "$(dpkg-deb --field "/debs/$deb" Multi-Arch)" = same',
    'then name="$name:$(dpkg-deb --field "/debs/$deb" Architecture)"; fi',
    "sed '1a Status: install ok unpacked' /control/control >> var/lib/dpkg/status",
    "echo >> var/lib/dpkg/status",
    "rm /control/control",
    'for file in /control/*; do if test -f "$file"',
    'then cp -p "$file" "var/lib/dpkg/info/$name.${file##*/}"; fi; done',
    "tar -tf /data.tar > /list",
    "sed -e 's,^\\./,/,' -e 's,/$,,' -e 's,^$,/.,' /list > \"var/lib/dpkg/info/$name.list\"",
    "rm -r /control",
)


def system_stage(name: str, locked: Sequence[LockedPackage], found: Sequence[Package], unpack: str) -> Stage:
    """A stage with the system laid at :data:`SYSTEM`, nothing of it run yet. ``found`` are the packages."""
    files = packages.fetched(sorted(locked, key=lambda one: (one.name != _FIRST, one.name)))
    title = f"The system of the {name}: {len(files)} packages, unpacked and not configured yet."
    return Stage(
        title=comment(title),
        start=unpack,
        name=f"{name}-system",
        steps=(
            *(("# rootlet ignore=add-url", *lines) for lines in packages.additions(files)),
            (f"WORKDIR {SYSTEM}",),
            *runs("", [*packages.proof(files), *_laying(files, found), *_database(found)]),
        ),
    )


def _laying(files: Sequence[packages.Fetched], found: Sequence[Package]) -> Iterator[Command]:
    tops = {node.path.split("/", 2)[1] for package in found for node in package.nodes}
    merged = [name for name in _MERGED if name in tops]
    yield Command(start=f"mkdir -p {' '.join(f'usr/{name}' for name in merged)} var/lib/dpkg/info")
    for name in merged:
        yield Command(start=f"ln -s usr/{name} {name}")
    excluded = " ".join(f"--exclude='./usr/share/{name}/*'" for name in _UNWANTED)
    body = "; ".join(
        (
            'dpkg-deb --fsys-tarfile "/debs/$deb" > /data.tar',
            f"tar -xpf /data.tar --keep-directory-symlink {excluded}",
            *_DATABASE,
        )
    )
    yield Command(
        start="for deb in",
        words=tuple(shell_word(one.file) for one in files),
        end=f"; do {body}; done",
        comments=comment("Files, and dpkg's record of each package: unpacked, not configured."),
    )


def _database(found: Sequence[Package]) -> Iterator[Command]:
    triggers = "var/lib/dpkg/triggers"
    empty = ("var/lib/dpkg/available", "var/lib/dpkg/diversions", "var/lib/dpkg/statoverride")
    yield Command(start=f"mkdir -p {triggers} var/lib/dpkg/updates usr/sbin")
    yield Command(
        start="touch", words=(*empty, *(f"{triggers}/{name}" for name in ("File", "Unincorp", "Lock")))
    )
    yield Command(start="echo 1 > var/lib/dpkg/info/format")
    ordered = sorted(found, key=lambda package: package.name)
    for path, payload in (("usr/sbin/policy-rc.d", POLICY), (SCRIPT[1:], configuring_script(ordered))):
        lines = payload.decode("utf-8", "surrogateescape").removesuffix("\n").split("\n")
        yield Command(start="printf '%s\\n'", words=tuple(map(shell_word, lines)), end=f"> {path}")
        yield Command(start=f"chmod 0755 {path}")

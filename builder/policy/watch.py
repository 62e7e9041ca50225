"""Looks at every file on its way to the inventory; what a policy may speak of is kept."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from builder.inventory.files import TreeFile
from builder.lint.secrets import is_secret_file, secret_form
from builder.policy.hardening import lacking
from builder.policy.model import Hardening, Sightings
from builder.stored.read import ImageFile
from builder.sysroot import Kind

MOST = 2000
"""Paths of one kind that are kept."""

_PROGRAM_FOLDERS = frozenset({"/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"})
_SHELLS = frozenset(
    {"sh", "bash", "dash", "ash", "zsh", "ksh", "mksh", "fish", "csh", "tcsh", "busybox", "toybox"}
)
_MANAGERS = frozenset(
    {
        *(
            "apt",
            "apt-get",
            "aptitude",
            "dpkg",
            "apk",
            "rpm",
            "dnf",
            "microdnf",
            "yum",
            "tdnf",
            "zypper",
            "pacman",
        ),
        *("pip", "pip3", "npm", "yarn", "pnpm", "gem", "conda", "snap"),
    }
)
_PACKAGED = (
    "/usr/share/",
    "/usr/lib/",
    "/usr/include/",
    "/lib/",
    "/usr/libexec/",
    "/usr/src/",
    "/var/lib/dpkg/",
)
"""Where packages keep samples and tests; secrets of one's own lie elsewhere."""
_TEXT = re.compile(
    r"(?:\.(?:env|json|ya?ml|toml|ini|conf|cfg|properties|xml|sh|txt|pem|key|crt|netrc|npmrc)|"
    r"/(?:\.[a-z][\w.-]*|id_[a-z0-9]+|credentials|config|passwd|secrets?))$",
    re.IGNORECASE,
)
_MAX_TEXT = 1 << 18
_HEAD = 1 << 16
_SETID = 0o6000
_STICKY = 0o1000
_OTHERS_WRITE = 0o002
_ELF = b"\x7fELF"


@dataclass(slots=True, kw_only=True)
class PolicyWatch:
    """One is for one tree. ``hardening``: protections to look for in programs and libraries.

    ``secrets``: whether to look into files for secrets. Layers above may take a file away again: only what
    passes counts, so the stream is that of a whole tree.
    """

    hardening: frozenset[Hardening] = frozenset()
    secrets: bool = True
    _found: dict[str, list[str]] = field(default_factory=dict)
    _secrets: list[tuple[str, str]] = field(default_factory=list)
    _soft: list[tuple[str, Hardening]] = field(default_factory=list)
    _size: int = 0

    def follow(self, files: Iterable[TreeFile]) -> Iterator[TreeFile]:
        """Give the same files."""
        for file in files:
            self._look(file)
            yield file

    def sightings(self) -> Sightings:
        """Everything that was seen."""
        return Sightings(
            shells=self._sorted("shell"),
            managers=self._sorted("manager"),
            setuid=self._sorted("setuid"),
            world_writable=self._sorted("world"),
            secrets=tuple(sorted(self._secrets)),
            soft=tuple(sorted(self._soft, key=lambda one: (one[0], one[1].value))),
            size=self._size,
        )

    def _sorted(self, kind: str) -> tuple[str, ...]:
        return tuple(sorted(self._found.get(kind, ())))

    def _keep(self, kind: str, path: str) -> None:
        found = self._found.setdefault(kind, [])
        if len(found) < MOST:
            found.append(path)

    def _look(self, file: TreeFile) -> None:
        folder, _, name = file.path.rpartition("/")
        if folder in _PROGRAM_FOLDERS and file.kind is not Kind.DIRECTORY:
            if name in _SHELLS:
                self._keep("shell", file.path)
            if name in _MANAGERS:
                self._keep("manager", file.path)
        if file.kind is Kind.SYMLINK:
            return
        mode = file.mode
        if mode & _OTHERS_WRITE and not mode & _STICKY:
            self._keep("world", file.path)
        if file.kind is Kind.FILE:
            is_second_name = isinstance(file, ImageFile) and bool(file.hardlink)
            self._size += 0 if is_second_name else max(file.size, 0)
            if mode & _SETID and mode & 0o111:
                self._keep("setuid", file.path)
            self._look_inside(file)

    def _look_inside(self, file: TreeFile) -> None:
        try:
            if self.secrets and not file.path.startswith(_PACKAGED):
                self._look_for_secrets(file)
            if self.hardening and file.size > len(_ELF) and file.read(len(_ELF)) == _ELF:
                with file.content() as content:
                    self._soft += ((file.path, one) for one in lacking(content, self.hardening)[:MOST])
        except OSError:
            return  # the inventory says what could not be read

    def _look_for_secrets(self, file: TreeFile) -> None:
        if len(self._secrets) >= MOST or not 0 < file.size <= _MAX_TEXT:
            return
        named = is_secret_file(file.path)
        if not named and not _TEXT.search(file.path):
            return
        head = file.read(_HEAD)
        form = "" if b"\0" in head else secret_form(head.decode(errors="replace"))
        if form or named:
            self._secrets.append((file.path, form or "a file of secrets by its name"))

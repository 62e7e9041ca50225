"""One header of an rpm database (rpm's docs/manual/hregions.md and format_header.md): tags, types, values."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from builder.inventory.found import Package, packed, plain_word
from builder.inventory.model import ComponentKind

MAX_HEADER = 64 << 20
"""Bytes. rpm's own limit is four times that; the largest real ones have some 4 MB."""
_MAX_FILES = 1_000_000
_MAX_ENTRIES = 65_536
_NAME, _VERSION, _RELEASE, _EPOCH, _VENDOR, _ARCH = 1000, 1001, 1002, 1003, 1011, 1022
_OLD_NAMES, _SOURCE_RPM, _DIR_INDEXES, _BASENAMES, _DIRNAMES, _MODULARITY = 1027, 1044, 1116, 1117, 1118, 5096
_WANTED = frozenset(
    {
        _NAME,
        _VERSION,
        _RELEASE,
        _EPOCH,
        _VENDOR,
        _ARCH,
        _OLD_NAMES,
        _SOURCE_RPM,
        _DIR_INDEXES,
        _BASENAMES,
        _DIRNAMES,
        _MODULARITY,
    }
)
_INT32, _STRING, _STRING_ARRAY, _I18N = 4, 6, 8, 9
_ENTRY = struct.Struct(">4I")
_KEYS = frozenset({"gpg-pubkey"})
"""Not packages: rpm keeps the keys that it trusts among them."""


class DamagedHeaderError(ValueError):
    """Why a header cannot be read."""


@dataclass(frozen=True, slots=True)
class RpmEntry:
    """An installed package and its files, packed."""

    package: Package
    files: bytes


def read_header(blob: bytes) -> RpmEntry | None:
    """Read a header as the database keeps it (without magic). None for a key; DamagedHeaderError."""
    values = _Values(blob)
    name, version, release = (values.text(tag) for tag in (_NAME, _VERSION, _RELEASE))
    if name in _KEYS:
        return None
    if not name or not version or not release:
        raise DamagedHeaderError("it names no package" if not name else f"{name} has no version")
    epoch = values.number(_EPOCH)
    prefix = f"{epoch}:" if epoch else ""
    whole = f"{prefix}{version}-{release}"
    source = _source(values.text(_SOURCE_RPM))
    package = Package(
        kind=ComponentKind.RPM,
        name=name,
        version=whole,
        architecture=values.text(_ARCH),
        source_name=source[0] if source else name,
        source_version=prefix + source[1] if source else whole,
        modularity=values.text(_MODULARITY),
        vendor=values.line(_VENDOR),
    )
    return RpmEntry(package, packed(values.files()))


def listed_package(columns: Sequence[str]) -> Package | None:
    """Make a package of a row of ``container-manifest-2``; None when it names none.

    The columns: name, version-release, times of installation and build, vendor, "(none)", size, architecture,
    epoch, source rpm.
    """
    name, version, vendor, architecture = (columns[at].strip() for at in (0, 1, 4, 7))
    epoch = columns[8].strip()
    prefix = f"{epoch}:" if epoch.isdecimal() and epoch != "0" else ""
    if not plain_word(name) or not plain_word(version):
        return None
    source = _source(columns[9].strip())
    return Package(
        kind=ComponentKind.RPM,
        name=plain_word(name),
        version=prefix + plain_word(version),
        architecture=plain_word(architecture),
        source_name=source[0] if source else name,
        source_version=prefix + (source[1] if source else plain_word(version)),
        vendor=vendor[:200],
    )


def _source(file: str) -> tuple[str, str] | None:
    """Part "bash-5.1.8-6.el9.src.rpm" into name and version."""
    parts = file.removesuffix(".rpm").removesuffix(".src").removesuffix(".nosrc").rsplit("-", 2)
    return (parts[0], f"{parts[1]}-{parts[2]}") if file.endswith(".rpm") and len(parts) == 3 else None  # noqa: PLR2004 (name, version, release)


class _Values:
    def __init__(self, blob: bytes) -> None:
        if len(blob) < 8:  # noqa: PLR2004 (two counts)
            raise DamagedHeaderError("it is cut off")
        count, size = struct.unpack_from(">2I", blob)
        start = 8 + _ENTRY.size * count
        if count > _MAX_ENTRIES or start + size > len(blob):
            raise DamagedHeaderError("its sizes are wrong")
        self._data = blob[start : start + size]
        self._entries: dict[int, tuple[int, int, int]] = {}
        for tag, kind, offset, number in _ENTRY.iter_unpack(blob[8:start]):
            if tag in _WANTED and offset < size:
                self._entries.setdefault(tag, (kind, offset, number))

    def line(self, tag: int) -> str:
        """Give a text for people, "" without it."""
        kind, offset, _ = self._entries.get(tag, (0, 0, 0))
        if kind not in {_STRING, _I18N}:
            return ""
        end = self._data.find(b"\0", offset, offset + 1024)
        return self._data[offset:end].decode(errors="replace").strip() if end >= 0 else ""

    def text(self, tag: int) -> str:
        """Give a word, "" without it."""
        return plain_word(self.line(tag))

    def number(self, tag: int) -> int:
        """Give a number, 0 without it."""
        kind, offset, _ = self._entries.get(tag, (0, 0, 0))
        part = self._data[offset : offset + 4]
        return int.from_bytes(part, "big") if kind == _INT32 and len(part) == 4 else 0  # noqa: PLR2004 (bytes)

    def files(self) -> Iterator[str]:
        """Give the paths of the package."""
        names = self._texts(_BASENAMES)
        if not names:
            yield from self._texts(_OLD_NAMES)
            return
        folders = self._texts(_DIRNAMES)
        for name, folder in zip(names, self._numbers(_DIR_INDEXES), strict=False):
            if folder < len(folders):
                yield folders[folder] + name

    def _texts(self, tag: int) -> list[str]:
        kind, offset, count = self._entries.get(tag, (0, 0, 0))
        if kind not in {_STRING, _STRING_ARRAY} or not count:
            return []
        count = min(count, len(self._data) - offset, _MAX_FILES)
        parts = self._data[offset:].split(b"\0", count)
        return [part.decode(errors="surrogateescape") for part in parts[:count]]

    def _numbers(self, tag: int) -> tuple[int, ...]:
        kind, offset, count = self._entries.get(tag, (0, 0, 0))
        if kind != _INT32:
            return ()
        count = min(count, (len(self._data) - offset) // 4, _MAX_FILES)
        return struct.unpack_from(f">{count}I", self._data, offset)

"""Wheels laid out as pip would install them, byte for byte known: nothing of them is run.

The wheel specification ("Installing a wheel"), PEP 376 and "Recording installed projects", "Entry points",
PEP 610.
"""

from __future__ import annotations

import base64
import configparser
import csv
import email.parser
import email.policy
import hashlib
import io
import json
import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from builder.errors import BuildError
from builder.sources.pypi.choose import Chosen
from builder.sources.pypi.keep import MOST_BYTES, dist_info_file, metadata_of
from builder.sources.zipped import ZipEntry, ZipReader
from builder.sysroot import Kind

INSTALLER = "rootlet"
_HINT = "the wheel is damaged or hostile: use another version, or another index"
_LARGEST_TEXT = 64 << 20
_LARGEST_SCRIPT = 16 << 20
_ENTRY = re.compile(r"\s*(?P<module>[\w.]+)\s*:\s*(?P<call>[\w.]+)\s*(?:\[.*\])?\s*")
_NAME = re.compile(r"[^/\x00-\x20\x7f][^/\x00-\x1f\x7f]*")
_SCRIPT = """#!{interpreter}
# -*- coding: utf-8 -*-
import re
import sys
from {module} import {first}
if __name__ == '__main__':
    sys.argv[0] = re.sub(r'(-script\\.pyw|\\.exe)?$', '', sys.argv[0])
    sys.exit({call}())
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where the parts of wheels go in the image; all absolute. ``interpreter`` starts their scripts."""

    site: str
    scripts: str
    data: str
    headers: str
    interpreter: str


@dataclass(slots=True, kw_only=True)
class Placed:
    """One file of an installed wheel: bytes made here, or a member of the wheel."""

    path: str
    mode: int = 0o644
    made: bytes | None = None
    entry: ZipEntry | None = None
    sha256: str = ""
    size: int = 0


@dataclass(slots=True, kw_only=True)
class Installed:
    """A wheel laid out. ``read`` gives the bytes of a member."""

    chosen: Chosen
    reader: ZipReader
    dist_info: str
    files: dict[str, Placed] = field(default_factory=dict)

    def chunks(self, placed: Placed) -> Iterator[bytes]:
        """The bytes of one of its files."""
        if placed.made is not None:
            return iter((placed.made,))
        if placed.entry is None:
            return iter(())
        return self.reader.read(placed.entry)


def lay_out(stream: BinaryIO, chosen: Chosen, layout: Layout) -> Installed:
    """Where every file of a wheel goes, with the files that an installer makes.

    BuildError for a wheel that is no sound one: names of another package, files that its RECORD does not have
    or describes otherwise, links, a version of the format that is not known.
    """
    name = chosen.link.filename
    reader = ZipReader(stream, name=name, limit=MOST_BYTES, hint=_HINT)
    entries = [entry for entry in reader if entry.kind is not Kind.DIRECTORY]
    wheel = dist_info_file(entries, "WHEEL", name)
    record = dist_info_file(entries, "RECORD", name)
    if wheel is None or record is None:
        raise _bad(name, "has no WHEEL or RECORD in its .dist-info folder")
    _check_version(reader.bytes_of(wheel, _LARGEST_TEXT), name)
    _check_name(metadata_of(reader, name), name)
    folder = wheel.path.rpartition("/")[0]
    installed = Installed(chosen=chosen, reader=reader, dist_info=layout.site + folder)
    sums = _record(reader.bytes_of(record, _LARGEST_TEXT), name)
    parts = _Parts(layout, folder.removesuffix(".dist-info") + ".data", name)
    for entry in entries:
        if entry.kind is Kind.SYMLINK:
            raise _bad(name, f"contains a symbolic link at {entry.path}")
        if entry.path.rpartition("/")[0] == folder and entry.path.rpartition("/")[2] in _REPLACED:
            continue
        _add(installed, _placed(entry, parts, sums, installed))
    for placed in _scripts(installed, entries, layout):
        _add(installed, placed)
    _add_notes(installed)
    return installed


_REPLACED = frozenset({"RECORD", "RECORD.jws", "RECORD.p7s", "INSTALLER", "REQUESTED", "direct_url.json"})
"""Files of .dist-info that the installer writes, or that sign what it changes."""


def _add(installed: Installed, placed: Placed) -> None:
    if placed.path in installed.files:
        raise _bad(installed.chosen.link.filename, f"brings {placed.path} twice")
    installed.files[placed.path] = placed


def _check_version(text: bytes, name: str) -> None:
    fields = email.parser.BytesParser(policy=email.policy.compat32).parsebytes(text)
    version = str(fields.get("Wheel-Version", ""))
    if version.partition(".")[0] != "1":
        raise _bad(name, f"is of version {version[:20] or 'nothing'} of the format; 1 is known")


def _check_name(text: bytes, name: str) -> None:
    """A scanner believes METADATA: it must be of the package that was asked for."""
    fields = email.parser.BytesParser(policy=email.policy.compat32).parsebytes(text)
    project, version, _, _ = parse_wheel_filename(name)
    said = (str(fields.get("Name", ""))[:200], str(fields.get("Version", ""))[:200])
    try:
        is_same = (canonicalize_name(said[0]), Version(said[1])) == (project, version)
    except InvalidVersion:
        is_same = False
    if not is_same:
        raise _bad(name, f"says of itself that it is {said[0] or 'nothing'} {said[1]}")


@dataclass(frozen=True, slots=True)
class _Sum:
    sha256: str
    size: int


def _record(text: bytes, name: str) -> dict[str, _Sum]:
    found: dict[str, _Sum] = {}
    try:
        for row in csv.reader(io.StringIO(text.decode("utf-8"), newline="")):
            if row:
                path, digest, size = row
                found["/" + path.lstrip("/")] = _Sum(_hex(digest), int(size) if size else -1)
    except (ValueError, csv.Error) as error:
        raise _bad(name, f"has a damaged RECORD: {error}") from error
    return found


def _hex(digest: str) -> str:
    algorithm, _, value = digest.partition("=")
    if algorithm != "sha256":
        return ""
    return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)).hex()


class _Parts:
    """Where members of a wheel go. ``purelib`` and ``platlib`` are one folder."""

    def __init__(self, layout: Layout, data: str, name: str) -> None:
        self._data = f"{data}/"
        self._name = name
        self._site = layout.site
        self._folders = {
            "purelib": layout.site,
            "platlib": layout.site,
            "headers": f"{layout.headers}/{name.partition('-')[0]}",
            "scripts": layout.scripts,
            "data": layout.data,
        }
        self.interpreter = layout.interpreter

    def place(self, path: str) -> tuple[str, bool]:
        """The path in the image, and whether it is a script."""
        if not path.startswith(self._data):
            return self._site + path, False
        scheme, slash, rest = path[len(self._data) :].partition("/")
        if scheme not in self._folders or not slash:
            raise _bad(self._name, f"has {path}, which belongs to no scheme of installation")
        return f"{self._folders[scheme]}/{rest}", scheme == "scripts"


def _placed(entry: ZipEntry, parts: _Parts, sums: dict[str, _Sum], installed: Installed) -> Placed:
    name = installed.chosen.link.filename
    promised = sums.get(entry.path)
    if promised is None:
        raise _bad(name, f"has {entry.path}, which its RECORD does not list")
    path, is_script = parts.place(entry.path)
    if not is_script:
        mode = 0o755 if (entry.mode or 0) & 0o111 else 0o644
        placed = Placed(path=path, mode=mode, entry=entry, sha256=promised.sha256, size=entry.size)
    else:
        body = installed.reader.bytes_of(entry, _LARGEST_SCRIPT)
        _check(name, entry.path, promised, hashlib.sha256(body).hexdigest(), len(body))
        placed = _made(path, _started_by(body, parts.interpreter), mode=0o755)
    if placed.entry is not None and promised.size not in {-1, entry.size}:
        raise _bad(name, f"has {entry.size} bytes in {entry.path}; its RECORD says {promised.size}")
    return placed


def _check(name: str, path: str, promised: _Sum, sha256: str, size: int) -> None:
    if promised.sha256 not in {"", sha256} or promised.size not in {-1, size}:
        raise _bad(name, f"has other bytes in {path} than its RECORD says")


def _started_by(body: bytes, interpreter: str) -> bytes:
    if not body.startswith(b"#!python"):
        return body
    _, newline, rest = body.partition(b"\n")
    return b"#!" + interpreter.encode() + newline + rest


def _scripts(installed: Installed, entries: list[ZipEntry], layout: Layout) -> Iterator[Placed]:
    """The programs of [console_scripts] and [gui_scripts]."""
    name = installed.chosen.link.filename
    entry = dist_info_file(entries, "entry_points.txt", name)
    if entry is None:
        return
    parser = configparser.RawConfigParser(delimiters=("=",), strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their case (the specification)
    try:
        parser.read_string(installed.reader.bytes_of(entry, _LARGEST_TEXT).decode("utf-8"))
    except (configparser.Error, UnicodeDecodeError) as error:
        raise _bad(name, f"has a damaged entry_points.txt: {error}") from error
    programs: dict[str, str] = {}
    for section in ("console_scripts", "gui_scripts"):
        if parser.has_section(section):
            programs |= dict(parser.items(section))
    for program, value in sorted(programs.items()):
        match = _ENTRY.fullmatch(value or "")
        if match is None or not _NAME.fullmatch(program) or program in {".", ".."}:
            raise _bad(name, f"has an entry point that is none: {program[:80]!r} = {str(value)[:80]!r}")
        text = _SCRIPT.format(
            interpreter=layout.interpreter,
            module=match["module"],
            first=match["call"].partition(".")[0],
            call=match["call"],
        )
        yield _made(f"{layout.scripts}/{program}", text.encode(), mode=0o755)


def _made(path: str, body: bytes, *, mode: int = 0o644) -> Placed:
    return Placed(path=path, mode=mode, made=body, sha256=hashlib.sha256(body).hexdigest(), size=len(body))


def _add_notes(installed: Installed) -> None:
    """INSTALLER, REQUESTED, direct_url.json; RECORD comes last, when everything is known."""
    folder = installed.dist_info
    _add(installed, _made(f"{folder}/INSTALLER", f"{INSTALLER}\n".encode()))
    if installed.chosen.requested:
        _add(installed, _made(f"{folder}/REQUESTED", b""))
    if installed.chosen.direct:
        link = installed.chosen.link
        info: dict[str, Any] = {"hashes": {"sha256": link.sha256}}
        document = {"url": link.url, "archive_info": info}
        _add(installed, _made(f"{folder}/direct_url.json", json.dumps(document, sort_keys=True).encode()))


def record_of(installed: Installed, site: str) -> bytes:
    """The RECORD of what was installed: paths from the folder of packages, sums and sizes, sorted."""
    rows = [
        (_relative(path, site), f"sha256={_base64(placed.sha256)}", str(placed.size))
        for path, placed in installed.files.items()
        if not path.startswith(f"{installed.dist_info}/RECORD")
    ]
    rows.append((_relative(f"{installed.dist_info}/RECORD", site), "", ""))
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows(sorted(rows))
    return out.getvalue().encode()


def _relative(path: str, site: str) -> str:
    return path[len(site) + 1 :] if path.startswith(f"{site}/") else posixpath.relpath(path, site)


def _base64(sha256: str) -> str:
    return base64.urlsafe_b64encode(bytes.fromhex(sha256)).rstrip(b"=").decode()


def winners(installed: Iterable[Installed]) -> dict[str, Installed]:
    """Path → the wheel whose file is there: of two wheels with one path, that of the later name."""
    found: dict[str, Installed] = {}
    for one in sorted(installed, key=lambda one: canonicalize_name(one.chosen.name)):
        for path in one.files:
            found[path] = one
    return found


def _bad(name: str, what: str) -> BuildError:
    return BuildError(f"{name} {what}", hint=_HINT)

"""Wheels made in memory, and simple indexes of them."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """A wheel. ``files`` besides those of .dist-info; ``sums``: RECORD says these instead."""

    name: str
    version: str = "1.0"
    tag: str = "py3-none-any"
    requires: tuple[str, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)
    entry_points: str = ""
    requires_python: str = ""
    sums: Mapping[str, str] = field(default_factory=dict)
    unlisted: tuple[str, ...] = ()
    wheel_version: str = "1.0"
    modes: Mapping[str, int] = field(default_factory=dict)
    says: bytes = b""
    """METADATA, where it is not the honest one."""

    @property
    def stem(self) -> str:
        """Name and version as files and folders have them."""
        return f"{self.name.replace('-', '_')}-{self.version}"

    @property
    def filename(self) -> str:
        """The file's name."""
        return f"{self.stem}-{self.tag}.whl"

    @property
    def metadata(self) -> bytes:
        """METADATA."""
        if self.says:
            return self.says
        lines = [f"Metadata-Version: 2.4\nName: {self.name}\nVersion: {self.version}\n"]
        lines += [f"Requires-Dist: {one}\n" for one in self.requires]
        return "".join(lines).encode()

    def build(self) -> bytes:
        """The wheel."""
        info = f"{self.stem}.dist-info"
        members = dict(self.files) or {f"{self.name.replace('-', '_')}.py": b"x = 1\n"}
        members[f"{info}/METADATA"] = self.metadata
        members[f"{info}/WHEEL"] = f"Wheel-Version: {self.wheel_version}\nRoot-Is-Purelib: true\n".encode()
        if self.entry_points:
            members[f"{info}/entry_points.txt"] = self.entry_points.encode()
        rows = [
            f"{path},{self.sums.get(path, record_sum(content))},{len(content)}\n"
            for path, content in members.items()
            if path not in self.unlisted
        ]
        members[f"{info}/RECORD"] = "".join([*rows, f"{info}/RECORD,,\n"]).encode()
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for path, content in members.items():
                member = zipfile.ZipInfo(path)
                member.create_system = 3
                member.external_attr = (0o100000 | self.modes.get(path, 0o644)) << 16
                archive.writestr(member, content)
        return out.getvalue()

    @property
    def sha256(self) -> str:
        """Checksum of the wheel."""
        return hashlib.sha256(self.build()).hexdigest()


def record_sum(content: bytes) -> str:
    """A checksum as RECORD writes it."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"sha256={digest}"


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A file of an index: a wheel, or a source archive by its name."""

    wheel: Wheel | None = None
    sdist: str = ""
    yanked: str | bool = False
    beside: bool = True
    """Whether its METADATA lies beside it."""

    @property
    def filename(self) -> str:
        """The file's name."""
        return self.wheel.filename if self.wheel is not None else self.sdist

    @property
    def payload(self) -> bytes:
        """The file."""
        return self.wheel.build() if self.wheel is not None else b"source"


def write_index(site: Path, *files: Wheel | Listed, form: str = "json") -> None:
    """Write ``simple/NAME/`` for a file server (its answer is ``index``), and the files."""
    listed = [Listed(wheel=one) if isinstance(one, Wheel) else one for one in files]
    by_name: dict[str, list[Listed]] = {}
    for one in listed:
        name = one.filename.split("-")[0].replace("_", "-").lower()
        by_name.setdefault(name, []).append(one)
        _write(site / "files" / one.filename, one.payload)
        if one.wheel is not None and one.beside:
            _write(site / "files" / f"{one.filename}.metadata", one.wheel.metadata)
    for name, of_name in by_name.items():
        page = _json(of_name) if form == "json" else _html(of_name)
        _write(site / "simple" / name / "index.html", page.encode())


def _write(path: Path, payload: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(payload)


def _json(files: Iterable[Listed]) -> str:
    rows = []
    for one in files:
        row = {
            "filename": one.filename,
            "url": f"../../files/{one.filename}",
            "hashes": {"sha256": hashlib.sha256(one.payload).hexdigest()},
            "requires-python": one.wheel.requires_python if one.wheel else None,
            "yanked": one.yanked,
        }
        if one.wheel is not None and one.beside:
            row["core-metadata"] = {"sha256": hashlib.sha256(one.wheel.metadata).hexdigest()}
        rows.append(row)
    return json.dumps({"meta": {"api-version": "1.1"}, "name": "x", "files": rows})


def _html(files: Iterable[Listed]) -> str:
    anchors = []
    for one in files:
        extra = ""
        if one.yanked is not False:
            extra += f' data-yanked="{one.yanked if isinstance(one.yanked, str) else ""}"'
        if one.wheel is not None and one.wheel.requires_python:
            extra += f' data-requires-python="{html.escape(one.wheel.requires_python)}"'
        if one.wheel is not None and one.beside:
            sha256 = hashlib.sha256(one.wheel.metadata).hexdigest()
            extra += f' data-core-metadata="sha256={sha256}"'
        sha256 = hashlib.sha256(one.payload).hexdigest()
        anchors.append(f'<a href="../../files/{one.filename}#sha256={sha256}"{extra}>{one.filename}</a><br>')
    return f"<!DOCTYPE html><html><body>{''.join(anchors)}</body></html>"

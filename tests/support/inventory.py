"""Trees of files in memory, as the inventory reads them, and the dpkg texts that go into them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from builder.inventory.content import Readable
from builder.sysroot import Kind

ELF = b"\x7fELF\x02\x01\x01" + bytes(57)
OS_RELEASE = 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\nVERSION_ID="13"\n'


@dataclass(frozen=True)
class MemoryFile:
    path: str
    kind: Kind = Kind.FILE
    target: str = ""
    payload: bytes = b""
    error: OSError | None = None
    declared: int = -1
    layer: int | None = None
    mode: int = 0o644

    @property
    def size(self) -> int:
        return len(self.payload) if self.declared < 0 else self.declared

    @contextlib.contextmanager
    def content(self) -> Iterator[Readable]:
        if self.error is not None:
            raise self.error
        yield self.payload

    def read(self, limit: int) -> bytes:
        if self.error is not None:
            raise self.error
        return self.payload[:limit]


def tree(files: Mapping[str, str | bytes], links: Mapping[str, str] | None = None) -> list[MemoryFile]:
    """Files by path (text or bytes), then symbolic links."""
    regular = [
        MemoryFile(path, payload=body.encode("utf-8", "surrogateescape") if isinstance(body, str) else body)
        for path, body in files.items()
    ]
    return [
        *regular,
        *(MemoryFile(path, kind=Kind.SYMLINK, target=target) for path, target in (links or {}).items()),
    ]


def paragraph(name: str, version: str, **fields: str) -> str:
    """A status paragraph; ``Status`` "" leaves that line out."""
    values = {
        "Package": name,
        "Status": "install ok installed",
        "Version": version,
        "Architecture": "amd64",
        **fields,
    }
    return "".join(f"{key}: {value}\n" for key, value in values.items() if value) + "\n"

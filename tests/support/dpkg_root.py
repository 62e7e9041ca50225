"""A machine's root folder with a dpkg database, made of a few packages."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

INFO = "var/lib/dpkg/info"


def add_package(
    root: Path, name: str, files: Mapping[str, bytes | str], *, version: str = "1.0-1", list_name: str = ""
) -> None:
    """Install a package: bytes are files, texts are links."""
    for path, content in files.items():
        place = root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            place.symlink_to(content)
        else:
            place.write_bytes(content)
    record_package(root, name, files, version=version, list_name=list_name)


def record_package(
    root: Path, name: str, files: Mapping[str, bytes | str], *, version: str = "1.0-1", list_name: str = ""
) -> None:
    """Write the database's part of a package."""
    info = root / INFO
    info.mkdir(parents=True, exist_ok=True)
    stem = list_name or name
    sums = (
        f"{hashlib.md5(content).hexdigest()}  {path[1:]}\n"
        for path, content in files.items()
        if isinstance(content, bytes)
    )
    (info / f"{stem}.list").write_text("/.\n" + "".join(f"{path}\n" for path in files))
    (info / f"{stem}.md5sums").write_text("".join(sums))
    with (root / "var/lib/dpkg/status").open("a") as status:
        status.write(
            f"Package: {name}\nStatus: install ok installed\nSource: {name}-src (0.9)\nVersion: {version}\n"
            f"Architecture: amd64\nMaintainer: M <m@test>\nConffiles:\n /etc/{name} {'0' * 32}\n"
            f"Description: a package\n of the test\n\n"
        )

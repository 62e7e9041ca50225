"""What can be scanned: an image of any format that ``builder.image.read`` opens, or a root folder."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from builder.errors import ScanError
from builder.image.read import StoredImage, open_image
from builder.image.tree import tree
from builder.inventory.collect import take_inventory
from builder.inventory.files import walk_root
from builder.oci import Platform
from builder.scan.match import AdvisorySource, scan_inventory
from builder.scan.model import ScanReport

_PREFIXES = ("oci", "docker-archive", "oci-archive", "dir")


def scan_image(image: StoredImage, source: AdvisorySource, *, subject: str, now: dt.datetime) -> ScanReport:
    """Judge what a container of ``image`` sees; every layer is proven on the way (BuildError)."""
    return scan_inventory(take_inventory(tree(image)), source, subject=subject, now=now)


def scan_reference(
    reference: str, source: AdvisorySource, *, platform: Platform | None, now: dt.datetime
) -> ScanReport:
    """Judge an image or a folder.

    ``reference`` is ``oci:FOLDER[:TAG]``, ``docker-archive:FILE``, ``oci-archive:FILE``, ``dir:FOLDER``, or a
    path, whose kind is then found out. ScanError when nothing is there, BuildError when it is damaged.
    """
    kind, path, name = split_reference(reference)
    if not path.exists():
        raise ScanError(
            f"{path} does not exist, so nothing was scanned",
            hint="give an OCI layout, an image archive or a root folder",
        )
    if kind == "dir" or (not kind and path.is_dir() and not (path / "index.json").is_file()):
        inventory = take_inventory(walk_root(path))
        return scan_inventory(inventory, source, subject=str(path), now=now)
    return scan_image(open_image(path, name=name, platform=platform), source, subject=reference, now=now)


def split_reference(reference: str) -> tuple[str, Path, str]:
    """Kind ("" when none is written), path and the name inside it. A path that exists is never split."""
    prefix, colon, rest = reference.partition(":")
    if not colon or prefix not in _PREFIXES:
        return "", Path(reference), ""
    path = Path(rest)
    folder, colon, name = rest.rpartition(":")
    if path.exists() or not colon:
        return prefix, path, ""
    return prefix, Path(folder), name

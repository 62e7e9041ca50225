"""What can be scanned: an image of any format that ``builder.stored.read`` opens, or a root folder."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from builder.errors import ScanError
from builder.inventory.collect import take_inventory
from builder.inventory.files import TreeFile, walk_root
from builder.inventory.model import Inventory
from builder.oci import ImageAddress, Platform
from builder.policy.model import Hardening, ImageFacts
from builder.policy.watch import PolicyWatch
from builder.recipe.model import ImagePolicy
from builder.scan.explain import RecordKeeper
from builder.scan.match import AdvisorySource, scan_inventory
from builder.scan.model import ScanReport
from builder.stored.read import StoredImage, open_image
from builder.stored.tree import tree

_PREFIXES = ("oci", "docker-archive", "oci-archive", "dir")
_ELSEWHERE = ("docker", "registry")
Matcher = Callable[[Inventory], ScanReport]
"""Finds the vulnerabilities of what is there."""
Reach = Callable[[ImageAddress, Platform | None], StoredImage]
"""Gives an image that is no file of this machine, with all its layers."""

_BASE_NAME = "org.opencontainers.image.base.name"
_BASE_DIGEST = "org.opencontainers.image.base.digest"
_NO_ROOT = "the folder has no package, no program and names no distribution: it looks like no root folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """How something is scanned: ``subject`` as it is called, ``now`` (UTC) dates the data.

    ``hardening``: protections to look for in programs. ``bases``: the images it was made from, where that is
    known beforehand; else what its annotations say.
    """

    subject: str
    now: dt.datetime
    hardening: frozenset[Hardening] = frozenset()
    bases: tuple[str, ...] | None = None


def hardening_of(policy: ImagePolicy) -> frozenset[Hardening]:
    """The protections that a policy asks for."""
    return frozenset(Hardening(one) for one in policy.hardening)


def scan_image(image: StoredImage, source: AdvisorySource, question: Question) -> ScanReport:
    """Judge what a container of ``image`` sees; every layer is proven on the way (BuildError)."""
    return scan_image_with(image, _builtin(source, question), question)


def scan_image_with(image: StoredImage, matcher: Matcher, question: Question) -> ScanReport:
    """Do the same with whoever finds the vulnerabilities."""
    bases = _named_bases(image) if question.bases is None else question.bases
    said = dict(image.annotations)
    base = said.get(_BASE_NAME) or said.get(_BASE_DIGEST, "")
    report = _scan_tree(tree(image), matcher, question, development=False, base=base)
    return replace(report, facts=ImageFacts(config=image.config.config, bases=bases))


def _scan_tree(
    files: Iterable[TreeFile],
    matcher: Matcher,
    question: Question,
    *,
    development: bool,
    base: str = "",
) -> ScanReport:
    """One pass: the inventory, the reasons, and what a policy may speak of."""
    record, watch = RecordKeeper(base=base), PolicyWatch(hardening=question.hardening)
    inventory = take_inventory(record.follow(watch.follow(files)), development=development)
    return replace(record.explain(matcher(inventory)), sightings=watch.sightings())


def _builtin(source: AdvisorySource, question: Question) -> Matcher:
    return lambda inventory: scan_inventory(inventory, source, subject=question.subject, now=question.now)


def _named_bases(image: StoredImage) -> tuple[str, ...]:
    said = dict(image.annotations)
    name, digest = said.get(_BASE_NAME, ""), said.get(_BASE_DIGEST, "")
    if not name or name == "scratch":
        return ()
    return (f"{name}@{digest}" if digest and "@" not in name else name,)


def scan_reference(
    reference: str,
    source: AdvisorySource,
    question: Question,
    *,
    platform: Platform | None,
    reach: Reach | None = None,
) -> ScanReport:
    """Judge an image or a folder; the ``subject`` of ``question`` is made of the reference.

    ``reference`` is ``oci:FOLDER[:TAG]``, ``docker-archive:FILE[:NAME]``, ``oci-archive:FILE[:TAG]``,
    ``dir:FOLDER``, or a path, whose kind is then found out; with ``reach`` also ``storage:NAME`` or the whole
    name of an image of a registry. ScanError when nothing is there, BuildError when it is damaged. In a
    folder that is no root file system the lock files of an application count; one that has nothing of either
    has a gap: it is never a pass.
    """
    opened = open_reference(reference, platform=platform, reach=reach)
    if isinstance(opened, Path):
        here = replace(question, subject=str(opened))
        report = _scan_tree(walk_root(opened), _builtin(source, here), here, development=True)
        inventory = report.inventory
        known = inventory.components or inventory.elf_files or inventory.distribution or not inventory.files
        return report if known else replace(report, unscannable=(*report.unscannable, _NO_ROOT))
    return scan_image(opened, source, replace(question, subject=reference))


def open_reference(
    reference: str, *, platform: Platform | None, purpose: str = "scanned", reach: Reach | None = None
) -> StoredImage | Path:
    """Open an image, or give the path of a root folder; ``reference`` as :func:`scan_reference` takes it.

    ScanError when nothing is there ("so nothing was ``purpose``"), BuildError when it is damaged.
    """
    kind, path, name = split_reference(reference)
    if reach is not None and (address := _elsewhere(reference, path)) is not None:
        return reach(address, platform)
    if reference in {"", *(f"{prefix}:" for prefix in _PREFIXES)} or not path.exists():
        raise _nothing(reference, path, purpose)
    if kind == "dir" or (not kind and path.is_dir() and not (path / "index.json").is_file()):
        return path
    return open_image(path, name=name, platform=platform)


def _elsewhere(reference: str, path: Path) -> ImageAddress | None:
    """The address of an image in a registry or a storage, if that is what the words mean."""
    if path.exists() or reference.partition(":")[0] in _PREFIXES:
        return None
    try:
        address = ImageAddress.parse(reference, Path.cwd())
    except ValueError:
        return None
    if address.reference is not None:
        is_said = reference.partition(":")[0] in _ELSEWHERE
        return address if address.reference.registry or is_said else None
    return address if address.path is None else None


def split_reference(reference: str) -> tuple[str, Path, str]:
    """Kind ("" when none is written), path and the name inside it. A path that exists is never split.

    Where none exists, the name starts after the last colon.
    """
    prefix, colon, rest = reference.partition(":")
    if not colon or prefix not in _PREFIXES:
        return "", Path(reference), ""
    path = Path(rest)
    if path.exists() or ":" not in rest:
        return prefix, path, ""
    cuts = [at for at, letter in enumerate(rest) if letter == ":"]
    cut = next((at for at in cuts if at and Path(rest[:at]).exists()), cuts[-1])
    return prefix, Path(rest[:cut]), rest[cut + 1 :]


def _nothing(reference: str, path: Path, purpose: str) -> ScanError:
    known = f"{path} does not exist" if reference.partition(":")[2] or path.name else "No image is named"
    return ScanError(
        f"{known}, so nothing was {purpose}",
        hint="give an OCI layout, an image archive, a root folder, or the whole name of a registry's image",
    )

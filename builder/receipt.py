"""Receipts of finished builds: when nothing that went in or came out has changed, nothing is done.

A receipt is only trusted as long as the build would not have asked the mirror or the calendar anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from builder import __version__
from builder.files import Stamp, read_checked, stamp, write_checked
from builder.oci import Digest, Platform
from builder.report.build import BuildSummary, PlatformSummary

if TYPE_CHECKING:  # only who has built something needs the model
    from builder.recipe.model import Output


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """``inputs`` are files that decided the result, ``outputs`` those that hold it; times are unix times."""

    code: str
    inputs: tuple[Stamp, ...]
    outputs: tuple[Stamp, ...]
    valid_until: float
    summary: BuildSummary


def receipt_path(cache: Path, request: Iterable[str]) -> Path:
    """Where the receipt of one command line (``request``: every word that decides the result) is kept."""
    name = hashlib.sha256("\0".join(request).encode("utf-8", "surrogateescape")).hexdigest()
    return cache / "receipts" / f"{name[:32]}.json"


def output_stamps(outputs: Iterable[Output], digests: Iterable[Digest]) -> tuple[Stamp, ...] | None:
    """Stamps of what was written; None when an output cannot be checked by looking at files."""
    from builder.recipe.model import OutputKind  # noqa: PLC0415 (see above)

    stamps: list[Stamp] = []
    for output in outputs:
        if output.path is None:
            return None
        stamps.append(
            stamp(output.path / "index.json" if output.kind is OutputKind.OCI_LAYOUT else output.path)
        )
        if output.kind is OutputKind.OCI_LAYOUT:
            stamps += (stamp(output.path / "blobs" / digest.algorithm / digest.encoded) for digest in digests)
    return tuple(stamps)


def code_stamp() -> str:
    """Changes with every release of rootlet, and with every edit in a checkout."""
    newest = max(_times(Path(__file__).resolve().parent), default=0)
    return f"{__version__} {newest}"


def _times(folder: Path) -> Iterable[int]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _times(Path(entry.path))
            elif entry.name.endswith((".py", ".pgp", ".asc")):
                yield entry.stat().st_mtime_ns


def unchanged(path: Path, *, now: float) -> BuildSummary | None:
    """The summary of the finished build when all of it still holds, else None. Damage reads as None."""
    try:
        text = read_checked(path)
        if text is None:
            return None
        receipt = _from_json(text)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    if receipt.code != code_stamp() or now >= receipt.valid_until:
        return None
    stamps = receipt.inputs + receipt.outputs
    return receipt.summary if all(stamp(Path(old[0])) == old for old in stamps) else None


def write_receipt(path: Path, receipt: Receipt) -> None:
    """Keep a receipt, after its checksum. One that cannot be written only costs time, so it is no error."""
    with contextlib.suppress(OSError):
        write_checked(path, json.dumps(asdict(receipt)).encode())


def _from_json(text: bytes) -> Receipt:
    plain = json.loads(text)
    summary = plain["summary"]
    platforms = tuple(_platform(platform) for platform in summary.pop("platforms"))
    return Receipt(
        code=plain["code"],
        inputs=tuple(tuple(one) for one in plain["inputs"]),
        outputs=tuple(tuple(one) for one in plain["outputs"]),
        valid_until=plain["valid_until"],
        summary=BuildSummary(
            name=summary["name"],
            digest=_digest(summary["digest"]),
            references=tuple(summary["references"]),
            outputs=tuple(summary["outputs"]),
            platforms=platforms,
            seconds=summary["seconds"],
            unchanged=True,
        ),
    )


def _platform(plain: dict[str, object]) -> PlatformSummary:
    fields = dict(plain)
    platform = fields.pop("platform")
    findings = fields.pop("findings")
    if not isinstance(platform, dict) or not isinstance(findings, list):
        raise TypeError("not a receipt")
    return PlatformSummary(
        platform=Platform(**platform),
        manifest=_digest(fields.pop("manifest")),
        config=_digest(fields.pop("config")),
        findings=tuple((severity, count) for severity, count in findings),
        warnings=tuple(fields.pop("warnings")),  # type: ignore[arg-type]  # checked by the constructor's use
        **fields,  # type: ignore[arg-type]  # unknown or missing names raise TypeError
    )


def _digest(plain: object) -> Digest:
    if not isinstance(plain, dict):
        raise TypeError("not a digest")
    return Digest(**plain)

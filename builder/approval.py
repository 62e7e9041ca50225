"""The second half of the way: scan what was written, ask the gate, give the image its names."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from builder.image.read import open_image
from builder.image.write import Written
from builder.publish import Publication, publish
from builder.recipe.model import Recipe, ScanPolicy
from builder.scan.database import Database
from builder.scan.gate import Candidate, approve, judge
from builder.scan.model import ApprovedImage, ScanReport, Verdict
from builder.scan.subject import scan_image
from builder.workshop import Workshop

Show = Callable[[ScanReport, Verdict], None]
"""Called with each report before the gate decides, so that a person sees why it said no."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """An approved image with its names and where it went.

    ``valid_until`` (unix time) is when the calendar could change the verdict.
    """

    approved: ApprovedImage
    references: tuple[str, ...]
    outputs: tuple[str, ...]
    valid_until: float


def approve_and_publish(
    written: Written, recipe: Recipe, workshop: Workshop, *, scratch: Path, show: Show
) -> Named:
    """Scan → gate → names. ``scratch`` is an empty folder on the disk of the outputs.

    PolicyError or ScanError as the gate says, before anything has a name.
    """
    candidates = _scan(written, recipe, workshop)
    today = workshop.now().date()
    for candidate in candidates:
        show(candidate.report, judge(candidate.report, recipe.scan, today=today))
    approved = approve(
        candidates, layout=written.layout, descriptor=written.descriptor, policy=recipe.scan, today=today
    )
    publication = Publication(
        approved=approved, images=written.images, name=recipe.name, tags=recipe.tags, native=workshop.native
    )
    workshop.progress.step(f"name {publication.references()[0]}")
    outputs = publish(publication, recipe.outputs, runner=workshop.runner, scratch=scratch)
    return Named(
        approved=approved,
        references=publication.references(),
        outputs=outputs,
        valid_until=_verdict_until(approved, recipe.scan),
    )


def _scan(written: Written, recipe: Recipe, workshop: Workshop) -> tuple[Candidate, ...]:
    """Scan what was written, as anyone would read it from the layout."""
    candidates = []
    with Database.open(workshop.database) as database:
        for image in written.images:
            workshop.progress.step(f"scan {recipe.name} for {image.platform}")
            stored = open_image(image.directory, platform=image.platform)
            report = scan_image(
                stored, database, subject=f"{recipe.name} ({image.platform})", now=workshop.now()
            )
            read = tuple(layer.diff_id for layer in stored.layers)
            candidates.append(Candidate(image=image, report=report, read=read))
    return tuple(candidates)


def _verdict_until(approved: ApprovedImage, policy: ScanPolicy) -> float:
    """When the calendar could change the verdict: a waiver ends, or the data becomes too old."""
    ends = [
        dt.datetime.combine(ignore.expires + dt.timedelta(days=1), dt.time(), dt.UTC).timestamp()
        for ignore in policy.ignore
        if ignore.expires is not None
    ]
    if policy.max_database_age is not None:
        dates = (
            report.database.date.timestamp() for report in approved.reports if report.database is not None
        )
        ends += (date + policy.max_database_age for date in dates)
    return min(ends, default=float("inf"))

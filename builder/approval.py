"""The second half of the way: test and scan what was written, ask the gate, give the image its names."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from builder.image.layout import publish_layout
from builder.image.write import Image, Written
from builder.inventory.model import Inventory
from builder.publish import Publication, publish
from builder.recipe.model import OutputKind, Recipe, Scanner, ScanPolicy
from builder.scan.gate import Candidate, Terms, approve, judge
from builder.scan.model import ApprovedImage, ScanReport, Verdict
from builder.scan.store import Database
from builder.scan.subject import Matcher, Question, hardening_of, scan_image, scan_image_with
from builder.scan.vex import read_vex
from builder.staging import staging
from builder.stored.read import StoredImage, open_image
from builder.verify.smoke import Bench, SmokeReport, Subject, smoke_test
from builder.workshop import Workshop

if TYPE_CHECKING:  # read only for who pushes
    from builder.stored.pull import ImageDoor

Show = Callable[[ScanReport, Verdict], None]
"""Called with each report before the gate decides, so that a person sees why it said no."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """An approved image with its names and where it went.

    ``tests`` has one report an image; () when tests were not wanted. ``valid_until`` (unix time) is when
    the calendar could change the verdict.
    """

    approved: ApprovedImage
    tests: tuple[SmokeReport, ...]
    references: tuple[str, ...]
    outputs: tuple[str, ...]
    papers: tuple[Path, ...]
    """Files that were written beside the image."""
    valid_until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What a build asks of an image before it gets a name, besides the scan.

    ``scratch`` is an empty folder on the disk of the outputs. ``tests``: whether the recipe's tests are run.
    """

    scratch: Path
    show: Show
    tests: bool = True


def approve_and_publish(
    written: Written, recipes: tuple[Recipe, ...], workshop: Workshop, proof: Proof
) -> Named:
    """Tests and scan → gate → names. ``recipes`` are those of the images, one for each platform.

    SmokeError or MachineError as the tests say, then PolicyError or ScanError as the gate says, before
    anything has a name.
    """
    recipe = recipes[0]
    tests, candidates = _prove(written, recipes, workshop, proof)
    terms = Terms(
        scan=recipe.scan,
        today=workshop.now().date(),
        image=recipe.policy,
        statements=read_vex(recipe.scan.vex),
    )
    for candidate in candidates:
        proof.show(candidate.report, judge(candidate.report, terms))
    approved = approve(candidates, layout=written.layout, descriptor=written.descriptor, terms=terms)
    publication = Publication(
        approved=approved,
        images=written.images,
        name=recipe.name,
        tags=recipe.tags,
        native=workshop.native,
        base=recipe.base.reference if recipe.base is not None else None,
    )
    workshop.progress.step(f"name {publication.references()[0]}")
    door = _door(recipe, workshop)
    outputs = publish(publication, recipe.outputs, runner=workshop.runner, scratch=proof.scratch, door=door)
    papers: tuple[Path, ...] = ()
    if recipe.bills or recipe.report is not None:
        from builder.papers import hand_out  # noqa: PLC0415 (only for who asks for papers)

        papers = hand_out(recipe, publication, approved, door, proof.scratch)
    return Named(
        approved=approved,
        papers=papers,
        tests=tests,
        references=publication.references(),
        outputs=outputs,
        valid_until=_verdict_until(approved, recipe.scan),
    )


def _door(recipe: Recipe, workshop: Workshop) -> ImageDoor | None:
    """What reaches registries, for a recipe that pushes."""
    if all(output.kind is not OutputKind.REGISTRY for output in recipe.outputs):
        return None
    from builder.sources.image import image_door  # noqa: PLC0415 (only for who pushes)

    options = workshop.reaching(recipe.insecure)
    return image_door(workshop.cache, workshop.freshness, workshop.effects, options)


def _prove(
    written: Written, recipes: tuple[Recipe, ...], workshop: Workshop, proof: Proof
) -> tuple[tuple[SmokeReport, ...], tuple[Candidate, ...]]:
    """Test and scan side by side. The scan is the thread: the tests are what an interruption must end."""
    stored = tuple(open_image(image.directory, platform=image.platform) for image in written.images)
    with ThreadPoolExecutor(1) as pool:
        scanning = pool.submit(_scan, written, stored, recipes[0], workshop)
        tests = _test(stored, recipes, workshop, proof.scratch) if proof.tests else ()
        return tests, scanning.result()


def _test(
    stored: tuple[StoredImage, ...], recipes: tuple[Recipe, ...], workshop: Workshop, scratch: Path
) -> tuple[SmokeReport, ...]:
    subjects = [Subject(image=image, recipe=one) for image, one in zip(stored, recipes, strict=True)]
    bench = Bench(
        runner=workshop.runner, progress=workshop.progress, scratch=scratch, clock=workshop.effects.clock
    )
    return smoke_test(subjects, bench)


def _scan(
    written: Written, stored: tuple[StoredImage, ...], recipe: Recipe, workshop: Workshop
) -> tuple[Candidate, ...]:
    """Scan what was written, as anyone would read it from the layout."""
    scanner = recipe.scan.scanner
    candidates = []
    with contextlib.ExitStack() as stack:
        database = (
            stack.enter_context(Database.open(workshop.database)) if scanner is Scanner.BUILTIN else None
        )
        for image, read in zip(written.images, stored, strict=True):
            workshop.progress.step(f"scan {recipe.name} for {image.platform}")
            question = Question(
                subject=f"{recipe.name} ({image.platform})",
                now=workshop.now(),
                hardening=hardening_of(recipe.policy),
                bases=recipe.named_images,
            )
            report = (
                scan_image(read, database, question)
                if database is not None
                else scan_image_with(read, _external(scanner, image, question, workshop), question)
            )
            diff_ids = tuple(layer.diff_id for layer in read.layers)
            candidates.append(Candidate(image=image, report=report, read=diff_ids))
    return tuple(candidates)


def _external(scanner: Scanner, image: Image, question: Question, workshop: Workshop) -> Matcher:
    """Another scanner, shown the very layout that is to be named, with this image alone in its index."""
    from builder.scan.external import external_report  # noqa: PLC0415 (only for who asks for it)

    def look(inventory: Inventory) -> ScanReport:
        with staging(image.directory.parent / "shown") as folder:
            shown = folder / "layout"
            publish_layout(image.directory, image.manifest, ("image",), shown)
            return external_report(
                scanner, shown, inventory, subject=question.subject, now=question.now, runner=workshop.runner
            )

    return look


def _verdict_until(approved: ApprovedImage, policy: ScanPolicy) -> float:
    """When the calendar could change the verdict: a waiver ends, or the data becomes too old."""
    ends = [
        dt.datetime.combine(ignore.expires + dt.timedelta(days=1), dt.time(), dt.UTC).timestamp()
        for ignore in policy.ignore
        if ignore.expires is not None
    ]
    if policy.max_database_age is not None:
        dates = (one.date.timestamp() for report in approved.reports for one in report.databases)
        ends += (date + policy.max_database_age for date in dates)
    return min(ends, default=float("inf"))

"""What a person reads when a build ends, and the same as Markdown for CI job summaries."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from builder.oci import Digest, Platform
from builder.progress import human_size
from builder.resources import shipped

if TYPE_CHECKING:
    from builder.recipe.model import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformSummary:
    """Figures of one finished platform; sizes in bytes. ``full_*`` is the same packages installed whole."""

    platform: Platform
    manifest: Digest
    config: Digest
    compressed: int
    size: int
    files: int
    packages: int
    full_size: int
    full_files: int
    full_packages: int
    findings: tuple[tuple[str, int], ...]
    """Severity word → count, worst first, waived ones not counted."""
    waived: int
    database: str
    warnings: tuple[str, ...]
    tests: int = 0
    """Smoke tests that passed, in ``test_seconds``; ``untested`` were not run because nobody wanted them."""
    untested: int = 0
    test_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildSummary:
    """One approved image: its names, where it went, its platforms, and how long it took (seconds)."""

    name: str
    digest: Digest
    references: tuple[str, ...]
    outputs: tuple[str, ...]
    platforms: tuple[PlatformSummary, ...]
    seconds: float
    unchanged: bool = False


def count_findings(severities: Iterable[Severity]) -> tuple[tuple[str, int], ...]:
    """Findings by severity, worst first; severities without findings are left out."""
    found = list(severities)
    return tuple(
        (severity.name.lower(), found.count(severity)) for severity in sorted(set(found), reverse=True)
    )


def render_text(summary: BuildSummary, *, colour: bool) -> str:
    """A few aligned lines for a terminal."""
    bold, green, dim, plain = ("\x1b[1m", "\x1b[32m", "\x1b[2m", "\x1b[0m") if colour else ("", "", "", "")
    tested = any(platform.tests for platform in summary.platforms)
    how = "unchanged" if summary.unchanged else f"built, {'tested, ' if tested else ''}scanned and named"
    lines = [
        f"{green}✓{plain} {bold}{', '.join(summary.references)}{plain}  {how} in {summary.seconds:.2f} s"
    ]
    for platform in summary.platforms:
        lines += [f"  {dim}{label:<10}{plain} {text}" for label, text in _rows(platform)]
    lines += [f"  {dim}{'digest':<10}{plain} {summary.digest}"]
    lines += [f"  {dim}{'written to':<10}{plain} {output}" for output in summary.outputs]
    notes = dict.fromkeys(warning for platform in summary.platforms for warning in platform.warnings)
    lines += [f"  {dim}{'note':<10}{plain} {note}" for note in notes]
    return "\n".join(lines) + "\n"


def _rows(platform: PlatformSummary) -> Iterable[tuple[str, str]]:
    yield "platform", str(platform.platform)
    sizes = f"{human_size(platform.compressed)} compressed, {human_size(platform.size)} unpacked"
    yield "size", sizes + _share(platform)
    yield "files", f"{platform.files:,} from {platform.packages} packages{_full_count(platform)}"
    yield "tests", tests_text(platform)
    yield "findings", findings_text(platform)
    yield "data", platform.database


def _share(platform: PlatformSummary) -> str:
    if not platform.full_size:
        return ""
    share = 100 * platform.size / platform.full_size
    whole = human_size(platform.full_size)
    return f" — {share:.0f} % of the {whole} that the same packages take installed whole"


def _full_count(platform: PlatformSummary) -> str:
    return f" (of {platform.full_files:,} in {platform.full_packages})" if platform.full_packages else ""


def tests_text(platform: PlatformSummary) -> str:
    """``3 passed in 0.21 s``, "not tested" with the reason, or "none in the recipe"."""
    if platform.untested:
        return f"not tested: --no-test left out {platform.untested} of the recipe"
    if not platform.tests:
        return "none in the recipe"
    return f"{platform.tests} passed in {platform.test_seconds:.2f} s"


def findings_text(platform: PlatformSummary) -> str:
    """``2 high, 5 low, 1 waived``, or "none known"."""
    parts = [f"{count} {severity}" for severity, count in platform.findings]
    parts += [f"{platform.waived} waived"] if platform.waived else []
    return ", ".join(parts) or "none known"


def render_markdown(summary: BuildSummary) -> str:
    """The template ``build.md.j2``: for the summary page of a CI job."""
    from builder.report.templates import render  # noqa: PLC0415 (jinja2 is heavy and rarely needed)

    return render(
        "build.md.j2",
        folder=shipped("templates"),
        values={
            "summary": summary,
            "human_size": human_size,
            "findings_text": findings_text,
            "tests_text": tests_text,
        },
    )


def summary_to_plain(summary: BuildSummary) -> dict[str, Any]:
    """For JSON: the fields by name, digests and platforms as OCI writes them, findings as an object."""
    platforms = [
        asdict(platform)
        | {
            "platform": str(platform.platform),
            "manifest": str(platform.manifest),
            "config": str(platform.config),
            "findings": dict(platform.findings),
        }
        for platform in summary.platforms
    ]
    return asdict(summary) | {"digest": str(summary.digest), "platforms": platforms}

"""What a person reads when a build ends, and the same as Markdown for CI job summaries."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from builder.oci import Digest, Platform
from builder.plan.model import ImagePlan
from builder.progress import human_size
from builder.recipe.model import Severity
from builder.resources import shipped


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
        (severity.name.lower(), found.count(severity))
        for severity in sorted(Severity, reverse=True)
        if severity in found
    )


def render_text(summary: BuildSummary, *, colour: bool) -> str:
    """A few aligned lines for a terminal."""
    bold, green, dim, plain = ("\x1b[1m", "\x1b[32m", "\x1b[2m", "\x1b[0m") if colour else ("", "", "", "")
    how = "unchanged" if summary.unchanged else "built, scanned and named"
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
        values={"summary": summary, "human_size": human_size, "findings_text": findings_text},
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


def _printable(text: str) -> str:
    # A package's file names cannot repaint the terminal or start a line of their own.
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def render_plan(plan: ImagePlan, *, width: int = 100) -> str:
    """Packages with their share of the image, then every path with its reason."""
    entries = [entry for layer in plan.layers for entry in layer.entries]
    total = sum(entry.size for entry in entries)
    lines = [
        f"{plan.platform}  {plan.distribution or '-'}  {human_size(total)} in {len(entries)} paths",
        "",
    ]
    for package in sorted(plan.packages, key=lambda package: -package.size):
        kept = f"{human_size(package.size):>9} of {human_size(package.installed_size):>9}"
        lines.append(f"  {package.name:<28} {package.version:<28} {kept}  {package.files:>5} files")
    lines.append("")
    for entry in entries:
        arrow = f" -> {entry.target}" if entry.target else ""
        left = f"  {human_size(entry.size) if entry.size else '':>9}  {entry.path}{arrow}"
        lines.append(_printable(f"{left:<{width // 2 + 12}}  {entry.reason}"))
    lines += ["", *(f"! {warning}" for warning in plan.warnings)] if plan.warnings else []
    return "\n".join(lines) + "\n"

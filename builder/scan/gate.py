"""The gate: what the policy makes of a report, and the only door to an :class:`ApprovedImage`.

Three things stop an image: findings over the limit (PolicyError, exit 5), parts that could not be judged
(ScanError, exit 8), and a scan that read something else than what was written (ScanError). When findings and
unjudged parts come together, the findings decide the exit code, because more scanning cannot take them away;
the message names both.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from builder.errors import PolicyError, ScanError
from builder.oci import MEDIA_TYPE_INDEX, Descriptor, Digest
from builder.policy.check import breaches, cautions
from builder.recipe.model import Ignore, ImagePolicy, ScanPolicy, Severity, Unscannable
from builder.scan.count import counts as _counts
from builder.scan.count import over_limits, over_reasons
from builder.scan.model import GATE_SEAL, ApprovedImage, Finding, ScanReport, Verdict
from builder.scan.vex import Statement
from builder.stored.blobs import open_blobs, read_json_blob
from builder.stored.manifest import parse_index

if TYPE_CHECKING:
    from builder.image.write import Image  # a scan of a finished image needs no writer

_DAY = 86400
_HOUR = 3600


_ANY_IMAGE = ImagePolicy()


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One written image, the report about it, and the DiffIDs of the layers that the scan really read."""

    image: Image
    report: ScanReport
    read: tuple[Digest, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What an image is held against, and on which day.

    ``statements`` are those of OpenVEX documents. ``known`` are findings of an earlier report, each an id
    with its package: only new ones count.
    """

    scan: ScanPolicy
    today: dt.date
    image: ImagePolicy = _ANY_IMAGE
    statements: tuple[Statement, ...] = ()
    known: frozenset[tuple[str, str]] = frozenset()


def judge(report: ScanReport, terms: Terms) -> Verdict:
    """Hold a report against the terms. Pure; nothing is raised.

    An ignore holds through the day it names. Severity UNKNOWN counts only for a policy that says "unknown".
    What is known to be exploited (KEV) counts whatever the policy says, unless it is waived.
    """
    policy, today = terms.scan, terms.today
    findings = tuple(_marked(finding, terms) for finding in report.findings)
    over = tuple(finding for finding in findings if _counts(finding, policy))
    crowds = tuple(over_limits(findings, policy))
    unjudged = (*report.unscannable, *_too_old(report, policy))
    fatal = unjudged if policy.unscannable is Unscannable.FAIL else ()
    broken = breaches(terms.image, report.sightings, report.facts)
    return Verdict(
        passed=not over and not crowds and not fatal and not broken,
        reasons=(
            *over_reasons(over, policy),
            *(one.reason for one in crowds),
            *_expired(over, policy, today),
            *(f"[policy] {one.check}: {one.message}; {one.fix}" for one in broken),
            *fatal,
        ),
        warnings=(
            *(() if fatal else unjudged),
            *_expired([one for one in findings if one not in over], policy, today),
            *_unused(report, policy),
            *_unused_statements(report, terms.statements),
            *cautions(terms.image, report.sightings),
            *_cautions(report, findings, policy, today),
        ),
        findings=findings,
        over_limit=(*over, *(one for crowd in crowds for one in crowd.findings if one not in over)),
        unjudged=unjudged,
        breaches=broken,
    )


def enforce(report: ScanReport, verdict: Verdict) -> None:
    """Raise what a verdict that did not pass means: PolicyError for findings or breaches, else ScanError."""
    if verdict.passed:
        return
    lines = "".join(f"\n  {reason}" for reason in verdict.reasons)
    if verdict.over_limit:
        raise PolicyError(
            f"{report.subject} did not pass the scan:{lines}",
            hint="update the packages; or waive a finding in [scan] ignore, with a reason and an expiry",
        )
    if verdict.breaches:
        raise PolicyError(f"{report.subject} is not what the policy asks for:{lines}")
    raise ScanError(
        f"{report.subject} could not be judged:{lines}",
        hint="mend that; or accept what is not known, with --unscannable warn or unscannable in [scan]",
    )


def approve(
    candidates: tuple[Candidate, ...],
    *,
    layout: Path,
    descriptor: Descriptor,
    terms: Terms,
) -> ApprovedImage:
    """Let images through, all or none: the only maker of an :class:`ApprovedImage`.

    Each report is judged here, and what was read must be what was written: the same DiffIDs, and as many
    files as a container of the image sees. ``descriptor`` is what gets the name: the manifest of the only
    image, or an index (in ``layout``) of exactly these. PolicyError or ScanError as :func:`enforce` says.
    """
    if not candidates:
        raise ScanError("There is no image to approve")
    _check_named(layout, descriptor, {candidate.image.manifest.digest for candidate in candidates})
    for candidate in candidates:
        _check_read(candidate)
    verdicts = tuple(judge(candidate.report, terms) for candidate in candidates)
    for candidate, verdict in zip(candidates, verdicts, strict=True):
        enforce(candidate.report, verdict)
    return ApprovedImage(
        layout=layout,
        descriptor=descriptor,
        manifests=tuple(candidate.image.manifest for candidate in candidates),
        reports=tuple(candidate.report for candidate in candidates),
        verdicts=verdicts,
        seal=GATE_SEAL,
    )


def _check_named(layout: Path, descriptor: Descriptor, scanned: set[Digest]) -> None:
    # An index could name a manifest that nobody scanned.
    named = {descriptor.digest}
    if descriptor.media_type == MEDIA_TYPE_INDEX:
        payload = read_json_blob(open_blobs(layout), descriptor)
        named = {entry.digest for entry in parse_index(payload, str(descriptor.digest))}
    if named != scanned:
        raise ScanError(
            f"What is to be named is not what was scanned: {_digests(sorted(named, key=str))} "
            f"instead of {_digests(sorted(scanned, key=str))}"
        )


def _check_read(candidate: Candidate) -> None:
    # A scanner that was shown an empty or another tree reports nothing, which must not read as "clean".
    image, report = candidate.image, candidate.report
    written = tuple(layer.diff_id for layer in image.layers)
    if candidate.read != written:
        raise ScanError(
            f"{report.subject}: the scan read other layers ({_digests(candidate.read)}) "
            f"than were written ({_digests(written)})"
        )
    if report.inventory.files != image.files:
        raise ScanError(
            f"{report.subject}: the scan read {report.inventory.files} files, but {image.files} were written"
        )


def _digests(digests: Iterable[Digest]) -> str:
    return ", ".join(str(digest) for digest in digests) or "none"


def _marked(finding: Finding, terms: Terms) -> Finding:
    """The finding with the waiver or statement that covers it, and whether an earlier report has it."""
    today = terms.today
    waiver = next(
        (one for one in terms.scan.ignore if _covers(one, finding) and not _is_over(one, today)), None
    )
    if waiver is None:
        said = next((one for one in terms.statements if one.suppresses and one.covers(finding)), None)
        waiver = (
            Ignore(id=finding.id, reason=said.words, justification=said.justification)
            if said is not None
            else None
        )
    known = (finding.id, finding.package) in terms.known
    if waiver is finding.ignored and known is finding.known:
        return finding
    return replace(finding, ignored=waiver, known=known)


def _covers(ignore: Ignore, finding: Finding) -> bool:
    if ignore.package and ignore.package not in {finding.package, finding.source_name}:
        return False
    wanted = ignore.id.upper()
    return any(wanted == name.upper() for name in (finding.id, *finding.aliases))


def _is_over(ignore: Ignore, today: dt.date) -> bool:
    return ignore.expires is not None and ignore.expires < today


def _expired(findings: Iterable[Finding], policy: ScanPolicy, today: dt.date) -> tuple[str, ...]:
    over = [one for one in policy.ignore if _is_over(one, today)]
    hits = (
        f"the ignore of {ignore.id} for {finding.package} ran out on {ignore.expires}: it waives no more "
        f"(its reason was: {ignore.reason})"
        for finding in findings
        if finding.ignored is None
        for ignore in over
        if _covers(ignore, finding)
    )
    return tuple(dict.fromkeys(hits))


def _unused(report: ScanReport, policy: ScanPolicy) -> tuple[str, ...]:
    return tuple(
        f"the ignore of {ignore.id}{ignore.package and f' in {ignore.package}'} matches nothing: take it out"
        for ignore in policy.ignore
        if not any(_covers(ignore, finding) for finding in report.findings)
    )


def _unused_statements(report: ScanReport, statements: Iterable[Statement]) -> tuple[str, ...]:
    return tuple(
        f"{one.document}: the statement on {one.names[0]} matches nothing: it says nothing of this image"
        for one in statements
        if one.suppresses and not any(one.covers(finding) for finding in report.findings)
    )


def _too_old(report: ScanReport, policy: ScanPolicy) -> tuple[str, ...]:
    if policy.max_database_age is None:
        return ()
    limit = policy.max_database_age
    several = len(report.databases) > 1
    return tuple(
        f"the vulnerability data{f' of {one.ecosystem}' if several else ''} is of {one.date:%Y-%m-%d}, "
        f"{_duration(one.age)} old; max_database_age is {_duration(limit)}"
        for one in report.databases
        if one.age > limit
    )


def _duration(seconds: int) -> str:
    days, hours = seconds // _DAY, seconds // _HOUR
    if days:
        return f"{days} day" if days == 1 else f"{days} days"
    return f"{hours} hour" if hours == 1 else f"{hours} hours"


def _cautions(
    report: ScanReport, findings: Iterable[Finding], policy: ScanPolicy, today: dt.date
) -> tuple[str, ...]:
    cautions: list[str] = []
    inventory = report.inventory
    if inventory.files and not inventory.components and not inventory.elf_files:
        cautions.append("there is no package and no program in it, so there was nothing to judge")
    end = report.supported_until
    if end is not None and end < today:
        cautions.append(
            f"{inventory.distribution} has had no security support since {end}: new holes are not recorded"
        )
    refused = sum(one.refused for one in report.databases)
    if refused:
        cautions.append(f"{refused} records of the vulnerability data were no OSV: left out")
    unknown = {one.id for one in findings if one.severity is Severity.UNKNOWN and one.ignored is None}
    if unknown and policy.fail_on is not None and policy.fail_on > Severity.UNKNOWN:
        noun = "vulnerability has" if len(unknown) == 1 else "vulnerabilities have"
        cautions.append(
            f'{len(unknown)} {noun} no severity yet and did not count; fail_on = "unknown" counts them'
        )
    return tuple(cautions)

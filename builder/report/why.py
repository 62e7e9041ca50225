"""Why a path is in an image: chains for people (text) and for programs (JSON). Pure: both give a string."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from builder.inventory.model import Component
from builder.plan.chain import Chains, Explanation, origin
from builder.plan.contents import Contents, Place
from builder.progress import human_size
from builder.reason import Reason, ReasonKind
from builder.recipe.model import Severity
from builder.report.scan import FindingRow, clean
from builder.sysroot import Kind

_SHOWN = 5
_FOREIGN = "rootlet did not build this image: it has no record of reasons, and only what it holds is known"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One path or pattern as it was asked for, and what was found: empty for what is not there."""

    path: str
    found: tuple[Explanation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Known vulnerabilities by binary package. ``note`` says of which data, or why nobody looked.

    ``by_package`` is None when nobody looked.
    """

    by_package: Mapping[str, Sequence[FindingRow]] | None
    note: str


def render_why(contents: Contents, asked: Iterable[Asked], findings: Findings) -> str:
    """One block a path: the chain from what the recipe says, its package, its layer, its findings."""
    blocks = [[_FOREIGN]] if not contents.recorded else []
    shown: set[str] = set()
    for one in asked:
        for explanation in one.found:
            if explanation.place.path not in shown:  # a link and its target may both be asked for
                shown.add(explanation.place.path)
                blocks.append(list(_block(contents, explanation, findings)))
    if findings.by_package is None:
        blocks.append([f"findings: {findings.note}"])
    return _text(blocks)


def render_short(contents: Contents, asked: Asked, findings: Findings) -> str:
    """One line a path, for patterns that match many."""
    count = _many(len(asked.found), "path")
    lines = [f"{clean(asked.path)} matches {count}; rootlet why PATH shows the chain of one"]
    lines += [_line(one.place) for one in asked.found]
    blocks = [[_FOREIGN]] if not contents.recorded else []
    return _text([*blocks, lines, [f"findings: {findings.note}"]])


def render_package(contents: Contents, package: Component, findings: Findings) -> str:
    """A package: why it is there at all, its findings, and each of its files with the shortest reason."""
    files = contents.of_package(package.name)
    total = human_size(sum(place.size for place in files))
    head = [f"{_package_words(package)}: {_many(len(files), 'path')}, {total}"]
    chains = Chains(contents.places)
    first = chains.spokesman(package.name)
    steps = list(_chain_lines(chains.of(first.path))) if first is not None else []
    known = list(_finding_lines(package, findings))
    blocks = [[_FOREIGN]] if not contents.recorded else []
    blocks += [[*head, *steps, *known], [_line(place) for place in files]]
    if findings.by_package is None:
        blocks.append([f"findings: {findings.note}"])
    return _text(blocks)


def why_to_plain(contents: Contents, asked: Iterable[Asked], findings: Findings) -> dict[str, Any]:
    """For JSON.

    ``schema``: 1; ``subject``; ``recorded``: whether reasons are known; ``data``: of what the findings are;
    ``paths``: for each path found
    ``asked``, ``path``, ``kind``, ``size`` (bytes), ``target``, ``links`` (paths crossed);
    ``origin`` (what asked first, in words) and ``chain`` (from the first path to this one, each ``path`` and
    ``reason``: null or ``kind``, ``subject``, ``detail``, ``text`` and ``rule``, what a rule says of itself);
    ``package``: null or ``name``, ``version``, ``architecture``, ``source``, ``source_version``, ``purl``;
    ``layer``: null or ``number`` (from 1), ``of``, ``digest``, ``size`` (null where it is not written yet);
    ``below``: null or, for a folder, ``files`` and ``size``;
    ``findings``: null when nobody looked, else ``id``, ``severity``, ``status``, ``fixed`` of each.
    """
    return {
        "schema": 1,
        "subject": contents.subject,
        "recorded": contents.recorded,
        "data": findings.note,
        "paths": [
            _plain(contents, one.path, explanation, findings) for one in asked for explanation in one.found
        ],
    }


def why_json(document: Mapping[str, Any]) -> str:
    """A document on one line."""
    return json.dumps(document) + "\n"


def _block(contents: Contents, explanation: Explanation, findings: Findings) -> Iterator[str]:
    place = explanation.place
    yield _title(place)
    for link in explanation.links:
        yield f"  through the link {clean(link.path)} -> {clean(link.target)}"
    if contents.recorded:
        yield from _chain_lines(explanation.chain)
    if place.kind is Kind.DIRECTORY:
        below = [one for one in contents.below(place.path) if one.kind is not Kind.DIRECTORY]
        size = human_size(sum(one.size for one in below))
        yield f"  holds     {_many(len(below), 'path')}, {size}{_owners(below)}"
    package = contents.component(place.package) if place.package else None
    yield f"  package   {_package_words(package) if package else clean(place.package) or 'none'}"
    if contents.layers:
        yield f"  layer     {_layer_words(contents, place)}"
    if package is not None:
        yield from _finding_lines(package, findings)


def _chain_lines(steps: Sequence[Place]) -> Iterator[str]:
    yield f"  {clean(origin(tuple(steps))) or 'no reason is written down for it'}"
    for place in steps:
        yield f"  → {clean(place.path)}  {_reason_words(place.reason)}".rstrip()
        about = rule_words(place.reason)
        if about:
            yield f"      rule: {about}"


def rule_words(reason: Reason | None) -> str:
    """What the rule behind a reason says of itself; "" for other reasons, and for rules of other versions."""
    if reason is None or reason.kind not in (ReasonKind.RULE, ReasonKind.FEATURE):
        return ""
    from builder.runtime.rulebook import shipped_rules  # noqa: PLC0415 (most chains have no rule)

    names = (reason.detail, reason.subject) if reason.kind is ReasonKind.FEATURE else (reason.detail,)
    return next((rule.about for rule in shipped_rules() if rule.name in names), "")


def _finding_lines(package: Component, findings: Findings) -> Iterator[str]:
    if findings.by_package is None:
        return
    rows = findings.by_package.get(package.name, ())
    if not rows:
        yield f"  findings  none known ({findings.note})"
        return
    counts = [
        f"{count} {severity.name.lower()}"
        for severity in sorted(Severity, reverse=True)
        if (count := sum(row.severity is severity for row in rows))
    ]
    yield f"  findings  {', '.join(counts)} ({findings.note})"
    for row in rows[:_SHOWN]:
        fixed = f"fixed in {clean(row.fixed)}" if row.fixed else clean(row.status)
        yield f"            {row.severity.name.lower()} {clean(row.id)}, {fixed}"
    if len(rows) > _SHOWN:
        yield f"            and {len(rows) - _SHOWN} more; rootlet scan lists them"


def _title(place: Place) -> str:
    if place.kind is Kind.SYMLINK:
        return f"{clean(place.path)}  link to {clean(place.target)}"
    return f"{clean(place.path)}  {'folder' if place.kind is Kind.DIRECTORY else human_size(place.size)}"


def _line(place: Place) -> str:
    size = human_size(place.size) if place.kind is Kind.FILE else ""
    arrow = f" -> {place.target}" if place.target else ""
    words = _reason_words(place.reason) or clean(place.package)
    return f"  {size:>9}  {clean(place.path + arrow)}  {words}".rstrip()


def _reason_words(reason: Reason | None) -> str:
    return f"({clean(str(reason))})" if reason is not None else ""


def _package_words(package: Component) -> str:
    source = f"source {package.source_name} {package.source_version}"
    return clean(f"{package.name} {package.version} ({source})")


def _owners(places: Iterable[Place]) -> str:
    names = sorted({place.package for place in places if place.package})
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f", of {clean(', '.join(names[:_SHOWN]))}{more}" if names else ""


def _layer_words(contents: Contents, place: Place) -> str:
    facts = contents.layers[place.layer]
    words = f"{place.layer + 1} of {len(contents.layers)}"
    return f"{words}, {human_size(facts.size)}, {facts.digest}" if facts.size is not None else words


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _text(blocks: Iterable[Sequence[str]]) -> str:
    return "\n\n".join("\n".join(lines) for lines in blocks if lines) + "\n"


def _plain(contents: Contents, asked: str, explanation: Explanation, findings: Findings) -> dict[str, Any]:
    place = explanation.place
    package = contents.component(place.package) if place.package else None
    return {
        "asked": asked,
        "path": place.path,
        "kind": place.kind.value,
        "size": place.size,
        "target": place.target,
        "links": [link.path for link in explanation.links],
        "origin": origin(explanation.chain),
        "chain": [{"path": step.path, "reason": _plain_reason(step.reason)} for step in explanation.chain],
        "package": _plain_package(package),
        "layer": _plain_layer(contents, place),
        "below": _plain_below(contents, place),
        "findings": _plain_findings(place.package, findings),
    }


def _plain_reason(reason: Reason | None) -> dict[str, str] | None:
    if reason is None:
        return None
    return {
        "kind": reason.kind.name.lower(),
        "subject": reason.subject,
        "detail": reason.detail,
        "text": str(reason),
        "rule": rule_words(reason),
    }


def _plain_package(package: Component | None) -> dict[str, str] | None:
    if package is None:
        return None
    return {
        "name": package.name,
        "version": package.version,
        "architecture": package.architecture,
        "source": package.source_name,
        "source_version": package.source_version,
        "purl": package.purl,
    }


def _plain_layer(contents: Contents, place: Place) -> dict[str, Any] | None:
    if not contents.layers:
        return None
    facts = contents.layers[place.layer]
    return {
        "number": place.layer + 1,
        "of": len(contents.layers),
        "digest": facts.digest or None,
        "size": facts.size,
    }


def _plain_below(contents: Contents, place: Place) -> dict[str, int] | None:
    if place.kind is not Kind.DIRECTORY:
        return None
    below = [one for one in contents.below(place.path) if one.kind is not Kind.DIRECTORY]
    return {"files": len(below), "size": sum(one.size for one in below)}


def _plain_findings(package: str, findings: Findings) -> list[dict[str, Any]] | None:
    if findings.by_package is None:
        return None
    return [
        {
            "id": row.id,
            "severity": row.severity.name.lower(),
            "status": row.status,
            "fixed": row.fixed or None,
        }
        for row in findings.by_package.get(package, ())
    ]

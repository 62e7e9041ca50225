"""What differs between two images, for people (text) and for programs (JSON). Pure: both give a string."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from builder.compare.difference import ConfigChange, Difference, FileChange, PackageChange, Side
from builder.compare.snapshot import FileFacts
from builder.oci import Healthcheck
from builder.progress import human_size
from builder.report.scan import FindingRow, clean
from builder.report.why import Findings
from builder.sysroot import Kind

_DIGITS = 12
"""Of a digest, for people."""
_NO_CONFIGURATION = "configuration: not compared, a root folder has none"


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingsChange:
    """Findings of one side only. ``came`` and ``gone`` are None when nobody looked; ``note`` says why."""

    came: tuple[FindingRow, ...] | None
    gone: tuple[FindingRow, ...] | None
    note: str


def findings_change(before: Findings, after: Findings) -> FindingsChange:
    """Which findings only one side has: a finding is an id in a package."""
    if before.by_package is None or after.by_package is None:
        note = before.note if before.by_package is None else after.note
        return FindingsChange(came=None, gone=None, note=note)
    old, new = _by_name(before), _by_name(after)
    return FindingsChange(
        came=tuple(row for key, row in new.items() if key not in old),
        gone=tuple(row for key, row in old.items() if key not in new),
        note=after.note,
    )


def render_diff(found: Difference, findings: FindingsChange) -> str:
    """Both sides in figures, then what differs, each kind in a block, then one line that sums it up."""
    blocks = [
        _heads(found),
        _titled("files", _file_lines(found.files)),
        _titled("configuration", _config_lines(found.config)),
        [] if found.configured else [_NO_CONFIGURATION],
        _titled("packages", _package_lines(found.packages)),
        _titled("findings", _finding_lines(findings)),
        [_verdict(found)],
    ]
    return "\n\n".join("\n".join(lines) for lines in blocks if lines) + "\n"


def diff_json(found: Difference, findings: FindingsChange) -> str:
    """One JSON object on one line.

    ``schema``: 1; ``identical``; ``before`` and ``after``: ``subject``, ``paths``, ``files``, ``size``
    (bytes), ``packages`` (a number);
    ``files``: ``path``, ``package``, ``aspects`` (which facts differ; empty where one side is null),
    ``before`` and ``after``: null or ``type``, ``mode`` (octal text), ``uid``, ``gid``, ``size``, ``sha256``,
    ``target``, ``xattrs`` (base64), ``mtime``;
    ``configuration``: ``key``, ``before``, ``after``; null when one side is a root folder;
    ``packages``: ``type``, ``name``, ``before`` and ``after`` (versions, null where it is not),
    ``size_before``, ``size_after``;
    ``findings``: null when nobody looked, else ``came`` and ``gone``: ``id``, ``package``, ``version``,
    ``severity``, ``fixed``; ``data``: of what the findings are, or why there are none.
    """
    document = {
        "schema": 1,
        "identical": found.identical,
        "before": _plain_side(found.before),
        "after": _plain_side(found.after),
        "files": [_plain_file(one) for one in found.files],
        "configuration": [_plain_config(one) for one in found.config] if found.configured else None,
        "packages": [_plain_package(one) for one in found.packages],
        "findings": _plain_findings(findings),
        "data": findings.note,
    }
    return json.dumps(document) + "\n"


def _by_name(findings: Findings) -> dict[tuple[str, str], FindingRow]:
    rows = [row for found in (findings.by_package or {}).values() for row in found]
    ordered = sorted(rows, key=lambda row: (-row.severity, row.package, row.id))
    return {(row.package, row.id): row for row in ordered}


def _heads(found: Difference) -> list[str]:
    names = [clean(side.subject) for side in (found.before, found.after)]
    width = max(map(len, names))
    return [
        f"{mark} {name:<{width}}  {_figures(side)}"
        for mark, name, side in zip("-+", names, (found.before, found.after), strict=True)
    ]


def _figures(side: Side) -> str:
    files, packages = _many(side.files, "file"), _many(side.packages, "package")
    return f"{files}, {human_size(side.size)}, {packages}"


def _titled(title: str, lines: Iterator[str]) -> list[str]:
    found = list(lines)
    return [title, *found] if found else []


def _file_lines(changes: Sequence[FileChange]) -> Iterator[str]:
    for change in changes:
        owner = f"  ({clean(change.package)})" if change.package else ""
        if change.before is None or change.after is None:
            facts, mark = (change.after, "+") if change.before is None else (change.before, "-")
            yield f"  {mark} {clean(change.path)}  {_words(facts)}{owner}" if facts else ""
        else:
            aspects = ", ".join(_aspect(name, change.before, change.after) for name in change.aspects)
            yield f"  ~ {clean(change.path)}  {aspects}{owner}"


def _words(facts: FileFacts) -> str:
    owner = f"{facts.uid}:{facts.gid}"
    if facts.kind is Kind.SYMLINK:
        return f"link to {clean(facts.target)} {owner}"
    size = f" {human_size(facts.size)} {facts.digest[:_DIGITS]}" if facts.kind is Kind.FILE else ""
    return f"{facts.kind.value} {facts.mode:04o} {owner}{size}"


def _aspect(name: str, before: FileFacts, after: FileFacts) -> str:
    one, other = (_value(name, facts) for facts in (before, after))
    return f"{_NAMES.get(name, name)} {one} -> {other}"


_NAMES: Mapping[str, str] = {"kind": "type", "digest": "content", "target": "link to", "mtime": "time"}


def _value(name: str, facts: FileFacts) -> str:
    match name:
        case "kind":
            return facts.kind.value
        case "mode":
            return f"{facts.mode:04o}"
        case "digest":
            return facts.digest[:_DIGITS] or "none"
        case "size":
            return f"{facts.size:,}"
        case "xattrs":
            return clean(", ".join(f"{key}={value.hex()}" for key, value in facts.xattrs)) or "none"
        case _:
            return clean(str(getattr(facts, name)))


def _config_lines(changes: Sequence[ConfigChange]) -> Iterator[str]:
    for change in changes:
        before, after = change.before, change.after
        if isinstance(before, dict) and isinstance(after, dict):
            yield from (f"  {line}" for line in _map_lines(change.key, before, after))
        else:
            yield f"  ~ {change.key}  {_shown(before)} -> {_shown(after)}"


def _map_lines(key: str, before: dict[str, str], after: dict[str, str]) -> Iterator[str]:
    for name in sorted(before.keys() | after.keys()):
        one, other = before.get(name), after.get(name)
        if one == other:
            continue
        if one is None or other is None:
            yield clean(f"{'+' if one is None else '-'} {key} {name}={other if one is None else one}")
        else:
            yield clean(f"~ {key} {name}={one} -> {other}")


def _shown(value: object) -> str:
    return clean(json.dumps(_plain_value(value), ensure_ascii=False))


def _package_lines(changes: Sequence[PackageChange]) -> Iterator[str]:
    width = max((len(change.name) for change in changes), default=0)
    for change in changes:
        name = f"{clean(change.name):<{width}}"
        sizes = f"{human_size(change.size_before)} -> {human_size(change.size_after)}"
        if not change.before or not change.after:
            mark, size = ("-", change.size_before) if change.before else ("+", change.size_after)
            yield f"  {mark} {name}  {clean(change.before or change.after)}  {human_size(size)}"
        elif change.before != change.after:
            yield f"  ~ {name}  {clean(change.before)} -> {clean(change.after)}  {sizes}"
        else:
            yield f"  ~ {name}  {clean(change.after)}  {sizes}"


def _finding_lines(findings: FindingsChange) -> Iterator[str]:
    for mark, rows in (("-", findings.gone or ()), ("+", findings.came or ())):
        for row in rows:
            words = f"{row.severity.name.lower()} {row.id} in {row.package} {row.version}"
            yield f"  {mark} {clean(words)}"
    if findings.came is None:
        yield f"  {clean(findings.note)}"


def _verdict(found: Difference) -> str:
    if found.identical:
        configuration = " and the same configuration" if found.configured else ""
        return f"identical: {_many(found.after.paths, 'path')}{configuration}"
    came = sum(change.before is None for change in found.files)
    gone = sum(change.after is None for change in found.files)
    parts = [
        (came, "added"),
        (gone, "removed"),
        (len(found.files) - came - gone, "changed"),
    ]
    words = [f"{count:,} {word}" for count, word in parts if count]
    paths = [f"paths: {', '.join(words)}"] if words else []
    keys = [f"configuration: {_many(len(found.config), 'key')}"] if found.config else []
    return f"different: {'; '.join(paths + keys)}"


def _plain_side(side: Side) -> dict[str, Any]:
    return {
        "subject": side.subject,
        "paths": side.paths,
        "files": side.files,
        "size": side.size,
        "packages": side.packages,
    }


def _plain_file(change: FileChange) -> dict[str, Any]:
    return {
        "path": change.path,
        "package": change.package,
        "aspects": [_NAMES.get(name, name) for name in change.aspects],
        "before": _plain_facts(change.before),
        "after": _plain_facts(change.after),
    }


def _plain_facts(facts: FileFacts | None) -> dict[str, Any] | None:
    if facts is None:
        return None
    return {
        "type": facts.kind.value,
        "mode": f"{facts.mode:04o}",
        "uid": facts.uid,
        "gid": facts.gid,
        "size": facts.size,
        "sha256": facts.digest,
        "target": facts.target,
        "xattrs": {name: base64.b64encode(value).decode() for name, value in facts.xattrs},
        "mtime": facts.mtime,
    }


def _plain_config(change: ConfigChange) -> dict[str, Any]:
    return {"key": change.key, "before": _plain_value(change.before), "after": _plain_value(change.after)}


def _plain_value(value: object) -> Any:
    if isinstance(value, Healthcheck):
        return {
            "test": list(value.test),
            "interval": value.interval,
            "timeout": value.timeout,
            "start_period": value.start_period,
            "retries": value.retries,
        }
    return list(value) if isinstance(value, tuple) else value


def _plain_package(change: PackageChange) -> dict[str, Any]:
    return {
        "type": change.kind,
        "name": change.name,
        "before": change.before or None,
        "after": change.after or None,
        "size_before": change.size_before,
        "size_after": change.size_after,
    }


def _plain_findings(findings: FindingsChange) -> dict[str, Any] | None:
    if findings.came is None or findings.gone is None:
        return None
    return {
        "came": [_plain_row(row) for row in findings.came],
        "gone": [_plain_row(row) for row in findings.gone],
    }


def _plain_row(row: FindingRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "package": row.package,
        "version": row.version,
        "severity": row.severity.name.lower(),
        "fixed": row.fixed or None,
    }


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"

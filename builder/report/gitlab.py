"""GitLab's container-scanning report, version 15 (security-report-schemas), for its merge requests."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import uuid

from builder import __version__
from builder.recipe.model import Severity
from builder.report.scan import FindingRow, Judgement, Scan, clean

VERSION = "15.0.7"

_NAMESPACE = uuid.UUID("2c1f0f64-3b55-5f1e-9a3e-0f7c2a9d8e11")
_WORDS = {
    Severity.CRITICAL: "Critical",
    Severity.HIGH: "High",
    Severity.MEDIUM: "Medium",
    Severity.LOW: "Low",
    Severity.NEGLIGIBLE: "Info",
    Severity.UNKNOWN: "Unknown",
}

Object = dict[str, object]


def scan_gitlab(scan: Scan, verdict: Judgement, now: dt.datetime) -> str:
    """The findings that are not waived. ``now``: when the scan was made, in UTC."""
    moment = f"{now:%Y-%m-%dT%H:%M:%S}"
    tool = {
        "id": "rootlet",
        "name": "rootlet",
        "version": __version__,
        "vendor": {"name": "rootlet"},
    }
    document = {
        "version": VERSION,
        "scan": {
            "analyzer": tool,
            "scanner": tool,
            "type": "container_scanning",
            "start_time": moment,
            "end_time": moment,
            "status": "failure" if verdict.unjudged else "success",
        },
        "vulnerabilities": [_row(one, scan) for one in verdict.findings if one.ignored is None],
        "remediations": [],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _row(finding: FindingRow, scan: Scan) -> Object:
    words = f"{finding.id}\0{finding.package}\0{finding.version}\0{finding.architecture}"
    name = uuid.uuid5(_NAMESPACE, hashlib.sha256(words.encode(errors="surrogateescape")).hexdigest())
    distribution = scan.inventory.distribution
    return {
        "id": str(name),
        "name": finding.id,
        "description": clean(finding.summary) or finding.id,
        "severity": _WORDS[finding.severity],
        "solution": clean(finding.mend) or "no fix known",
        "location": {
            "dependency": {"package": {"name": clean(finding.package)}, "version": clean(finding.version)},
            "operating_system": str(distribution) if distribution is not None else "unknown",
            "image": clean(scan.subject),
        },
        "identifiers": [_identifier(one) for one in dict.fromkeys((finding.id, *finding.aliases))][:20],
        "links": [{"url": f"https://osv.dev/vulnerability/{finding.id}"}],
    }


def _identifier(name: str) -> Object:
    kind = name.partition("-")[0].lower()
    made = {"type": kind if kind in {"cve", "ghsa"} else "osv", "name": name, "value": name}
    return {**made, "url": f"https://osv.dev/vulnerability/{name}"}

"""JUnit's XML, which every CI service shows: a test for each package, which fails by its findings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from xml.sax.saxutils import escape, quoteattr

from builder.report.scan import FindingRow, Judgement, Scan

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def scan_junit(scan: Scan, verdict: Judgement) -> str:
    """One suite: a case for each package with findings, each breach of the policy and each gap."""
    stopping = {id(finding) for finding in verdict.over_limit}
    by_package: dict[tuple[str, str], list[FindingRow]] = {}
    for finding in verdict.findings:
        by_package.setdefault((finding.package, finding.version), []).append(finding)
    cases = [_case(f"{name} {version}", found, stopping) for (name, version), found in by_package.items()]
    cases += (_failed("policy", one.check, f"{one.message}; {one.fix}") for one in verdict.breaches)
    gaps = [_failed("judged", f"part {number}", gap) for number, gap in enumerate(verdict.unjudged, 1)]
    if not cases and not gaps:
        cases = [_passed("packages", "no findings")]
    body = "".join([*cases, *gaps])
    failures, tests = body.count("<failure "), body.count("<testcase ")
    name = _attribute(scan.subject)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<testsuites name="rootlet" tests="{tests}" failures="{failures}">\n'
        f'  <testsuite name={name} tests="{tests}" failures="{failures}" errors="0">\n{body}'
        "  </testsuite>\n</testsuites>\n"
    )


def _case(name: str, findings: Iterable[FindingRow], stopping: set[int]) -> str:
    found = list(findings)
    over = [one for one in found if id(one) in stopping]
    if over:
        return _failed("packages", name, "\n".join(_lines(over)))
    return _passed("packages", name, "\n".join(_lines(found)))


def _lines(findings: Iterable[FindingRow]) -> Iterator[str]:
    for one in findings:
        fixed = f"fixed in {one.fixed}" if one.fixed else "no fix known"
        waived = f", waived: {one.ignored.reason}" if one.ignored is not None else ""
        yield f"{one.severity.name.lower()} {one.id}: {fixed}{waived}"


def _passed(group: str, name: str, output: str = "") -> str:
    head = f"    <testcase classname={_attribute(group)} name={_attribute(name)}"
    return f"{head}><system-out>{_text(output)}</system-out></testcase>\n" if output else f"{head}/>\n"


def _failed(group: str, name: str, message: str) -> str:
    first = message.partition("\n")[0]
    return (
        f"    <testcase classname={_attribute(group)} name={_attribute(name)}>"
        f"<failure message={_attribute(first)}>{_text(message)}</failure></testcase>\n"
    )


def _text(text: str) -> str:
    return escape(_NO_XML.sub("?", text))


def _attribute(text: str) -> str:
    return quoteattr(_NO_XML.sub("?", text))

"""Each finding says which file brings the package in, why that file is there, and what mends it."""

from __future__ import annotations

import dataclasses

import pytest

from builder.errors import BuildError
from builder.inventory.model import Component, ComponentKind, Distribution, Inventory
from builder.plan.model import Entry
from builder.plan.reasons import RECORD, reasons_to_json
from builder.reason import Reason, ReasonKind
from builder.recipe.model import Severity
from builder.report.scan import render_table
from builder.scan.explain import RecordKeeper
from builder.scan.model import Finding, ScanReport
from builder.sysroot import Kind
from tests.support.inventory import tree


def entry(path: str, package: str, reason: Reason) -> Entry:
    return Entry(path=path, kind=Kind.FILE, mode=0o644, content=b"", package=package, reason=reason)


ENTRIES = (
    entry("/usr/bin/app", "app", Reason(ReasonKind.ENTRYPOINT, "entrypoint")),
    entry("/usr/lib/libx.so.1", "libx1", Reason(ReasonKind.NEEDED, "/usr/bin/app")),
    entry("/usr/share/zoneinfo/UTC", "tzdata", Reason(ReasonKind.FEATURE, "timezones")),
    entry("/srv/app/flask/METADATA", "", Reason(ReasonKind.INSTALL, "deps:/")),
)


def component(kind: ComponentKind, name: str, *evidence: str, owner: str = "") -> Component:
    return Component(
        kind=kind,
        name=name,
        version="1",
        architecture="",
        source_name=name,
        source_version="1",
        purl=f"pkg:x/{name}@1",
        evidence=evidence,
        files=1,
        owner=owner,
    )


COMPONENTS = (
    component(ComponentKind.DEB, "libx1", "/var/lib/dpkg/status.d/libx1"),
    component(ComponentKind.DEB, "tzdata", "/var/lib/dpkg/status.d/tzdata"),
    component(ComponentKind.PYTHON, "flask", "/srv/app/flask/METADATA"),
    component(ComponentKind.PYTHON, "owned", "/usr/lib/python3/owned", owner="libx1"),
)


def report(package: str, *, fixed: str = "") -> ScanReport:
    finding = Finding(
        id="CVE-1",
        aliases=(),
        package=package,
        version="1",
        architecture="",
        purl=f"pkg:x/{package}@1",
        source_name=f"{package}-src",
        source_version="1",
        fixed=fixed,
        status="unfixed",
        severity=Severity.HIGH,
    )
    inventory = Inventory(
        distribution=Distribution(id="debian", version="13", pretty_name=""),
        components=COMPONENTS,
        unowned_elf=(),
        elf_files=0,
        files=1,
        notes=(),
    )
    return ScanReport(subject="x", inventory=inventory, findings=(finding,), databases=(), unscannable=())


def explain(found: ScanReport, record: bytes | None = reasons_to_json(ENTRIES)) -> Finding:
    keeper = RecordKeeper()
    files = tree({"/etc/x": b""} if record is None else {"/etc/x": b"", RECORD: record})
    assert [one.path for one in keeper.follow(files)] == [one.path for one in files]
    (finding,) = keeper.explain(found).findings
    return finding


@pytest.mark.parametrize(
    ("package", "fixed", "place", "because", "mend"),
    [
        pytest.param(
            "libx1",
            "2",
            "/usr/lib/libx.so.1",
            ("the recipe's entrypoint", "/usr/bin/app", "/usr/lib/libx.so.1"),
            "rebuild: libx1-src 2 has the fix",
            id="a library that the program needs",
        ),
        pytest.param(
            "libx1",
            "",
            "/usr/lib/libx.so.1",
            ("the recipe's entrypoint", "/usr/bin/app", "/usr/lib/libx.so.1"),
            "no fix yet",
            id="nothing mends it",
        ),
        pytest.param(
            "tzdata",
            "",
            "/usr/share/zoneinfo/UTC",
            ('the recipe\'s [runtime] features = ["timezones"]', "/usr/share/zoneinfo/UTC"),
            'no fix yet; without the recipe\'s [runtime] features = ["timezones"] '
            "the package would not be there",
            id="a line of the recipe brings it",
        ),
        pytest.param(
            "flask",
            "2",
            "/srv/app/flask/METADATA",
            ("the recipe's [[install]] of deps:/", "/srv/app/flask/METADATA"),
            "update flask to 2",
            id="a package of a language",
        ),
        pytest.param(
            "owned",
            "2",
            "/usr/lib/libx.so.1",
            ("the recipe's entrypoint", "/usr/bin/app", "/usr/lib/libx.so.1"),
            "update owned to 2",
            id="a package of a language that a package of the distribution owns",
        ),
    ],
)
def test_findings_of_our_images(
    package: str, fixed: str, place: str, because: tuple[str, ...], mend: str
) -> None:
    finding = explain(report(package, fixed=fixed))
    assert (finding.place, finding.because, finding.mend) == (place, because, mend)


def test_of_other_images_the_place_is_known_and_no_reason() -> None:
    finding = explain(report("libx1", fixed="2"), record=None)
    assert finding.place == "/var/lib/dpkg/status.d/libx1"
    assert finding.because == ()
    assert finding.mend == "take a newer base, or upgrade libx1 to 2"


def test_a_damaged_record_is_said() -> None:
    with pytest.raises(BuildError, match="is no record of reasons"):
        explain(report("libx1"), record=b"{}")


def test_without_findings_the_record_is_not_read() -> None:
    found = dataclasses.replace(report("libx1"), findings=())
    keeper = RecordKeeper(record=b"{}")
    assert keeper.explain(found) is found


def test_the_table_says_it_once_for_a_package() -> None:
    finding = explain(report("libx1"))
    twice = dataclasses.replace(report("libx1"), findings=(finding, dataclasses.replace(finding, id="CVE-2")))
    text = render_table(twice)
    assert (
        "what mends them, and why they are there:\n"
        "  libx1: 2 findings: no fix yet — the recipe's entrypoint → /usr/bin/app → /usr/lib/libx.so.1\n"
    ) in text

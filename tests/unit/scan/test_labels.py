"""anchore's false labels of distroless python3-debian11: "python 3.9.2", a program that a package owns."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builder.inventory.collect import take_inventory
from builder.scan.match import scan_inventory
from tests.support.inventory import tree
from tests.support.osv import META, NOW, Source, advisory
from tests.support.programs import elf

PROGRAM = elf(data=b"\0" * 8 + b"\0" + b"3.9.2\0")
RECORDS = {
    "libpython3.9-minimal": "usr/lib/python3.9/os.py",
    "python3.9-minimal": "usr/bin/python3.9",
    "libpython3.9-stdlib": "usr/lib/x86_64-linux-gnu/libpython3.9.so.1.0",
}
"""Packages as the image records them in status.d, and a file of each."""


@pytest.mark.parametrize("lists", [True, False], ids=["with file lists", "without, as it was then"])
def test_a_program_that_a_package_owns_is_that_package_only(*, lists: bool) -> None:
    files: dict[str, str | bytes] = {
        "/etc/os-release": 'ID=debian\nVERSION_ID="11"\n',
        "/usr/bin/python3.9": PROGRAM,
        "/usr/lib/x86_64-linux-gnu/libpython3.9.so.1.0": PROGRAM,
        "/usr/lib/python3.9/os.py": "",
    }
    for name, path in RECORDS.items():
        fields = f"Package: {name}\nSource: python3.9\nVersion: 3.9.2-1\nArchitecture: amd64\n"
        files[f"/var/lib/dpkg/status.d/{name}"] = fields
        if lists:
            files[f"/var/lib/dpkg/status.d/{name}.md5sums"] = f"{'0' * 32}  {path}\n"
    found = take_inventory(tree(files))
    zero = ("introduced", "0")
    rows = [
        advisory("DEBIAN-CVE-2021-3737", zero, package="python3.9", release="11"),
        advisory("DEBIAN-CVE-2021-3177", zero, ("fixed", "3.9.1-3"), package="python3.9", release="11"),
    ]
    meta = replace(META, releases=("11",))
    report = scan_inventory(found, Source(*rows, meta=meta), subject="x", now=NOW)
    assert [one.name for one in found.components] == sorted(RECORDS)
    assert {(one.id, one.package) for one in report.findings} == {("CVE-2021-3737", name) for name in RECORDS}

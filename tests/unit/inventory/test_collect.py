from __future__ import annotations

import random
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.errors import ScanError
from builder.inventory import collect
from builder.inventory.collect import take_inventory
from builder.inventory.model import Component, Distribution, Inventory
from builder.sysroot import Kind
from tests.support.inventory import ELF, OS_RELEASE, MemoryFile, paragraph, tree

STATUS = "/var/lib/dpkg/status"
INFO = "/var/lib/dpkg/info/"
STATUS_D = "/var/lib/dpkg/status.d/"
SUM = "0123456789abcdef0123456789abcdef"


def inventory(files: dict[str, str | bytes], links: dict[str, str] | None = None) -> Inventory:
    return take_inventory(tree(files, links))


def named(found: Inventory) -> list[tuple[str, str]]:
    return [(component.name, component.version) for component in found.components]


def only(found: Inventory) -> Component:
    (component,) = found.components
    return component


def test_a_component_knows_its_source_evidence_and_files() -> None:
    found = inventory(
        {
            STATUS: paragraph("libc6", "2.41-12+b1", Source="glibc (2.41-12)"),
            INFO + "libc6:amd64.list": "/.\n/usr\n/usr/lib\n/usr/lib/libc.so.6\n",
            "/usr/lib/libc.so.6": ELF,
            "/etc/os-release": OS_RELEASE,
        }
    )
    component = only(found)
    assert (component.source_name, component.source_version) == ("glibc", "2.41-12")
    assert component.purl == (
        "pkg:deb/debian/libc6@2.41-12%2Bb1?arch=amd64&distro=debian-13&upstream=glibc%402.41-12"
    )
    assert component.evidence == (STATUS, INFO + "libc6:amd64.list")
    assert (component.files, found.elf_files, found.files) == (1, 1, 4)
    assert found.unowned_elf == ()
    assert found.notes == ()


@pytest.mark.parametrize(
    ("status", "installed"),
    [
        pytest.param("install ok installed", True, id="an installed package counts"),
        pytest.param("", True, id="no Status line, as in status.d, means installed"),
        pytest.param("hold ok installed", True, id="a held package counts"),
        pytest.param(
            "install ok half-installed", True, id="a half-installed one counts: its files may be there"
        ),
        pytest.param("install ok unpacked", True, id="an unpacked one counts"),
        pytest.param("deinstall ok config-files", False, id="a removed one does not"),
        pytest.param("purge ok not-installed", False, id="a purged one does not"),
        pytest.param("unknown ok not-installed", False, id="one that was only ever named does not"),
    ],
)
def test_status_decides_what_is_installed(status: str, *, installed: bool) -> None:
    found = inventory({STATUS: paragraph("zlib1g", "1:1.3", Status=status)})
    assert bool(found.components) is installed


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param("", ("bash", "5.2-1+b3"), id="without Source the package is its own source"),
        pytest.param(
            "bash-src", ("bash-src", "5.2-1+b3"), id="Source without version takes the binary's version"
        ),
        pytest.param(
            "bash-src (5.2-1)", ("bash-src", "5.2-1"), id="a rebuild is judged by its source's version"
        ),
        pytest.param("x (1:2-3)", ("x", "1:2-3"), id="the epoch belongs to the version"),
    ],
)
def test_source_package(source: str, expected: tuple[str, str]) -> None:
    component = only(inventory({STATUS: paragraph("bash", "5.2-1+b3", Source=source)}))
    assert (component.source_name, component.source_version) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("Package: x\n\n", "is not a version", id="no version"),
        pytest.param(paragraph("x", "1 2"), "is not a version", id="a version with a blank"),
        pytest.param(paragraph("x", "9" * 5000), "is not a version", id="a version of 5,000 digits"),
        pytest.param(paragraph("", "1"), "names no package", id="no name"),
        pytest.param(paragraph("../x", "1"), "names no package", id="a name that climbs out"),
        pytest.param(paragraph("x", "1", Source="(("), "is not a source package", id="a broken source"),
        pytest.param(
            paragraph("x", "1", Source="s (a b)"), "is not a source package", id="a broken source version"
        ),
        pytest.param(
            paragraph("x", "1", Architecture="a b"), "is not an architecture", id="a broken architecture"
        ),
        pytest.param(
            "Package: x\nVersion: 1\nbroken\n", "a line of it is no field", id="a line that is no field"
        ),
    ],
)
def test_a_damaged_entry_is_noted_and_the_rest_is_read(text: str, reason: str) -> None:
    found = inventory({STATUS: text + "\n" + paragraph("zlib1g", "1:1.3")})
    assert ("zlib1g", "1:1.3") in named(found)
    (note,) = found.notes
    assert note.startswith(f"{STATUS}: entry 1 (")
    assert reason in note


def test_status_d_and_its_md5sums_are_read() -> None:
    found = inventory(
        {
            STATUS_D + "libssl3": paragraph("libssl3t64", "3.5.1-1", Status="", Source="openssl"),
            STATUS_D + "libssl3.md5sums": f"{SUM}  usr/lib/libssl.so.3\n",
            "/usr/lib/libssl.so.3": ELF,
        }
    )
    assert named(found) == [("libssl3t64", "3.5.1-1")]
    assert found.unowned_elf == ()
    assert only(found).files == 1


def test_a_package_in_status_and_status_d_is_one_component() -> None:
    text = paragraph("zlib1g", "1:1.3")
    found = inventory({STATUS: text, STATUS_D + "zlib1g": text})
    assert only(found).evidence == (STATUS, STATUS_D + "zlib1g")


def test_two_architectures_of_one_package_are_two_components() -> None:
    found = inventory(
        {
            STATUS: paragraph("zlib1g", "1:1.3") + paragraph("zlib1g", "1:1.3", Architecture="i386"),
            INFO + "zlib1g:amd64.list": "/usr/lib/a/libz.so.1\n",
            INFO + "zlib1g:i386.list": "/usr/lib/b/libz.so.1\n",
            "/usr/lib/a/libz.so.1": ELF,
            "/usr/lib/b/libz.so.1": ELF,
        }
    )
    assert [(one.architecture, one.files) for one in found.components] == [("amd64", 1), ("i386", 1)]


@pytest.mark.parametrize(
    ("files", "links", "unowned"),
    [
        pytest.param({"/usr/bin/a": ELF}, {}, (), id="a listed program is owned"),
        pytest.param({"/usr/bin/b": ELF}, {}, ("/usr/bin/b",), id="a program nobody lists is not"),
        pytest.param(
            {"/usr/lib/x": ELF}, {"/lib": "usr/lib"}, (), id="/lib/x is /usr/lib/x where /usr is merged"
        ),
        pytest.param({"/usr/lib/x": ELF}, {"/lib": "/usr/lib"}, (), id="an absolute link merges too"),
        pytest.param({"/usr/lib/x": ELF}, {}, ("/usr/lib/x",), id="without the link they are two files"),
        pytest.param({"/y": ELF}, {"/lib": "../.."}, ("/y",), id="a link that climbs out is not followed"),
        pytest.param({"/usr/bin/a.real": ELF}, {}, (), id="a diverted file is owned where it went"),
    ],
)
def test_ownership(files: dict[str, str | bytes], links: dict[str, str], unowned: tuple[str, ...]) -> None:
    found = inventory(
        {
            STATUS: paragraph("a", "1"),
            INFO + "a.list": "/usr/bin/a\n/lib/x\n/usr/bin/diverted\n",
            "/var/lib/dpkg/diversions": "/usr/bin/diverted\n/usr/bin/a.real\nother\n",
            **files,
        },
        links,
    )
    assert found.unowned_elf == unowned


def test_links_that_loop_end() -> None:
    found = inventory(
        {STATUS: paragraph("a", "1"), INFO + "a.list": "/lib/x\n"}, {"/lib": "/lib2", "/lib2": "/lib"}
    )
    assert named(found) == [("a", "1")]


def test_a_removed_package_owns_nothing() -> None:
    found = inventory(
        {
            STATUS: paragraph("a", "1", Status="deinstall ok config-files"),
            INFO + "a.list": "/usr/bin/a\n",
            "/usr/bin/a": ELF,
        }
    )
    assert found.unowned_elf == ("/usr/bin/a",)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param({"/etc/os-release": OS_RELEASE}, ("debian", "13"), id="/etc/os-release"),
        pytest.param({"/usr/lib/os-release": OS_RELEASE}, ("debian", "13"), id="/usr/lib/os-release"),
        pytest.param({"/etc/debian_version": "12.5\n"}, ("debian", "12"), id="debian_version alone"),
        pytest.param(
            {"/etc/os-release": "ID=debian\n", "/etc/debian_version": "13.1\n"},
            ("debian", "13"),
            id="debian_version fills in a missing VERSION_ID",
        ),
        pytest.param(
            {"/etc/os-release": "ID=ubuntu\nVERSION_ID='24.04'\n"}, ("ubuntu", "24.04"), id="another one"
        ),
        pytest.param(
            {"/etc/os-release": "ID=debian\n", "/etc/debian_version": "forky/sid\n"}, ("debian", ""), id="sid"
        ),
        pytest.param({"/etc/os-release": 'ID="\\d\\ebian"\nVERSION_ID=13'}, ("debian", "13"), id="quoting"),
        pytest.param({"/etc/debian_version": "trixie/sid\n"}, None, id="a debian_version without a number"),
        pytest.param({"/etc/os-release": "ID=$(reboot)\n"}, None, id="an ID that is no word"),
        pytest.param({}, None, id="nothing"),
    ],
)
def test_distribution(files: dict[str, str | bytes], expected: tuple[str, str] | None) -> None:
    found = inventory(files).distribution
    assert (None if found is None else (found.id, found.version)) == expected


def test_two_releases_in_one_tree_are_noted() -> None:
    found = inventory({"/etc/os-release": OS_RELEASE, "/etc/debian_version": "12.5\n"})
    assert found.distribution == Distribution(
        id="debian", version="13", pretty_name="Debian GNU/Linux 13 (trixie)"
    )
    assert found.notes == ("/etc/debian_version says release 12, os-release says 13",)


def test_a_later_entry_of_a_path_replaces_the_earlier_one() -> None:
    old, new = MemoryFile("/usr/bin/a", payload=ELF), MemoryFile("/usr/bin/a", payload=b"#!/bin/sh")
    assert take_inventory([old, new]).elf_files == 0
    assert take_inventory([old, MemoryFile("/usr/bin/a", kind=Kind.SYMLINK, target="b")]).files == 0


def test_a_file_that_cannot_be_read_is_noted() -> None:
    found = take_inventory([MemoryFile("/x", payload=ELF, error=PermissionError(13, "Permission denied"))])
    assert found.notes == ("/x could not be read: Permission denied",)


def test_a_package_database_of_absurd_size_is_noted_and_not_read() -> None:
    found = take_inventory([MemoryFile(STATUS, payload=b"Package: x", declared=1 << 40)])
    assert found.components == ()
    assert "larger than any package database" in found.notes[0]


def test_too_many_paths_end_the_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "MAX_PATHS", 10)
    with pytest.raises(ScanError, match="more than 10 files"):
        take_inventory(MemoryFile(f"/{number}") for number in range(12))


def test_a_thousand_damaged_entries_give_a_bounded_number_of_notes() -> None:
    found = inventory({STATUS: "Package: x\n\n" * 1000})
    assert len(found.notes) == 101
    assert found.notes[-1] == "and 900 more of the same kinds"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("Source: " + " " * 200_000 + "x", id="a long run of blanks"),
        pytest.param("\n" + (" \n" * 100_000), id="many blank lines"),
        pytest.param("x" * 500_000, id="one long line without a colon"),
        pytest.param(("Package" + " " * 1000) * 200, id="a field name and blanks"),
        pytest.param("\\" * 300_000, id="backslashes"),
    ],
)
def test_long_lines_do_not_take_long(text: str) -> None:
    inventory({STATUS: text, INFO + "x.list": text, "/etc/os-release": 'NAME="' + text})


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400), st.binary(max_size=200), st.binary(max_size=200))
def test_any_bytes_give_an_inventory(status: bytes, os_release: bytes, listed: bytes) -> None:
    found = inventory(
        {
            STATUS: status,
            STATUS_D + "x": status,
            STATUS_D + "x.md5sums": listed,
            INFO + "x.list": listed,
            "/etc/os-release": os_release,
            "/var/lib/dpkg/diversions": listed,
        }
    )
    assert found.files == 6


_WORDS = st.sampled_from(
    ["Package", "Version", "Status", "Source", ":", " ", "\n", "\n\n", "1.0", "a", "(", ")", "é"]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(_WORDS, max_size=60).map("".join))
def test_every_entry_is_either_a_component_or_a_note(status: str) -> None:
    found = inventory({STATUS: status})
    entries = [part for part in status.replace(" \n", "\n").split("\n\n") if part.strip()]
    assert len(found.components) + len(found.notes) >= bool(entries) - status.count("Status")


def test_the_order_of_the_tree_does_not_matter() -> None:
    files = tree(
        {
            STATUS: paragraph("b", "1") + paragraph("a", "2", Source="b (1)"),
            INFO + "a.list": "/lib/a\n",
            INFO + "b.md5sums": f"{SUM}  bin/b\n",
            "/usr/lib/a": ELF,
            "/usr/bin/b": ELF,
            "/usr/bin/c": ELF,
            "/etc/os-release": OS_RELEASE,
        },
        {"/lib": "usr/lib", "/bin": "usr/bin"},
    )
    expected = take_inventory(files)
    assert expected.unowned_elf == ("/usr/bin/c",)
    for seed in range(10):
        random.Random(seed).shuffle(files)  # noqa: S311 (a test's order, not a secret)
        assert take_inventory(files) == expected


def test_a_maintainer_script_that_is_a_program_belongs_to_its_package() -> None:
    found = inventory(
        {STATUS: paragraph("bash", "5.1-2"), INFO + "bash.preinst": ELF, INFO + "x.preinst": ELF}
    )
    assert found.unowned_elf == (INFO + "x.preinst",)


def test_file_lists_of_status_d_packages_may_lie_in_info() -> None:
    found = inventory(
        {
            STATUS_D + "libssl3": paragraph("libssl3t64", "3.5.1-1", Status=""),
            INFO + "libssl3t64.md5sums": f"{SUM}  usr/lib/libssl.so.3\n",
            "/usr/lib/libssl.so.3": ELF,
        }
    )
    assert found.unowned_elf == ()


@pytest.mark.parametrize(
    ("path", "text"),
    [
        pytest.param(STATUS, "a\n\n" * 400_000, id="a status file of damaged entries"),
        pytest.param(INFO + "a.list", "\n/" * 1_000_000, id="a file list of empty names"),
        pytest.param(INFO + "a.md5sums", "0" * 32 + "  a\n" * 400_000, id="checksums of short names"),
        pytest.param("/lib/apk/db/installed", "a\n\n" * 400_000, id="an apk database of damaged entries"),
        pytest.param("/var/lib/dpkg/diversions", "\n" * 500_000, id="diversions of nothing"),
        pytest.param("/etc/os-release", "\n" * 5_000_000, id="an os-release of nothing"),
        pytest.param("/a.dist-info/RECORD", "a\n" * 300_000, id="a RECORD of one file, often"),
    ],
)
def test_hostile_databases_take_bounded_memory(path: str, text: str) -> None:
    files = tree({STATUS: paragraph("a", "1"), path: text})
    tracemalloc.start()
    try:
        found = take_inventory(files)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 40 << 20
    assert len(found.notes) <= 101


def test_programs_that_are_claimed_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "MAX_CLAIMS", 3)
    record = "".join(f"{number}.so,,\n" for number in range(5))
    found = inventory({"/a-1.dist-info/RECORD": record, "/0.so": ELF})
    assert found.unowned_elf == ("/0.so",)
    assert found.notes == ("/a-1.dist-info/RECORD names programs, but there are more than 3 already",)

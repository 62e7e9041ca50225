from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.inventory.collect import take_inventory
from builder.inventory.model import Inventory
from builder.inventory.rpm.database import rpm_database
from tests.support import rpmdb
from tests.support.inventory import ELF, tree
from tests.support.programs import go_program

ALMA = 'ID="almalinux"\nVERSION_ID="9.3"\nNAME="AlmaLinux"\n'
ALPINE = "ID=alpine\nVERSION_ID=3.19.1\n"
SQLITE, NDB, BERKELEY = (
    "/var/lib/rpm/rpmdb.sqlite",
    "/usr/lib/sysimage/rpm/Packages.db",
    "/var/lib/rpm/Packages",
)
FORMATS: Sequence[tuple[str, Callable[[Sequence[bytes]], bytes]]] = (
    (SQLITE, rpmdb.sqlite),
    (NDB, rpmdb.ndb),
    (BERKELEY, rpmdb.berkeley),
)
APK = "/lib/apk/db/installed"
MUSL = """C:Q1x=
P:musl
V:1.2.4-r2
A:x86_64
o:musl
m:Someone
F:lib
R:ld-musl-x86_64.so.1
a:0:0:755
Z:Q1y=
F:usr/lib
R:libc.musl.so

P:libcrypto3
V:3.1.4-r2
A:x86_64
o:openssl
F:lib
M:0:0:755
R:libcrypto.so.3
"""


def inventory(files: dict[str, str | bytes]) -> Inventory:
    return take_inventory(tree(files))


def big(name: str) -> bytes:
    """A header that fills several pages of any database."""
    return rpmdb.package(name, **rpmdb.owning(*(f"/usr/share/{name}/{number:05}" for number in range(400))))


@pytest.mark.parametrize(("path", "make"), FORMATS, ids=["SQLite", "ndb", "Berkeley DB"])
def test_rpm_databases_of_every_format_are_read(path: str, make: Callable[[Sequence[bytes]], bytes]) -> None:
    blobs = [
        rpmdb.package("openssl-libs", "3.0.7", "24.el9", epoch=1, sourcerpm="openssl-3.0.7-24.el9.src.rpm"),
        big("bash"),
        rpmdb.package("nodejs", "18.1", "1.module", modularitylabel="nodejs:18:8080:abc"),
        rpmdb.header(name="gpg-pubkey", version="1", release="2"),
        *(rpmdb.package(f"p{number:03}") for number in range(60)),
    ]
    found = inventory({path: make(blobs), "/etc/os-release": ALMA})
    assert found.notes == ()
    assert len(found.components) == 63
    known = {one.name: one for one in found.components}
    openssl = known["openssl-libs"]
    assert (openssl.version, openssl.source_name, openssl.source_version) == (
        "1:3.0.7-24.el9",
        "openssl",
        "1:3.0.7-24.el9",
    )
    assert openssl.purl == (
        "pkg:rpm/almalinux/openssl-libs@3.0.7-24.el9"
        "?arch=x86_64&distro=almalinux-9.3&epoch=1&upstream=openssl-3.0.7-24.el9.src.rpm"
    )
    assert known["nodejs"].modularity == "nodejs:18:8080:abc"
    assert openssl.evidence == (path,)


def test_a_berkeley_database_of_a_big_endian_machine_is_read() -> None:
    found = rpm_database(rpmdb.berkeley([big("bash")], order=">"), BERKELEY)
    assert [one.name for one in found.packages] == ["bash"]


@pytest.mark.parametrize(
    ("vendor", "modules"),
    [
        pytest.param("AlmaLinux", 0, id="what the distribution made, its own data answers for"),
        pytest.param("Somebody", 2, id="what others made shows its modules"),
    ],
)
def test_rpm_packages_own_their_files(vendor: str, modules: int) -> None:
    blobs = [rpmdb.package("tool", vendor=vendor, **rpmdb.owning("/bin/tool", "/usr/lib/libtool.so"))]
    program = go_program("dep\ta\tv1.0.0\th\n" + " " * 20 + "\n")
    found = take_inventory(
        tree(
            {SQLITE: rpmdb.sqlite(blobs), "/usr/bin/tool": program, "/usr/lib/libtool.so": ELF, "/x": ELF},
            {"/bin": "usr/bin"},
        )
    )
    assert found.unowned_elf == ("/x",)
    assert found.components[0].files == 2
    assert len(found.components) == 1 + modules


def test_apk_packages_have_an_origin_and_own_their_files() -> None:
    found = inventory(
        {
            APK: MUSL,
            "/etc/os-release": ALPINE,
            "/lib/ld-musl-x86_64.so.1": ELF,
            "/lib/libcrypto.so.3": ELF,
            "/lib/other.so": ELF,
        }
    )
    assert [(one.name, one.version, one.source_name) for one in found.components] == [
        ("libcrypto3", "3.1.4-r2", "openssl"),
        ("musl", "1.2.4-r2", "musl"),
    ]
    assert found.components[0].purl == (
        "pkg:apk/alpine/libcrypto3@3.1.4-r2?arch=x86_64&distro=alpine-3.19.1&upstream=openssl"
    )
    assert found.unowned_elf == ("/lib/other.so",)
    assert found.notes == ()


MANIFEST = """openssl-libs\t3.3.2-1.azl3\t1740000000\t1740000000\tMicrosoft Corporation\t(none)\t1\tx86_64\t0\topenssl-3.3.2-1.azl3.src.rpm
shadow\t4.14-2.azl3\t1740000000\t1740000000\tMicrosoft Corporation\t(none)\t1\tx86_64\t2\tshadow-4.14-2.azl3.src.rpm
"""  # noqa: E501


def test_the_list_of_an_image_without_rpm_is_read() -> None:
    found = inventory({"/var/lib/rpmmanifest/container-manifest-2": MANIFEST, "/usr/lib/libssl.so.3": ELF})
    assert [(one.name, one.version, one.source_name) for one in found.components] == [
        ("openssl-libs", "3.3.2-1.azl3", "openssl"),
        ("shadow", "2:4.14-2.azl3", "shadow"),
    ]
    assert found.unowned_elf == ("/usr/lib/libssl.so.3",)
    assert found.notes == ()


@pytest.mark.parametrize(
    ("path", "payload", "reason"),
    [
        pytest.param(
            APK, "P:x\nV:1\n\nP:y\n\n", "entry 2 (y) is damaged: it has no version", id="apk: no version"
        ),
        pytest.param(
            APK, "P:x\nV:1\nrubbish\n", "a line of it is no field", id="apk: a line that is no field"
        ),
        pytest.param(
            SQLITE, b"SQLite format 3\0" + bytes(400), "its pages have 0 bytes", id="SQLite: no pages"
        ),
        pytest.param(SQLITE, b"rubbish", "it is of no format that rpm has had", id="no database"),
        pytest.param(SQLITE, rpmdb.sqlite([b"rubbish!"]), "entry 1 is damaged", id="a header of other bytes"),
        pytest.param(SQLITE, rpmdb.sqlite([rpmdb.header(name="x")]), "x has no version", id="no version"),
        pytest.param(SQLITE, rpmdb.sqlite([big("x")] * 9)[:9000], "lies outside", id="SQLite: cut off"),
        pytest.param(NDB, rpmdb.ndb([big("x")])[:6000], "cut off", id="ndb: cut off"),
        pytest.param(NDB, b"RpmP" + b"\xff" * 60, "pages of slots", id="ndb: absurd sizes"),
        pytest.param(
            BERKELEY, rpmdb.berkeley([big("x")])[:4000], "is none of a value", id="Berkeley DB: cut off"
        ),
        pytest.param(
            "/var/lib/rpmmanifest/container-manifest-2", "a\tb\n", "line 1 is damaged", id="a list of rpm's"
        ),
        pytest.param(f"{SQLITE}-wal", b"x", "was not read", id="SQLite: a journal that was not merged"),
    ],
)
def test_a_damaged_database_is_noted(path: str, payload: str | bytes, reason: str) -> None:
    (note,) = inventory({path: payload}).notes
    assert note.startswith(f"{path}: ")
    assert reason in note


def test_what_stands_before_the_damage_is_read() -> None:
    whole = rpmdb.ndb([rpmdb.package("a"), big("b")])
    found = rpm_database(whole[:-200], NDB)
    assert [one.name for one in found.packages] == ["a"]
    assert found.notes == ("it is damaged: package 2 of it is cut off",)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([make([rpmdb.package("a"), big("b"), rpmdb.package("c")]) for _, make in FORMATS]),
    st.data(),
)
def test_any_damage_to_an_rpm_database_ends_in_packages_or_notes(whole: bytes, data: st.DataObject) -> None:
    payload = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(
            st.integers(0, min(len(payload) - 1, 3000) if data.draw(st.booleans()) else len(payload) - 1)
        )
        payload[at] = data.draw(st.sampled_from([0, 1, 13, 0x7F, 0x80, 0xFF, payload[at] ^ 1]))
    found = rpm_database(bytes(payload), SQLITE)
    assert len(found.owned) == len(found.packages) <= 5
    cut = rpm_database(whole[: data.draw(st.integers(1, len(whole) - 1))], SQLITE)
    assert cut.notes or cut.packages == rpm_database(whole, SQLITE).packages


def test_a_tree_of_pages_that_loops_ends() -> None:
    whole = bytearray(rpmdb.sqlite([rpmdb.package(f"p{number}") for number in range(200)]))
    for at in range(1024, len(whole), 1024):
        if whole[at] == 5:  # an interior page: let it lead to itself
            whole[at + 8 : at + 12] = (at // 1024 + 1).to_bytes(4, "big")
    assert any("loop" in note for note in rpm_database(bytes(whole), SQLITE).notes)

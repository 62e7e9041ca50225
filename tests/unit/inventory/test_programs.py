from __future__ import annotations

import pytest

from builder.inventory.collect import take_inventory
from builder.inventory.elf import elf_file
from builder.inventory.model import ComponentKind, Inventory
from tests.support.inventory import OS_RELEASE, paragraph, tree
from tests.support.programs import elf, go_program, modules, package_note, rust_program

STATUS = "/var/lib/dpkg/status"


def said(payload: bytes, path: str = "/usr/local/bin/x") -> list[tuple[str, str]]:
    return [(one.name, one.version) for one in elf_file(payload, path).packages]


HELLO = modules(
    "path|example.com/hello", "mod|example.com/hello|v1.4.0|h1:x", "dep|golang.org/x/text|v0.3.7|h1:y"
)


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(go_program(HELLO), id="inline, as since Go 1.18"),
        pytest.param(go_program(HELLO, section=False), id="stripped of its section headers"),
        pytest.param(go_program(HELLO, pointers=True), id="behind pointers, as before Go 1.18"),
        pytest.param(go_program(HELLO, pointers=True, elf_class=32), id="behind pointers of 32 bits"),
        pytest.param(go_program(HELLO, pointers=True, big_endian=True), id="behind pointers, big-endian"),
    ],
)
def test_go_programs_name_their_modules(program: bytes) -> None:
    assert said(program) == [
        ("golang.org/x/text", "0.3.7"),
        ("example.com/hello", "1.4.0"),
        ("stdlib", "1.22.1"),
    ]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param(["mod|m|(devel)|"], ("m", ""), id="a work tree has no version"),
        pytest.param(
            ["mod|m|v0.0.0-20240101000000-abcdefabcdef|"], ("m", ""), id="a commit's pseudo-version is none"
        ),
        pytest.param(["mod|m|v1.2.3+dirty|"], ("m", "1.2.3"), id="changed files do not change the number"),
        pytest.param(
            ["mod|m|(devel)|", 'build|-ldflags="-s -w -X main.version=1.2.3"'],
            ("m", "1.2.3"),
            id="the linker's flags tell it",
        ),
        pytest.param(
            ["mod|m|(devel)|", 'build|-ldflags="-X \\"m/v.Version=v28.2.2\\" -X m/v.Commit=e6534b4"'],
            ("m", "28.2.2"),
            id="in quotes too",
        ),
        pytest.param(
            ["mod|m|(devel)|", "build|-ldflags=-X m/app.ver=0.59.1"], ("m", "0.59.1"), id="under a short name"
        ),
        pytest.param(
            ["mod|m|(devel)|", 'build|-ldflags="-X a.version=1.2.3 -X b.version=2.0.0"'],
            ("m", ""),
            id="two versions are none",
        ),
        pytest.param(
            ["dep|a|v1.0.0|h", "=>|b|v2.0.0|h"], ("b", "2.0.0"), id="a replaced module is its replacement"
        ),
        pytest.param(["dep|a|v1.0.0|h", "=>|./a||"], ("a", ""), id="one replaced by a folder has no version"),
        pytest.param(["dep|a|(devel)|"], ("a", ""), id="a module of a workspace has no version"),
    ],
)
def test_versions_of_go_modules(lines: list[str], expected: tuple[str, str]) -> None:
    assert said(go_program(modules(*lines)))[0] == expected


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        pytest.param("go1.21.0", "1.21.0", id="a release"),
        pytest.param("go1.22rc1", "1.22rc1", id="a candidate"),
        pytest.param("go1.22.1 X:boringcrypto", "1.22.1", id="experiments are left out"),
        pytest.param("devel go1.23-abcdef Mon", "1.23", id="a development version"),
    ],
)
def test_the_version_of_go_is_that_of_its_standard_library(version: str, expected: str) -> None:
    assert said(go_program(version=version)) == [("stdlib", expected)]


def test_rust_programs_name_what_runs_in_them() -> None:
    crates: list[dict[str, object]] = [
        {"name": "serde", "version": "1.0.1", "source": "crates.io"},
        {"name": "cc", "version": "1.2.0", "source": "crates.io", "kind": "build"},
        {"name": "app", "version": "0.1.0", "source": "local", "root": True},
    ]
    assert said(rust_program(crates)) == [("serde", "1.0.1"), ("app", "0.1.0")]


@pytest.mark.parametrize(
    ("payload", "note"),
    [
        pytest.param(
            elf({".dep-v0": b"no zlib"}), "its list of crates is damaged", id="crates that are no zlib"
        ),
        pytest.param(elf({".dep-v0": b""}), "its list of crates is damaged", id="no crates at all"),
        pytest.param(
            elf(note=package_note(b"no json")), "its package note is damaged", id="a note that is no JSON"
        ),
        pytest.param(
            elf({".go.buildinfo": (b"\xff Go buildinf:" + bytes([8, 2])).ljust(32, b"\0") + b"\x05xxxxx"}),
            "its Go build information is damaged",
            id="build information of nobody",
        ),
    ],
)
def test_damage_is_noted(payload: bytes, note: str) -> None:
    assert elf_file(payload, "/x").notes == (note,)


NOTE = {"type": "deb", "os": "debian", "name": "systemd", "version": "252.5-1", "architecture": "amd64"}


def inventory(files: dict[str, str | bytes]) -> Inventory:
    return take_inventory(tree({"/etc/os-release": OS_RELEASE, **files}))


def listed(found: Inventory) -> list[tuple[str, str, str]]:
    return [(one.kind.value, one.name, one.version) for one in found.components]


def test_a_package_note_stands_for_its_source_where_no_database_knows_it() -> None:
    found = inventory({"/usr/lib/libsystemd.so.0": elf(note=package_note(NOTE))})
    (component,) = found.components
    assert (component.source_name, component.source_version) == ("systemd", "252.5-1")
    assert component.purl == "pkg:deb/debian/systemd@252.5-1?arch=amd64&distro=debian-13"
    assert found.unowned_elf == ()


@pytest.mark.parametrize(
    "md5sums",
    [
        pytest.param("0" * 32 + "  usr/lib/libsystemd.so.0\n", id="a file that the database lists"),
        pytest.param("", id="a file of the same source that no list names"),
    ],
)
def test_a_package_note_is_no_second_package(md5sums: str) -> None:
    found = inventory(
        {
            "/usr/lib/libsystemd.so.0": elf(note=package_note(NOTE)),
            "/var/lib/dpkg/status.d/libsystemd0": paragraph("libsystemd0", "252.5-1", Source="systemd"),
            "/var/lib/dpkg/status.d/libsystemd0.md5sums": md5sums,
        }
    )
    assert listed(found) == [("deb", "libsystemd0", "252.5-1")]


PYTHON = elf(data=b"\0" * 8 + b"\0" + b"3.11.2\0")


def test_a_well_known_program_is_told_by_a_text_in_it() -> None:
    found = inventory({"/usr/local/bin/python3.11": PYTHON})
    assert listed(found) == [("generic", "python", "3.11.2")]
    assert found.components[0].purl == "pkg:generic/python@3.11.2"
    assert found.unowned_elf == ("/usr/local/bin/python3.11",)


def test_a_well_known_program_of_a_package_is_the_package() -> None:
    found = inventory(
        {
            "/usr/bin/python3.11": PYTHON,
            STATUS: paragraph("python3.11-minimal", "3.11.2-6", Source="python3.11"),
            "/var/lib/dpkg/info/python3.11-minimal.list": "/usr/bin/python3.11\n",
        }
    )
    assert listed(found) == [("deb", "python3.11-minimal", "3.11.2-6")]


def test_a_package_without_file_lists_owns_programs_of_its_name_and_version() -> None:
    record = paragraph("python3.11-minimal", "3.11.2-6", Source="python3.11", Status="")
    files = {"/usr/bin/python3.11": PYTHON, "/opt/python3.11": PYTHON}
    found = inventory({**files, "/var/lib/dpkg/status.d/python": record})
    (_, program) = found.components
    assert program.evidence == ("/opt/python3.11",)


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        pytest.param("/usr/local/bin/node", b"node.js/v18.19.1", ("node", "18.19.1"), id="Node"),
        pytest.param("/bin/busybox", b"BusyBox v1.36.1 (2023", ("busybox", "1.36.1"), id="BusyBox"),
        pytest.param(
            "/usr/lib/libcrypto.so.3", b"\0OpenSSL 3.0.11 19 Sep", ("openssl", "3.0.11"), id="OpenSSL 3"
        ),
        pytest.param("/x/libssl.so.1.1", b"\0OpenSSL 1.1.1w  11 Sep", ("openssl", "1.1.1w"), id="OpenSSL 1"),
        pytest.param("/usr/sbin/nginx", b"nginx version: nginx/1.25.3\0", ("nginx", "1.25.3"), id="nginx"),
        pytest.param("/usr/bin/php8.2", b"X-Powered-By: PHP/8.2.7\0", ("php", "8.2.7"), id="PHP"),
        pytest.param("/usr/bin/ruby3.1", b"\0ruby 3.1.2p20 (2022", ("ruby", "3.1.2"), id="Ruby"),
        pytest.param("/usr/sbin/httpd", b"\0Apache/2.4.57 (Unix)", ("httpd", "2.4.57"), id="Apache"),
        pytest.param("/usr/sbin/haproxy", b"HAProxy version 2.6.12-1", ("haproxy", "2.6.12"), id="HAProxy"),
        pytest.param("/usr/bin/curl", b"\0curl/7.88.1\0", ("curl", "7.88.1"), id="curl"),
        pytest.param("/usr/lib/libz.so.1", b" deflate 1.2.13 Copyright", ("zlib", "1.2.13"), id="zlib"),
    ],
)
def test_texts_of_well_known_programs(path: str, text: bytes, expected: tuple[str, str]) -> None:
    assert said(elf(data=b"\0" * 40 + text + b"\0"), path) == [expected]


def test_the_text_may_lie_anywhere_in_a_large_program() -> None:
    window = 4 << 20
    assert said(elf(data=bytes(window - 180) + b"node.js/v18.19.1\0"), "/node") == [("node", "18.19.1")]


def test_any_other_program_says_nothing() -> None:
    assert elf_file(elf(data=b"node.js/v18.19.1"), "/usr/bin/other").packages == ()
    assert elf_file(b"\x7fELF" + bytes(200), "/usr/bin/node").packages == ()


@pytest.mark.parametrize(
    ("maker", "kept"),
    [
        pytest.param("Debian Go Team <team@tracker.debian.org>", False, id="the distribution's: it answers"),
        pytest.param("Josh Dockerman <jd@debian.org>", False, id="a person of another name"),
        pytest.param("Someone <someone@users.example.org>", False, id="a person anywhere"),
        pytest.param("Docker <support@docker.com>", True, id="someone else's: nobody else answers"),
        pytest.param("Build <build@packages.nginx.com>", True, id="someone who writes from there"),
    ],
)
def test_a_program_of_a_package_counts_where_no_distribution_answers_for_it(
    maker: str, *, kept: bool
) -> None:
    found = inventory(
        {
            "/usr/bin/docker": go_program(HELLO),
            STATUS: paragraph("docker", "1.0", Maintainer=maker),
            "/var/lib/dpkg/info/docker.list": "/usr/bin/docker\n",
        }
    )
    modules_found = [one for one in found.components if one.kind is ComponentKind.GO]
    assert bool(modules_found) is kept
    assert {one.owner for one in modules_found} == ({"docker"} if kept else set())


def test_a_program_in_opt_is_no_distribution_s() -> None:
    found = inventory(
        {
            "/opt/x/bin/x": go_program(HELLO),
            STATUS: paragraph("x", "1.0"),
            "/var/lib/dpkg/info/x.list": "/opt/x/bin/x\n",
        }
    )
    assert ("golang", "golang.org/x/text", "0.3.7") in listed(found)


def test_programs_that_say_what_they_are_are_nobody_s_no_more() -> None:
    found = inventory({"/app": go_program(HELLO), "/lib.so": rust_program([{"name": "a", "version": "1"}])})
    assert found.unowned_elf == ()
    assert found.elf_files == 2


@pytest.mark.parametrize(
    "name",
    ["python3", "redis-server", "valkey-server", "haproxy", "perl", "memcached", "nginx", "openssl", "git"],
)
@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"\x001.1.1" + bytes(50), id="versions and zeros"),
        pytest.param(b"\x001.1.1\0a" + b"\0b" * 30, id="versions and short texts"),
        pytest.param(b"/usr/lib/perl" + b"1" * 80, id="folders and digits"),
        pytest.param(b"nginx version: nginx/" + b"1" * 80, id="digits"),
        pytest.param(b"OpenSSL 1.1.1" * 5, id="names"),
    ],
)
def test_hostile_programs_do_not_take_long(name: str, text: bytes) -> None:
    elf_file(elf(data=text * (200_000 // len(text))), f"/bin/{name}")

"""The whole Debian source against a signed archive on loopback."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from builder.errors import BuildError, MachineError, ResolutionError, RootletError
from builder.lock import Extra, LockedPackage
from builder.oci import Platform
from builder.recipe.source_model import DebianSource
from builder.sources.debian.apt_sources import Mirrors
from builder.sources.debian.archive import (
    DebianArchive,
    Freshness,
    acquire,
    archive_state,
    lock,
    merged_tree,
)
from builder.sources.debian.suites import debian_architecture, suites_of
from builder.sysroot import Package
from tests.support.debian_archive import (
    NOW,
    Deb,
    Fault,
    SuiteText,
    World,
    effects,
    make_key,
    no_network,
    write,
    write_suite,
)

APP = Deb(
    name="app", version="1:2.0-1", fields={"Depends": "libapp (>= 1) | other"}, files={"/usr/bin/app": b"app"}
)
LIB = Deb(name="libapp", fields={"Source": "app (2.0-1)"}, files={"/lib/libapp.so": b"lib", "/usr/x": "y"})
BASE = Deb(name="base-files", architecture="all")
HOUR = Freshness(max_age=3600.0)
OFFLINE = replace(HOUR, offline=True)
EXTRA = (Extra("base-files", "every image"),)


def take(archive: DebianArchive, freshness: Freshness = HOUR) -> tuple[Package, ...]:
    locked = lock(archive, freshness, effects(), extra=EXTRA)
    return acquire(locked, cache=archive.cache, freshness=freshness, effects=effects())


def test_from_names_to_a_tree(world: World) -> None:
    world.publish(APP, LIB, BASE)
    archive = world.archive("app")
    locked = lock(archive, HOUR, effects(), extra=EXTRA)
    assert [(one.name, one.version, one.requested, one.wanted_by) for one in locked] == [
        ("app", "1:2.0-1", True, "recipe"),
        ("base-files", "1.0-1", False, "every image"),
        ("libapp", "1.0-1", False, "app (1:2.0-1) Depends: libapp (>= 1) | other"),
    ]
    assert locked[0].url == f"{world.server.url}/debian/pool/main/a/app/app_2.0-1_amd64.deb"
    assert (locked[2].source, locked[2].source_name, locked[2].source_version) == ("os", "app", "2.0-1")
    packages = acquire(locked, cache=archive.cache, freshness=HOUR, effects=effects())
    assert [package.name for package in packages] == ["app", "base-files", "libapp"]
    tree = merged_tree(packages)
    assert tree.lookup("/lib/libapp.so").path == "/usr/lib/libapp.so"


def test_nothing_is_asked_twice(world: World) -> None:
    world.publish(APP, LIB, BASE)
    archive = world.archive("app")
    first = take(archive)
    world.server.requests.clear()
    state = archive_state(archive, HOUR, no_network())
    assert state is not None
    assert state.fresh_until == NOW + 3600
    locked = lock(archive, HOUR, no_network(), extra=EXTRA)
    assert acquire(locked, cache=archive.cache, freshness=HOUR, effects=no_network()) == first
    assert world.server.requests == []


def test_indexes_are_fetched_by_checksum(world: World) -> None:
    world.publish(APP, LIB, BASE)
    lock(world.archive("app"), HOUR, effects())
    asked = [path for path in world.server.paths() if "Packages" in path or "by-hash" in path]
    assert len(asked) == 1
    assert asked[0].startswith("/debian/dists/test/main/binary-amd64/by-hash/SHA256/")


@pytest.mark.parametrize("forms", [("xz", ""), ("gz", ""), ("gz", "xz", ""), ("",)], ids="+".join)
@pytest.mark.parametrize("by_hash", [True, False], ids=["by checksum", "by name"])
def test_every_form_of_index(world: World, forms: tuple[str, ...], *, by_hash: bool) -> None:
    world.publish(APP, LIB, BASE, suite=SuiteText(name="test", forms=forms, by_hash=by_hash))
    assert len(lock(world.archive("app"), HOUR, effects())) == 2


def test_mirror_without_by_hash_folder_is_asked_by_name(world: World) -> None:
    world.publish(APP, LIB, BASE)
    for path in world.mirror.rglob("by-hash/SHA256/*"):
        path.unlink()
    assert len(lock(world.archive("app"), HOUR, effects())) == 2


def test_release_with_detached_signature(world: World) -> None:
    world.publish(APP, LIB, BASE)
    (world.mirror / "dists/test/InRelease").unlink()
    write_suite(world.mirror, SuiteText(name="test", debs=(APP, LIB)), world.key, detached=True)
    assert len(lock(world.archive("app"), HOUR, effects())) == 2


def test_security_fix_wins(world: World) -> None:
    world.publish(APP, LIB, BASE)
    fixed = replace(LIB, version="1.0-1+deb13u1")
    security = SuiteText(
        name="test-security", suite="stable-security", components="updates/main", debs=(fixed,)
    )
    write_suite(world.security, security, world.key)
    locked = lock(world.archive("app"), HOUR, effects())
    assert locked[1].version == "1.0-1+deb13u1"
    assert locked[1].url.startswith(f"{world.server.url}/debian-security/pool/")


def test_security_can_be_left_out(world: World) -> None:
    world.publish(APP, LIB, BASE)
    lock(world.archive("app", security=False), HOUR, effects())
    assert not any("security" in path for path in world.server.paths())


def test_other_architecture(world: World) -> None:
    world.publish(APP, LIB, BASE, replace(APP, version="9", architecture="arm64", fields={}))
    archive = replace(world.archive("app"), platform=Platform.parse("linux/arm64/v8"))
    (locked,) = lock(archive, HOUR, effects())
    assert (locked.version, locked.architecture) == ("9", "arm64")


def test_pin(world: World) -> None:
    world.publish(APP, LIB, replace(LIB, version="2.0-1"))
    locked = lock(world.archive("app", pin=(("libapp", "1.0-1"),)), HOUR, effects())
    assert locked[1].version == "1.0-1"


def test_folder_as_mirror(world: World) -> None:
    world.publish(APP, LIB, BASE)
    assert len(take(world.archive("app", mirror=f"file://{world.mirror}"))) == 3


def test_snapshot_addresses_and_freedom_from_expiry(world: World) -> None:
    stamp = "20261101T000000Z"
    old = SuiteText(name="test", date=NOW - 400 * 86400, valid_until=NOW - 390 * 86400)
    world.publish(APP, LIB, BASE, suite=old)
    (world.server.root / "archive/debian").mkdir(parents=True)
    (world.server.root / "archive/debian-security").mkdir(parents=True)
    world.mirror.rename(world.server.root / "archive/debian" / stamp)
    world.security.rename(world.server.root / "archive/debian-security" / stamp)
    archive = world.archive("app", mirror=world.server.url, snapshot=stamp)
    locked = lock(archive, HOUR, effects())
    assert locked[0].url.startswith(f"{world.server.url}/archive/debian/{stamp}/pool/")
    # A snapshot never changes, so it is never asked again.
    later = effects(now=lambda: NOW + 86400)
    assert archive_state(archive, HOUR, later) is not None


# ---- freshness -------------------------------------------------------------------------------------


def test_old_answer_is_asked_for_again(world: World) -> None:
    world.publish(APP, LIB, BASE)
    archive = world.archive("app")
    lock(archive, HOUR, effects())
    later = effects(now=lambda: NOW + 3601)
    assert archive_state(archive, HOUR, later) is None
    world.server.requests.clear()
    lock(archive, HOUR, later)
    # The release files are asked for; the index did not change.
    assert sorted(world.server.paths()) == [
        "/debian-security/dists/test-security/InRelease",
        "/debian/dists/test-updates/InRelease",
        "/debian/dists/test/InRelease",
    ]
    state = archive_state(archive, HOUR, later)
    assert state is not None
    assert state.fresh_until == NOW + 3601 + 3600


def test_validators_save_the_transfer(world: World) -> None:
    world.publish(APP, LIB, BASE)
    world.server.etags = True
    archive = world.archive("app")
    lock(archive, HOUR, effects())
    before = archive_state(archive, HOUR, effects())
    world.server.requests.clear()
    lock(archive, replace(HOUR, refresh=True), effects())
    assert all("If-None-Match" in headers for _, headers in world.server.requests)
    assert archive_state(archive, HOUR, effects()) == before


def test_refresh_always_asks(world: World) -> None:
    world.publish(APP, LIB, BASE)
    archive = world.archive("app")
    lock(archive, HOUR, effects())
    newer = replace(LIB, version="1.1-1")
    world.publish(APP, newer, BASE, suite=SuiteText(name="test", date=NOW))
    assert lock(archive, HOUR, effects())[1].version == "1.0-1"
    assert archive_state(archive, replace(HOUR, refresh=True), effects()) is None
    before = archive_state(archive, HOUR, effects())
    assert lock(archive, replace(HOUR, refresh=True), effects())[1].version == "1.1-1"
    after = archive_state(archive, HOUR, effects())
    assert before is not None
    assert after is not None
    assert before.key != after.key


def test_valid_until_ends_freshness(world: World) -> None:
    world.publish(APP, LIB, BASE, suite=SuiteText(name="test", valid_until=NOW + 100))
    archive = world.archive("app")
    lock(archive, HOUR, effects())
    state = archive_state(archive, HOUR, effects())
    assert state is not None
    assert state.fresh_until == NOW + 100


def test_clock_set_back_is_not_fresh(world: World) -> None:
    world.publish(APP, LIB, BASE)
    archive = world.archive("app")
    lock(archive, HOUR, effects())
    assert archive_state(archive, HOUR, effects(now=lambda: NOW - 100)) is None


def test_offline_uses_what_is_there_whatever_its_age(world: World) -> None:
    world.publish(APP, LIB, BASE)
    archive = world.archive("app")
    take(archive)
    years_later = replace(no_network(), clock=lambda: NOW + 10**8)
    locked = lock(archive, OFFLINE, years_later, extra=EXTRA)
    assert len(acquire(locked, cache=archive.cache, freshness=OFFLINE, effects=years_later)) == 3
    # Another question to the same lists can be answered too.
    assert (
        len(
            lock(replace(archive, source=replace(archive.source, packages=("libapp",))), OFFLINE, years_later)
        )
        == 1
    )


def test_offline_without_anything(world: World) -> None:
    with pytest.raises(MachineError, match="Nothing is known of test on this machine"):
        lock(world.archive("app"), OFFLINE, no_network())


def test_offline_without_the_packages(world: World) -> None:
    world.publish(APP, LIB, BASE)
    archive = world.archive("app")
    locked = lock(archive, HOUR, effects())
    with pytest.raises(MachineError, match="Not in the package store, and --offline was given: app, libapp"):
        acquire(locked, cache=archive.cache, freshness=OFFLINE, effects=no_network())


def test_offline_without_the_lists(world: World) -> None:
    world.publish(APP, LIB, BASE)
    archive = world.archive("app")
    lock(archive, HOUR, effects())
    for path in (archive.cache / "indexes").iterdir():
        path.unlink()
    with pytest.raises(MachineError, match="package lists are not on this machine"):
        lock(world.archive("libapp"), OFFLINE, no_network())


def test_state_changes_with_the_question(world: World) -> None:
    world.publish(APP, LIB, BASE)
    archive = world.archive("app")
    lock(archive, HOUR, effects())
    for other in (
        replace(archive, source=replace(archive.source, components=("main", "contrib"))),
        replace(archive, platform=Platform.parse("linux/arm64")),
        replace(archive, source=replace(archive.source, security=False)),
    ):
        assert archive_state(other, HOUR, no_network()) is None
    os.utime(world.folder / "keys.pgp", (1, 1))
    assert archive_state(archive, HOUR, no_network()) is None


@pytest.mark.parametrize("folder", ["releases", "locks"])
def test_damaged_files_of_the_cache_count_as_absent(world: World, folder: str) -> None:
    world.publish(APP, LIB, BASE)
    archive = world.archive("app")
    first = lock(archive, HOUR, effects())
    (path,) = (archive.cache / folder).iterdir()
    path.write_bytes(path.read_bytes().replace(b"test", b"best").replace(b"libapp", b"libbad"))
    assert lock(archive, HOUR, effects()) == first


# ---- archives that cannot be trusted or reached ------------------------------------------------------


def suite(**changes: object) -> SuiteText:
    return replace(SuiteText(name="test", debs=(APP, LIB)), **changes)  # type: ignore[arg-type]  # fields by name


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        pytest.param(
            {"date": NOW + 3 * 86400}, BuildError, "was made in the future", id="a release from the future"
        ),
        pytest.param({"valid_until": NOW - 1}, BuildError, "expired on", id="an expired release"),
        pytest.param(
            {"architectures": "s390x"}, ResolutionError, "no packages for amd64", id="another architecture"
        ),
        pytest.param(
            {"components": "universe"}, ResolutionError, "no component 'main'", id="another component"
        ),
    ],
)
def test_release_is_refused(
    world: World, changes: dict[str, object], error: type[RootletError], words: str
) -> None:
    world.publish(APP, LIB)
    write_suite(world.mirror, suite(**changes), world.key)
    with pytest.raises(error, match=words):
        lock(world.archive("app"), HOUR, effects())
    assert not (world.folder / "cache/releases").exists()


def test_expiry_is_off_where_apt_has_it_off(world: World) -> None:
    world.publish(APP, LIB, suite=SuiteText(name="test", valid_until=NOW - 1))
    mirrors = Mirrors(
        main=f"{world.server.url}/debian",
        security=f"{world.server.url}/debian-security",
        keyrings=(),
        check_valid_until=False,
        origin="sources.list",
    )
    archive = replace(world.archive("app", mirror=""), mirrors=mirrors)
    assert len(lock(archive, HOUR, effects())) == 2


def test_keys_of_the_machines_sources_are_trusted(world: World) -> None:
    world.publish(APP, LIB)
    keyring = world.folder / "machine.gpg"
    keyring.write_bytes(world.key.public)
    mirrors = Mirrors(
        main=f"{world.server.url}/debian",
        security="",
        keyrings=(keyring, world.folder / "absent.gpg"),
        check_valid_until=True,
        origin="sources.list",
    )
    archive = replace(world.archive("app", mirror="", keyring=None), mirrors=mirrors)
    assert len(lock(archive, HOUR, effects())) == 2
    with pytest.raises(BuildError, match="not signed by a trusted key"):
        lock(world.archive("app", keyring=None), HOUR, effects())


def test_release_of_another_suite(world: World) -> None:
    world.publish(APP, LIB)
    (world.mirror / "dists/test").rename(world.mirror / "dists/other")
    archive = world.archive("app", suite="other", security=False)
    with pytest.raises(BuildError, match="is the release file of test, not of other"):
        lock(archive, HOUR, effects())


def test_going_back_in_time_is_refused(world: World) -> None:
    world.publish(APP, LIB)
    archive = world.archive("app")
    lock(archive, HOUR, effects())
    write_suite(world.mirror, suite(date=NOW - 5 * 86400), world.key)
    with pytest.raises(BuildError, match="is older than the one this mirror gave before"):
        lock(archive, replace(HOUR, refresh=True), effects())


def test_going_back_is_noticed_by_another_recipe_too(world: World) -> None:
    world.publish(APP, LIB)
    lock(world.archive("app"), HOUR, effects())
    write_suite(world.mirror, suite(date=NOW - 5 * 86400), world.key)
    with pytest.raises(BuildError, match="is older than the one this mirror gave before"):
        lock(world.archive("app", security=False), HOUR, effects())


def test_signature_of_a_stranger(world: World) -> None:
    world.publish(APP, LIB)
    write_suite(world.mirror, suite(), make_key("Stranger <s@example.test>"))
    with pytest.raises(BuildError, match="is not among the trusted keys"):
        lock(world.archive("app"), HOUR, effects())


def test_release_without_signature(world: World) -> None:
    world.publish(APP, LIB)
    folder = world.mirror / "dists/test"
    (folder / "InRelease").rename(folder / "Release")
    with pytest.raises(BuildError, match=r"is not signed: there is no Release.gpg"):
        lock(world.archive("app"), HOUR, effects())


@pytest.mark.parametrize(
    ("removed", "error", "words", "hint"),
    [
        pytest.param(
            "debian/dists/test",
            ResolutionError,
            "The suite test was not found at",
            "correct `suite`",
            id="the suite",
        ),
        pytest.param(
            "debian/dists/test-updates",
            MachineError,
            "test-updates was not found at",
            "full mirror",
            id="updates",
        ),
        pytest.param(
            "debian-security/dists/test-security",
            MachineError,
            "test-security was not found at",
            "security = false",
            id="security",
        ),
    ],
)
def test_missing_suite_of_debian_stable(  # the words name what to write in the recipe
    world: World, removed: str, error: type[RootletError], words: str, hint: str
) -> None:
    world.publish(APP, LIB)
    (world.server.root / removed / "InRelease").unlink()
    with pytest.raises(error, match=words) as caught:
        lock(world.archive("app"), HOUR, effects())
    assert caught.value.hint is not None
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "changes", [{"suite": "unstable"}, {"origin": "Other"}], ids=["unstable", "another origin"]
)
def test_other_suites_need_no_companions(world: World, changes: dict[str, str]) -> None:
    write_suite(world.mirror, suite(**changes), world.key)
    assert len(lock(world.archive("app"), HOUR, effects())) == 2


def test_index_that_is_not_the_promised_one(world: World) -> None:
    world.publish(APP, LIB)
    for path in world.mirror.rglob("binary-amd64/**/*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(BuildError, match="was promised"):
        lock(world.archive("app"), HOUR, effects())


def test_index_that_does_not_exist(world: World) -> None:
    world.publish(APP, LIB)
    for path in world.mirror.rglob("binary-amd64/**/*"):
        if path.is_file():
            path.unlink()
    with pytest.raises(MachineError, match="does not exist"):
        lock(world.archive("app"), HOUR, effects())


@pytest.mark.parametrize("keep", [0, 5000], ids=["all of it", "the end of it"])
def test_damaged_compiled_index_is_made_again(world: World, keep: int) -> None:
    world.publish(APP, LIB)
    archive = world.archive("app")
    lock(archive, HOUR, effects())
    for path in (archive.cache / "indexes").iterdir():
        path.write_bytes(path.read_bytes()[:keep] + b"damaged")
    assert len(lock(world.archive("libapp"), HOUR, effects())) == 1
    path.write_bytes(b"damaged" * 1000)
    with pytest.raises(BuildError, match="is damaged"):
        lock(world.archive("app", "libapp"), OFFLINE, effects())


def test_old_files_of_the_cache_go(world: World) -> None:
    world.publish(APP, LIB)
    archive = world.archive("app")
    litter = archive.cache / "packages/.x.tmp"
    write(litter, b"")
    write(archive.cache / "locks/old.json", b"")
    for path in (litter, archive.cache / "locks/old.json"):
        os.utime(path, (NOW - 40 * 86400, NOW - 40 * 86400))
    lock(archive, HOUR, effects())
    assert not litter.exists()
    assert [path.name for path in (archive.cache / "locks").iterdir()] != ["old.json"]


def test_server_that_fails_for_a_moment(world: World) -> None:
    world.publish(APP, LIB, BASE)
    world.server.faults["/debian/dists/test/InRelease"] = [Fault(status=503)]
    world.server.faults["*"] = [Fault(), Fault(cut=30)]
    assert len(take(world.archive("app"))) == 3


# ---- packages --------------------------------------------------------------------------------------


def damaged(world: World, name: str, payload: bytes) -> None:
    (path,) = world.mirror.rglob(f"{name}_*_amd64.deb")
    write(path, payload)


def test_package_with_another_checksum(world: World) -> None:
    world.publish(APP, LIB, BASE)
    (path,) = world.mirror.rglob("libapp_*.deb")
    damaged(world, "libapp", path.read_bytes()[:-1] + b"x")
    with pytest.raises(BuildError, match=r"libapp_1.0-1_amd64.deb has the SHA-256"):
        take(world.archive("app"))
    assert not list((world.folder / "cache").rglob("*.deb"))


def test_package_that_is_gone(world: World) -> None:
    world.publish(APP, LIB, BASE)
    (path,) = world.mirror.rglob("libapp_*.deb")
    path.unlink()
    with pytest.raises(MachineError, match=r"libapp_1.0-1_amd64.deb does not exist"):
        take(world.archive("app"))


def test_hostile_package_that_is_signed_for(world: World) -> None:
    evil = replace(LIB, payload=replace(LIB, name="evil").build())
    world.publish(APP, evil, BASE)
    with pytest.raises(BuildError, match="says Package: evil, and libapp was locked"):
        take(world.archive("app"))
    names = [path.name for path in (world.folder / "cache").rglob("*") if path.is_file()]
    assert not [name for name in names if name.endswith((".deb", ".tmp"))]


def test_download_is_continued_by_the_next_run(world: World) -> None:
    big = replace(LIB, files={"/usr/lib/big": os.urandom(200_000)})
    world.publish(APP, big, BASE)
    archive = world.archive("app")
    locked = lock(archive, HOUR, effects())
    address = "/debian/" + big.filename
    world.server.faults[address] = [Fault(cut=100_000)]
    with pytest.raises(MachineError):
        acquire(locked, cache=archive.cache, freshness=HOUR, effects=effects(retries=0))
    world.server.requests.clear()
    acquire(locked, cache=archive.cache, freshness=HOUR, effects=effects())
    assert [headers.get("Range") for path, headers in world.server.requests if path == address] == [
        "bytes=100000-"
    ]


def test_several_processes_at_once(world: World) -> None:
    world.publish(APP, LIB, BASE)
    archive = world.archive("app")
    results: list[tuple[Package, ...]] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            results.append(take(archive))
        except BaseException as error:  # noqa: BLE001 (a thread's failure is the test's)
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert failures == []
    assert len(results) == 6
    assert all(result == results[0] for result in results)
    assert sum(path.endswith("libapp_1.0-1_amd64.deb") for path in world.server.paths()) == 1


def test_damaged_store_is_filled_again(world: World) -> None:
    world.publish(APP, LIB, BASE)
    archive = world.archive("app")
    first = take(archive)
    for path in (archive.cache / "packages").glob("*.tar"):
        path.write_bytes(b"")
    assert take(archive) == first
    assert merged_tree(first).get("/usr/bin/app") is not None


def test_opening_sixty_packages_is_quick(world: World) -> None:
    files: dict[str, bytes | str | None] = {f"/usr/share/doc/file{number}": b"x" for number in range(60)}
    debs = [Deb(name=f"pkg{number:02}", files={**files, f"/usr/own{number}": b"o"}) for number in range(60)]
    world.publish(*debs)
    archive = world.archive(*(deb.name for deb in debs))
    locked = lock(archive, HOUR, effects())
    acquire(locked, cache=archive.cache, freshness=HOUR, effects=effects())
    times = []
    for _ in range(5):
        start = time.perf_counter()
        acquire(locked, cache=archive.cache, freshness=HOUR, effects=no_network())
        times.append(time.perf_counter() - start)
    assert min(times) < 0.2


def test_store_that_cannot_be_written(world: World) -> None:
    world.publish(APP, LIB, BASE)
    archive = world.archive("app")
    locked = lock(archive, HOUR, effects())
    (archive.cache / "packages").write_bytes(b"a file where a folder should be")
    with pytest.raises(MachineError, match="cannot be written"):
        acquire(locked, cache=archive.cache, freshness=HOUR, effects=effects())


def test_order_is_kept(world: World) -> None:
    world.publish(APP, LIB, BASE)
    archive = world.archive("app")
    locked: tuple[LockedPackage, ...] = lock(archive, HOUR, effects())[::-1]
    packages = acquire(locked, cache=archive.cache, freshness=HOUR, effects=effects())
    assert [package.name for package in packages] == ["libapp", "app"]


# ---- addresses and names -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("platform", "name"),
    [
        ("linux/amd64", "amd64"),
        ("linux/arm64/v8", "arm64"),
        ("linux/arm/v7", "armhf"),
        ("linux/arm/v5", "armel"),
        ("linux/386", "i386"),
        ("linux/ppc64le", "ppc64el"),
        ("linux/s390x", "s390x"),
        ("linux/riscv64", "riscv64"),
    ],
)
def test_architecture(platform: str, name: str) -> None:
    assert debian_architecture(Platform.parse(platform)) == name


@pytest.mark.parametrize("platform", ["windows/amd64", "linux/wasm", "linux/amd64/v9"])
def test_platform_without_debian(platform: str) -> None:
    with pytest.raises(ResolutionError, match="Debian has no packages for"):
        debian_architecture(Platform.parse(platform))


MACHINE = Mirrors(
    main="http://machine.test/debian",
    security="http://machine.test/sec",
    keyrings=(),
    check_valid_until=True,
    origin="x",
)


@pytest.mark.parametrize(
    ("source", "mirrors", "folders"),
    [
        pytest.param(
            DebianSource(name="os", suite="trixie"),
            MACHINE,
            [
                "machine.test/debian/dists/trixie",
                "machine.test/debian/dists/trixie-updates",
                "machine.test/sec/dists/trixie-security",
            ],
            id="the machine's mirrors",
        ),
        pytest.param(
            DebianSource(name="os", suite="trixie", mirror="http://own.test/debian/"),
            MACHINE,
            [
                "own.test/debian/dists/trixie",
                "own.test/debian/dists/trixie-updates",
                "own.test/debian-security/dists/trixie-security",
            ],
            id="the recipe's mirror and its neighbour",
        ),
        pytest.param(
            DebianSource(name="os", suite="trixie", security_mirror="http://own.test/s/"),
            replace(MACHINE, security=""),
            [
                "machine.test/debian/dists/trixie",
                "machine.test/debian/dists/trixie-updates",
                "own.test/s/dists/trixie-security",
            ],
            id="the recipe's security mirror",
        ),
        pytest.param(
            DebianSource(name="os", suite="sid"),
            MACHINE,
            ["machine.test/debian/dists/sid"],
            id="sid stands alone",
        ),
        pytest.param(
            DebianSource(
                name="os",
                suite="trixie",
                mirror="http://snapshot.test",
                snapshot="20261101T000000Z",
                security=False,
            ),
            None,
            [
                "snapshot.test/archive/debian/20261101T000000Z/dists/trixie",
                "snapshot.test/archive/debian/20261101T000000Z/dists/trixie-updates",
            ],
            id="a snapshot",
        ),
    ],
)
def test_addresses(source: DebianSource, mirrors: Mirrors | None, folders: list[str]) -> None:
    assert [one.folder.removeprefix("http://") for one in suites_of(source, mirrors)] == folders


@pytest.mark.parametrize(
    ("source", "words"),
    [
        pytest.param(DebianSource(name="os"), "No Debian mirror is known", id="no mirror"),
        pytest.param(
            DebianSource(name="os", snapshot="20261101T000000Z"),
            "no mirror that keeps snapshots",
            id="snapshot",
        ),
    ],
)
def test_no_mirror(source: DebianSource, words: str, tmp_path: Path) -> None:
    archive = DebianArchive(
        source=source, platform=Platform.parse("linux/amd64"), mirrors=None, cache=tmp_path
    )
    with pytest.raises(MachineError, match=words) as caught:
        lock(archive, HOUR, no_network())
    assert caught.value.hint is not None
    assert "mirror = " in caught.value.hint

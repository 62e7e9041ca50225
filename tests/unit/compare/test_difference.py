"""What differs between two images: written by rootlet, by others, unpacked, and only planned."""

from __future__ import annotations

import errno
import hashlib
import os
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builder.compare.difference import DEFAULT_PATH, Difference, difference
from builder.compare.snapshot import Snapshot, _Watch, folder_snapshot, image_snapshot, planned_snapshot
from builder.errors import BuildError
from builder.oci import Healthcheck, ImageConfig, Platform
from builder.plan.model import ImagePlan
from builder.stored.read import ImageFile, open_image
from builder.stored.tree import tree
from builder.sysroot import Content
from tests.support.images import (
    demo_layer,
    folder,
    foreign_layout,
    layer_of,
    member,
    plain,
    plan_of,
    symlink,
    tar_of,
    write,
)


def planned(plan: ImagePlan | None = None) -> Snapshot:
    return planned_snapshot(plan or plan_of(demo_layer()), subject="plan")


def stored(path: Path) -> Snapshot:
    return image_snapshot(open_image(path), subject="image")


def foreign(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Snapshot:
    return stored(foreign_layout(path, [tar_of(*members)]))


def words(found: Difference) -> list[str]:
    """Each change as ``+path``, ``-path`` or ``path: aspects``, then configuration keys."""
    lines = []
    for change in found.files:
        if change.before is None or change.after is None:
            lines.append(f"{'+' if change.before is None else '-'}{change.path}")
        else:
            lines.append(f"{change.path}: {' '.join(change.aspects)}")
    return [*lines, *(change.key for change in found.config)]


def test_a_plan_and_its_image_are_identical_with_times(tmp_path: Path) -> None:
    write(tmp_path / "image")
    found = difference(planned(), stored(tmp_path / "image"), times=True)
    assert words(found) == []
    assert found.identical
    assert (found.before.files, found.before.size) == (found.after.files, found.after.size) == (3, 4000)


def test_a_hard_link_is_compared_by_its_content(tmp_path: Path) -> None:
    one = foreign(tmp_path / "one", member("a", b"same"), member("b", type=tarfile.LNKTYPE, linkname="a"))
    two = foreign(tmp_path / "two", member("a", b"same"), member("b", b"same"))
    assert difference(one, two).identical
    other = foreign(tmp_path / "other", member("a", b"same"), member("b", b"more"))
    assert words(difference(one, other)) == ["/b: digest"]


def test_folders_that_no_layer_names_are_as_engines_make_them(tmp_path: Path) -> None:
    implied = foreign(tmp_path / "implied", member("a/b/c", b""))
    written = foreign(
        tmp_path / "written",
        member("a", type=tarfile.DIRTYPE, mode=0o755),
        member("a/b", type=tarfile.DIRTYPE, mode=0o755),
        member("a/b/c", b""),
    )
    assert difference(implied, written).identical


CHANGES = {
    "a mode": (member("f", b"x", mode=0o600), ["/f: mode"]),
    "a setuid bit": (member("f", b"x", mode=0o4644), ["/f: mode"]),
    "an owner": (member("f", b"x", uid=3), ["/f: uid"]),
    "a group": (member("f", b"x", gid=3), ["/f: gid"]),
    "bytes of equal length": (member("f", b"y"), ["/f: digest"]),
    "another length": (member("f", b"xy"), ["/f: size digest"]),
    "a link in its place": (
        member("f", type=tarfile.SYMTYPE, linkname="x"),
        ["/f: kind mode size digest target"],
    ),
    "a capability": (
        member("f", b"x", pax_headers={"SCHILY.xattr.security.capability": "cap"}),
        ["/f: xattrs"],
    ),
    "another name": (member("g", b"x"), ["-/f", "+/g"]),
    "another time": (member("f", b"x", mtime=7), []),
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_fact_of_a_file_counts(name: str, tmp_path: Path) -> None:
    changed, expected = CHANGES[name]
    before = foreign(tmp_path / "before", member("f", b"x"))
    after = foreign(tmp_path / "after", changed)
    assert words(difference(before, after)) == expected
    assert difference(before, after).identical == (not expected)


def test_times_count_when_asked_for(tmp_path: Path) -> None:
    before = foreign(tmp_path / "before", member("f", b"x", mtime=1))
    after = foreign(tmp_path / "after", member("f", b"x", mtime=2))
    assert words(difference(before, after, times=True)) == ["/f: mtime"]


def test_a_link_s_target_counts_and_its_mode_does_not(tmp_path: Path) -> None:
    before = foreign(tmp_path / "before", member("l", type=tarfile.SYMTYPE, linkname="x", mode=0o777))
    same = foreign(tmp_path / "same", member("l", type=tarfile.SYMTYPE, linkname="x", mode=0o644))
    other = foreign(tmp_path / "other", member("l", type=tarfile.SYMTYPE, linkname="y", mode=0o777))
    assert difference(before, same).identical
    assert words(difference(before, other)) == ["/l: target"]


CONFIGURATIONS = {
    "entrypoint": (ImageConfig(entrypoint=("/a",)), ["entrypoint"]),
    "cmd": (ImageConfig(cmd=("x",)), ["cmd"]),
    "user": (ImageConfig(user="1000"), ["user"]),
    "env": (ImageConfig(env=(("A", "1"),)), ["env"]),
    "stop signal": (ImageConfig(stop_signal="SIGINT"), ["stop_signal"]),
    "health check": (ImageConfig(healthcheck=Healthcheck(test=("CMD", "/a"))), ["healthcheck"]),
    "labels": (ImageConfig(labels=(("a", "b"),)), ["labels"]),
    "volumes": (ImageConfig(volumes=("/data",)), ["volumes"]),
    "the usual PATH is none": (ImageConfig(env=(("PATH", DEFAULT_PATH),)), []),
    "another PATH": (ImageConfig(env=(("PATH", "/bin"),)), ["env"]),
    "the root as work folder is none": (ImageConfig(workdir="/"), []),
    "another work folder": (ImageConfig(workdir="/srv"), ["workdir"]),
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_what_starts_a_container_counts(name: str) -> None:
    config, expected = CONFIGURATIONS[name]
    plan = plan_of(demo_layer())
    before, after = planned(replace(plan, config=ImageConfig())), planned(replace(plan, config=config))
    assert words(difference(before, after)) == expected


def test_order_of_variables_and_spelling_of_ports_do_not_count() -> None:
    plan = plan_of(demo_layer())
    one = ImageConfig(env=(("A", "1"), ("B", "2")), ports=("80", "53/udp"), volumes=("/a/", "/b"))
    two = ImageConfig(env=(("B", "2"), ("A", "1")), ports=("53/udp", "80/tcp"), volumes=("/b", "/a"))
    assert difference(planned(replace(plan, config=one)), planned(replace(plan, config=two))).identical


def test_another_platform_is_another_image() -> None:
    arm = plan_of(demo_layer(), platform=Platform("linux", "arm64"))
    assert words(difference(planned(), planned(arm))) == ["platform"]


def test_packages_are_compared_by_version_and_size(tmp_path: Path) -> None:
    def status(name: str, version: str, path: str, payload: bytes) -> Snapshot:
        record = f"Package: demo\nVersion: {version}\nArchitecture: amd64\n".encode()
        listing = f"{'0' * 32}  {path}\n".encode()
        folder = "var/lib/dpkg/status.d"
        return foreign(
            tmp_path / name,
            member(f"{folder}/demo", record),
            member(f"{folder}/demo.md5sums", listing),
            member(path, payload),
        )

    before, after = status("one", "1.0-1", "usr/a", b"12"), status("two", "1.0-2", "usr/a", b"12345")
    found = difference(before, after).packages
    assert [(one.kind, one.name, one.before, one.after) for one in found] == [
        ("deb", "demo", "1.0-1", "1.0-2")
    ]
    assert [(one.size_before, one.size_after) for one in found] == [(2, 5)]
    assert difference(before, before).packages == ()
    assert {change.path: change.package for change in difference(before, after).files}["/usr/a"] == "demo"


def test_a_root_folder_is_compared_without_configuration(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/file").write_bytes(b"text")
    (root / "etc/file").chmod(0o640)
    (root / "etc/link").symlink_to("/nowhere")
    root.chmod(0o755)
    (root / "etc").chmod(0o755)
    owner: dict[str, Any] = {"uid": os.getuid(), "gid": os.getgid()}
    image = foreign(
        tmp_path / "image",
        member("./", type=tarfile.DIRTYPE, mode=0o755, **owner),
        member("etc", type=tarfile.DIRTYPE, mode=0o755, **owner),
        member("etc/file", b"text", mode=0o640, **owner),
        member("etc/link", type=tarfile.SYMTYPE, linkname="/nowhere", **owner),
    )
    found = difference(folder_snapshot(root, subject="root"), image)
    assert words(found) == []
    assert not found.configured


def test_what_may_not_be_read_is_no_equality(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").mkdir()
    monkeypatch.setattr(os, "listxattr", refuse)
    with pytest.raises(BuildError, match="secret cannot be compared: Permission denied"):
        folder_snapshot(tmp_path, subject="root")


def refuse(*_: object, **__: object) -> None:
    raise PermissionError(errno.EACCES, "Permission denied")


def test_a_local_file_of_a_plan_is_read(tmp_path: Path) -> None:
    (tmp_path / "app").write_bytes(b"..program..")
    content = Content(store=tmp_path / "app", offset=2, size=7, sha256="")
    local = replace(plain("/app"), content=content)
    one = planned(plan_of(layer_of(local)))
    assert difference(one, planned(plan_of(layer_of(plain("/app", b"program"))))).identical


def test_what_is_only_on_one_side_is_named_with_its_kind() -> None:
    before = planned(plan_of(layer_of(folder("/a"), plain("/a/f"))))
    after = planned(plan_of(layer_of(folder("/a"), symlink("/a/l", "f"))))
    assert words(difference(before, after)) == ["-/a/f", "+/a/l"]


@pytest.mark.parametrize("wanted", [0, 1, 2, 100])
def test_what_others_take_of_a_file_is_hashed_all_the_same(wanted: int, tmp_path: Path) -> None:
    content = os.urandom(3 << 20)
    layout = foreign_layout(
        tmp_path / "image",
        [tar_of(member("a", content), member("b", type=tarfile.LNKTYPE, linkname="a"), member("c", b""))],
    )
    watch = _Watch()
    for file in watch.follow(tree(open_image(layout))):
        assert isinstance(file, ImageFile)
        assert file.read(10) == (b"" if file.path == "/c" else content[:10])
        chunks = file.chunks()
        for _ in range(wanted):
            next(chunks, None)
    digest = hashlib.sha256(content).hexdigest()
    assert [watch.found[path].digest for path in ("/a", "/b")] == [digest, digest]
    assert watch.found["/c"].size == 0


def test_of_a_plan_only_packages_of_archives_are_compared_with_those_of_its_base(tmp_path: Path) -> None:
    record = b"Package: demo\nVersion: 1.0-1\nArchitecture: amd64\n"
    metadata = b"Metadata-Version: 2.1\nName: flask\nVersion: 3.1\n"
    built = foreign(
        tmp_path / "image",
        member("var/lib/dpkg/status.d/demo", record),
        member("usr/lib/python3/dist-packages/flask-3.1.dist-info/METADATA", metadata),
    )
    before = planned()
    assert [one.name for one in difference(before, built).packages] == ["demo"]
    assert [one.name for one in difference(replace(before, below={"demo": "1.0-1"}), built).packages] == []
    assert {one.name for one in difference(foreign(tmp_path / "none"), built).packages} == {"demo", "flask"}

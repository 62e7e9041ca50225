"""What is in an image: of rootlet's make with reasons, of other makes with what their records say."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest

from builder.errors import BuildError
from builder.image.contents import folder_contents, image_contents
from builder.plan.contents import planned_contents
from builder.plan.reasons import RECORD, add_record
from builder.reason import Reason, ReasonKind
from builder.stored.read import open_image
from builder.sysroot import Kind
from tests.support.images import demo_layer, folder, foreign_layout, layer_of, member, plan_of, tar_of, write

STATUS = b"Package: demo\nVersion: 1-1\nArchitecture: amd64\nSource: demo-src\n"
SUMS = b"d41d8cd98f00b204e9800998ecf8427e  bin/demo\nd41d8cd98f00b204e9800998ecf8427e  bin/gone\n"


def test_an_image_gives_back_the_reasons_of_its_plan(tmp_path: Path) -> None:
    entries = {entry.path: entry for entry in demo_layer().entries}
    entries |= {path: folder(path) for path in ("/usr", "/usr/share", "/usr/share/rootlet")}
    demo = entries["/bin/demo"]
    entries["/bin/demo"] = replace(demo, package="demo", reason=Reason(ReasonKind.ENTRYPOINT, "cmd", "x"))
    add_record(entries)
    plan = plan_of(layer_of(*entries.values()))
    image = write(tmp_path / "image", plan)
    read = image_contents(open_image(tmp_path / "image"), subject="demo")
    planned = planned_contents(plan, subject="demo")
    assert read.recorded
    assert read.places == planned.places
    (layer,) = read.layers
    assert (layer.digest, layer.size) == (
        str(image.layers[0].descriptor.digest),
        image.layers[0].descriptor.size,
    )


def layers() -> tuple[bytes, ...]:
    lower = tar_of(
        member("bin/", type=b"5"),
        member("bin/demo", b"demo"),
        member("bin/gone", b"gone"),
        member("var/lib/dpkg/status.d/demo", STATUS),
        member("var/lib/dpkg/status.d/demo.md5sums", SUMS),
    )
    return lower, tar_of(member("bin/.wh.gone", b""), member("etc/new", b"new"))


@pytest.mark.parametrize("form", ["layout", "folder"])
def test_an_image_of_others_has_packages_and_layers(tmp_path: Path, form: str) -> None:
    wanted = frozenset({"/bin/gone", "/usr/bin/gone"})
    if form == "layout":
        stored = open_image(foreign_layout(tmp_path, layers()))
        contents = image_contents(stored, subject="x", wanted=wanted)
        assert [contents.places[path].layer for path in ("/bin/demo", "/etc/new")] == [0, 1]
        assert len(contents.layers) == 2
    else:
        import tarfile  # noqa: PLC0415 (for one form only)

        with tarfile.open(fileobj=io.BytesIO(layers()[0])) as archive:
            archive.extractall(tmp_path / "root", filter="data")
        (tmp_path / "root/bin/gone").unlink()
        contents = folder_contents(tmp_path / "root", subject="x", wanted=wanted)
        assert contents.layers == ()
    place = contents.places["/bin/demo"]
    assert (place.package, place.reason, place.size, place.kind) == ("demo", None, 4, Kind.FILE)
    component = contents.component("demo")
    assert component is not None
    assert component.source_name == "demo-src"
    assert not contents.recorded
    assert "/bin/gone" not in contents.places
    assert contents.listed["/bin/gone"] == "demo"


def test_a_damaged_record_of_reasons_is_said(tmp_path: Path) -> None:
    layout = foreign_layout(tmp_path, [tar_of(member(RECORD[1:], b"{"))])
    with pytest.raises(BuildError, match=r"reasons.json of x is no record of reasons"):
        image_contents(open_image(layout), subject="x")


def test_a_path_that_the_record_does_not_know_has_no_reason(tmp_path: Path) -> None:
    record = b'{"format":1,"reasons":[{"kind":"keep","files":{"/":["a","b"]}}]}'
    layout = foreign_layout(
        tmp_path, [tar_of(member("a", b"x"), member("z", b"z"), member(RECORD[1:], record))]
    )
    contents = image_contents(open_image(layout), subject="x")
    assert {path for path, place in contents.places.items() if place.reason} == {"/a", RECORD}
    assert contents.recorded

"""Sources besides archives of packages: what a Dockerfile says of each, and what it cannot say."""

from __future__ import annotations

import bz2
import functools
import gzip
import io
import lzma
import os
import re
import stat
import subprocess
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builder.containerfile import archives
from builder.containerfile.script import Command
from builder.containerfile.write import Subject, containerfile
from builder.errors import Problem, RecipeError
from builder.lock import Lock
from builder.oci import Digest, ImageAddress, ImageConfig, ImageReference, Platform
from builder.plan.model import Entry, ImagePlan, Layer, PlannedBase
from builder.reason import Reason, ReasonKind
from builder.recipe.model import Recipe
from builder.recipe.source_model import (
    ArchiveSource,
    DebianSource,
    GitSource,
    HostSource,
    ImageSource,
    Source,
    StageCopy,
    StageSecret,
    StageSource,
)
from builder.resources import shipped
from builder.sources.supply import SourceTree
from builder.sysroot import Content, Kind, Node, Sysroot
from tests.support.debian_archive import compress

AMD64 = Platform("linux", "amd64")
PIN = f"sha256:{'d' * 64}"
UNPACK = ImageReference.parse(f"docker.io/library/debian:trixie-slim@sha256:{'a' * 64}")
REASON = Reason(ReasonKind.INSTALL, "x")


def file(path: str, store: Path, size: int = 5, mode: int = 0o644) -> Node:
    content = Content(store=store, offset=0, size=size, sha256="b" * 64)
    return Node(path=path, kind=Kind.FILE, mode=mode, content=content)


def entry(node: Node, path: str) -> Entry:
    return Entry(path=path, kind=node.kind, mode=node.mode, content=node.content, reason=REASON)


def write(
    folder: Path,
    sources: tuple[Source, ...],
    trees: Mapping[str, SourceTree],
    entries: list[Entry],
    *,
    base: tuple[PlannedBase, Sysroot] | None = None,
) -> str:
    plan = ImagePlan(
        platform=AMD64,
        config=ImageConfig(),
        annotations=(),
        layers=(Layer(entries=tuple(sorted(entries, key=lambda one: one.path))),),
        packages=(),
        created=1,
        distribution="",
        base=base[0] if base else None,
    )
    subject = Subject(
        recipe=Recipe(path=folder / "r.toml", name="app", platform=AMD64, sources=sources),
        plan=plan,
        lock=Lock(platform=AMD64, packages=()),
        packages=(),
        unpack=UNPACK,
        at=lambda key, message: Problem(file="r.toml", line=3, key=".".join(map(str, key)), message=message),
        base=base[1] if base else None,
        trees=trees,
        pin=lambda reference: replace(reference, digest=reference.digest or Digest.parse(PIN)),
    )
    return containerfile(subject, templates=shipped("templates"))


def tree(name: str, *nodes: Node) -> dict[str, SourceTree]:
    return {name: SourceTree(name=name, tree=Sysroot(nodes), key=name)}


def joined(text: str) -> list[str]:
    bare = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    return [line for line in re.sub(r"\\\n\s*", "", bare).splitlines() if line]


def refused(*arguments: object, **options: object) -> str:
    with pytest.raises(RecipeError) as error:
        write(*arguments, **options)  # type: ignore[arg-type]
    return error.value.message


# ---- images ----------------------------------------------------------------------------------------


def test_files_of_an_image_are_copied_from_it_by_folder_and_digest(tmp_path: Path) -> None:
    source = ImageSource(name="pic", ref=ImageAddress.parse("quay.io/x/y:1", tmp_path))
    one, two = file("/usr/bin/a", tmp_path / "1"), file("/usr/bin/b", tmp_path / "2")
    three = file("/odd[1]/c", tmp_path / "3")
    text = write(
        tmp_path,
        (source,),
        tree("pic", one, two, three, file("/usr/bin/other", tmp_path / "4")),
        [entry(one, "/a"), entry(two, "/usr/bin/b"), entry(three, "/c")],
    )
    start = f"COPY --from=quay.io/x/y:1@{PIN}"
    assert f'{start} ["/usr/bin/a", "/usr/bin/b", "/sources/pic/usr/bin/"]' in joined(text)
    assert f'{start} ["/", "/sources/pic/"]' in joined(text)
    assert "env -C /sources/pic/usr/bin cp -a --parents -t /image a" in " ".join(joined(text))
    assert "other" not in text


def test_many_folders_of_an_image_are_one_copy(tmp_path: Path) -> None:
    source = ImageSource(name="pic", ref=ImageAddress.parse(f"quay.io/x/y@{PIN}", tmp_path))
    nodes = [file(f"/d{number}/f", tmp_path / str(number)) for number in range(20)]
    text = write(tmp_path, (source,), tree("pic", *nodes), [entry(one, one.path) for one in nodes])
    assert [line for line in joined(text) if line.startswith("COPY --from=quay")] == [
        f'COPY --from=quay.io/x/y@{PIN} ["/", "/sources/pic/"]'
    ]


def test_an_image_of_this_machine_is_refused_only_when_something_is_taken(tmp_path: Path) -> None:
    source = ImageSource(name="pic", ref=ImageAddress.parse("oci:layout", tmp_path))
    node = file("/a", tmp_path / "1")
    assert "layout" not in write(tmp_path, (source,), tree("pic", node), [])
    assert "r.toml:3: sources.pic.ref: " in refused(
        tmp_path, (source,), tree("pic", node), [entry(node, "/a")]
    )


# ---- archives --------------------------------------------------------------------------------------


def test_an_archive_is_fetched_and_proven_in_a_stage_of_its_own(tmp_path: Path) -> None:
    url = "https://x.test/kit-$1.tar.gz"
    source = ArchiveSource(name="Kit", url=url, sha256="c" * 64, strip=1, root="/usr")
    node = file("/bin/tool", tmp_path / "1", mode=0o755)
    text = write(tmp_path, (source,), tree("Kit", node), [entry(node, "/usr/bin/tool")])
    lines = joined(text)
    assert f"FROM {UNPACK} AS source-kit" in lines
    assert 'ADD ["https://x.test/kit-%241.tar.gz", "/archive"]' in lines
    assert f"echo '{'c' * 64}  /archive' > /SHA256SUMS; sha256sum --check" in " ".join(lines)
    assert "tar -xpf /archive -C /tree --no-same-owner --strip-components=1" in text
    assert 'COPY --from=source-kit ["/tree/usr/", "/sources/Kit/"]' in lines
    assert "env -C /sources/Kit cp -a --parents -t /image/usr bin/tool" in " ".join(lines)


def run(commands: list[Command], folder: Path) -> None:
    """The commands of a stage, with absolute paths below ``folder``."""
    lines = []
    for command in commands:
        text = " ".join(line.strip() for line in command.lines if not line.strip().startswith("# "))
        lines.append(text)
    script = "; ".join(lines)
    for name in ("archive", "debian-binary", "control.tar", "tree", "unzip.pl", "whole"):
        script = re.sub(rf"(?<![\w./])/{re.escape(name)}", f"{folder}/{name}", script)
    subprocess.run(["sh", "-eu", "-c", script], check=True, capture_output=True)


PACKERS: Mapping[str, Callable[[bytes], bytes]] = {
    "tar": bytes,
    "tar.gz": gzip.compress,
    "tar.xz": lzma.compress,
    "tar.bz2": bz2.compress,
    "tar.zst": functools.partial(compress, "zst"),
}


@pytest.mark.parametrize("strip", [0, 1, 2])
@pytest.mark.parametrize("kind", ["tar", "tar.gz", "tar.xz", "tar.bz2", "tar.zst", "zip"])
def test_every_kind_of_archive_is_unpacked_with_debians_own_tools(
    kind: str, strip: int, tmp_path: Path
) -> None:
    content = {
        "a/b/plain": b"text\n" * 2000,
        "a/b/empty": b"",
        "a/b c/d$x": bytes(range(256)) * 50,
        "top": b"t",
    }
    payload = tmp_path / "archive"
    if kind == "zip":
        with zipfile.ZipFile(payload, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in content.items():
                info = zipfile.ZipInfo(name)
                info.external_attr = 0o100750 << 16
                archive.writestr(info, data, zipfile.ZIP_STORED if name == "top" else zipfile.ZIP_DEFLATED)
    else:
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w") as tar:
            for name, data in content.items():
                member = tarfile.TarInfo(name)
                member.size, member.mode = len(data), 0o750
                tar.addfile(member, io.BytesIO(data))
        payload.write_bytes(PACKERS[kind](raw.getvalue()))
    source = ArchiveSource(name="x", url=f"https://x.test/f.{kind}", strip=strip)
    run(list(archives.commands(source, source.url)), tmp_path)
    expected = {
        name.split("/", strip)[-1]: data for name, data in content.items() if name.count("/") >= strip
    }
    top = tmp_path / "tree"
    found = {str(path.relative_to(top)): path for path in top.rglob("*") if path.is_file()}
    assert {name: path.read_bytes() for name, path in found.items()} == expected
    assert {stat.S_IMODE(path.stat().st_mode) for path in found.values()} == {0o750}


@pytest.mark.parametrize("name", ["../out", "/out", "a/../../out"])
def test_a_zip_archive_that_climbs_out_is_refused(name: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "archive", "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), b"x")
    (tmp_path / "tree").mkdir()
    with pytest.raises(subprocess.CalledProcessError):
        run(list(archives.unzip("/archive", "/tree")), tmp_path)
    assert not (tmp_path / "out").exists()


def test_a_damaged_zip_archive_ends_the_build(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "archive", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("name", b"text\n" * 5000)
    raw = bytearray((tmp_path / "archive").read_bytes())
    raw[50] ^= 0xFF
    (tmp_path / "archive").write_bytes(raw)
    (tmp_path / "tree").mkdir()
    with pytest.raises(subprocess.CalledProcessError):
        run(list(archives.unzip("/archive", "/tree")), tmp_path)


# ---- this machine, repositories ----------------------------------------------------------------------


def test_a_file_of_this_machine_in_the_build_context_is_copied_from_it(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/app").write_bytes(b"12345")
    content = Content(store=tmp_path.resolve() / "out/app", offset=0, size=5, sha256="")
    node = Node(path=str(tmp_path / "out/app"), kind=Kind.FILE, mode=0o755, content=content)
    text = write(tmp_path, (HostSource(name="here"),), tree("here"), [entry(node, "/usr/bin/app")])
    assert 'COPY ["out/app", "/context/out/app"]' in joined(text)
    assert "chmod -R u=rwX,go=rX usr" in " ".join(joined(text))
    assert str(tmp_path) not in text


def test_a_file_of_this_machine_elsewhere_is_refused_with_line_and_key(tmp_path: Path) -> None:
    content = Content(store=Path("/usr/lib/libx.so"), offset=0, size=5, sha256="")
    node = Node(path="/usr/lib/libx.so", kind=Kind.FILE, mode=0o755, content=content)
    said = refused(tmp_path, (HostSource(name="here"),), tree("here"), [entry(node, "/usr/lib/libx.so")])
    assert "r.toml:3: sources.here.type: /usr/lib/libx.so is /usr/lib/libx.so, a file of this machine" in said


def test_little_of_a_repository_is_embedded_and_much_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pack").write_bytes(b"12345")
    source = GitSource(name="repo", url="https://x.test/r", commit="e" * 40)
    content = Content(
        store=tmp_path / "pack",
        offset=0,
        size=5,
        sha256="5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5",
    )
    node = Node(path="/f", kind=Kind.FILE, mode=0o644, content=content)
    assert "1 files that rootlet makes" in write(tmp_path, (source,), tree("repo", node), [entry(node, "/f")])
    (tmp_path / "large").write_bytes(os.urandom(5 << 20))
    large = file("/f", tmp_path / "large", size=5 << 20)
    assert large.content is not None
    large = replace(large, content=replace(large.content, sha256=""))
    said = refused(tmp_path, (source,), tree("repo", large), [entry(large, "/f")])
    assert "r.toml:3: sources.repo.type: 5.2 MB are taken of this source" in said
    (tmp_path / "text").write_bytes(b"text that is said again and again\n" * 160_000)
    text = replace(large, content=Content(store=tmp_path / "text", offset=0, size=5 << 20, sha256=""))
    assert "made.tar.gz" in write(tmp_path, (source,), tree("repo", text), [entry(text, "/f")])


# ---- stages ------------------------------------------------------------------------------------------


def stage(folder: Path, **changes: object) -> StageSource:
    one = StageSource(name="Build", start="scratch", folder=folder)
    return replace(one, **changes)  # type: ignore[arg-type]


def stage_text(folder: Path, *stages: StageSource, sources: tuple[Source, ...] = ()) -> list[str]:
    named = (*stages, *sources)
    trees = {one.name: SourceTree(name=one.name, tree=Sysroot(()), key=one.name) for one in named}
    return joined(write(folder, (*sources, *stages), trees, []))


def test_a_stage_says_what_the_recipe_says(tmp_path: Path) -> None:
    lines = stage_text(
        tmp_path,
        stage(
            tmp_path,
            env=(("A", "$x"),),
            workdir="/w",
            user="builder",
            cache=("/root/.cache",),
            run=("make", ("prog", "a b"), "one\ntwo", "cat <<EOF"),
        ),
    )
    start = lines.index("FROM scratch AS stage-build")
    assert lines[start + 1 : start + 9] == [
        'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin A="\\$x"',
        "WORKDIR /w",
        "RUN mkdir -p /root/.cache",
        "USER builder",
        "RUN make",
        'RUN ["prog", "a b"]',
        'RUN ["/bin/sh", "-c", "one\\ntwo"]',
        'RUN ["/bin/sh", "-c", "cat <<EOF"]',
    ]


def test_stages_stand_after_what_they_start_from(tmp_path: Path) -> None:
    first = stage(
        tmp_path, name="z", image=ImageAddress.parse("quay.io/x/y:1", tmp_path), start="quay.io/x/y:1"
    )
    second = stage(
        tmp_path, name="a", start="z", copy=(StageCopy(source="m", path="/f", dest="/g/", into=True),)
    )
    third = stage(tmp_path, name="m")
    lines = [line for line in stage_text(tmp_path, second, third, first) if line.startswith("FROM")]
    assert lines.index(f"FROM quay.io/x/y:1@{PIN} AS stage-z") < lines.index("FROM stage-z AS stage-a")
    assert lines.index("FROM scratch AS stage-m") < lines.index("FROM stage-z AS stage-a")


def test_files_of_the_context_get_the_modes_and_times_of_rootlet_and_lose_what_is_ignored(
    tmp_path: Path,
) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "one[1]").write_text("x")
    copies = (
        StageCopy(dest="/src", context=tmp_path / "src", ignore=(".git", "*.tmp", "**/cache")),
        StageCopy(dest="/etc", into=True, context=tmp_path / "one[1]"),
    )
    lines = stage_text(tmp_path, stage(tmp_path, copy=copies))
    text = " ".join(lines)
    assert 'COPY ["src/", "/files/0/src/"]' in lines
    assert "rm -rf /files/0/src/.git" in text
    assert "find /files/0/src -mindepth 1 -maxdepth 1 -name '*.tmp' -prune -exec rm -rf {} +" in text
    assert "find /files/0/src -mindepth 1 -name cache -prune -exec rm -rf {} +" in text
    assert "mv '/files/1/one[1]' /files/1-file" in text
    assert "chmod -R u=rwX,go=rX /files; find /files -exec touch -hd @946684800 {} +" in text
    assert 'COPY --from=stage-build-files ["/files/0/src/", "/src/"]' in lines
    assert 'COPY --from=stage-build-files ["/files/1-file", "/etc/one[1]"]' in lines


REFUSED: Mapping[str, tuple[dict[str, Any], str]] = {
    "secrets": ({"secrets": (StageSecret(id="token"),)}, "sources.Build.secrets: "),
    "an image of this machine": (
        {"image": ImageAddress.parse("oci:x", Path("/")), "start": "oci:x"},
        "sources.Build.from: ",
    ),
    "patterns that no common command knows": (
        {"copy": (StageCopy(dest="/s", context=Path(__file__).parent, ignore=("a/*/b",)),)},
        "sources.Build.copy.0.ignore: ",
    ),
    "patterns that take back": (
        {"copy": (StageCopy(dest="/s", context=Path(__file__).parent, ignore=("!keep",)),)},
        "sources.Build.copy.0.ignore: ",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_stage_cannot_say_is_refused_with_line_and_key(name: str) -> None:
    changes, key = REFUSED[name]
    folder = Path(__file__).parent
    one = stage(folder, **changes)
    trees = {"Build": SourceTree(name="Build", tree=Sysroot(()), key="x")}
    assert f"r.toml:3: {key}" in refused(folder, (one,), trees, [])


def test_a_stage_may_not_start_from_this_machine(tmp_path: Path) -> None:
    trees = {name: SourceTree(name=name, tree=Sysroot(()), key="x") for name in ("here", "Build")}
    said = refused(tmp_path, (HostSource(name="here"), stage(tmp_path, start="here")), trees, [])
    assert "r.toml:3: sources.Build.from: " in said


def test_the_system_of_a_stage_is_laid_and_configured(tmp_path: Path) -> None:
    os = DebianSource(name="os")
    trees = tree("Build")
    lines = joined(write(tmp_path, (os, stage(tmp_path, start="os", run=("true",))), trees, []))
    start = lines.index("FROM scratch AS stage-build")
    assert lines[start + 1] == "COPY --from=stage-build-system /system/ /"
    assert lines[start + 2] == "RUN set -eu; umask 022; sh /var/lib/rootlet-configure"


# ---- a base ------------------------------------------------------------------------------------------


def base(reference: str) -> PlannedBase:
    return PlannedBase(
        words="the base",
        layers=(),
        history=(),
        files=1,
        config=ImageConfig(),
        reference=ImageReference.parse(reference),
        digest=Digest.parse(PIN),
    )


def test_the_last_stage_starts_from_the_base_and_leaves_its_folders_as_they_are(tmp_path: Path) -> None:
    ground = Sysroot(
        (
            Node(path="/root", kind=Kind.DIRECTORY, mode=0o700, uid=0, gid=7),
            Node(path="/etc", kind=Kind.DIRECTORY, mode=0o755),
        )
    )
    made = Entry(path="/root/note", kind=Kind.FILE, mode=0o644, content=b"x\n", reason=REASON)
    text = " ".join(joined(write(tmp_path, (), {}, [made], base=(base("quay.io/b:1"), ground))))
    assert f"FROM quay.io/b:1@{PIN} COPY --from=image /image/ /" in text
    assert "chown -h 0:7 root;" in text
    assert "chmod 0700 root" in text


@pytest.mark.parametrize("changes", [{"reference": None}, {"digest": None}])
def test_a_base_that_others_do_not_have_is_refused(changes: dict[str, Any], tmp_path: Path) -> None:
    said = refused(tmp_path, (), {}, [], base=(replace(base("quay.io/b:1"), **changes), Sysroot(())))
    assert "r.toml:3: image.base: " in said

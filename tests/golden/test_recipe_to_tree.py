"""A whole recipe → plan → tree, as text. `ROOTLET_GOLDEN=write pytest tests/golden` writes the text anew."""

from __future__ import annotations

import difflib
import io
import os
import tarfile
from pathlib import Path

import pytest

from builder.elf.facts import ElfFacts
from builder.image.validate import validate
from builder.image.write import write_image
from builder.oci import Platform
from builder.plan.build import make_plan
from builder.plan.codec import plan_from_json, plan_to_json
from builder.plan.model import ImagePlan
from builder.progress import Silent
from builder.recipe.load import Request, read_recipe
from builder.recipe.model import Compression
from builder.runtime.resolve import resolve
from builder.runtime.rulebook import shipped_rules
from builder.sources.debian.tree import merged_tree
from builder.sources.local import local_files
from builder.stored.read import files, open_image
from tests.support.mkelf import GLIBC_X86_64, Spec, mkelf
from tests.support.packages import Dir, File, Link, copyright_of, make_package

GOLDEN = Path(__file__).with_name("app.tree")
AMD64 = Platform("linux", "amd64")
LIB = "/usr/lib/x86_64-linux-gnu"
RECIPE = """
schema = 1
name = "registry.example.com/shop/app"
tags = ["{version}", "latest"]
packages = ["app"]
entrypoint = ["/usr/bin/app"]
user = "app"
ports = [8080]

[vars]
version = "1.4.2"

[image.labels]
vendor = "shop"

[users.app]
uid = 10001
home = "/var/lib/app"
groups = ["audio"]

[groups.audio]
gid = 29

[runtime]
features = ["certificates"]
keep = ["/usr/share/dep/**"]
drop = ["/etc/app/samples/**"]

[config]
volumes = ["/data"]
healthcheck = { test = ["CMD", "/usr/bin/app", "--ping"], interval = "30s" }

[[install]]
context = "config"
to = "/etc/app/conf.d"
owner = "app"

[[file]]
path = "/etc/app/secret"
content = "s"
mode = "0640"
owner = "root:app"
"""


def packages(folder: Path) -> list[object]:
    loader = f"{LIB}/ld-linux-x86-64.so.2"
    folders = f"/lib/x86_64-linux-gnu/\0{LIB}/\0/lib/\0/usr/lib/\0".encode()
    return [
        make_package(
            folder,
            "app",
            {
                "/usr/bin/app": File(
                    content=mkelf(Spec(needed=("libdep.so.1", "libc.so.6"), interpreter=GLIBC_X86_64)),
                    mode=0o755,
                ),
                "/usr/bin/app-cli": File(hardlink="/usr/bin/app", mode=0o755),
                "/usr/bin/ping": File(
                    content=b"ping", mode=0o755, xattrs=(("security.capability", bytes(20)),)
                ),
                "/usr/bin/wall": File(content=b"wall", mode=0o2755, group=("tty", 5)),
                "/etc/app/app.conf": File(content=b"port = 8080\n", conffile=True),
                "/etc/app/samples/one": File(content=b"1"),
                "/usr/share/man/man1/app.1": File(content=b"man"),
                "/var/log/app": Dir(mode=0o2750, group=("adm", 4)),
                **copyright_of("app"),
            },
            newest=1_700_000_000,
        ),
        make_package(
            folder,
            "dep",
            {
                f"{LIB}/libdep.so.1": Link("libdep.so.1.2.3"),
                f"{LIB}/libdep.so.1.2.3": File(
                    content=mkelf(Spec(needed=("libc.so.6",), soname="libdep.so.1"))
                ),
                f"{LIB}/libdep-other.so.1": File(content=mkelf(Spec(soname="libdep-other.so.1"))),
                "/usr/share/dep/data.bin": File(content=b"data"),
                "/usr/share/doc/dep": Link("dep-common"),
            },
            version="1:2.0+b1",
            newest=1_710_000_000,
        ),
        make_package(folder, "dep-common", {**copyright_of("dep-common")}, newest=1_500_000_000),
        make_package(
            folder,
            "libc6",
            {
                "/lib64/ld-linux-x86-64.so.2": Link(f"../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"),  # noqa: F541 (beside its neighbours)
                loader: File(content=mkelf(Spec(soname="ld-linux-x86-64.so.2", rodata=folders)), mode=0o755),
                f"{LIB}/libc.so.6": File(content=mkelf(Spec(soname="libc.so.6")), mode=0o755),
                **copyright_of("libc6"),
            },
        ),
        make_package(
            folder,
            "base-files",
            {
                "/usr/lib/os-release": File(content=b'PRETTY_NAME="Debian"\nID=debian\nVERSION_ID="13"\n'),
                "/etc/os-release": Link("../usr/lib/os-release"),
                "/etc/debian_version": File(content=b"13.7\n", conffile=True),
                "/etc/motd": File(content=b"never needed"),
                **copyright_of("base-files"),
            },
        ),
        make_package(
            folder,
            "ca-certificates",
            {
                "/usr/share/ca-certificates/mozilla/B.crt": File(content=b"-----B-----"),
                "/usr/share/ca-certificates/mozilla/A.crt": File(content=b"-----A-----\n"),
                **copyright_of("ca-certificates"),
            },
        ),
        make_package(
            folder,
            "unused",
            {"/usr/bin/unused": File(content=b"x", mode=0o755), **copyright_of("unused")},
            newest=1_800_000_000,
        ),
    ]


@pytest.fixture
def plan(tmp_path: Path) -> ImagePlan:
    (tmp_path / "config").mkdir(mode=0o700)
    (tmp_path / "config" / "local.conf").write_text("debug = false\n")
    (tmp_path / "config" / "local.conf").chmod(0o600)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    document = read_recipe(
        tmp_path / "recipe.toml", Request(folder=tmp_path, machine=AMD64), fragments=tmp_path
    )
    recipe = document.recipe(AMD64)
    tree = merged_tree(packages(tmp_path))  # type: ignore[arg-type]  # a list of Package
    local = local_files(recipe.installs, recipe.files, tree)
    sysroot = tree.overlay(local.nodes())
    facts = ElfFacts(None)
    closure = resolve(recipe, sysroot, local, facts, shipped_rules())
    return make_plan(recipe, sysroot, closure, local, facts, epoch=None)


def tree_text(plan: ImagePlan) -> str:
    lines = [f"{plan.platform} {plan.distribution} created {plan.created}"]
    lines += [f"{package.name} {package.version}: {package.files} files" for package in plan.packages]
    for entry in plan.layers[0].entries:
        more = f" -> {entry.target}" if entry.target else f" = {entry.hardlink}" if entry.hardlink else ""
        more += f" {entry.size} B" if entry.size else ""
        more += f" {','.join(name for name, _ in entry.xattrs)}" if entry.xattrs else ""
        lines.append(
            f"{entry.kind.value:<9} {entry.mode:04o} {entry.uid}:{entry.gid} {entry.path}{more}"
            f"  [{entry.package or '-'}; {entry.reason}]"
        )
    return "".join(f"{line}\n" for line in lines)


def test_the_tree_is_the_golden_one(plan: ImagePlan) -> None:
    text = tree_text(plan)
    if os.environ.get("ROOTLET_GOLDEN") == "write":
        GOLDEN.write_text(text)
    golden = GOLDEN.read_text()
    difference = difflib.unified_diff(golden.splitlines(), text.splitlines(), "golden", "plan", lineterm="")
    assert text == golden, "\n".join(difference)


def test_the_plan_goes_to_json_and_back(plan: ImagePlan) -> None:
    assert plan_from_json(plan_to_json(plan)) == plan


def test_the_image_written_is_the_plan(plan: ImagePlan, tmp_path: Path) -> None:
    layout = tmp_path / "layout"
    image = write_image(plan, compression=Compression.GZIP, directory=layout, progress=Silent())
    assert validate(layout, plan=plan) == ()
    found = {file.path: file for file in files(open_image(layout))}
    assert list(found) == [entry.path for entry in plan.layers[0].entries if entry.path != "/"]
    assert image.layers[0].files == sum(entry.kind.value == "file" for entry in plan.layers[0].entries)


def content(plan: ImagePlan, path: str, layout: Path) -> str:
    image = write_image(plan, compression=Compression.NONE, directory=layout, progress=Silent())
    blob = layout / "blobs" / str(image.layers[0].descriptor.digest).replace(":", "/")
    with tarfile.open(fileobj=io.BytesIO(blob.read_bytes())) as tar:
        member = tar.extractfile(path)
        assert member is not None
        return member.read().decode()


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (
            "etc/passwd",
            (
                "root:x:0:0::/root:/usr/sbin/nologin\napp:x:10001:10001::/var/lib/app:/usr/sbin/nologin\n"
                "nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n"
            ),
        ),
        ("etc/group", "root:x:0:\nadm:x:4:\ntty:x:5:\naudio:x:29:app\napp:x:10001:\nnogroup:x:65534:\n"),
        ("etc/ssl/certs/ca-certificates.crt", "-----A-----\n-----B-----\n"),
        (
            "var/lib/dpkg/status.d/dep",
            "Package: dep\nSource: dep-src\nVersion: 1:2.0+b1\nArchitecture: amd64\nMaintainer: M <m@test>\n",
        ),
        (
            "var/lib/dpkg/status.d/base-files.md5sums",
            (
                "0ccaadd3ba9b6fcb8c3efdbe3ad7a1b8  etc/debian_version\n"
                "55a2b9d8d3a4ff1a6ab9fb10ff1a3d45  usr/lib/os-release\n"
                "e63b1d2f3e4ad0fb1b9ae4d5c6d0a3b1  usr/share/doc/base-files/copyright\n"
            ),
        ),
    ],
)
def test_what_rootlet_writes_itself(plan: ImagePlan, tmp_path: Path, path: str, text: str) -> None:
    found = content(plan, path, tmp_path / "layout")
    if path.endswith(".md5sums"):  # the sums themselves are md5sum's business: names and order are ours
        found, text = ("\n".join(line[32:] for line in part.splitlines()) for part in (found, text))
    assert found == text

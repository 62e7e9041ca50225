"""From requirements to a tree of installed distributions, against an index on loopback."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builder.errors import BuildError, MachineError, ResolutionError
from builder.oci import Platform
from builder.recipe.source_model import PythonSource
from builder.sources.debian.archive import Freshness
from builder.sources.pypi.source import python_tree
from builder.sources.supply import SourceTree, Supply
from builder.sysroot import Kind, read_content
from tests.support.debian_archive import NOW, Server, effects, serve
from tests.support.wheels import Listed, Wheel, record_sum, write_index

SITE = "/usr/local/lib/python3.13/dist-packages"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "site").mkdir()
    with serve(tmp_path / "site") as state:
        yield state


def source(server: Server, **options: Any) -> PythonSource:
    folder = server.root.parent
    given: dict[str, Any] = {"python": "3.13", "index": f"{server.url}/simple", "hashes": False}
    return PythonSource(name="deps", **{**given, "requirements": folder / "requirements.txt", **options})


def asks(server: Server, text: str) -> None:
    (server.root.parent / "requirements.txt").write_text(text)


def supplies(server: Server, *, offline: bool = False, now: float = NOW, arch: str = "amd64") -> Supply:
    return Supply(
        platform=Platform("linux", arch),
        mirrors=None,
        cache=server.root.parent / "cache",
        freshness=Freshness(max_age=100, offline=offline),
        effects=effects(now=lambda: now, retries=0),
    )


def tree_of(server: Server, text: str, *, offline: bool = False, **options: Any) -> SourceTree:
    asks(server, text)
    return python_tree(source(server, **options), supplies(server, offline=offline))


def installed(tree: SourceTree) -> list[str]:
    """Distributions by their .dist-info folders."""
    site = next(node.path.rpartition("/")[0] for node in tree.tree if node.path.endswith(".dist-info"))
    names = (name for name in tree.tree.children(site) if name.endswith(".dist-info"))
    return [name.removesuffix(".dist-info") for name in names]


def content(tree: SourceTree, path: str) -> bytes:
    node = tree.tree.get(path)
    assert node is not None, sorted(one.path for one in tree.tree)
    assert node.content is not None
    return read_content(node.content)


APP = Wheel(
    name="my-app",
    version="1.2",
    requires=("lib>=1", 'old; python_version < "3"', 'tls-lib; extra == "tls"', "LIB[more]"),
    files={
        "my_app/__init__.py": b"def main():\n    print('hello')\n",
        "my_app/tool.sh": b"#!/bin/sh\n",
        "my_app-1.2.data/scripts/legacy": b"#!python\nprint(1)\n",
        "my_app-1.2.data/scripts/shell": b"#!/bin/sh\ntrue\n",
        "my_app-1.2.data/data/share/my-app/x.txt": b"data",
        "my_app-1.2.data/headers/app.h": b"int x;",
        "my_app-1.2.data/purelib/extra_mod.py": b"y = 2\n",
        "my_app-1.2.dist-info/sboms/auditwheel.cdx.json": b"{}",
    },
    modes={"my_app/tool.sh": 0o755},
    entry_points="[console_scripts]\nmy-app = my_app:main\nApp.Sub=my_app.cli : App.run [tls]\n"
    "[gui_scripts]\nmy-gui = my_app:main\n",
)
LIB = Wheel(name="lib", version="1.5", requires=('more-lib; extra == "more"',))
MORE, TLS = Wheel(name="more-lib"), Wheel(name="tls-lib")


@pytest.mark.parametrize("form", ["json", "html"])
def test_requirements_are_resolved_with_extras_and_markers(server: Server, form: str) -> None:
    write_index(server.root, APP, LIB, Wheel(name="lib", version="0.9"), MORE, TLS, form=form)
    assert installed(tree_of(server, "my_app")) == ["lib-1.5", "more_lib-1.0", "my_app-1.2"]
    assert installed(tree_of(server, "My.App[tls]")) == [
        "lib-1.5",
        "more_lib-1.0",
        "my_app-1.2",
        "tls_lib-1.0",
    ]


def test_a_wheel_is_laid_out_as_pip_does_with_the_interpreter_of_the_image(server: Server) -> None:
    write_index(server.root, APP, LIB, MORE)
    tree = tree_of(server, "my-app")
    info = f"{SITE}/my_app-1.2.dist-info"
    files = {
        node.path: node.mode for node in tree.tree if node.kind is Kind.FILE and "lib-1" not in node.path
    }
    assert files == {
        f"{SITE}/my_app/__init__.py": 0o644,
        f"{SITE}/my_app/tool.sh": 0o755,
        f"{SITE}/extra_mod.py": 0o644,
        f"{SITE}/lib.py": 0o644,
        f"{SITE}/more_lib.py": 0o644,
        **{f"{info}/{name}": 0o644 for name in ("METADATA", "WHEEL", "RECORD", "INSTALLER", "REQUESTED")},
        f"{info}/entry_points.txt": 0o644,
        f"{info}/sboms/auditwheel.cdx.json": 0o644,
        "/usr/local/bin/my-app": 0o755,
        "/usr/local/bin/App.Sub": 0o755,
        "/usr/local/bin/my-gui": 0o755,
        "/usr/local/bin/legacy": 0o755,
        "/usr/local/bin/shell": 0o755,
        "/usr/local/share/my-app/x.txt": 0o644,
        "/usr/local/include/python3.13/my_app/app.h": 0o644,
    }
    assert content(tree, "/usr/local/bin/my-app").startswith(b"#!/usr/bin/python3.13\n")
    assert b"from my_app.cli import App\n" in content(tree, "/usr/local/bin/App.Sub")
    assert b"sys.exit(App.run())" in content(tree, "/usr/local/bin/App.Sub")
    assert content(tree, "/usr/local/bin/legacy") == b"#!/usr/bin/python3.13\nprint(1)\n"
    assert content(tree, "/usr/local/bin/shell").startswith(b"#!/bin/sh")
    assert content(tree, f"{info}/INSTALLER") == b"rootlet\n"
    assert tree.tree.get(f"{SITE}/lib-1.5.dist-info/REQUESTED") is None
    rows = list(csv.reader(io.StringIO(content(tree, f"{info}/RECORD").decode())))
    assert rows == sorted(rows)
    recorded = {row[0]: row[1:] for row in rows}
    assert recorded["my_app-1.2.dist-info/RECORD"] == ["", ""]
    assert recorded["../../../bin/my-app"] == [
        record_sum(content(tree, "/usr/local/bin/my-app")),
        str(len(content(tree, "/usr/local/bin/my-app"))),
    ]
    named = {
        path.removeprefix(f"{SITE}/") for path in files if path.startswith((f"{SITE}/my", f"{SITE}/extra"))
    }
    assert named <= recorded.keys()
    assert len(recorded) == len(
        [path for path in files if "/lib.py" not in path and "/more_lib.py" not in path]
    )


def test_the_layout_follows_the_folder_that_the_recipe_names(server: Server) -> None:
    write_index(server.root, LIB)
    tree = tree_of(server, "lib", site="/opt/app/lib", interpreter="/opt/python")
    assert content(tree, "/opt/app/lib/lib.py")
    assert installed(tree) == ["lib-1.5"]


def test_programs_run_and_records_are_what_pythons_own_library_reads(server: Server, tmp_path: Path) -> None:
    write_index(server.root, APP, LIB, MORE)
    tree = tree_of(server, "my-app", python="3.13", interpreter=sys.executable)
    for node in tree.tree:
        place = tmp_path / "image" / node.path[1:]
        if node.content is not None:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(read_content(node.content))
            place.chmod(node.mode)
    site = str(tmp_path / "image" / SITE[1:])
    program = str(tmp_path / "image/usr/local/bin/my-app")
    environment = {"PYTHONPATH": site, "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run([program], env=environment, check=True, capture_output=True, text=True)
    assert ran.stdout == "hello\n"
    code = (
        "import importlib.metadata as m; d = m.distribution('my-app')\n"
        "print(d.version, all(f.locate().exists() for f in d.files), d.read_text('INSTALLER'))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
    )
    assert ran.stdout.split() == ["1.2", "True", "rootlet"]


def test_versions_are_chosen_as_pip_does(server: Server) -> None:
    new = Wheel(name="lib", version="2.0", requires_python=">=3.14")
    beta = Wheel(name="lib", version="1.9b1")
    foreign = Wheel(name="lib", version="1.8", tag="cp313-cp313-win_amd64")
    bad = Listed(wheel=Wheel(name="lib", version="1.7"), yanked="broken")
    write_index(
        server.root,
        LIB,
        new,
        beta,
        foreign,
        bad,
        Listed(sdist="lib-1.6.tar.gz"),
        Wheel(name="lib", version="1.0"),
    )
    for text, version in (("lib", "1.5"), ("lib==1.7", "1.7"), ("lib<1.5", "1.0"), ("lib>=1.9b1", "1.9b1")):
        assert installed(tree_of(server, text)) == [f"lib-{version}"]
    (server.root.parent / "c.txt").write_text("lib<1.5\n")
    assert installed(tree_of(server, "lib\n-c c.txt")) == ["lib-1.0"]


def test_conflicts_are_resolved_by_going_back_or_explained(server: Server) -> None:
    write_index(
        server.root,
        Wheel(name="a", version="2", requires=("lib<1",)),
        Wheel(name="a", version="1", requires=("lib",)),
        Wheel(name="b", requires=("lib>=1",)),
        LIB,
        Wheel(name="lib", version="0.5"),
    )
    assert installed(tree_of(server, "a\nb")) == ["a-1", "b-1.0", "lib-1.5"]
    with pytest.raises(ResolutionError, match=r"cannot be had together:\n  lib<1 \(wanted by a 2\)"):
        tree_of(server, "a==2\nb")


@pytest.mark.parametrize(
    ("files", "text", "words"),
    [
        ((), "lib", r"lib has no wheel .*: no index has it"),
        ((Listed(sdist="lib-1.6.tar.gz"),), "lib", "there is only a source archive"),
        (
            (Wheel(name="lib", tag="cp312-cp312-manylinux_2_28_x86_64"),),
            "lib",
            "none of lib-1.0-cp312-cp312-manylinux_2_28_x86_64.whl is for Python 3.13 on x86_64",
        ),
        ((LIB,), "lib @ https://nowhere.test/lib-1.5.tar.gz", "is no wheel of lib"),
        ((LIB,), "lib @ git+https://nowhere.test/lib", "is no wheel of lib"),
    ],
)
def test_what_has_no_wheel_is_named_with_the_way_out(
    server: Server, files: tuple[Wheel | Listed, ...], text: str, words: str
) -> None:
    write_index(server.root, *files)
    with pytest.raises(ResolutionError, match=words) as caught:
        tree_of(server, text)
    assert "stage" in (caught.value.hint or "")


def test_hashes_are_required_and_honoured(server: Server) -> None:
    write_index(server.root, Wheel(name="a", requires=("lib",)), LIB, Wheel(name="lib", version="9"))
    first, second = Wheel(name="a", requires=("lib",)).sha256, LIB.sha256
    with pytest.raises(ResolutionError, match=r"a==1.0 \(requirements.txt:1\) has no SHA-256 hash"):
        tree_of(server, "a==1.0", hashes=True)
    with pytest.raises(ResolutionError, match=r"lib, which a 1\.0 needs, has no SHA-256 hash"):
        tree_of(server, f"a==1.0 --hash=sha256:{first}", hashes=True)
    tree = tree_of(
        server,
        f"a==1.0 --hash=sha256:{first}\nlib --hash=sha256:{second} --hash=sha256:{'0' * 64}",
        hashes=True,
    )
    assert installed(tree) == ["a-1.0", "lib-1.5"]
    assert tree.fresh_until == float("inf")
    with pytest.raises(ResolutionError, match="no wheel"):
        tree_of(server, f"lib --hash=sha256:{'0' * 64}", hashes=True)


def test_a_wheel_at_an_address_is_taken_and_says_so(server: Server) -> None:
    write_index(server.root, LIB)
    url = f"{server.url}/files/{LIB.filename}"
    tree = tree_of(server, f"lib @ {url}#sha256={LIB.sha256}", hashes=True)
    direct = json.loads(content(tree, f"{SITE}/lib-1.5.dist-info/direct_url.json"))
    assert direct == {"url": url, "archive_info": {"hashes": {"sha256": LIB.sha256}}}
    with pytest.raises(BuildError, match="was promised"):
        tree_of(server, f"lib @ {url}#sha256={'1' * 64}", hashes=True)


def test_no_hash_is_got_around(server: Server, tmp_path: Path) -> None:
    write_index(server.root, LIB, Wheel(name="a", requires=(f"lib @ {server.url}/files/{LIB.filename}",)))
    url, first = (
        f"{server.url}/files/{LIB.filename}",
        Wheel(name="a", requires=(f"lib @ {server.url}/files/{LIB.filename}",)),
    )
    with pytest.raises(ResolutionError, match=r"lib, which a 1\.0 needs, has no SHA-256"):
        tree_of(server, f"a --hash=sha256:{first.sha256}", hashes=True)
    with pytest.raises(BuildError, match=f"{'1' * 64} was asked for"):
        tree_of(server, f"lib @ {url} --hash=sha256:{'1' * 64}", hashes=True)
    assert installed(tree_of(server, f"lib @ {url} --hash=sha256:{LIB.sha256}", hashes=True)) == ["lib-1.5"]
    links = tmp_path / "wheels"  # nobody says the hashes of files in a folder
    links.mkdir()
    (links / "lib-2.0-py3-none-any.whl").write_bytes(Wheel(name="lib", version="2.0").build())
    tree = tree_of(server, f"lib --hash=sha256:{LIB.sha256}", hashes=True, links=str(links))
    assert installed(tree) == ["lib-1.5"]


def test_metadata_that_does_not_lie_beside_a_wheel_is_read_from_it(server: Server) -> None:
    write_index(server.root, Listed(wheel=APP, beside=False), LIB, MORE)
    assert installed(tree_of(server, "my-app")) == ["lib-1.5", "more_lib-1.0", "my_app-1.2"]


def test_offline_works_with_what_is_cached_and_answers_grow_old(server: Server) -> None:
    write_index(server.root, LIB)
    first = tree_of(server, "lib")
    assert first.fresh_until == NOW + 100
    asked = len(server.requests)
    assert tree_of(server, "lib").key == first.key
    assert len(server.requests) == asked
    write_index(server.root, LIB, Wheel(name="lib", version="1.6"))
    assert installed(tree_of(server, "lib")) == ["lib-1.5"]
    later = python_tree(source(server), supplies(server, now=NOW + 200))
    assert installed(later) == ["lib-1.6"]
    assert installed(tree_of(server, "lib", offline=True)) == ["lib-1.6"]
    with pytest.raises(MachineError, match="--offline"):
        tree_of(server, "other", offline=True)


def test_a_folder_of_wheels_is_looked_at_and_its_change_is_noticed(server: Server, tmp_path: Path) -> None:
    links = tmp_path / "wheels"
    links.mkdir()
    (links / LIB.filename).write_bytes(LIB.build())
    tree = tree_of(server, "lib", links=str(links))
    assert installed(tree) == ["lib-1.5"]
    assert str(links) in {path for path, *_ in tree.stamps()}
    newer = Wheel(name="lib", version="3")
    (links / newer.filename).write_bytes(newer.build())
    assert installed(tree_of(server, "lib", links=str(links))) == ["lib-3"]


def test_the_same_choice_is_the_same_tree_whoever_makes_it(server: Server, tmp_path: Path) -> None:
    write_index(server.root, APP, LIB, MORE)
    first = tree_of(server, "my-app")
    one = (tmp_path / "cache/trees" / f"{first.key}.packed").read_bytes()
    other = replace(supplies(server), cache=tmp_path / "other")
    second = python_tree(source(server), other)
    strip = str(tmp_path).encode()
    assert second.key == first.key
    assert (tmp_path / "other/trees" / f"{first.key}.packed").read_bytes() == one
    assert strip not in one


@pytest.mark.parametrize(
    ("wheel", "words"),
    [
        (replace(LIB, sums={"lib.py": record_sum(b"other")}), "has other bytes for .*lib.py than its RECORD"),
        (replace(LIB, unlisted=("lib.py",)), "which its RECORD does not list"),
        (
            replace(LIB, says=b"Metadata-Version: 2.1\nName: lib\nVersion: 9\n"),
            "says of itself that it is lib 9",
        ),
        (replace(LIB, says=b"Metadata-Version: 2.1\nName: bil\nVersion: 1.5\n"), "that it is bil 1.5"),
        (replace(LIB, says=b"nonsense"), "that it is nothing"),
        (replace(LIB, wheel_version="2.0"), "is of version 2.0 of the format"),
        (replace(LIB, files={"../evil.py": b""}), "leaves it"),
        (replace(LIB, files={"/evil.py": b""}), "leaves it"),
        (replace(LIB, files={"lib-1.5.data/evil/x": b""}), "belongs to no scheme"),
        (replace(LIB, entry_points="[console_scripts]\n../x = a:b\n"), "an entry point that is none"),
        (
            replace(LIB, entry_points="[console_scripts]\nx = a:b();import os\n"),
            "an entry point that is none",
        ),
        (replace(LIB, entry_points="[console_scripts]\nx = a\n"), "an entry point that is none"),
        (replace(LIB, entry_points="no section"), "damaged entry_points.txt"),
        (
            replace(
                LIB,
                files={"lib-1.5.data/scripts/x": b"", "a.py": b""},
                entry_points="[console_scripts]\nx = a:b\n",
            ),
            "brings /usr/local/bin/x twice",
        ),
    ],
)
def test_hostile_wheels_are_refused(server: Server, wheel: Wheel, words: str) -> None:
    write_index(server.root, wheel)
    with pytest.raises(BuildError, match=words):
        tree_of(server, "lib")
    assert not list((server.root.parent / "cache/trees").glob("*.packed"))


def test_a_wheel_that_is_none_and_bytes_that_were_changed_are_refused(server: Server) -> None:
    write_index(server.root, LIB)
    (server.root / "files" / LIB.filename).write_bytes(b"no wheel")
    with pytest.raises(BuildError, match="was promised"):
        tree_of(server, "lib")
    (server.root / "simple/lib/index.html").write_text(f'<a href="../../files/{LIB.filename}">x</a>')
    with pytest.raises(BuildError, match="is no sound zip archive"):
        python_tree(source(server), supplies(server, now=NOW + 500))


def test_files_of_two_wheels_at_one_path_are_there_once(server: Server) -> None:
    one = Wheel(name="aa", files={"tests/__init__.py": b"1", "aa.py": b""})
    two = Wheel(name="bb", files={"tests/__init__.py": b"2", "bb.py": b""})
    write_index(server.root, one, two)
    assert content(tree_of(server, "bb\naa"), f"{SITE}/tests/__init__.py") == b"2"


def test_byte_code_is_made_by_the_images_version_alone_and_always_the_same(server: Server) -> None:
    own = f"{sys.version_info[0]}.{sys.version_info[1]}"
    code = Wheel(
        name="code", files={"code_x.py": b"def f(a, b=(1, 'x')):\n    return a\n", "bad.py": b"def ("}
    )
    write_index(server.root, code)
    tree = tree_of(server, "code", python=own, bytecode=True)
    (path,) = [node.path for node in tree.tree if node.path.endswith(".pyc")]
    body = content(tree, path)
    assert path.endswith(f"/__pycache__/code_x.cpython-{own.replace('.', '')}.pyc")
    assert body[4:8] == b"\x01\0\0\0"
    site = path.rpartition("/__pycache__")[0]
    assert "__pycache__/code_x" in content(tree, f"{site}/code-1.0.dist-info/RECORD").decode()
    script = (
        "import sys, hashlib\nfrom pathlib import Path\n"
        "from builder.sources.pypi.bytecode import Compiler\nfrom builder.sources.pypi.target import Target\n"
        f"c = Compiler(Target(machine='x', python='{own}', full='{own}.0', libc=''))\n"
        f"body = dict(c.compiled('{site}/code_x.py', Path(sys.argv[1]).read_bytes()))\n"
        "print(hashlib.sha256(*body.values()).hexdigest())\n"
    )
    (server.root / "x.py").write_bytes(code.files["code_x.py"])
    ran = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", script, str(server.root / "x.py")],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert ran.stdout.strip() == hashlib.sha256(body).hexdigest()
    with pytest.raises(MachineError, match="is made by that version only"):
        tree_of(server, "code", python="3.9", bytecode=True)

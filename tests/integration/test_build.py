"""What `rootlet build` promises: one digest everywhere, names last, exit codes, and no litter."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.tools import REPOSITORY, need, python_of_all, rootlet

pytestmark = [pytest.mark.network, pytest.mark.tools]

RECIPE = REPOSITORY / "recipes/redis.toml"
AGE = ("--max-database-age", "any")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("database")
    rootlet("database", "--database", folder, "import", REPOSITORY / "tests/data/osv", cwd=folder)
    return folder


def digest_of(layout: Path) -> str:
    digest: str = json.loads((layout / "index.json").read_text())["manifests"][0]["digest"]
    return digest


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def readable_by_all(folder: Path) -> None:
    subprocess.run(["chmod", "-R", "a+rwX", folder], check=True)


def test_one_digest_in_two_folders_as_root_and_as_a_user_with_another_umask_and_zone(database: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are closed to other users
        Path(folder).chmod(0o755)
        _check_digests(Path(folder), database)


def _check_digests(base: Path, database: Path) -> None:
    digests = {}
    variants: dict[str, tuple[list[str], Mapping[str, str], int]] = {
        "first": ([], {"TZ": "UTC"}, 0o022),
        "second": ([], {"TZ": "Pacific/Kiritimati", "LC_ALL": "C"}, 0o077),
    }
    if os.geteuid() == 0:
        need("setpriv")
        user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        variants["user"] = (user, {"TZ": "America/New_York", "HOME": "/nonexistent"}, 0o027)
    for name, (prefix, environment, umask) in variants.items():
        folder = base / name
        folder.mkdir()
        shutil.copytree(database, folder / "db")
        readable_by_all(folder)
        before = os.umask(umask)
        try:
            rootlet(
                *("build", RECIPE, *AGE, "--database", folder / "db", "--cache", folder / "cache"),
                cwd=folder,
                environment=environment,
                prefix=prefix,
                python=python_of_all() if prefix else sys.executable,
            )
        finally:
            os.umask(before)
        digests[name] = digest_of(folder / "dist/redis")
    assert len(set(digests.values())) == 1, digests


def test_an_unchanged_build_does_nothing_and_a_lost_blob_is_made_again(
    tmp_path: Path, database: Path
) -> None:
    arguments = ("build", RECIPE, *AGE, "--database", database)
    first = rootlet(*arguments, cwd=tmp_path)
    again = rootlet(*arguments, cwd=tmp_path)
    assert "unchanged in" in again.stderr
    assert again.stdout == first.stdout
    blob = max((tmp_path / "dist/redis/blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    blob.unlink()
    mended = rootlet(*arguments, cwd=tmp_path)
    assert "unchanged in" not in mended.stderr
    assert mended.stdout == first.stdout
    assert blob.is_file()


def test_a_foreign_architecture_needs_nothing_special(tmp_path: Path, database: Path) -> None:
    done = rootlet(
        *("build", REPOSITORY / "recipes/sqlite3.toml", *AGE, "--database", database),
        *("--platform", "linux/amd64", "--platform", "linux/arm64", "--json", "--no-test"),
        cwd=tmp_path,
    )
    assert "not tested" in done.stderr
    summary = json.loads(done.stdout)
    assert [platform["platform"] for platform in summary["platforms"]] == ["linux/amd64", "linux/arm64"]
    index = json.loads((tmp_path / "dist/sqlite3/index.json").read_text())["manifests"][0]
    assert index["mediaType"] == "application/vnd.oci.image.index.v1+json"
    inner = json.loads((tmp_path / "dist/sqlite3/blobs" / index["digest"].replace(":", "/")).read_text())
    assert [one["platform"]["architecture"] for one in inner["manifests"]] == ["amd64", "arm64"]


def write_recipe(folder: Path, more: str = "") -> Path:
    path = folder / "recipe.toml"
    path.write_text(f'schema = 1\nname = "small"\nsuite = "trixie"\npackages = ["busybox-static"]\n{more}')
    return path


def test_no_data_is_exit_8_and_leaves_nothing(tmp_path: Path) -> None:
    write_recipe(tmp_path)
    done = rootlet("build", "recipe.toml", "--database", tmp_path / "none", cwd=tmp_path, status=8)
    assert "rootlet database update" in done.stderr
    assert done.stdout == ""
    assert tree(tmp_path) == ["recipe.toml"]


def test_a_finding_over_the_limit_is_exit_5_and_leaves_the_old_image(tmp_path: Path, database: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    text = 'schema = 1\nname = "old"\nsuite = "trixie"\npackages = ["sqlite3"]\n'
    recipe.write_text(text)
    rootlet("build", recipe, *AGE, "--database", database, cwd=tmp_path)
    before = tree(tmp_path / "dist")
    recipe.write_text(text + '[scan]\nfail_on = "low"\n[config]\nenv = { A = "1" }\n')
    done = rootlet("build", recipe, *AGE, "--database", database, cwd=tmp_path, status=5)
    assert "CVE-" in done.stderr
    assert done.stdout == ""
    assert tree(tmp_path / "dist") == before


def test_a_waiver_with_a_reason_lets_the_image_through_until_its_day(tmp_path: Path, database: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    text = 'schema = 1\nname = "waived"\nsuite = "trixie"\npackages = ["sqlite3"]\n[scan]\nfail_on = "low"\n'
    recipe.write_text(text)
    arguments = ("build", recipe, *AGE, "--database", database)
    done = rootlet(*arguments, cwd=tmp_path, status=5)
    found = sorted({word for word in done.stderr.split() if word.startswith("CVE-")})
    waivers = ", ".join(
        f'{{ id = "{one.strip(",")}", reason = "test", expires = 2999-01-01 }}' for one in found
    )
    recipe.write_text(f"{text}ignore = [{waivers}]\n")
    assert "waived" in rootlet(*arguments, cwd=tmp_path).stderr
    recipe.write_text(f"{text}ignore = [{waivers.replace('2999', '2020')}]\n")
    assert "ran out on 2020-01-01" in rootlet(*arguments, cwd=tmp_path, status=5).stderr


@pytest.mark.parametrize(
    ("more", "status", "words"),
    [
        ('entrypont = ["/bin/busybox"]\n', 2, 'did you mean "entrypoint"'),
        ('entrypoint = ["/bin/busybok"]\n', 3, "nearest: "),
        ('user = "ghost"\n', 3, "ghost"),
    ],
)
def test_errors_have_their_exit_code_and_say_what_to_do(
    tmp_path: Path, database: Path, more: str, status: int, words: str
) -> None:
    write_recipe(tmp_path, more)
    done = rootlet("build", "recipe.toml", *AGE, "--database", database, cwd=tmp_path, status=status)
    assert words in done.stderr.replace("'", '"')
    assert tree(tmp_path) == ["recipe.toml"]


def test_a_missing_package_names_the_nearest(tmp_path: Path, database: Path) -> None:
    (tmp_path / "recipe.toml").write_text(
        'schema = 1\nname = "x"\nsuite = "trixie"\npackages = ["redis-sever"]\n'
    )
    done = rootlet("build", "recipe.toml", "--database", database, cwd=tmp_path, status=3)
    assert "redis-sever" in done.stderr
    assert "redis-server" in done.stderr


def test_killed_at_any_moment_it_leaves_no_name_and_the_next_build_works(
    tmp_path: Path, database: Path
) -> None:
    arguments = [
        sys.executable,
        "-m",
        "builder",
        "build",
        str(RECIPE),
        *AGE,
        "--database",
        str(database),
        "--force",
    ]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    rootlet(
        "build", RECIPE, *AGE, "--database", database, "--to", "oci:warm", cwd=tmp_path
    )  # packages are cached
    shutil.rmtree(tmp_path / "warm")
    for number, delay in enumerate((0.05, 0.2, 0.3, 0.4, 0.5, 0.6)):
        how = signal.SIGINT if number % 2 else signal.SIGKILL
        process = subprocess.Popen(
            arguments, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        time.sleep(delay)
        process.send_signal(how)
        output, _ = process.communicate()
        index = tmp_path / "dist/redis/index.json"
        if output:
            break  # it was faster
        assert not index.exists() or json.loads(index.read_text())["manifests"]
        if how is signal.SIGINT:
            assert process.returncode in (130, -signal.SIGINT)  # the latter before anything was started
            assert not list(tmp_path.glob("dist/.rootlet-*"))
    rootlet("build", RECIPE, *AGE, "--database", database, cwd=tmp_path)
    assert [path for path in tree(tmp_path) if path.count("/") < 2] == ["dist", "dist/redis"] or tree(
        tmp_path / "dist"
    )[0] == "redis"
    assert not list(tmp_path.glob("dist/.rootlet-*"))


def test_storage_gets_the_image_under_its_name(tmp_path: Path, database: Path) -> None:
    need("skopeo", "podman")
    name = f"rootlet-test-{os.getpid()}"
    recipe = write_recipe(tmp_path)
    recipe.write_text(recipe.read_text().replace('"small"', f'"{name}"'))
    try:
        done = rootlet(
            "build",
            recipe,
            *AGE,
            "--database",
            database,
            "--to",
            "storage",
            "--to",
            "docker-archive:x.tar",
            cwd=tmp_path,
        )
        shown = subprocess.run(
            ["podman", "image", "inspect", f"localhost/{name}:latest", "--format", "{{.Id}}"],
            capture_output=True,
            text=True,
            check=True,
        )
        summary = json.loads(
            rootlet(
                "build", recipe, *AGE, "--database", database, "--json", "--to", "oci:x", cwd=tmp_path
            ).stdout
        )
        assert summary["platforms"][0]["config"] == f"sha256:{shown.stdout.strip()}"
        assert (tmp_path / "x.tar").is_file()
        assert f"localhost/{name}:latest" in done.stderr
    finally:
        subprocess.run(["podman", "rmi", "-f", f"localhost/{name}:latest"], capture_output=True, check=False)


def test_it_works_with_nothing_on_the_path(tmp_path: Path, database: Path) -> None:
    empty = tmp_path / "bin"
    empty.mkdir()
    done = rootlet(
        *("build", RECIPE, *AGE, "--database", database, "--cache", tmp_path / "cache"),
        cwd=tmp_path,
        environment={"PATH": str(empty)},
    )
    assert done.stdout.startswith("redis:8@sha256:")

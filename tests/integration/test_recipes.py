"""Every shipped recipe, built by the command line, and run: read-only root, no network but the loopback."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builder.image.validate import validate
from tests.support import inside
from tests.support.built import Built
from tests.support.tools import REPOSITORY, need, roomy

pytestmark = [pytest.mark.network, pytest.mark.tools]

RECIPES = sorted(path.stem for path in (REPOSITORY / "recipes").glob("*.toml"))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return Built(tmp_path_factory)


@pytest.fixture(scope="module")
def image(
    built: Built, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], inside.Unpacked]]:
    """Builds a recipe once, and unpacks it."""
    need("bwrap", "tar", "unshare")
    with roomy(tmp_path_factory.mktemp("recipes")) as folder:
        yield functools.cache(lambda name: inside.unpack(built.layout(name), folder / f"root-{name}"))


@pytest.mark.parametrize("name", RECIPES)
def test_the_image_is_valid_and_names_what_it_holds(
    name: str, image: Callable[[str], inside.Unpacked], built: Built
) -> None:
    unpacked = image(name)
    assert validate(built.layout(name)) == ()
    assert (unpacked.root / "etc/os-release").read_text().startswith("PRETTY_NAME=")
    assert (unpacked.root / "etc/debian_version").read_text().startswith("13.")
    for record in (unpacked.root / "var/lib/dpkg/status.d").glob("*.md5sums"):
        for line in record.read_text().splitlines():
            path = line.partition("  ")[2]
            assert (unpacked.root / path).is_file(), f"{record.name} lists {path}, which is not in the image"
        package = record.name.removesuffix(".md5sums")
        assert (unpacked.root / "usr/share/doc" / package / "copyright").is_file(), package
    assert f"`{name}:latest`" in built.summary(name)


def test_redis_answers_ping_and_is_under_ten_megabytes(
    image: Callable[[str], inside.Unpacked], built: Built
) -> None:
    answer = inside.ask(
        image("redis"), port=6379, question=b"SET greeting hello\r\nGET greeting\r\nPING\r\nQUIT\r\n"
    )
    assert answer == b"+OK\r\n$5\r\nhello\r\n+PONG\r\n+OK\r\n"
    blobs = (built.layout("redis") / "blobs/sha256").iterdir()
    assert sum(blob.stat().st_size for blob in blobs) < 10_000_000


def test_nginx_serves_a_page(image: Callable[[str], inside.Unpacked]) -> None:
    answer = inside.ask(image("nginx"), port=8080, question=b"GET / HTTP/1.0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Welcome to nginx!" in answer


def test_the_flask_service_answers_http(image: Callable[[str], inside.Unpacked]) -> None:
    answer = inside.ask(image("flask"), port=8000, question=b"GET / HTTP/1.0\r\n\r\n")
    assert answer.startswith((b"HTTP/1.0 200 OK\r\n", b"HTTP/1.1 200 OK\r\n"))
    assert answer.endswith(b"hello from a minimal image\n")


def test_python_finds_its_modules_and_their_libraries(image: Callable[[str], inside.Unpacked]) -> None:
    program = (
        "import ssl, sqlite3, ctypes, zoneinfo, lzma, bz2, uuid, json, decimal, curses, readline, hashlib;"
        "print(zoneinfo.ZoneInfo('Europe/Berlin'), ssl.OPENSSL_VERSION);"
        "print(sqlite3.connect(':memory:').execute('select 6*7').fetchone())"
    )
    output = inside.run(image("flask"), argv=["/usr/bin/python3", "-c", program])
    assert "Europe/Berlin" in output
    assert "(42,)" in output


def test_curl_has_its_protocols_and_certificates(image: Callable[[str], inside.Unpacked]) -> None:
    unpacked = image("curl")
    assert "https" in inside.run(unpacked, ["--version"])
    bundle = (unpacked.root / "etc/ssl/certs/ca-certificates.crt").read_text()
    assert bundle.count("BEGIN CERTIFICATE") == bundle.count("END CERTIFICATE") > 100


def test_sqlite3_answers_a_query(image: Callable[[str], inside.Unpacked]) -> None:
    assert (
        inside.run(image("sqlite3"), [":memory:", "select sqlite_version(), 6 * 7;"]).strip().endswith("|42")
    )


def test_busybox_has_a_shell_with_applets(image: Callable[[str], inside.Unpacked]) -> None:
    assert inside.run(image("busybox"), argv=["/bin/sh", "-c", "ls / | grep -c etc; id -u"]).split() == [
        "1",
        "0",
    ]


def test_podman_runs_the_redis_image_read_only_without_network(built: Built) -> None:
    need("podman", "runc")
    layout = built.layout("redis")
    limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]
    safe = ["--network=none", "--read-only", "--cap-drop=all", "--security-opt=no-new-privileges"]
    # A store of this test's own; podman wants a path below 50 characters.
    with tempfile.TemporaryDirectory(prefix="rl-", ignore_cleanup_errors=True) as short:
        store = ["--root", f"{short}/root", "--runroot", f"{short}/run", "--storage-driver", "vfs"]
        podman = ["podman", *store, "--runtime", "runc", "--cgroup-manager=cgroupfs", "--events-backend=none"]
        done = subprocess.run(
            [*podman, "run", "--rm", *limits, *safe, f"oci:{layout}:latest", "--version"],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.stdout.startswith("Redis server v=8."), done.stderr


def test_umoci_and_skopeo_accept_the_redis_image(built: Built, tmp_path: Path) -> None:
    need("umoci", "skopeo")
    layout = built.layout("redis")
    options = ["--rootless"] if os.geteuid() else []
    subprocess.run(
        ["umoci", "unpack", *options, "--image", f"{layout}:latest", tmp_path / "bundle"], check=True
    )
    assert (tmp_path / "bundle/rootfs/usr/bin/redis-check-rdb").is_file()
    shown = subprocess.run(["skopeo", "inspect", f"oci:{layout}:latest"], capture_output=True, check=True)
    assert json.loads(shown.stdout)["Architecture"] in ("amd64", "arm64")

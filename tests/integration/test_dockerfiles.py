"""Dockerfiles that rootlet writes, built by others: the same files and configuration as rootlet's images."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support import engines
from tests.support.registry import real_registry
from tests.support.tools import REPOSITORY, full_run, need, rootlet

pytestmark = [pytest.mark.network, pytest.mark.tools]

RECIPES = sorted(path.stem for path in (REPOSITORY / "recipes").glob("*.toml"))
SAMPLE = ("busybox", "caddy", "nginx", "python", "sftp")
"""Of every kind: links, a CA bundle, settings, thousands of paths, accounts and setgid programs."""
NET_RAW = "\x01\0\0\x02\0\x20" + "\0" * 14
"""cap_net_raw=ep, as the kernel keeps it."""
EXAMPLES = sorted(path.parent.name for path in (REPOSITORY / "examples").glob("*/recipe.toml"))
DOCKER_SAMPLE = ("busybox", "memcached", "nginx", "sqlite3")

# Debian's Essential packages: what Debian's own image has besides apt.
ESSENTIAL = (
    *(
        "base-files",
        "base-passwd",
        "bash",
        "bsdutils",
        "coreutils",
        "dash",
        "debianutils",
        "diffutils",
        "dpkg",
    ),
    *("findutils", "grep", "gzip", "hostname", "init-system-helpers", "libc-bin", "ncurses-bin", "perl-base"),
    *("sed", "sysvinit-utils", "tar", "util-linux"),
)


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A folder with vulnerability data, and a registry with the image that unpacks packages."""

    folder: Path
    unpack: str
    buildah: engines.Buildah

    def dockerfile(self, recipe: Path, folder: Path, *options: str) -> Path:
        """Write the Dockerfile of a recipe."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "Dockerfile"
        rootlet(
            "dockerfile", recipe, "-q", "-o", path, "--unpack-image", self.unpack, *options, cwd=self.folder
        )
        return path

    def build(self, builder: str, dockerfile: Path, request: pytest.FixtureRequest, to: Path) -> None:
        """Build in the folder of the Dockerfile."""
        if builder == "buildah":
            self.buildah.build(dockerfile, dockerfile.parent, to)
            return
        docker: engines.Docker = request.getfixturevalue("docker")
        docker.build(dockerfile, dockerfile.parent, to, buildkit=builder == "buildkit")

    def same(self, recipe: Path, image: Path, *options: str) -> None:
        """Hold an image against what rootlet would build, times included."""
        done = subprocess.run(
            [
                *(sys.executable, "-m", "builder"),
                "diff",
                "-q",
                "--exit-code",
                "--times",
                recipe,
                f"docker-archive:{image}",
                *options,
            ],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr
        assert "\nidentical: " in done.stdout


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Debian's Essential packages as an image (by rootlet itself) in a registry on the loopback."""
    need("skopeo", "buildah", "docker-registry")
    folder = tmp_path_factory.mktemp("dockerfiles")
    (folder / "debian.toml").write_text(
        'schema = 1\nname = "debian"\nsuite = "trixie"\ncmd = ["/bin/bash"]\n'
        f'packages = {json.dumps(ESSENTIAL)}\n[scan]\nfail_on = "none"\nmax_database_age = "any"\n'
    )
    rootlet("database", "--database", folder / "db", "import", REPOSITORY / "tests/data/osv", cwd=folder)
    rootlet(
        "build", "debian.toml", "--database", "db", "--unscannable", "warn", "--to", "oci:debian", cwd=folder
    )
    with real_registry(folder) as address, engines.buildah() as builder:
        name = f"{address}/library/debian:trixie-slim"
        engines.checked(
            [
                "skopeo",
                "copy",
                "-q",
                "--preserve-digests",
                "--dest-tls-verify=false",
                f"oci:{folder}/debian:latest",
                f"docker://{name}",
            ]
        )
        digest = json.loads((folder / "debian/index.json").read_text())["manifests"][0]["digest"]
        yield Bench(folder=folder, unpack=f"{name}@{digest}", buildah=builder)


@pytest.fixture(scope="module")
def docker() -> Iterator[engines.Docker]:
    with engines.docker() as daemon:
        yield daemon


@pytest.mark.parametrize("name", RECIPES if full_run() else SAMPLE)
def test_buildah_makes_what_rootlet_makes(name: str, bench: Bench, tmp_path: Path) -> None:
    recipe = REPOSITORY / f"recipes/{name}.toml"
    dockerfile = bench.dockerfile(recipe, tmp_path)
    bench.buildah.build(dockerfile, tmp_path, tmp_path / "image.tar")
    bench.same(recipe, tmp_path / "image.tar")


@pytest.mark.parametrize("name", EXAMPLES if full_run() else ("python-service",))
def test_buildah_makes_what_rootlet_makes_of_an_example(name: str, bench: Bench, tmp_path: Path) -> None:
    folder = tmp_path / name
    shutil.copytree(REPOSITORY / "examples" / name, folder)
    dockerfile = bench.dockerfile(folder / "recipe.toml", folder)
    bench.buildah.build(dockerfile, folder, tmp_path / "image.tar")
    bench.same(folder / "recipe.toml", tmp_path / "image.tar")


@pytest.mark.parametrize("builder", ["classic", "buildkit"])
@pytest.mark.parametrize("name", RECIPES if full_run() else DOCKER_SAMPLE)
def test_docker_makes_what_rootlet_makes(
    name: str, builder: str, bench: Bench, docker: engines.Docker, tmp_path: Path
) -> None:
    recipe = REPOSITORY / f"recipes/{name}.toml"
    dockerfile = bench.dockerfile(recipe, tmp_path)
    docker.build(dockerfile, tmp_path, tmp_path / "image.tar", buildkit=builder == "buildkit")
    bench.same(recipe, tmp_path / "image.tar")


EVERYTHING = r"""schema = 1
name = "everything"
entrypoint = ["/opt/prog", "$HOME", "a b", "it's"]
cmd = ["\"quoted\"", "tab\there"]
user = "app:adm"
ports = [8080, "53/udp"]
env = {{ DOLLAR = "$HOME", QUOTE = 'say "x" \', EMPTY = "", BLANK = "a  b" }}

[image.labels]
"org.example.words" = "a \"quoted\" $word, it's \\"

[config]
workdir = "/srv/my app"
volumes = ["/data", "/with blank"]
stop_signal = "SIGQUIT"
healthcheck = {{ test = ["/opt/prog", "check me"], interval = "90s", retries = 2 }}

[users.app]
uid = 10001
groups = ["adm"]

[sources.os]
suite = "trixie"
packages = ["zlib1g"]

[sources.build]
type = "stage"
from = "os"
copy = [{{ src = "src", dest = "/src", ignore = ["*.tmp", "**/cache", "left/out"] }}]
workdir = "/src"
env = {{ GREETING = "hello $USER" }}
run = [
    "test ! -e a.tmp && test ! -e deep/cache && test ! -e left/out && test -x tool.sh",
    "printf '%s\\n' \"$GREETING\" > out.txt\nchmod 640 out.txt",
    ["cp", "/usr/bin/true", "prog"],
]

[sources.second]
type = "stage"
from = "build"
copy = [{{ from = "packed", src = "/docs", dest = "/docs" }}]
user = "nobody"
run = ["cat /src/deep/keep /docs/readme > /tmp/joined"]

[sources.packed]
type = "archive"
path = "packed.tar.xz"
strip = 1

[sources.zipped]
type = "archive"
url = "{server}/zipped.zip"
sha256 = "{zip_sum}"
root = "/inner"

[sources.picture]
type = "image"
ref = "{image}"

[[install]]
from = "build"
path = "/src/prog"
to = "/opt/prog"
[[install]]
from = "build"
path = "/src/out.txt"
to = "/etc/out.txt"
owner = "app:adm"
[[install]]
from = "second"
path = "/tmp/joined"
to = "/opt/joined"
mode = "0444"
[[install]]
from = "packed"
path = "/tree"
to = "/opt/packed"
[[install]]
from = "zipped"
path = "/"
to = "/opt/zipped"
[[install]]
from = "picture"
path = "/usr/bin/env"
to = "/opt/env"
[[install]]
context = "app/"
to = "/srv/my app"
owner = "app"
[[install]]
context = "one $file [1].conf"
to = "/etc/one.conf"
mode = "0600"

[[file]]
path = "/etc/odd name's"
content = "two\nlines"
[[file]]
path = "/etc/sticky"
type = "directory"
mode = "1770"
owner = "root:adm"
[[file]]
path = "/opt/-dash"
type = "symlink"
target = "--help me"

[scan]
unscannable = "warn"
fail_on = "none"
max_database_age = "any"
"""


@pytest.fixture(scope="module")
def everything(bench: Bench) -> Iterator[tuple[Path, Path]]:
    """A project with every kind of source, odd names and rights; its folder and its Dockerfile."""
    folder = bench.folder / "everything"
    files = {
        "src/in.txt": "text",
        "src/a.tmp": "",
        "src/deep/cache/x": "",
        "src/deep/keep": "kept\n",
        "src/left/out": "",
        "src/tool.sh": "#!/bin/sh\n",
        "app/main.py": "print()",
        "app/bin/run": "#!/bin/sh\n",
        "app/dot/.hidden": "",
        "one $file [1].conf": "secret",
    }
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    for path in ("src/tool.sh", "app/bin/run"):
        (folder / path).chmod(0o775)
    (folder / "app/link").symlink_to("bin/run")
    _pack(folder / "packed.tar.xz")
    web = folder / "web"
    web.mkdir()
    with zipfile.ZipFile(web / "zipped.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(12):
            info = zipfile.ZipInfo(f"inner/many/{number} x$.txt")
            info.external_attr = (0o100755 if number % 2 else 0o100644) << 16
            text = f"{number}\n" * 200 if number else ""
            archive.writestr(info, text, zipfile.ZIP_STORED if number == 5 else None)
    handler = partial(SimpleHTTPRequestHandler, directory=str(web))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        text = EVERYTHING.format(
            server=f"http://127.0.0.1:{server.server_address[1]}",
            zip_sum=hashlib.sha256((web / "zipped.zip").read_bytes()).hexdigest(),
            image=bench.unpack,
        )
        (folder / "recipe.toml").write_text(text)
        (folder / ".dockerignore").write_text("web\n*.tar\n")
        yield folder, bench.dockerfile(folder / "recipe.toml", folder)
    finally:
        server.shutdown()
        server.server_close()


def _pack(path: Path) -> None:
    """An archive with rights, attributes and names that tools stumble over."""

    with tarfile.open(path, "w:xz", format=tarfile.PAX_FORMAT, errors="surrogateescape") as archive:
        for name, content, mode in (
            ("top/tree/ping", b"program", 0o755),
            ("top/tree/setuid", b"setuid", 0o4755),
            ("top/tree/blank $x", b"1", 0o640),
            ("top/tree/fő", b"2", 0o644),
            ("top/tree/no utf\udcff", b"4", 0o644),
            ("top/docs/readme", b"read me\n", 0o644),
        ):
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.uid = len(content), mode, 1234
            if name.endswith("ping"):
                info.pax_headers = {"SCHILY.xattr.security.capability": NET_RAW}
            archive.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("top/tree/ping6")
        link.type, link.linkname = tarfile.LNKTYPE, "top/tree/ping"
        archive.addfile(link)
        symlink = tarfile.TarInfo("top/tree/latest")
        symlink.type, symlink.linkname = tarfile.SYMTYPE, "ping"
        archive.addfile(symlink)


@pytest.mark.parametrize("builder", ["buildah", "classic", "buildkit"])
def test_every_kind_of_source_in_two_stages(
    builder: str, everything: tuple[Path, Path], bench: Bench, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder, dockerfile = everything
    bench.build(builder, dockerfile, request, tmp_path / "image.tar")
    bench.same(folder / "recipe.toml", tmp_path / "image.tar")


ON_A_BASE = r"""schema = 1
packages = ["bc"]

[image]
name = "calculator"
base = "{base}"

[image.labels]
"org.example.kind" = "calculator"

[config]
entrypoint = ["/usr/bin/bc", "-q"]
user = "clerk"
workdir = "/var/tmp"

[users.clerk]
uid = 4711
home = "/home/clerk"

[[file]]
path = "/root/note"
content = "below a folder that only the base knows the mode of\n"

[[file]]
path = "/etc/debian_version"
content = "another\n"

[scan]
unscannable = "warn"
fail_on = "none"
max_database_age = "any"
"""


@pytest.mark.parametrize("builder", ["buildah", "classic", "buildkit"])
def test_an_image_over_a_base(
    builder: str, bench: Bench, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(ON_A_BASE.format(base=bench.unpack))
    dockerfile = bench.dockerfile(recipe, tmp_path)
    assert f"\nFROM {bench.unpack}\nCOPY --from=image /image/ /\n" in dockerfile.read_text()
    bench.build(builder, dockerfile, request, tmp_path / "image.tar")
    bench.same(recipe, tmp_path / "image.tar")

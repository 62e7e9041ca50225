"""Debian's docker-registry, open and locked, and the local container storage."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from builder.image.layout import publish_layout
from builder.image.write import write_index
from builder.oci import Platform
from builder.stored.read import open_image
from builder.stored.tree import flatten
from tests.support.images import demo_layer, foreign_layout, layer_of, member, plain, plan_of, tar_of, write
from tests.support.osv import record, write_export
from tests.support.registry import PASSWORD, USER, real_registry
from tests.support.tools import need, rootlet

pytestmark = pytest.mark.tools
OVER = """schema = 1
name = "over"
entrypoint = ["/opt/x"]
[image]
platforms = ["linux/amd64"]
base = "{base}"
[[install]]
context = "hello"
to = "/opt/hello"
[scan]
unscannable = "warn"
max_database_age = "any"
"""
RELEASE = b'ID=debian\nVERSION_ID="13"\n'


@dataclass(frozen=True)
class Place:
    """A registry, and a folder whose environment knows its credentials."""

    host: str
    folder: Path
    environment: Mapping[str, str]

    def run(self, *words: str, status: int = 0) -> str:
        """Run rootlet there."""
        environment = {
            "ROOTLET_CACHE": str(self.folder / "cache"),
            "REGISTRY_AUTH_FILE": str(self.folder / "auth.json"),
            **self.environment,
        }
        return rootlet(*words, cwd=self.folder, environment=environment, status=status).stdout

    def skopeo(self, *words: str) -> bytes:
        """Run skopeo with the same credentials."""
        command = ["skopeo", *words, "--authfile", str(self.folder / "auth.json")]
        done = subprocess.run(command, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout


@pytest.fixture(scope="module", params=["open", "locked, with TLS"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("registry")
    locked = request.param != "open"
    with real_registry(folder, user=USER if locked else "", password=PASSWORD, tls=locked) as host:
        auths = {"auths": {host: {"auth": "Y2k6Z2VoZWlt"}}} if locked else {}
        (folder / "auth.json").write_text(json.dumps(auths))
        write_export(folder / "osv", [record("DEBIAN-CVE-2026-1", "bash", fixed=None)])
        one = Place(host, folder, {"SSL_CERT_FILE": f"{folder}/cert.pem"} if locked else {})
        one.run("database", "import", "-q", "osv")
        yield one


def test_what_is_pushed_is_what_others_pull(place: Place, tmp_path: Path) -> None:
    need("skopeo")
    platforms = (Platform("linux", "amd64"), Platform("linux", "arm64"))
    layer = layer_of(*demo_layer().entries, plain("/etc/os-release", RELEASE))
    images = tuple(write(tmp_path / "stage", plan_of(layer, platform=one)) for one in platforms)
    index = write_index(images, tmp_path / "stage")
    publish_layout(tmp_path / "stage", index, ("1",), place.folder / "image")
    name = f"{place.host}/shop/app"
    words = ("--max-database-age", "any", "oci:image:1", f"{name}:1", f"{name}:latest")
    out = place.run("push", "-q", *words)
    assert out.split() == [f"{name}:1@{index.digest}", f"{name}:latest@{index.digest}"]
    raw = place.skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{name}:1")
    assert hashlib.sha256(raw).hexdigest() == index.digest.encoded
    copied = ("copy", "--all", "--preserve-digests", "--src-tls-verify=false", f"docker://{name}:latest")
    place.skopeo(*copied, f"oci:{tmp_path}/back:1")
    entry = json.loads((tmp_path / "back/index.json").read_bytes())["manifests"][0]
    assert entry["digest"] == str(index.digest)


def test_what_others_push_is_a_source_and_can_be_scanned(place: Place, tmp_path: Path) -> None:
    need("skopeo")
    foreign_layout(
        tmp_path / "tools",
        [tar_of(member("opt/tool", b"tool", mode=0o755)), tar_of(member("etc/os-release", RELEASE))],
    )
    name = f"{place.host}/tools:1"
    place.skopeo("copy", "--dest-tls-verify=false", f"oci:{tmp_path}/tools", f"docker://{name}")
    place.run("scan", "--max-database-age", "any", "--unscannable", "warn", name)
    text = f"""schema = 1
name = "{place.host}/made"
entrypoint = ["/opt/tool"]
[image]
platforms = ["linux/amd64"]
[sources.tools]
type = "image"
ref = "{name}"
[[install]]
from = "tools"
path = "/opt/tool"
[scan]
unscannable = "warn"
max_database_age = "any"
"""
    (place.folder / "r.toml").write_text(text)
    out = place.run("build", "-q", "--no-test", "--push", "--to", "oci:dist/made", "r.toml")
    digest = out.strip().partition("@")[2]
    raw = place.skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{place.host}/made:latest")
    assert f"sha256:{hashlib.sha256(raw).hexdigest()}" == digest


def test_wrong_password_is_said(place: Place) -> None:
    right = (place.folder / "auth.json").read_text()
    (place.folder / "auth.json").write_text(
        json.dumps({"auths": {place.host: {"username": "x", "password": "y"}}})
    )
    try:
        locked = "auths" in json.loads(right)
        place.run("scan", f"{place.host}/nothing:1", status=9 if locked else 3)
    finally:
        (place.folder / "auth.json").write_text(right)


def test_certificate_that_nobody_vouches_for_is_refused(place: Place) -> None:
    stranger = Place(place.host, place.folder, {})
    has_tls = bool(place.environment)
    stranger.run("scan", f"{place.host}/nothing:1", status=9 if has_tls else 3)


def test_storage_is_read_too(tmp_path: Path) -> None:
    need("skopeo")
    layout = foreign_layout(
        tmp_path / "image",
        [tar_of(member("etc/os-release", RELEASE)), tar_of(member("opt/x", b"x", mode=0o755))],
    )
    name = f"localhost/rootlet-{hashlib.sha256(str(tmp_path).encode()).hexdigest()[:12]}:1"
    copy = ["skopeo", "copy", "--quiet", f"oci:{layout}", f"containers-storage:{name}"]
    done = subprocess.run(copy, capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"no container storage here: {done.stderr.decode()[-200:]}")
    try:
        environment = {"ROOTLET_CACHE": str(tmp_path / "cache")}
        for _ in range(2):
            out = rootlet("sbom", f"storage:{name}", cwd=tmp_path, environment=environment).stdout
            assert '"bomFormat"' in out
        (tmp_path / "r.toml").write_text(OVER.format(base=f"storage:{name}"))
        (tmp_path / "hello").write_text("hello")
        write_export(tmp_path / "osv", [record("DEBIAN-CVE-2026-1", "bash", fixed=None)])
        rootlet("database", "import", "-q", "osv", cwd=tmp_path, environment=environment)
        build = ("build", "-q", "--no-test", "r.toml")
        rootlet(*build, cwd=tmp_path, environment=environment)
        made, base = open_image(tmp_path / "dist/over"), open_image(layout)
        assert [one.diff_id for one in made.layers[:2]] == [one.diff_id for one in base.layers]
        assert flatten(made)["/opt/hello"].layer == 2
        rootlet("sbom", "storage:nothing-of-this-name", cwd=tmp_path, environment=environment, status=3)
    finally:
        tool = shutil.which("buildah") or shutil.which("podman")
        if tool:
            subprocess.run([tool, "rmi", name], capture_output=True, check=False)

"""Pushing from the command line, with a registry on the loopback."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder import transport as transport_module
from builder.cli import main
from builder.image.layout import publish_layout
from builder.image.write import write_index
from builder.oci import Platform
from tests.support.desk import make_mirror, recipe, set_desk
from tests.support.images import (
    demo_layer,
    foreign_layout,
    layer_of,
    member,
    pack,
    plain,
    plan_of,
    tar_of,
    write,
)
from tests.support.osv import record, write_export
from tests.support.registry import PASSWORD, USER, FakeRegistry, Reply, fake_registry

RELEASE = b'ID=debian\nVERSION_ID="13"\n'
STATUS = b"Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.0\n"


APP = '[[install]]\ncontext = "app"\nto = "/usr/bin/app"\n'


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRegistry]:
    monkeypatch.setattr(transport_module, "_BACK_OFF", 0.01)
    with fake_registry(auth="bearer") as running:
        yield running


@pytest.fixture
def desk(tmp_path: Path, fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A desk with an archive of one package, credentials, and an image in the layout ``image``."""
    folder = tmp_path / "desk"
    folder.mkdir()
    key = make_mirror(tmp_path / "mirror")
    set_desk(folder, tmp_path / "mirror", key, monkeypatch)
    auths = {"auths": {fake.host: {"username": USER, "password": PASSWORD}}}
    (folder / "auth.json").write_text(json.dumps(auths))
    (folder / "app").write_bytes(b"app")
    (folder / "app").chmod(0o755)
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(folder / "auth.json"))
    entries = (*demo_layer().entries, plain("/etc/os-release", RELEASE))
    image = write(tmp_path / "stage", plan_of(layer_of(*entries)))
    publish_layout(image.directory, image.manifest, ("1", "latest"), folder / "image")
    return folder


def push(words: list[str]) -> int:
    return main.run(["push", "-q", "--max-database-age", "any", *words])


def digest_in(folder: Path) -> str:
    manifest: str = json.loads((folder / "index.json").read_bytes())["manifests"][0]["digest"]
    return manifest


def test_layout_goes_to_the_registry_as_it_is(
    desk: Path, fake: FakeRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"{fake.host}/shop/app:1", f"{fake.host}/shop/app", f"{fake.host}/other:2"]
    assert push(["oci:image:1", *names]) == 0
    digest = digest_in(desk / "image")
    assert capsys.readouterr().out.split() == [
        f"{fake.host}/shop/app:1@{digest}",
        f"{fake.host}/shop/app:latest@{digest}",
        f"{fake.host}/other:2@{digest}",
    ]
    assert fake.tags("shop/app") == ["1", "latest"]
    assert fake.tags("other") == ["2"]
    for path in (desk / "image/blobs/sha256").iterdir():
        name = ("shop/app", f"sha256:{path.name}")
        held = fake.blobs.get(name) or fake.manifests[name][1]
        assert held == path.read_bytes()


@pytest.mark.parametrize("lists", [True, False], ids=["a registry that lists", "one that does not"])
def test_bills_are_attached(desk: Path, fake: FakeRegistry, *, lists: bool) -> None:
    fake.referrers = lists
    name = f"{fake.host}/app:1"
    assert push(["oci:image:1", name, "--sbom", "cyclonedx", "--sbom", "spdx"]) == 0
    subject = digest_in(desk / "image")
    documents = [json.loads(payload) for _, payload in fake.manifests.values()]
    attached = {one["artifactType"]: one for one in documents if "subject" in one}
    assert attached.keys() == {"application/vnd.cyclonedx+json", "application/spdx+json"}
    assert {one["subject"]["digest"] for one in attached.values()} == {subject}
    layer = attached["application/spdx+json"]["layers"][0]["digest"]
    assert json.loads(fake.blobs["app", layer])["spdxVersion"] == "SPDX-2.3"
    assert fake.tags("app") == ["1", *([] if lists else [subject.replace(":", "-")])]


def test_archive_and_index_of_platforms(desk: Path, fake: FakeRegistry, tmp_path: Path) -> None:
    images = tuple(
        write(tmp_path / "two", plan_of(layer_of(plain("/etc/os-release", RELEASE)), platform=one))
        for one in (Platform("linux", "amd64"), Platform("linux", "arm64"))
    )
    index = write_index(images, tmp_path / "two")
    pack(tmp_path / "two", desk / "image.tar")
    assert push(["oci-archive:image.tar", f"{fake.host}/two:1"]) == 0
    kind, payload = fake.manifests["two", "1"]
    assert kind == index.media_type
    assert len(json.loads(payload)["manifests"]) == 2


def test_damaged_layout_is_pushed_under_no_name(desk: Path, fake: FakeRegistry) -> None:
    layers = [path for path in (desk / "image/blobs/sha256").iterdir() if path.read_bytes()[:1] != b"{"]
    layers[0].write_bytes(layers[0].read_bytes()[:-1] + b"x")
    assert push(["oci:image:1", f"{fake.host}/app:1"]) == 4
    assert not fake.manifests


def test_findings_stop_a_push_and_a_recipe_waives_them(
    desk: Path, fake: FakeRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    write_export(desk / "osv", [record("DEBIAN-CVE-2026-1", "bash", fixed=None)])
    assert main.run(["database", "import", "-q", str(desk / "osv")]) == 0
    files = (member("etc/os-release", RELEASE), member("var/lib/dpkg/status", STATUS))
    foreign_layout(desk / "bad", [tar_of(*files)])
    words = ["oci:bad", f"{fake.host}/app:1", "--fail-on", "unknown"]
    assert push(words) == 5
    assert "CVE-2026-1" in capsys.readouterr().err
    assert not fake.manifests
    waiver = 'schema = 1\nname = "x"\n[scan]\nignore = [{ id = "CVE-2026-1", reason = "not reachable" }]\n'
    (desk / "r.toml").write_text(waiver)
    assert push([*words, "--recipe", "r.toml"]) == 0
    assert fake.tags("app") == ["1"]


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        pytest.param(["oci:image:3", "{host}/app"], 3, "it has 1, latest", id="a name it does not have"),
        pytest.param(["oci:nowhere", "{host}/app"], 2, "does not exist", id="no layout"),
        pytest.param(["storage:app", "{host}/app"], 2, "is no layout", id="a storage"),
        pytest.param(["oci:image:1", "app"], 2, "names no registry", id="no registry"),
        pytest.param(["oci:image:1", "{host}/App"], 2, "not an image name", id="no name"),
        pytest.param(["oci:image:1", "127.0.0.1:9/app"], 9, "could not be fetched", id="nobody there"),
    ],
)
def test_what_cannot_be_pushed(
    desk: Path,
    fake: FakeRegistry,
    words: list[str],
    status: int,
    text: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert desk.is_dir()
    assert push([*(word.format(host=fake.host) for word in words)]) == status
    assert text in capsys.readouterr().err


def test_build_pushes_and_names_nothing_when_the_registry_dies_half_way(
    desk: Path, fake: FakeRegistry
) -> None:
    text = recipe(APP).replace('name = "demo"', f'name = "{fake.host}/team/demo"')
    (desk / "r.toml").write_text(text)
    fake.faults.append(
        lambda method, path: Reply(status=500) if method == "PUT" and "/manifests/" in path else None
    )
    assert main.run(["build", "-q", "--push", "--to", "oci:dist/demo", "r.toml"]) == 9
    assert not fake.manifests
    assert not (desk / "dist").exists()
    fake.faults.clear()
    assert main.run(["build", "-q", "--push", "--to", "oci:dist/demo", "r.toml"]) == 0
    assert fake.tags("team/demo") == ["1"]
    digest = digest_in(desk / "dist/demo")
    assert fake.manifests["team/demo", digest] == fake.manifests["team/demo", "1"]


def test_registry_is_an_output_of_the_recipe(desk: Path, fake: FakeRegistry) -> None:
    text = recipe(APP + '[output]\nto = ["registry"]\n')
    (desk / "r.toml").write_text(text.replace('name = "demo"', f'name = "{fake.host}/team/demo"'))
    assert main.run(["build", "-q", "r.toml"]) == 0
    assert fake.tags("team/demo") == ["1"]


@pytest.mark.parametrize("command", [("scan", "--max-database-age", "any"), ("sbom",), ("why",)])
def test_commands_look_into_the_registry(desk: Path, fake: FakeRegistry, command: tuple[str, ...]) -> None:
    assert desk.is_dir()
    assert push(["oci:image:1", f"{fake.host}/app:1"]) == 0
    more = ("/bin/demo",) if command[0] == "why" else ()
    assert main.run([*command, f"{fake.host}/app:1", *more]) == 0


def test_a_build_that_pushes_nothing_reads_no_network_code() -> None:
    code = "import sys, builder.pipeline, builder.approval; print('urllib3' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown == "False\n"

"""Images that start from a base: only what it lacks is added, and what it says is honoured."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from builder.cli import main
from builder.image.validate import validate
from builder.plan.codec import plan_from_json, plan_to_json
from builder.stored.read import open_image
from builder.stored.tree import flatten
from tests.support.debian_archive import Deb, Key
from tests.support.desk import RELEASE, make_mirror, recipe, set_desk
from tests.support.images import member, put_blob, tar_of
from tests.support.mkelf import Spec, mkelf
from tests.support.mksymbols import Symbol, Tables, wants
from tests.support.osv import record, write_export
from tests.support.registry import fake_registry, put_image

PASSWD = b"root:x:0:0:root:/root:/bin/sh\nwww:*:33:33:web:/var/www:/bin/false\nodd line\n"
GROUP = b"root:x:0:\nadm:x:4:syslog\nwww:x:33:\n"
STATUS = (
    "Package: tool\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.0-1\n"
    "Description: a tool\n\n"
    "Package: other\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5\nDescription: other\n"
)
OLD_SUM, NEW_SUM = (hashlib.md5(text).hexdigest() for text in (b"tool 1", b"tool 2"))
LOWER = tar_of(
    member("etc/passwd", PASSWD),
    member("etc/group", GROUP),
    member("usr/lib/os-release", RELEASE),
    member("etc/os-release", type=tarfile.SYMTYPE, linkname="../usr/lib/os-release"),
    member("usr/bin/tool", b"started", mode=0o755),
    member("usr/share/tool", b"tool 1"),
    member("usr/share/gone", b"gone"),
    member("var/lib/dpkg/status", STATUS.encode()),
    member("var/lib/dpkg/info/tool.list", b"/.\n/usr\n/usr/share/tool\n"),
    member("var/lib/dpkg/info/tool.md5sums", f"{OLD_SUM}  usr/share/tool\n".encode()),
    member("opt", type=tarfile.DIRTYPE, mode=0o700),
    member("srv/link", type=tarfile.SYMTYPE, linkname="/opt"),
    member("tmp", type=tarfile.DIRTYPE, mode=0o777),
)
UPPER = tar_of(member("usr/share/.wh.gone"), member("usr/share/late", b"late"))
CONFIG = {
    "Entrypoint": ["/usr/bin/tool"],
    "Cmd": ["--help"],
    "Env": ["PATH=/usr/bin", "LANG=C"],
    "User": "www",
    "WorkingDir": "/opt",
    "Labels": {"a": "base", "b": "base"},
    "ExposedPorts": {"80/tcp": {}},
    "StopSignal": "SIGINT",
}
HISTORY = [{"created_by": "lower"}, {"created_by": "nothing", "empty_layer": True}, {"created_by": "upper"}]


def base_layout(folder: Path, *tars: bytes, history: list[dict[str, Any]] | None = None) -> Path:
    """A layout of Docker's make: its media types, its configuration."""
    kind = "application/vnd.docker"
    layers = [
        {"mediaType": f"{kind}.image.rootfs.diff.tar.gzip", **put_blob(folder, gzip.compress(tar, mtime=0))}
        for tar in tars
    ]
    config = {
        "os": "linux",
        "architecture": "amd64",
        "created": "2026-01-02T03:04:05Z",
        "config": CONFIG,
        "history": HISTORY if history is None else history,
        "rootfs": {
            "type": "layers",
            "diff_ids": [f"sha256:{hashlib.sha256(tar).hexdigest()}" for tar in tars],
        },
    }
    described = {
        "mediaType": f"{kind}.container.image.v1+json",
        **put_blob(folder, json.dumps(config).encode()),
    }
    kind = f"{kind}.distribution.manifest.v2+json"
    manifest = {"schemaVersion": 2, "mediaType": kind, "config": described, "layers": layers}
    entry = {"mediaType": kind, **put_blob(folder, json.dumps(manifest).encode())}
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    return folder


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Key]:
    folder = tmp_path_factory.mktemp("mirror")
    debs = (
        Deb(name="tool", version="2.0-1", files={"/usr/share/tool": b"tool 2", "/usr/share/extra": b"extra"}),
        Deb(name="app", version="1", fields={"Depends": "tool"}, files={"/usr/bin/app": b"app"}),
    )
    return folder, make_mirror(folder, *debs)


@pytest.fixture
def desk(tmp_path: Path, mirror: tuple[Path, Key], monkeypatch: pytest.MonkeyPatch) -> Path:
    set_desk(tmp_path, *mirror, monkeypatch)
    base_layout(tmp_path / "base", LOWER, UPPER)
    (tmp_path / "hello").write_bytes(b"hello")
    return tmp_path


def over(base: str = "oci:base", more: str = "", packages: str = "", top: str = "") -> str:
    """A recipe over a base; nothing of it is started in these tests."""
    text = recipe(more, packages=packages, top=top)
    text = text.replace('entrypoint = ["/usr/bin/app"]\n', "")
    return text.replace("[image]\n", f'[image]\nbase = "{base}"\n')


def build(*more: str) -> int:
    return main.run(["build", "-q", "--no-test", "recipe.toml", *more])


def config_of(layout: Path) -> dict[str, Any]:
    image = open_image(layout)
    assert image.config_blob is not None
    document: dict[str, Any] = json.loads(
        (layout / "blobs/sha256" / image.config_blob.digest.encoded).read_bytes()
    )
    return document


def added(layout: Path) -> Mapping[str, bytes | str]:
    """Files (bytes) and links (target) of the last layer, less rootlet's own record."""
    image = open_image(layout)
    found: dict[str, bytes | str] = {}
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(image.layers[-1].section.path.read_bytes()))) as tar:
        for one in tar:
            stream = tar.extractfile(one) if one.isreg() else None
            if not one.isdir():
                found[f"/{one.name}"] = stream.read() if stream else one.linkname
    return {path: body for path, body in found.items() if not path.startswith("/usr/share/rootlet")}


INSTALL = '[[install]]\ncontext = "hello"\nto = "/opt/hello"\n'
SYSTEM = {"/var/lock", "/var/run"}


def test_only_what_the_base_lacks_is_added_and_its_blobs_are_its_own(desk: Path) -> None:
    (desk / "recipe.toml").write_text(over(more=INSTALL))
    assert build() == 0
    assert added(desk / "dist/demo").keys() == {"/opt/hello", *SYSTEM}
    made, base = open_image(desk / "dist/demo"), open_image(desk / "base")
    assert [layer.diff_id for layer in made.layers[:2]] == [layer.diff_id for layer in base.layers]
    for one, other in zip(made.layers, base.layers, strict=False):
        assert one.section.path.read_bytes() == other.section.path.read_bytes()
        assert one.descriptor is not None
        assert one.descriptor.media_type == "application/vnd.oci.image.layer.v1.tar+gzip"
    files = flatten(made)
    assert "/usr/share/gone" not in files
    assert (files["/opt"].mode, files["/opt"].layer, files["/tmp"].mode) == (0o700, 2, 0o777)  # noqa: S108
    assert base.manifest is not None
    said = dict(made.annotations)
    assert said["org.opencontainers.image.base.digest"] == str(base.manifest.digest)
    assert str(desk) not in json.dumps(said)


def test_configuration_is_laid_over_that_of_the_base(desk: Path) -> None:
    more = INSTALL + '[config]\nenv = { LANG = "C.UTF-8" }\nports = [443]\n'
    (desk / "recipe.toml").write_text(
        over(more=more).replace("[image]\n", '[image]\nlabels = { b = "own" }\n')
    )
    assert build() == 0
    document = config_of(desk / "dist/demo")
    assert document["config"] == {
        "Entrypoint": ["/usr/bin/tool"],
        "Cmd": ["--help"],
        "Env": ["PATH=/usr/bin", "LANG=C.UTF-8"],
        "User": "www",
        "WorkingDir": "/opt",
        "Labels": {"a": "base", "b": "own"},
        "ExposedPorts": {"80/tcp": {}, "443/tcp": {}},
        "StopSignal": "SIGINT",
    }
    assert [entry["created_by"] for entry in document["history"]] == ["lower", "nothing", "upper", "rootlet"]
    assert document["created"] == "2026-01-02T03:04:05Z"


def test_a_new_entrypoint_ends_the_arguments_of_the_base(desk: Path) -> None:
    (desk / "hello").chmod(0o755)
    text = over(more=INSTALL + '[config]\nentrypoint = ["/opt/hello"]\n')
    (desk / "recipe.toml").write_text(text)
    assert build() == 0
    config = config_of(desk / "dist/demo")["config"]
    assert config["Entrypoint"] == ["/opt/hello"]
    assert "Cmd" not in config


def test_a_history_that_does_not_tell_of_each_layer_is_replaced(desk: Path) -> None:
    base_layout(desk / "base", LOWER, UPPER, history=[{"created_by": "one"}])
    (desk / "recipe.toml").write_text(over(more=INSTALL))
    assert build() == 0
    history = config_of(desk / "dist/demo")["history"]
    assert [entry["created_by"] for entry in history] == ["base", "base", "rootlet"]


def test_accounts_keep_their_numbers_and_lines(desk: Path) -> None:
    more = INSTALL + '[users.api]\nuid = 10001\ngroups = ["adm"]\n'
    (desk / "recipe.toml").write_text(over(more=more))
    assert build() == 0
    files = added(desk / "dist/demo")
    assert files["/etc/passwd"] == PASSWD + b"api:x:10001:10001::/nonexistent:/usr/sbin/nologin\n"
    assert files["/etc/group"] == b"root:x:0:\nadm:x:4:syslog,api\nwww:x:33:\napi:x:10001:\n"


@pytest.mark.parametrize(
    ("more", "text"),
    [
        pytest.param("[users.www]\nuid = 5\n", "exclude each other", id="another number for an account"),
        pytest.param("[users.new]\nuid = 33\n", "exclude each other", id="a number that is taken"),
        pytest.param(
            '[[file]]\npath = "/opt"\ncontent = "x"\n', "directory in the base", id="a file on a folder"
        ),
        pytest.param(
            '[[file]]\npath = "/srv/link/x"\ncontent = "x"\n', "a symlink in the base", id="below a link"
        ),
    ],
)
def test_what_does_not_fit_on_the_base(
    desk: Path, more: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (desk / "recipe.toml").write_text(over(more=more))
    assert build() == 3
    assert text in capsys.readouterr().err


def test_packages_of_the_base_count_unless_they_are_named(desk: Path) -> None:
    (desk / "recipe.toml").write_text(over(packages='"app"'))
    assert build() == 0
    files = added(desk / "dist/demo")
    assert files["/usr/bin/app"] == b"app"
    assert "/usr/share/tool" not in files
    assert b"Package: app" in bytes(files["/var/lib/dpkg/status.d/app"])  # type: ignore[arg-type]  # a file
    assert "/var/lib/dpkg/status" not in files


def test_a_named_package_replaces_that_of_the_base_and_its_record(desk: Path) -> None:
    (desk / "recipe.toml").write_text(over(packages='"tool"'))
    assert build() == 0
    files = added(desk / "dist/demo")
    assert (files["/usr/share/tool"], files["/usr/share/extra"]) == (b"tool 2", b"extra")
    status = files["/var/lib/dpkg/status"]
    assert isinstance(status, bytes)
    first, second = status.decode().strip().split("\n\n")
    assert first.startswith("Package: tool\nStatus: install ok installed\nVersion: 2.0-1\n")
    assert second == STATUS.strip().split("\n\n")[1]
    assert files["/var/lib/dpkg/info/tool.list"] == b"/.\n/usr\n/usr/share/tool\n/usr/share/extra\n"
    sums = bytes(files["/var/lib/dpkg/info/tool.md5sums"])  # type: ignore[arg-type]  # a file
    assert hashlib.md5(b"tool 2").hexdigest().encode() in sums
    assert hashlib.md5(b"tool 1").hexdigest().encode() not in sums


def test_base_of_another_release_is_refused(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tar_of(member("etc/os-release", b'ID=alpine\nVERSION_ID="3.20"\nPRETTY_NAME="Alpine Linux"\n'))
    base_layout(desk / "base", other, history=[])
    (desk / "recipe.toml").write_text(over(packages='"app"', top='user = "root"'))
    assert build() == 3
    assert "is Alpine Linux, and the packages are of Debian" in capsys.readouterr().err


def test_base_that_is_the_same_is_recognised_and_another_too(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (desk / "recipe.toml").write_text(over(more=INSTALL))
    assert main.run(["build", "--no-test", "recipe.toml"]) == 0
    capsys.readouterr()
    assert main.run(["build", "--no-test", "recipe.toml"]) == 0
    assert "unchanged" in capsys.readouterr().err
    base_layout(desk / "base", LOWER, history=[])
    assert main.run(["build", "--no-test", "recipe.toml"]) == 0
    assert "unchanged" not in capsys.readouterr().err
    assert len(open_image(desk / "dist/demo").layers) == 2


def test_base_of_a_registry_is_named_and_its_layers_are_not_sent_again(desk: Path) -> None:
    with fake_registry() as fake:
        descriptor = put_image(fake, LOWER, UPPER)
        text = over(base=f"{fake.host}/app:1", more=INSTALL, top='user = "www"')
        (desk / "recipe.toml").write_text(text.replace('name = "demo"', f'name = "{fake.host}/mine"'))
        (desk / "hello").chmod(0o755)
        assert build("--push") == 0
        said = dict(open_image(desk / "dist/mine").annotations)
        assert said == {
            "org.opencontainers.image.base.name": f"{fake.host}/app:1",
            "org.opencontainers.image.base.digest": descriptor["digest"],
        }
        sent = [path for method, path, _ in fake.requests if method == "PUT" and "/uploads/" in path]
        assert len(sent) == 2, "the configuration and our layer; those of the base are mounted"


def test_base_of_an_archive_without_blobs_is_written_anew(desk: Path) -> None:
    (desk / "recipe.toml").write_text(over(more=INSTALL))
    assert build("--to", "docker-archive:old.tar") == 0
    (desk / "recipe.toml").write_text(over(base="docker-archive:old.tar", more=INSTALL))
    for _ in range(2):
        assert build("--force") == 0
        made = open_image(desk / "dist/demo")
        assert [layer.diff_id for layer in made.layers[:3]] == [
            layer.diff_id for layer in open_image(desk / "old.tar").layers
        ]
    assert added(desk / "dist/demo") == {}


def test_plan_goes_to_json_and_back(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (desk / "recipe.toml").write_text(over(more=INSTALL))
    assert main.run(["plan", "--json", "recipe.toml"]) == 0
    text = capsys.readouterr().out
    plan = plan_from_json(text)
    assert plan.base is not None
    assert (len(plan.base.layers), plan.base.files) == (2, 9)
    assert plan_to_json(plan) == text
    assert build() == 0
    assert validate(desk / "dist/demo", plan=plan) == ()


def test_plan_and_why_know_what_the_base_brought(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (desk / "recipe.toml").write_text(over(more=INSTALL))
    assert main.run(["plan", "recipe.toml"]) == 0
    assert "over the base oci:" in capsys.readouterr().out
    assert main.run(["why", "recipe.toml", "/usr/share/tool"]) == 0
    assert "from the base" in capsys.readouterr().out
    assert build() == 0
    capsys.readouterr()
    assert main.run(["why", "dist/demo", "/usr/share/tool"]) == 0
    shown = capsys.readouterr().out
    assert "from the base sha256:" in shown
    assert "tool 1.0-1" in shown
    assert main.run(["diff", "--exit-code", "recipe.toml", "dist/demo"]) == 0


LD = "/lib64/ld-linux-x86-64.so.2"
FOLDER = "usr/lib/x86_64-linux-gnu"


def library(soname: str, *symbols: Symbol, defines: tuple[str, ...] = ()) -> bytes:
    return mkelf(Spec(soname=soname, tables=Tables(symbols=symbols, defines=defines)))


def program(version: str, *needed: str) -> bytes:
    tables = Tables(symbols=(wants("start", version, "libold.so.1"),))
    return mkelf(Spec(interpreter=LD, needed=("libold.so.1", *needed), tables=tables))


@pytest.fixture
def libraries(desk: Path) -> Path:
    """The desk with a base that has a loader and a library, and no index of them."""
    old = library("libold.so.1", Symbol(name="start", version="OLD_1"), defines=("OLD_1",))
    loader = library("ld-linux-x86-64.so.2")
    more = tar_of(
        member("lib64/ld-linux-x86-64.so.2", loader, mode=0o755),
        member(f"{FOLDER}/libold.so.1", old),
        member("etc/ld.so.conf", b"/usr/lib/x86_64-linux-gnu\n"),
    )
    base_layout(desk / "base", LOWER, more, history=[])
    return desk


def install(desk: Path, path: str, payload: bytes) -> str:
    name = path.rpartition("/")[2]
    (desk / name).write_bytes(payload)
    (desk / name).chmod(0o755)
    return f'[[install]]\ncontext = "{name}"\nto = "{path}"\n'


def test_programs_use_the_libraries_of_the_base(libraries: Path) -> None:
    more = install(libraries, "/opt/run", program("OLD_1"))
    (libraries / "recipe.toml").write_text(over(more=f'{more}[config]\nentrypoint = ["/opt/run"]\n'))
    assert build() == 0
    files = added(libraries / "dist/demo")
    assert f"/{FOLDER}/libold.so.1" not in files
    assert b"libold.so.1" in bytes(files["/etc/ld.so.cache"])  # type: ignore[arg-type]  # a file


def test_library_of_the_base_that_is_too_old_is_told(
    libraries: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = install(libraries, "/opt/run", program("OLD_2"))
    (libraries / "recipe.toml").write_text(over(more=f'{more}[config]\nentrypoint = ["/opt/run"]\n'))
    assert build() == 3
    shown = capsys.readouterr().err
    assert "OLD_2" in shown
    assert "libold.so.1" in shown


def test_library_that_neither_has_is_told(libraries: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = install(libraries, "/opt/run", program("OLD_1", "libnone.so.3"))
    (libraries / "recipe.toml").write_text(over(more=f'{more}[config]\nentrypoint = ["/opt/run"]\n'))
    assert build() == 3
    assert "libnone.so.3 is needed by /opt/run" in capsys.readouterr().err


def test_scan_says_what_the_base_brought(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (desk / "recipe.toml").write_text(over(more=INSTALL))
    assert build() == 0
    capsys.readouterr()
    write_export(desk / "osv", [record("DEBIAN-CVE-2026-2", "tool", fixed="9")])
    assert main.run(["database", "import", "-q", str(desk / "osv")]) == 0
    words = ["scan", "--format", "json", "--max-database-age", "any", "--unscannable", "warn", "dist/demo"]
    assert main.run(words) == 0
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert finding["because"][0].startswith("the base sha256:")
    assert finding["mend"] == "take a newer base, or name tool in the recipe to have 9"

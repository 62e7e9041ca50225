from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from builder.oci import Healthcheck, ImageConfig
from builder.recipe.load import Request, read_recipe
from builder.recipe.model import (
    Compression,
    FileType,
    Group,
    Ignore,
    Install,
    Missing,
    Output,
    OutputKind,
    Owner,
    Recipe,
    RecipeFile,
    Runtime,
    ScanPolicy,
    Severity,
    Unscannable,
    User,
)
from builder.recipe.source_model import DebianSource
from tests.support.recipe_cases import AMD64, ARM64, HEAD, VALID, Ask, read, report


def recipe(folder: Path, text: str) -> Recipe:
    return read(folder, text).recipe(AMD64)


def test_the_shortest_recipe_has_every_default(tmp_path: Path) -> None:
    document = read(tmp_path, VALID["the shortest"])
    assert document.name == "redis"
    assert document.platforms == (AMD64,)
    assert document.inputs == (tmp_path / "recipe.toml",)
    assert document.recipe(AMD64) == Recipe(
        path=tmp_path / "recipe.toml",
        name="redis",
        tags=("latest",),
        platform=AMD64,
        annotations=(),
        sources=(
            DebianSource(
                name="os",
                suite="trixie",
                components=("main",),
                packages=("redis-server",),
                mirror="",
                security_mirror="",
                security=True,
                snapshot="",
                keyring=None,
                pin=(),
            ),
        ),
        config=ImageConfig(entrypoint=("/usr/bin/redis-server",)),
        outputs=(Output(kind=OutputKind.OCI_LAYOUT, path=tmp_path / "dist" / "redis"),),
        inputs=(tmp_path / "recipe.toml",),
    )


def test_defaults_of_the_keys_are_those_of_the_values(tmp_path: Path) -> None:
    made = recipe(
        tmp_path,
        HEAD
        + '[sources.os]\n[[file]]\npath = "/a"\n[[install]]\nfrom = "os"\npath = "/b"\n[users.u]\nuid = 5\n'
        '[groups.g]\ngid = 6\n[[scan.ignore]]\nid = "X"\nreason = "r"\n',
    )
    assert made == Recipe(
        path=made.path,
        name="x",
        platform=AMD64,
        sources=(DebianSource(name="os"),),
        installs=(Install(source="os", path="/b", to="/b"),),
        files=(RecipeFile(path="/a"),),
        users=(User(name="u", uid=5),),
        groups=(Group(name="g", gid=6),),
        scan=ScanPolicy(ignore=(Ignore(id="X", reason="r"),)),
        outputs=(Output(kind=OutputKind.OCI_LAYOUT, path=tmp_path / "dist" / "x"),),
        inputs=(made.path,),
    )


def test_a_recipe_with_only_a_name_has_no_source(tmp_path: Path) -> None:
    assert recipe(tmp_path, HEAD).sources == ()


def test_a_source_is_read_whole(tmp_path: Path) -> None:
    assert recipe(tmp_path, VALID["a source with everything"]).sources == (
        DebianSource(
            name="tools",
            suite="trixie-backports",
            components=("main", "non-free"),
            packages=("g++", "libc6"),
            mirror="https://mirror.test:8443/debian",
            security_mirror="http://mirror.test/security",
            security=False,
            snapshot="20261101T000000Z",
            keyring=tmp_path / "keys" / "mirror.asc",
            pin=(("openssl", "1:3.5.1-1+b1"),),
        ),
    )


def test_what_goes_in_is_read_whole(tmp_path: Path) -> None:
    made = recipe(tmp_path, VALID["installs"])
    assert made.installs == (
        Install(source="os", path="/usr/bin/openssl", to="/usr/bin/openssl"),
        Install(
            source="os",
            path="/usr/share/x",
            to="/srv",
            into=True,
            mode=0o644,
            owner=Owner(user="www-data", group="www-data"),
        ),
        Install(
            context=tmp_path / "config", to="/etc/api", owner=Owner(user="0", group="0"), ignore=("*.bak",)
        ),
    )
    assert recipe(tmp_path, VALID["files"]).files == (
        RecipeFile(path="/a"),
        RecipeFile(path="/b", content="x {y", mode=0o640, owner=Owner(user="root", group="nogroup")),
        RecipeFile(path="/c", type=FileType.DIRECTORY, mode=0o1777),
        RecipeFile(path="/d", type=FileType.SYMLINK, target="../a"),
    )


def test_a_folder_named_by_a_slash_alone_is_the_root(tmp_path: Path) -> None:
    (install,) = recipe(tmp_path, HEAD + '[[install]]\ncontext = "a"\nto = "/"\n').installs
    assert (install.to, install.into) == ("/", True)


def test_accounts_are_read_whole(tmp_path: Path) -> None:
    made = recipe(tmp_path, VALID["accounts"])
    assert made.users == (
        User(  # noqa: S604 (a login shell, not a call through one)
            name="api",
            uid=10001,
            home="/home/api",
            shell="/bin/sh",
            comment="The API",
            groups=("adm",),
        ),
        User(name="other", uid=10002, gid=0),
    )
    assert made.groups == (Group(name="adm", gid=4, members=("other",)),)


SHIPPED = sorted((Path(__file__).resolve().parents[3] / "recipes").glob("*.toml"))
OWNERS = {
    "a user has the group of its name": ("root", Owner()),
    "a number has the group of its number": ("0", Owner(user="0", group="0")),
    "a user and a group are both taken": ("a:b", Owner(user="a", group="b")),
    "a user of the recipe has the group given to it": ("api", Owner(user="api", group="7")),
    "the number of a user of the recipe has that group too": ("5", Owner(user="5", group="7")),
    "a user with a group of its own has it": ("alone", Owner(user="alone", group="alone")),
    "the number of a user with a group of its own has it": ("6", Owner(user="6", group="alone")),
    "a user has the group of its name in [groups]": ("both", Owner(user="both", group="9")),
}


@pytest.mark.parametrize("case", OWNERS)
def test_an_owner_gets_a_group(case: str, tmp_path: Path) -> None:
    text, owner = OWNERS[case]
    made = recipe(
        tmp_path,
        HEAD + f'packages = ["a1"]\n[[file]]\npath = "/a"\nowner = "{text}"\n'
        "[users]\napi = { uid = 5, gid = 7 }\nalone = { uid = 6 }\nboth = { uid = 8 }\n[groups.both]\n"
        "gid = 9\n",
    )
    assert made.files[0].owner == owner


def test_the_runtime_is_read_whole(tmp_path: Path) -> None:
    assert recipe(tmp_path, VALID["the runtime"]).runtime == Runtime(
        features=("certificates",),
        libraries=("libpq.so.5",),
        keep=("/usr/share/zoneinfo/**",),
        drop=("/usr/lib/python3*/test/**",),
        missing=Missing.WARN,
    )


def test_the_configuration_is_read_whole(tmp_path: Path) -> None:
    second = 10**9
    assert recipe(tmp_path, VALID["the whole configuration"]).config == ImageConfig(
        entrypoint=("/a",),
        env=(("when", "an ordinary variable here"),),
        user="65532:65532",
        workdir="/",
        volumes=("/data",),
        stop_signal="SIGRTMIN+3",
        healthcheck=Healthcheck(
            test=("CMD", "/a", "ok"),
            interval=90 * second,
            timeout=second // 2,
            start_period=7200 * second,
            retries=3,
        ),
    )


HEALTH_CHECKS = {
    "a string is for the shell": ('"a | b"', ("CMD-SHELL", "a | b")),
    "an array is a program": ('["a", "b"]', ("CMD", "a", "b")),
    "Docker's own words stay": ('["CMD-SHELL", "a"]', ("CMD-SHELL", "a")),
    "none at all can be said": ('["NONE"]', ("NONE",)),
}


@pytest.mark.parametrize("case", HEALTH_CHECKS)
def test_a_health_check_is_written_as_docker_does(case: str, tmp_path: Path) -> None:
    text, words = HEALTH_CHECKS[case]
    made = recipe(tmp_path, HEAD + f"config.healthcheck.test = {text}\n").config.healthcheck
    assert made is not None
    assert made.test == words


def test_an_empty_health_check_is_none(tmp_path: Path) -> None:
    assert recipe(tmp_path, HEAD + "config.healthcheck = {}\n").config.healthcheck is None


def test_short_forms_mean_the_long_ones(tmp_path: Path) -> None:
    short = recipe(tmp_path, VALID["every short form"])
    long = recipe(
        tmp_path,
        'schema = 1\n[image]\nname = "x"\ntags = ["1", "latest"]\n[sources.os]\nsuite = "bookworm"\n'
        'packages = ["a1"]\n[config]\nentrypoint = ["/a"]\ncmd = ["b"]\nuser = "a"\nenv = { A = "b" }\n'
        'ports = [80, "53/udp"]\n',
    )
    assert short == long
    assert short.config.ports == ("80/tcp", "53/udp")


def test_labels_go_to_the_configuration_and_annotations_do_not(tmp_path: Path) -> None:
    made = recipe(tmp_path, HEAD + 'image.labels = { a = "b" }\nimage.annotations = { c = "d" }\n')
    assert (made.config.labels, made.annotations) == ((("a", "b"),), (("c", "d"),))


def test_a_scan_policy_is_read_whole(tmp_path: Path) -> None:
    day = dt.date(2026, 12, 31)
    assert recipe(tmp_path, VALID["a scan policy"]).scan == ScanPolicy(
        fail_on=None,
        only_fixed=True,
        unscannable=Unscannable.WARN,
        max_database_age=None,
        ignore=(Ignore(id="CVE-2024-1", package="zlib1g", reason="r", expires=day),),
    )


@pytest.mark.parametrize("severity", Severity)
def test_every_severity_can_fail_a_build(severity: Severity, tmp_path: Path) -> None:
    made = recipe(tmp_path, HEAD + f'scan.fail_on = "{severity.name.lower()}"\n')
    assert made.scan.fail_on is severity


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("5m", 300), ("12h", 43200), ("7d", 604800), ("2w", 1209600)]
)
def test_an_age_is_in_seconds(text: str, seconds: int, tmp_path: Path) -> None:
    assert recipe(tmp_path, HEAD + f'scan.max_database_age = "{text}"\n').scan.max_database_age == seconds


def test_outputs_start_at_the_current_folder(tmp_path: Path) -> None:
    made = recipe(tmp_path, VALID["packing"])
    assert made.compression is Compression.ZSTD
    assert made.outputs == (
        Output(kind=OutputKind.OCI_LAYOUT, path=tmp_path / "out" / "x"),
        Output(kind=OutputKind.DOCKER_ARCHIVE, path=tmp_path / "x.tar"),
        Output(kind=OutputKind.STORAGE),
    )


def test_the_default_output_has_the_last_part_of_the_name(tmp_path: Path) -> None:
    made = recipe(tmp_path, 'schema = 1\nname = "registry.test:5000/shop/api"\n')
    assert made.outputs == (Output(kind=OutputKind.OCI_LAYOUT, path=tmp_path / "dist" / "api"),)


def test_an_image_can_be_kept_nowhere(tmp_path: Path) -> None:
    assert recipe(tmp_path, HEAD + "output.to = []\n").outputs == ()


NAMES = {
    "a tag goes elsewhere": (
        "a:1",
        '2: name: expected a name without a tag or digest, found "a:1"; tags go to the key tags',
    ),
    "a digest goes nowhere": (
        "a@",
        '2: name: expected a name without a tag or digest, found "a@"; tags go to the key tags',
    ),
    "capitals are none of it": (
        "Redis",
        '2: name: expected an image name (lower-case letters, digits, ".", "_", "-", "/"), found "Redis"',
    ),
    "nothing is no name": (
        "",
        '2: name: expected an image name (lower-case letters, digits, ".", "_", "-", "/"), found ""',
    ),
    "a name has an end": ("a" * 256, "2: name: expected at most 255 letters, found 256"),
}


@pytest.mark.parametrize("case", NAMES)
def test_a_name_is_a_reference_without_a_tag(case: str, tmp_path: Path) -> None:
    name, problem = NAMES[case]
    assert report(tmp_path, f'schema = 1\nname = "{name}"\n') == (problem,)


def test_platforms_come_from_the_caller_the_recipe_or_the_machine(tmp_path: Path) -> None:
    both = HEAD + '[image]\nplatforms = ["linux/arm64", "linux/amd64"]\n'
    assert read(tmp_path, HEAD).platforms == (AMD64,)
    assert read(tmp_path, both).platforms == (ARM64, AMD64)
    assert read(tmp_path, both, Ask(platforms=(ARM64,))).platforms == (ARM64,)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_recipe_is_right(path: Path) -> None:
    request = Request(folder=path.parent, machine=AMD64)
    document = read_recipe(path, request, fragments=path.parent / "fragments")
    assert document.name == path.stem
    assert "suite" in path.read_text(encoding="utf-8")

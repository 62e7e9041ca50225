"""Images of the shipped recipes as TLS clients: a server is trusted if its private CA is, and not else."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from builder.oci import Platform
from builder.pipeline import plan_recipe
from builder.recipe.load import Request, read_recipe
from builder.resources import shipped
from tests.support import inside
from tests.support.https_beside import CA, run_beside
from tests.support.rule_lab import NATIVE, Lab, config_of, make_lab
from tests.support.tools import REPOSITORY, need

pytestmark = [pytest.mark.network, pytest.mark.tools]

URL = "https://localhost:8443"
PYTHON = "import urllib.request as r; print(r.urlopen('{URL}/hello').read().decode())"


@dataclass(frozen=True)
class Client:
    """With the CA (``trusted``) ``expect`` is printed; without it ``refused``, not that there are no CAs."""

    recipe: str
    argv: tuple[str, ...]
    expect: str
    refused: str
    trusted: dict[str, str] = field(default_factory=dict)


CLIENTS = [
    Client(
        "curl",
        ("/usr/bin/curl", "-sS", f"{URL}/hello"),
        "hello over TLS",
        "unable to get local issuer certificate",
        {"CURL_CA_BUNDLE": "/ca.pem"},
    ),
    Client(
        "git",
        ("/usr/bin/git", "clone", f"{URL}/repository.git", "/tmp/clone"),  # noqa: S108 (inside the image)
        "Cloning into",
        "certificate signer not trusted",
        {"GIT_SSL_CAINFO": "/ca.pem"},
    ),
    Client(
        "flask",
        ("/usr/bin/python3", "-c", PYTHON.replace("{URL}", URL)),
        "hello over TLS",
        "unable to get local issuer certificate",
        {"SSL_CERT_FILE": "/ca.pem"},
    ),
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    yield from make_lab(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page, and a repository for git's protocol over plain files."""
    need("git")
    folder = tmp_path_factory.mktemp("site")
    (folder / "hello").write_text("hello over TLS")
    first, bare = folder / "first", folder / "repository.git"
    for command in (
        ("init", "--quiet", "-b", "main", str(first)),
        ("-C", str(first), *_SOMEBODY, "commit", "--quiet", "--allow-empty", "-m", "first"),
        ("clone", "--quiet", "--bare", str(first), str(bare)),
        ("-C", str(bare), "update-server-info"),
    ):
        subprocess.run(["git", *command], check=True)
    return folder


_SOMEBODY = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com")


@pytest.mark.parametrize("client", CLIENTS, ids=[client.recipe for client in CLIENTS])
def test_a_server_is_trusted_by_its_ca_alone(client: Client, lab: Lab, site: Path) -> None:
    image = _image(client.recipe, lab)
    done = run_beside(site, _command(image, client, client.trusted))
    assert done.returncode == 0, done.stdout + done.stderr
    assert client.expect in done.stdout + done.stderr
    done = run_beside(site, _command(image, client, {}))
    assert done.returncode != 0
    assert client.refused in done.stdout + done.stderr


def _command(image: inside.Unpacked, client: Client, environment: dict[str, str]) -> list[str]:
    command = inside.command(image, argv=client.argv)
    place = command.index("--chdir")
    variables = [word for pair in environment.items() for word in ("--setenv", *pair)]
    return [*command[:place], "--ro-bind", str(CA), "/ca.pem", *variables, *command[place:]]


def _image(name: str, lab: Lab) -> inside.Unpacked:
    request = Request(folder=REPOSITORY, machine=Platform.parse(NATIVE), given={"date": "20260101"})
    document = read_recipe(
        REPOSITORY / "recipes" / f"{name}.toml", request, fragments=shipped("recipes") / "fragments"
    )
    recipe = document.recipe(Platform.parse(NATIVE))
    root = lab.lay(plan_recipe(recipe, lab.workshop).plan)
    (root / "ca.pem").touch()  # bwrap mounts over it: the root itself is read-only
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n")  # as engines do
    config = config_of(recipe.config)
    return inside.Unpacked(root=root, config={**config, "WorkingDir": recipe.config.workdir})

"""Credentials from the files of other tools, and from their helpers."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from builder.errors import MachineError
from builder.progress import Silent
from builder.registry.challenge import Challenge, read_challenge
from builder.registry.credentials import Credentials, Keyring
from builder.registry.name import Repository
from builder.registry.tokens import Gate
from builder.transport import Transport
from tests.support.registry import Helpers

APP = Repository(registry="registry.test:5000", path="team/shop/api")
HUB = Repository(registry="docker.io", path="library/debian")


def auth(user: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def credentials(user: str = "", password: str = "", token: str = "") -> Credentials:
    return Credentials(username=user, password=password, identity_token=token)


def keyring(folder: Path, *documents: object, helpers: Helpers | None = None) -> Keyring:
    paths = []
    for number, document in enumerate(documents):
        path = folder / f"{number}.json"
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        paths.append(path)
    return Keyring((folder / "absent.json", *paths), helpers or Helpers())


@pytest.mark.parametrize(
    ("documents", "repository", "user"),
    [
        pytest.param([{"auths": {"registry.test:5000": auth("host", "x")}}], APP, "host", id="by host"),
        pytest.param(
            [
                {
                    "auths": {
                        "registry.test:5000": auth("host", "x"),
                        "registry.test:5000/team": auth("team", "x"),
                    }
                }
            ],
            APP,
            "team",
            id="the most specific namespace",
        ),
        pytest.param(
            [
                {
                    "auths": {
                        "registry.test:5000/team/shop/api": auth("repository", "x"),
                        "registry.test:5000/team": auth("team", "x"),
                    }
                }
            ],
            APP,
            "repository",
            id="the repository itself",
        ),
        pytest.param(
            [{"auths": {"registry.test:5000/te": auth("part", "x")}}], APP, None, id="no part of a name"
        ),
        pytest.param([{"auths": {"registry.test": auth("other", "x")}}], APP, None, id="another port"),
        pytest.param(
            [{"auths": {"https://index.docker.io/v1/": auth("hub", "x")}}], HUB, "hub", id="Docker's Hub"
        ),
        pytest.param([{"auths": {"docker.io/library": auth("hub", "x")}}], HUB, "hub", id="podman's Hub"),
        pytest.param(
            [{"auths": {"https://registry.test:5000/v2/": auth("old", "x")}}],
            APP,
            "old",
            id="an address as a key",
        ),
        pytest.param(
            [
                {"auths": {"other.test": auth("other", "x")}},
                {"auths": {"registry.test:5000": auth("second", "x")}},
            ],
            APP,
            "second",
            id="the second file knows it",
        ),
        pytest.param(
            [
                {"auths": {"registry.test:5000": auth("first", "x")}},
                {"auths": {"registry.test:5000/team": auth("second", "x")}},
            ],
            APP,
            "first",
            id="the first file decides",
        ),
        pytest.param(
            [{"auths": {"registry.test:5000": {"username": "plain", "password": "x"}}}],
            APP,
            "plain",
            id="plain",
        ),
        pytest.param([{"auths": {"registry.test:5000": {}}}], APP, None, id="an empty entry"),
        pytest.param([{}, ""], APP, None, id="empty files"),
    ],
)
def test_whose_credentials(
    tmp_path: Path, documents: list[Any], repository: Repository, user: str | None
) -> None:
    found = keyring(tmp_path, *documents).find(repository)
    assert (found.username if found is not None else None) == user


@pytest.mark.parametrize(
    ("document", "answers", "asked", "found"),
    [
        pytest.param(
            {
                "credHelpers": {"registry.test:5000": "vault"},
                "auths": {"registry.test:5000": auth("file", "x")},
            },
            {"docker-credential-vault": (0, '{"Username": "ci", "Secret": "s"}')},
            [("docker-credential-vault", "registry.test:5000")],
            credentials("ci", "s"),
            id="the helper of a registry",
        ),
        pytest.param(
            {"credsStore": "desktop", "auths": {"registry.test:5000": {}}},
            {"docker-credential-desktop": (0, '{"Username": "<token>", "Secret": "t"}')},
            [("docker-credential-desktop", "registry.test:5000")],
            credentials("", "", "t"),
            id="the store of all, with a token",
        ),
        pytest.param(
            {"credsStore": "desktop"},
            {"docker-credential-desktop": (1, "credentials not found in native keychain")},
            [("docker-credential-desktop", "registry.test:5000")],
            None,
            id="a store that does not know it",
        ),
    ],
)
def test_helpers(
    tmp_path: Path,
    document: object,
    answers: dict[str, tuple[int, str]],
    asked: list[tuple[str, str]],
    found: Credentials | None,
) -> None:
    helpers = Helpers(answers=answers)
    ring = keyring(tmp_path, document, helpers=helpers)
    assert ring.find(APP) == found
    assert ring.find(APP) == found
    assert helpers.asked == asked, "asked once"


@pytest.mark.parametrize(
    ("document", "text"),
    [
        pytest.param("{", "cannot be read", id="no JSON"),
        pytest.param("[" * 100_000, "cannot be read", id="deep JSON"),
        pytest.param([], "no JSON object", id="a list"),
        pytest.param({"auths": [1]}, "auths is no object", id="auths that are a list"),
        pytest.param({"auths": {"registry.test:5000": {"auth": "%"}}}, "not base64", id="no base64"),
        pytest.param(
            {"auths": {"registry.test:5000": {"auth": "eA=="}}}, "not user:password", id="no password"
        ),
        pytest.param({"credsStore": "gone"}, "not on the PATH", id="a helper that is not there"),
        pytest.param({"credHelpers": {"registry.test:5000": "../../bin/sh"}}, "not on the PATH", id="a path"),
        pytest.param({"credsStore": "broken"}, "gives no credentials", id="a helper that fails"),
        pytest.param({"credsStore": "odd"}, "something else than JSON", id="a helper that says nothing"),
    ],
)
def test_file_that_cannot_be_used(tmp_path: Path, document: object, text: str) -> None:
    answers = {"docker-credential-broken": (1, "locked"), "docker-credential-odd": (0, "hello")}
    with pytest.raises(MachineError, match=text):
        keyring(tmp_path, document, helpers=Helpers(answers=answers)).find(APP)


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    found = keyring(tmp_path, {"auths": {"registry.test:5000": auth("user", "geheim")}}).find(APP)
    assert found is not None
    assert "geheim" not in repr(found)


@pytest.mark.parametrize(
    ("header", "challenge"),
    [
        pytest.param(
            'Bearer realm="https://auth.test/token",service="registry.test",scope="repository:a/b:pull,push"',
            Challenge(scheme="bearer", realm="https://auth.test/token", service="registry.test"),
            id="Bearer",
        ),
        pytest.param('Basic realm="demo"', Challenge(scheme="basic", realm="demo"), id="Basic"),
        pytest.param(
            'Basic realm="demo", Bearer realm="https://a.test/t", service=x',
            Challenge(scheme="bearer", realm="https://a.test/t", service="x"),
            id="Bearer before Basic",
        ),
        pytest.param(
            r'BEARER realm="a\"b" , error="insufficient_scope"',
            Challenge(scheme="bearer", realm='a"b', error="insufficient_scope"),
            id="quotes and capitals",
        ),
        pytest.param("Negotiate", None, id="another scheme"),
        pytest.param("=,=;", None, id="nonsense"),
        pytest.param("a=" * 100_000, None, id="very long"),
    ],
)
def test_challenge(header: str, challenge: Challenge | None) -> None:
    assert read_challenge(header) == challenge


def test_password_goes_to_no_token_server_without_tls(tmp_path: Path) -> None:
    ring = keyring(tmp_path, {"auths": {"registry.test:5000": auth("user", "geheim")}})
    challenge = Challenge(scheme="bearer", realm="http://auth.test/token")
    with Transport(progress=Silent(), retries=0) as transport:
        gate = Gate(transport, ring, lambda: 0.0, plain=False)
        with pytest.raises(MachineError, match="no address with TLS"):
            gate.meet(challenge, APP, ("repository:team/shop/api:pull",), "")

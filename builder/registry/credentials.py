"""Credentials for registries, from the files that other tools write (containers-auth.json(5), Docker's).

Of each file the helper of the registry comes first, then its "auths", the most specific key first, then the
store for all registries. The first file that knows the registry decides.
"""

from __future__ import annotations

import base64
import binascii
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builder.engine.command import Command, Runner
from builder.errors import MachineError
from builder.registry.name import DOCKER_HUB, Repository

_HUB_KEY = "https://index.docker.io/v1/"
_MAX_FILE = 4 << 20
_TOKEN_USER = "<token>"  # noqa: S105 (a word of docker-credential-helpers)
_UNKNOWN = "credentials not found"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """A user with a password, or one of the two kinds of token that a file may hold instead."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    """Given to the token server for an access token."""
    access_token: str = field(default="", repr=False)
    """Given to the registry as it is."""

    @property
    def basic(self) -> str:
        """The value of an Authorization header, "" without a user."""
        if not self.username:
            return ""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


class Keyring:
    """Credentials by repository, looked up once each. Threads may share one.

    ``files`` are looked at in this order; those that are not there are passed over. ``helpers`` are programs
    ``docker-credential-NAME`` of the machine, started by ``runner``.
    """

    def __init__(self, files: tuple[Path, ...], runner: Runner) -> None:
        self._files = files
        self._runner = runner
        self._lock = threading.Lock()
        self._documents: dict[Path, Mapping[str, Any]] = {}
        self._found: dict[Repository, Credentials | None] = {}

    def find(self, repository: Repository) -> Credentials | None:
        """The credentials for a repository; None when no file knows it.

        MachineError when a file cannot be read or a helper fails: asking without credentials instead would
        only say that something is not there.
        """
        with self._lock:
            if repository not in self._found:
                found = (self._in_file(path, repository) for path in self._files)
                self._found[repository] = next((one for one in found if one is not None), None)
            return self._found[repository]

    def _in_file(self, path: Path, repository: Repository) -> Credentials | None:
        document = self._read(path)
        helpers = _object(document, "credHelpers", path)
        for key in _keys(repository):
            if isinstance(name := helpers.get(key), str) and name:
                return self._ask(name, key)
        auths = _object(document, "auths", path)
        for key in _keys(repository):
            if isinstance(entry := auths.get(key), dict) and (found := _entry(entry, f"{path}: {key}")):
                return found
        store = document.get("credsStore")
        if isinstance(store, str) and store:
            asked = (self._ask(store, key) for key in _store_keys(repository))
            return next((one for one in asked if one is not None), None)
        return None

    def _read(self, path: Path) -> Mapping[str, Any]:
        if path not in self._documents:
            self._documents[path] = _parse(path)
        return self._documents[path]

    def _ask(self, helper: str, server: str) -> Credentials | None:
        """Run a credential helper (github.com/docker/docker-credential-helpers, "get")."""
        program = self._runner.find(f"docker-credential-{helper}") if _is_plain(helper) else None
        if program is None:
            raise MachineError(
                f"The credentials for {server} are kept by docker-credential-{helper[:80]}, "
                "which is not on the PATH",
                hint="install it, or log in again without a credential helper",
            )
        finished = self._runner.run(
            Command(
                argv=(program, "get"),
                description=f"docker-credential-{helper} get",
                stdin=server.encode(),
                timeout=60,
                success=frozenset(range(256)),
            )
        )
        if finished.status:
            said = (finished.stdout + finished.stderr).decode(errors="replace").strip()
            if _UNKNOWN in said.lower():
                return None
            raise MachineError(
                f"docker-credential-{helper} gives no credentials for {server}: {said[:300]}",
                hint="unlock the store of passwords, or log in again",
            )
        return _helped(finished.stdout, helper)


def _is_plain(helper: str) -> bool:
    return helper.replace("-", "").replace("_", "").replace(".", "").isalnum()


def _helped(payload: bytes, helper: str) -> Credentials | None:
    try:
        document = json.loads(payload)
        username, secret = document["Username"], document["Secret"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise MachineError(f"docker-credential-{helper} answers with something else than JSON") from error
    if not isinstance(username, str) or not isinstance(secret, str) or not secret:
        return None
    if username == _TOKEN_USER:
        return Credentials(identity_token=secret)
    return Credentials(username=username, password=secret)


def _keys(repository: Repository) -> Iterator[str]:
    """Keys of a repository, most specific first: ``host/team/app``, ``host/team``, ``host``."""
    path = str(repository)
    while path:
        yield path
        path = path.rpartition("/")[0]
    yield from _old_keys(repository)


def _old_keys(repository: Repository) -> Iterator[str]:
    """Docker's keys: addresses, and its own name for Docker Hub."""
    if repository.registry == DOCKER_HUB:
        yield from (_HUB_KEY, "index.docker.io", "registry-1.docker.io")
    for scheme in ("https", "http"):
        for end in ("", "/", "/v1/", "/v2/"):
            yield f"{scheme}://{repository.registry}{end}"


def _store_keys(repository: Repository) -> Iterator[str]:
    if repository.registry == DOCKER_HUB:
        yield _HUB_KEY
    yield repository.registry


def _parse(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as stream:
            payload = stream.read(_MAX_FILE + 1)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise MachineError(f"The credentials in {path} cannot be read: {error.strerror}") from error
    try:
        document = json.loads(payload) if payload.strip() else {}
    except (ValueError, RecursionError) as error:
        raise _damaged(path, str(error)[:200]) from error
    if not isinstance(document, dict) or len(payload) > _MAX_FILE:
        raise _damaged(path, "it is no JSON object, or too large")
    return document


def _object(document: Mapping[str, Any], key: str, path: Path) -> Mapping[str, Any]:
    value = document.get(key) or {}
    if not isinstance(value, dict):
        raise _damaged(path, f"{key} is no object")
    return value


def _entry(entry: Mapping[str, Any], where: str) -> Credentials | None:
    words = {key: value for key, value in entry.items() if isinstance(value, str)}
    if words.get("registrytoken"):
        return Credentials(access_token=words["registrytoken"])
    username, password = words.get("username", ""), words.get("password", "")
    if words.get("auth"):
        username, password = _decoded(words["auth"], where)
    if words.get("identitytoken"):
        return Credentials(username=username, identity_token=words["identitytoken"])
    return Credentials(username=username, password=password) if username else None


def _decoded(auth: str, where: str) -> tuple[str, str]:
    try:
        username, colon, password = base64.b64decode(auth, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise _damaged(where, "auth is not base64") from error
    if not colon:
        raise _damaged(where, "auth is not user:password")
    return username, password.strip("\0")


def _damaged(where: object, what: str) -> MachineError:
    return MachineError(
        f"The credentials in {where} cannot be read: {what}", hint="log in again, or remove that entry"
    )

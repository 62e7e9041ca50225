"""Getting in: Basic credentials or access tokens of a token server, renewed before they end.

https://distribution.github.io/distribution/spec/auth/token/ and /oauth/
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from builder.errors import MachineError
from builder.registry.answers import OK, UNAUTHORISED, said
from builder.registry.challenge import Challenge
from builder.registry.credentials import Credentials, Keyring
from builder.registry.name import Repository, is_loopback
from builder.transport import Answer, LockedError, Question, Transport

Scope = tuple[str, ...]
"""What is to be done where: "repository:team/app:pull", …"""

_SHORTEST = 60.0
"""Seconds that a token is good for when its server does not say (specification)."""
_MARGIN = 10.0
_MAX_TOKEN = 1 << 20
_CLIENT = "rootlet"


@dataclass(frozen=True, slots=True)
class _Token:
    header: str = field(repr=False)
    until: float


class Gate:
    """Authorization headers for one registry. Threads may share one.

    ``plain`` says whether the registry itself is spoken to without TLS: then its token server may be too.
    """

    def __init__(
        self, transport: Transport, keyring: Keyring, clock: Callable[[], float], *, plain: bool
    ) -> None:
        self._transport = transport
        self._keyring = keyring
        self._clock = clock
        self._plain = plain
        self._lock = threading.Lock()
        self._challenge: Challenge | None = None
        self._tokens: dict[tuple[Repository, Scope], _Token] = {}

    def header(self, repository: Repository, scope: Scope) -> str:
        """The Authorization header for ``scope``; "" as long as the registry did not ask for one."""
        with self._lock:
            if self._challenge is None:
                return ""
            known = self._tokens.get((repository, scope))
            if known is None or self._clock() >= known.until:
                known = self._renew(self._challenge, repository, scope)
                self._tokens[repository, scope] = known
            return known.header

    def meet(self, challenge: Challenge, repository: Repository, scope: Scope, refused: str) -> str:
        """The header after the registry refused ``refused``; the same one when there is no other."""
        with self._lock:
            self._challenge = challenge
            known = self._tokens.get((repository, scope))
            if known is not None and known.header == refused:
                del self._tokens[repository, scope]
        return self.header(repository, scope)

    def _renew(self, challenge: Challenge, repository: Repository, scope: Scope) -> _Token:
        credentials = self._keyring.find(repository)
        if credentials is not None and credentials.access_token:
            return _Token(f"Bearer {credentials.access_token}", float("inf"))
        if challenge.scheme == "basic":
            return _Token(credentials.basic if credentials is not None else "", float("inf"))
        self._check_realm(challenge, repository)
        if credentials is not None and credentials.identity_token:
            question = _exchange(challenge, scope, credentials.identity_token)
        else:
            question = _ordinary(challenge, scope, credentials)
        asked_at = self._clock()
        return _read(self._transport.ask(question, limit=_MAX_TOKEN), challenge, repository, asked_at)

    def _check_realm(self, challenge: Challenge, repository: Repository) -> None:
        try:
            parts = urlsplit(challenge.realm)
            host = parts.hostname or ""
        except ValueError:
            host = ""
        if host and parts.scheme == "https":
            return
        if host and parts.scheme == "http" and (self._plain or is_loopback(host)):
            return
        raise MachineError(
            f"{repository.registry} wants a token of {challenge.realm[:200]!a}, which is no address with TLS",
            hint="the registry is set up wrongly, or somebody is between it and this machine",
        )


def _ordinary(challenge: Challenge, scope: Scope, credentials: Credentials | None) -> Question:
    pairs = [("service", challenge.service)] if challenge.service else []
    pairs += [("scope", one) for one in scope]
    headers = {}
    if credentials is not None and credentials.basic:
        pairs.append(("account", credentials.username))
        headers["Authorization"] = credentials.basic
    joint = "&" if urlsplit(challenge.realm).query else "?"
    return Question(url=f"{challenge.realm}{joint}{urlencode(pairs)}", headers=headers, plain=False)


def _exchange(challenge: Challenge, scope: Scope, identity_token: str) -> Question:
    form = {
        "grant_type": "refresh_token",
        "service": challenge.service,
        "client_id": _CLIENT,
        "scope": " ".join(scope),
        "refresh_token": identity_token,
    }
    return Question(
        url=challenge.realm,
        method="POST",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        body=urlencode(form).encode(),
        plain=False,
    )


def _read(answer: Answer, challenge: Challenge, repository: Repository, asked_at: float) -> _Token:
    server = urlsplit(challenge.realm).hostname
    if answer.status != OK:
        kind = LockedError if answer.status in {UNAUTHORISED, 403} else MachineError
        raise kind(
            f"{server} gives no access to {repository}: it says {answer.status}{said(answer)}",
            hint=f"log in: skopeo login {repository.registry} (or podman, buildah, docker login)",
        )
    try:
        document = json.loads(answer.body)
        token = document.get("token") or document.get("access_token")
        seconds = document.get("expires_in")
    except (ValueError, AttributeError, RecursionError) as error:
        raise MachineError(f"{server} answers with something else than a token") from error
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise MachineError(f"{server} answers without a token")
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    life = max(float(seconds), _SHORTEST) if is_number else _SHORTEST
    return _Token(f"Bearer {token}", asked_at + life - _MARGIN)

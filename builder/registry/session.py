"""Conversations with registries: manifests and blobs, both ways (distribution-spec v1.1).

Everything that comes is proven by its digest. Connections use TLS; plain HTTP is spoken to this machine and
to registries that were named as insecure.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from builder.errors import BuildError, MachineError
from builder.oci import Digest
from builder.registry.answers import (
    FORBIDDEN,
    MAX_ERROR,
    NOT_FOUND,
    OK,
    UNAUTHORISED,
    said,
)
from builder.registry.challenge import read_challenge
from builder.registry.credentials import Keyring
from builder.registry.name import Repository, is_loopback
from builder.registry.tokens import Gate, Scope
from builder.transport import REDIRECTING, Answer, LockedError, NotFoundError, Question, Transport, origin

MAX_MANIFEST = 8 << 20
"""Bytes of the largest manifest that is taken; registries stop at 4 MiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A manifest or an index as it came; ``digest`` is that of ``payload``."""

    media_type: str
    digest: Digest
    payload: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """What is asked of a repository: ``rest`` of the address (or a whole one), and the rights it takes.

    ``more_scope``: rights elsewhere. ``limit``: most bytes of the answer.
    """

    rest: str
    method: str = "GET"
    actions: str = "pull"
    more_scope: Scope = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = field(default=None, repr=False)
    limit: int = MAX_ERROR


class Registries:
    """All registries of one command, each with what it takes to get in. Threads may share one."""

    def __init__(
        self, transport: Transport, keyring: Keyring, clock: Callable[[], float], *, insecure: frozenset[str]
    ) -> None:
        self.transport = transport
        self._keyring = keyring
        self._clock = clock
        self._insecure = insecure
        self._lock = threading.Lock()
        self._doors: dict[str, _Door] = {}

    # ---- pulling -----------------------------------------------------------------------------------

    def manifest(self, repository: Repository, reference: str, accept: tuple[str, ...]) -> Received:
        """The manifest under a tag or a digest. NotFoundError, MachineError, BuildError for other bytes."""
        errand = Errand(
            rest=f"manifests/{reference}", headers={"Accept": ", ".join(accept)}, limit=MAX_MANIFEST
        )
        answer = self.ask(repository, errand)
        what = f"{repository}:{reference}" if ":" not in reference else f"{repository}@{reference}"
        if answer.status != OK:
            refuse(answer, repository, what)
        digest = _proven(answer, reference, what)
        media_type = answer.headers.get("Content-Type", "").partition(";")[0].strip()
        return Received(media_type=media_type, digest=digest, payload=answer.body)

    def blob(self, repository: Repository, digest: Digest, size: int) -> bytes:
        """A small blob, proven. NotFoundError, MachineError, BuildError for other bytes."""
        what = f"the blob {digest} of {repository}"
        answer = self.ask(repository, Errand(rest=f"blobs/{digest}", limit=max(size, MAX_ERROR)))
        if answer.status != OK:
            refuse(answer, repository, what)
        if hashlib.new(digest.algorithm, answer.body).hexdigest() != digest.encoded:
            raise BuildError(
                f"The registry gives other bytes for {what}",
                hint="the registry is damaged or hostile, or a proxy changes what it says",
            )
        return answer.body

    def authorise(self, repository: Repository, digest: Digest) -> None:
        """Get in, so that :meth:`headers` has what :meth:`blob_url` needs. NotFoundError without the blob."""
        answer = self.ask(repository, Errand(rest=f"blobs/{digest}", method="HEAD"))
        if answer.status != OK and answer.status not in REDIRECTING:  # sent on: it is there
            refuse(answer, repository, f"the blob {digest} of {repository}")

    def headers(self, repository: Repository) -> Mapping[str, str]:
        """Headers for a download from ``repository``."""
        return self._door(repository).headers(repository, _scope(repository, "pull"))

    def address(self, repository: Repository, rest: str) -> str:
        """The address of something in a repository."""
        return f"{self._door(repository).base}/v2/{repository.path}/{rest}"

    def is_plain(self, repository: Repository) -> bool:
        """Whether the registry is spoken to without TLS."""
        return self._door(repository).base.startswith("http:")

    # ---- asking ------------------------------------------------------------------------------------

    def ask(self, repository: Repository, errand: Errand) -> Answer:
        """Ask for something of a repository, logging in as the registry wants it; whatever the status."""
        url = errand.rest if "://" in errand.rest else self.address(repository, errand.rest)
        question = Question(
            url=url,
            method=errand.method,
            headers=errand.headers,
            body=errand.body,
            plain=self.is_plain(repository),
        )
        scope = (*_scope(repository, errand.actions), *errand.more_scope)

        def exchange(one: Question) -> Answer:
            return self.transport.ask(one, limit=errand.limit)

        return self.logged_in(repository, scope, question, exchange)

    def logged_in(
        self,
        repository: Repository,
        scope: Scope,
        question: Question,
        exchange: Callable[[Question], Answer],
    ) -> Answer:
        """``exchange`` with credentials; once more when the registry wants others.

        They go to the registry's own server only: an address elsewhere that it gave carries its own.
        """
        door = self._door(repository)
        if origin(question.url) != origin(door.base):
            return exchange(question)
        header = door.gate.header(repository, scope)
        answer = exchange(_with(question, header))
        if answer.status != UNAUTHORISED:
            return answer
        challenge = read_challenge(answer.headers.get("WWW-Authenticate", ""))
        if challenge is None:
            return answer
        other = door.gate.meet(challenge, repository, scope, header)
        return exchange(_with(question, other)) if other and other != header else answer

    def _door(self, repository: Repository) -> _Door:
        with self._lock:
            if repository.registry not in self._doors:
                base = self._base(repository)
                gate = Gate(self.transport, self._keyring, self._clock, plain=base.startswith("http:"))
                self._doors[repository.registry] = _Door(base, gate)
            return self._doors[repository.registry]

    def _base(self, repository: Repository) -> str:
        """``https://HOST``; plain HTTP where that is allowed and answered as a registry does."""
        host = repository.host
        if not (is_loopback(host) or {host, host.partition(":")[0]} & self._insecure):
            return f"https://{host}"
        try:
            answer = self.transport.ask(Question(url=f"http://{host}/v2/"), limit=MAX_ERROR)
        except (MachineError, BuildError):
            # Nobody there, or somebody who speaks something else: TLS says what is wrong.
            return f"https://{host}"
        return f"http://{host}" if answer.status in {OK, UNAUTHORISED, FORBIDDEN} else f"https://{host}"


@dataclass(frozen=True, slots=True)
class _Door:
    """Where a registry is, and how to get in."""

    base: str
    gate: Gate

    def headers(self, repository: Repository, scope: Scope) -> dict[str, str]:
        header = self.gate.header(repository, scope)
        return {"Authorization": header} if header else {}


def refuse(answer: Answer, repository: Repository, what: str) -> NoReturn:
    """Raise what a status means that is no success; ``what`` was wanted."""
    words = f"the registry says {answer.status}{said(answer)}"
    if answer.status == NOT_FOUND:
        raise NotFoundError(f"{what} is not there: {words}", hint="check the name, the tag and the registry")
    if answer.status in {UNAUTHORISED, FORBIDDEN}:
        raise LockedError(
            f"{what} is locked, or not there for you: {words}",
            hint=f"log in: skopeo login {repository.registry} (or podman, buildah, docker login)",
        )
    raise MachineError(f"{what} cannot be had: {words}")


def _scope(repository: Repository, actions: str) -> Scope:
    return (f"repository:{repository.path}:{actions}",)


def _with(question: Question, header: str) -> Question:
    if not header:
        return question
    return Question(
        url=question.url,
        method=question.method,
        headers={**question.headers, "Authorization": header},
        body=question.body,
        plain=question.plain,
    )


def _proven(answer: Answer, reference: str, what: str) -> Digest:
    """The digest of what came. BuildError when it is not the one that was asked for or that was promised."""
    said_digest = answer.headers.get("Docker-Content-Digest", "")
    wanted = reference if ":" in reference else said_digest
    try:
        promised = Digest.parse(wanted) if wanted else None
    except ValueError as error:
        raise BuildError(f"The registry gives {what} a digest that is none: {wanted[:100]!a}") from error
    algorithm = promised.algorithm if promised is not None else "sha256"
    digest = Digest(algorithm, hashlib.new(algorithm, answer.body).hexdigest())
    if promised is not None and digest != promised:
        raise BuildError(
            f"The registry gives other bytes for {what}: their digest is {digest}, not {promised}",
            hint="the registry is damaged or hostile, or a proxy changes what it says",
        )
    return digest

"""Pushing: blobs, then manifests, then tags (distribution-spec v1.1, "Push")."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, urlencode, urljoin, urlsplit

from builder.errors import BuildError, MachineError
from builder.oci import Digest
from builder.registry.answers import ACCEPTED, CREATED, MAX_ERROR, NO_CONTENT, NOT_FOUND, OK, TOO_LARGE
from builder.registry.name import Repository
from builder.registry.session import Errand, Registries, refuse
from builder.registry.tokens import Scope
from builder.transport import REDIRECTING, Answer, FilePart, LockedError, PassingError, Question

_PUSH = "pull,push"
_PIECE = 16 << 20
"""Bytes of a chunk where a server refuses a whole blob at once."""
_BYTES = "application/octet-stream"

Report = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """Bytes of this machine that are to be at a registry under their digest.

    ``also_in``: a repository of the same registry that may have it already.
    """

    digest: Digest
    source: FilePart
    also_in: Repository | None = None


def push_blob(registries: Registries, repository: Repository, blob: Blob, report: Report) -> bool:
    """Make sure that the blob is there; says whether its bytes were sent.

    MachineError when the registry refuses it, BuildError when it took other bytes. ``report`` is told how
    many bytes were sent so far.
    """
    errand = Errand(rest=f"blobs/{blob.digest}", method="HEAD", actions=_PUSH)
    answer = registries.ask(repository, errand)
    if answer.status == OK or answer.status in REDIRECTING:
        return False
    if answer.status != NOT_FOUND:
        refuse(answer, repository, f"{repository} (to push to it)")
    upload = _Upload(registries, repository, blob, report)
    if blob.also_in is not None and upload.mounted(blob.also_in):
        return False
    registries.transport.persist(registries.address(repository, f"blobs/{blob.digest}"), upload.send)
    return True


def push_manifest(
    registries: Registries, repository: Repository, payload: bytes, media_type: str, *, reference: str
) -> bool:
    """Put a manifest or an index under a tag or its digest, and prove that it is there.

    Says whether the registry lists it as a referrer of its subject (header OCI-Subject).
    """
    what = f"{repository}{'@' if ':' in reference else ':'}{reference}"
    errand = Errand(
        rest=f"manifests/{reference}",
        method="PUT",
        actions=_PUSH,
        headers={"Content-Type": media_type},
        body=payload,
    )
    answer = registries.ask(repository, errand)
    if answer.status not in {CREATED, ACCEPTED, OK}:
        refuse(answer, repository, f"{what} (to push it)")
    there = registries.manifest(repository, reference, (media_type,))
    if there.payload != payload:
        raise BuildError(
            f"The registry holds something else under {what} than what was pushed: {there.digest}",
            hint="somebody else pushed at the same time, or the registry rewrites what it is given",
        )
    return bool(answer.headers.get("OCI-Subject", ""))


@dataclass(frozen=True, slots=True)
class _Upload:
    """One blob on its way."""

    registries: Registries
    repository: Repository
    blob: Blob
    report: Report

    def mounted(self, other: Repository) -> bool:
        """Have the registry take the blob from another repository of its own, where it can."""
        if other.registry != self.repository.registry or other == self.repository:
            return False
        query = urlencode({"mount": str(self.blob.digest), "from": other.path})
        errand = Errand(
            rest=f"blobs/uploads/?{query}",
            method="POST",
            actions=_PUSH,
            more_scope=(f"repository:{other.path}:pull",),
            body=b"",
        )
        try:
            answer = self.registries.ask(self.repository, errand)
        except LockedError:  # no right to read there: then the bytes are sent
            return False
        if answer.status == ACCEPTED and (place := answer.headers.get("Location", "")):
            # An upload was begun instead. Best effort: the registry sweeps it sooner or later.
            begun = urljoin(self.registries.address(self.repository, "blobs/uploads/"), place)
            self.registries.ask(self.repository, Errand(rest=begun, method="DELETE", actions=_PUSH))
        return answer.status == CREATED

    def send(self) -> Answer:
        """Send the whole blob, in one piece or, where that is too much for the server, in several."""
        answer = self._put(self._begin())
        if answer.status == TOO_LARGE:
            answer = self._in_pieces(self._begin())
        if answer.status not in {CREATED, NO_CONTENT, OK}:
            refuse(answer, self.repository, f"the blob {self.blob.digest} (to push it to {self.repository})")
        found = answer.headers.get("Docker-Content-Digest", "")
        if found and found != str(self.blob.digest):
            raise BuildError(f"The registry took {found[:100]} for the blob {self.blob.digest}")
        return answer

    def _begin(self) -> str:
        errand = Errand(rest="blobs/uploads/", method="POST", actions=_PUSH, body=b"")
        answer = self.registries.ask(self.repository, errand)
        if answer.status != ACCEPTED:
            refuse(answer, self.repository, f"{self.repository} (to push to it)")
        return self._place(answer, self.registries.address(self.repository, "blobs/uploads/"))

    def _put(self, place: str) -> Answer:
        source = self.blob.source
        return self._ask("PUT", _with_digest(place, self.blob.digest), source, {"Content-Type": _BYTES})

    def _in_pieces(self, place: str) -> Answer:
        source, done = self.blob.source, 0
        while done < source.size:
            size = min(_PIECE, source.size - done)
            part = FilePart(path=source.path, offset=source.offset + done, size=size)
            headers = {"Content-Type": _BYTES, "Content-Range": f"{done}-{done + size - 1}"}
            answer = self._ask("PATCH", place, part, headers, before=done)
            if answer.status not in {ACCEPTED, NO_CONTENT}:
                return answer
            place = self._place(answer, place)
            done += size
        return self._ask("PUT", _with_digest(place, self.blob.digest), b"", {})

    def _ask(
        self, method: str, url: str, body: FilePart | bytes, headers: dict[str, str], *, before: int = 0
    ) -> Answer:
        question = Question(url=url, method=method, headers=headers, body=body, plain=False)
        transport = self.registries.transport

        def exchange(one: Question) -> Answer:
            return transport.exchange(one, limit=MAX_ERROR, report=lambda sent: self.report(before + sent))

        scope: Scope = (f"repository:{self.repository.path}:{_PUSH}",)
        return self.registries.logged_in(self.repository, scope, question, exchange)

    def _place(self, answer: Answer, asked: str) -> str:
        """Where the upload goes on. MachineError for a place without TLS of a registry that has it."""
        place = urljoin(asked, answer.headers.get("Location", ""))
        try:
            scheme = urlsplit(place).scheme
        except ValueError:
            scheme = ""
        if not answer.headers.get("Location") or scheme not in {"http", "https"}:
            raise PassingError("the registry does not say where the blob goes")
        if scheme == "http" and not self.registries.is_plain(self.repository):
            raise MachineError(
                f"{self.repository.registry} wants blobs sent to an address without TLS",
                hint="the registry does not know that it is behind TLS: have its proxy say so "
                "(X-Forwarded-Proto)",
            )
        return place


def _with_digest(place: str, digest: Digest) -> str:
    joint = "&" if urlsplit(place).query else "?"
    return f"{place}{joint}digest={quote(str(digest), safe='')}"

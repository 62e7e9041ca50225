"""The mirrors are asked: release files fetched and verified, Packages files fetched and compiled."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from builder.engine.command import Runner
from builder.errors import BuildError, MachineError, ResolutionError, RootletError
from builder.sources.debian.index import compile_index, index_path
from builder.sources.debian.openpgp import verify_clearsigned, verify_detached
from builder.sources.debian.release import check_release, packages_indexes, parse_release
from builder.sources.debian.state import IndexPlace, State, SuiteState
from builder.sources.debian.suites import Role, Suite
from builder.sources.decompress import PIECE, decompressed
from builder.transport import Download, NotFoundError, Transport

_MOST_RELEASE = 16 << 20
_MOST_INDEX = 1 << 30
_JOBS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """How release files are judged. ``keys`` are binary OpenPGP keys.

    ``expires``: Valid-Until counts. ``newest``: the latest date that was ever seen of each suite's folder, by
    its address; an older release file is refused. Empty for a snapshot. Times in seconds since the epoch.
    """

    keys: tuple[bytes, ...]
    expires: bool
    newest: Mapping[str, float]
    now: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What is taken from every suite."""

    components: tuple[str, ...]
    architecture: str


def refresh(
    suites: tuple[Suite, ...],
    selection: Selection,
    trust: Trust,
    known: State | None,
    *,
    transport: Transport,
    runner: Runner,
) -> State:
    """Ask for every release file, at once; those that did not change keep what is known of them.

    ResolutionError when the suite itself does not exist; MachineError when a companion that Debian keeps
    for it is missing; BuildError when a release file is not to be trusted.
    """
    before = {suite.url: suite for suite in known.suites} if known else {}
    asker = _Asker(selection, trust, transport, runner)
    with ThreadPoolExecutor(max_workers=len(suites), thread_name_prefix="release") as pool:
        found = tuple(pool.map(lambda suite: asker.ask(suite, before.get(suite.folder)), suites))
    main = found[0]
    if main is None:
        raise ResolutionError(
            f"The suite {suites[0].name} was not found at {suites[0].mirror}",
            hint="correct `suite` or `mirror` in the recipe",
        )
    for suite, state in zip(suites, found, strict=True):
        if state is None and main.stable:
            raise _incomplete(suite)
    return State(fetched=trust.now, suites=tuple(state for state in found if state is not None))


def compile_indexes(
    places: tuple[IndexPlace, ...], cache: Path, transport: Callable[[], Transport] | None, *, now: float
) -> tuple[Path, ...]:
    """Return the compiled form of each Packages file; those that are not there yet are fetched and compiled.

    ``transport`` None means offline: MachineError when something would have to be fetched. ``now`` marks the
    files as used.
    """
    paths = tuple(index_path(cache / "indexes", place.sha256) for place in places)
    wanting = {place.sha256: place for place, path in zip(places, paths, strict=True) if not path.exists()}
    if wanting:
        if transport is None:
            raise MachineError(
                "The package lists are not on this machine, and --offline was given",
                hint="run once without --offline",
            )
        with transport() as door, ThreadPoolExecutor(_JOBS, thread_name_prefix="index") as pool:
            for _ in pool.map(lambda place: _compile(place, cache, door), wanting.values()):
                pass
    for path in paths:
        with contextlib.suppress(OSError):
            os.utime(path, (now, now))
    return paths


class _Asker:
    """Asks for one release file at a time."""

    def __init__(self, selection: Selection, trust: Trust, transport: Transport, runner: Runner) -> None:
        self._selection = selection
        self._trust = trust
        self._transport = transport
        self._runner = runner

    def ask(self, suite: Suite, known: SuiteState | None) -> SuiteState | None:
        """Return what a suite's release file says now; None when the mirror has no such suite."""
        url = f"{suite.folder}/InRelease"
        headers = _conditions(known)
        try:
            response = self._transport.get(url, limit=_MOST_RELEASE, headers=headers)
        except NotFoundError:
            return self._ask_detached(suite)
        if response.status == 304 and known is not None:  # noqa: PLR2004 (Not Modified)
            self._check_expiry(known)
            return known
        text = verify_clearsigned(response.body, self._trust.keys, name=url, runner=self._runner)
        return self._read(suite, text, (response.etag, response.last_modified))

    def _ask_detached(self, suite: Suite) -> SuiteState | None:
        url = f"{suite.folder}/Release"
        try:
            release = self._transport.get(url, limit=_MOST_RELEASE)
            signature = self._transport.get(f"{url}.gpg", limit=_MOST_RELEASE)
        except NotFoundError as error:
            if suite.role is Role.MAIN and error.message.startswith(f"{url}.gpg"):
                raise BuildError(f"{url} is not signed: there is no Release.gpg beside it") from error
            return None
        text = verify_detached(release.body, signature.body, self._trust.keys, name=url, runner=self._runner)
        return self._read(suite, text, ("", ""))

    def _read(self, suite: Suite, text: bytes, validators: tuple[str, str]) -> SuiteState:
        release = parse_release(text, name=f"{suite.folder}/InRelease")
        check_release(release, suite=suite.name, now=self._trust.now, expires=self._trust.expires)
        if release.date < self._trust.newest.get(suite.folder, 0.0):
            raise BuildError(
                f"{release.name} is older than the one this mirror gave before: the mirror is out of date, "
                "or someone keeps updates from this machine",
                hint="use another mirror; to go back in time, name a `snapshot`",
            )
        places = (
            IndexPlace(
                base=suite.mirror,
                folder=suite.folder,
                by_hash=release.by_hash,
                size=index.plain.size,
                sha256=index.plain.sha256,
                forms=tuple((form.path, form.size, form.sha256) for form in index.forms),
            )
            for component in self._selection.components
            for index in packages_indexes(release, component, self._selection.architecture)
        )
        return SuiteState(
            url=suite.folder,
            sha256=hashlib.sha256(text).hexdigest(),
            date=release.date,
            valid_until=release.valid_until,
            stable=release.is_debian_stable,
            etag=validators[0],
            last_modified=validators[1],
            indexes=tuple(places),
        )

    def _check_expiry(self, known: SuiteState) -> None:
        if self._trust.expires and known.valid_until is not None and known.valid_until < self._trust.now:
            raise BuildError(
                f"{known.url}/InRelease expired, and the mirror has no newer one", hint="use another mirror"
            )


def _conditions(known: SuiteState | None) -> dict[str, str]:
    headers = {}
    if known is not None and known.etag:
        headers["If-None-Match"] = known.etag
    if known is not None and known.last_modified:
        headers["If-Modified-Since"] = known.last_modified
    return headers


def _incomplete(suite: Suite) -> RootletError:
    advice = (
        "set security_mirror, or security = false" if suite.role is Role.SECURITY else "use a full mirror"
    )
    return MachineError(
        f"{suite.name} was not found at {suite.mirror}; without it the image would lack Debian's fixes",
        hint=f"{advice} in the recipe",
    )


def _compile(place: IndexPlace, cache: Path, transport: Transport) -> None:
    path = index_path(cache / "indexes", place.sha256)
    if place.size == 0:
        compile_index((), path, name=place.folder, size=0, sha256=place.sha256)
        return
    form, fetched = _fetch_index(place, cache / "downloads", transport)
    name = f"{place.folder}/{form}"
    try:
        kind = Path(form).suffix.removeprefix(".")
        text = decompressed(_chunks(fetched), kind, name=name, limit=_MOST_INDEX)
        compile_index(text, path, name=name, size=place.size, sha256=place.sha256)
    finally:
        fetched.unlink(missing_ok=True)


def _fetch_index(place: IndexPlace, folder: Path, transport: Transport) -> tuple[str, Path]:
    """Fetch the best form that the mirror has; by its checksum, else by its name."""
    for path, size, sha256 in place.forms:
        parent, _, name = path.rpartition("/")
        by_hash = [f"{parent}/by-hash/SHA256/{sha256}"] if place.by_hash else []
        for address in [*by_hash, f"{parent}/{name}"]:
            destination = folder / f"{sha256}.{secrets.token_hex(6)}"
            try:
                transport.fetch(
                    Download(
                        url=f"{place.folder}/{address}", destination=destination, size=size, sha256=sha256
                    )
                )
            except NotFoundError as error:
                absent = error
            else:
                return path, destination
    raise absent


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while chunk := stream.read(PIECE):
            yield chunk

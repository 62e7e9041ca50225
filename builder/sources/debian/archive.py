"""The Debian archive as the pipeline uses it: is what is known still fresh, lock, acquire, one tree.

    archive_state   a key and a time, from one small file: enough to tell that nothing has to be done
    lock            names and pins to exact packages with checksums
    acquire         exact packages to unpacked ones in the store
    merged_tree     unpacked packages to a Sysroot (builder/sources/debian/tree.py)

Everything is kept below one cache folder: ``releases/`` (verified release files, by request),
``newest/`` (their latest dates), ``indexes/``
(compiled Packages files, by content), ``locks/`` (answers), ``packages/`` (the store), ``downloads/``.
Several processes may use one folder at the same time. Network code is imported only when the network is
needed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder.engine.command import Runner
from builder.errors import MachineError
from builder.lock import Extra, LockedPackage
from builder.oci import Platform
from builder.progress import Progress
from builder.recipe.source_model import DebianSource
from builder.sources.debian.apt_sources import Mirrors
from builder.sources.debian.state import (
    IndexPlace,
    State,
    read_object,
    read_state,
    write_object,
    write_state,
)
from builder.sources.debian.store import PackageStore
from builder.sources.debian.suites import debian_architecture, suites_of
from builder.sources.debian.sweep import sweep
from builder.sources.debian.tree import merged_tree
from builder.sysroot import Package

if TYPE_CHECKING:
    from builder.sources.debian.dependencies import Choice
    from builder.transport import Transport

__all__ = [
    "ArchiveState",
    "DebianArchive",
    "Effects",
    "Freshness",
    "acquire",
    "archive_state",
    "lock",
    "merged_tree",
]

FORMAT = 2
"""Raised when the resolver's answers change; answers of another format count as absent."""

SHIPPED_KEYS = Path(__file__).resolve().parent / "keys" / "debian-archive.pgp"
"""Debian's own archive keys; keys/README.md says where they come from."""

_TEN_YEARS = 10 * 365 * 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """What the archive needs of the world. ``clock`` gives seconds since the epoch.

    ``transport`` makes a new one; it is called only when the network is needed. ``settings``: variables of
    the machine that say where things of the network are (proxies, certificates, pip's index).
    """

    transport: Callable[[], Transport]
    runner: Runner
    clock: Callable[[], float]
    progress: Progress
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """When mirrors are asked. ``max_age``: release files younger than this (seconds) are not asked for.

    ``offline``: never ask, whatever the age. ``refresh``: always ask.
    """

    max_age: float
    offline: bool = False
    refresh: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveState:
    """What is known of an archive.

    ``key`` changes with any release file or option; ``fresh_until`` is Unix time.
    """

    key: str
    fresh_until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DebianArchive:
    """A source of a recipe for one platform, with the machine's mirrors and the cache folder."""

    source: DebianSource
    platform: Platform
    mirrors: Mirrors | None
    cache: Path

    @property
    def expires(self) -> bool:
        """Whether Valid-Until counts: not in a snapshot, nor where the machine's apt does not look at it."""
        return not self.source.snapshot and (self.mirrors is None or self.mirrors.check_valid_until)

    @property
    def keyrings(self) -> tuple[Path, ...]:
        """The files of the keys that are trusted."""
        if self.source.keyring is not None:
            return (self.source.keyring,)
        own = self.mirrors.keyrings if self.mirrors is not None and not self.source.mirror else ()
        return (SHIPPED_KEYS, *(path for path in own if path.is_file()))

    @property
    def inline_keys(self) -> tuple[str, ...]:
        """Keys that the machine's sources files carry in themselves."""
        if self.source.keyring is not None or self.source.mirror or self.mirrors is None:
            return ()
        return self.mirrors.keys

    def request(self) -> str:
        """Everything that decides which release files are asked for and how they are judged, as text."""
        suites = suites_of(self.source, self.mirrors)
        keys = [_identity(path) for path in self.keyrings]
        parts = [
            [[suite.mirror, suite.name] for suite in suites],
            [self.source.components, debian_architecture(self.platform)],
            [keys, self.inline_keys, self.expires, self.source.snapshot],
        ]
        return json.dumps(parts)


def archive_state(archive: DebianArchive, freshness: Freshness, effects: Effects) -> ArchiveState | None:
    """Tell what is known without asking anyone; None when nothing is, or when it must be asked for again.

    Costs a read of one small file and a look at the key files.
    """
    if freshness.refresh and not freshness.offline:
        return None
    request = archive.request()
    state = read_state(_state_path(archive, request))
    return None if state is None else _fresh(archive, state, request, freshness, effects.clock())


def lock(
    archive: DebianArchive,
    freshness: Freshness,
    effects: Effects,
    *,
    extra: tuple[Extra, ...] = (),
) -> tuple[LockedPackage, ...]:
    """Choose exact packages for what the source names, and everything they depend on; sorted by name.

    ``extra``: packages wanted for single files; locked likewise, ``alone``. The answer is kept: the same
    question to the same archive costs one small file. ResolutionError for what cannot be had; BuildError for
    an archive that cannot be trusted; MachineError for one that cannot be reached.
    """
    request = archive.request()
    state = read_state(_state_path(archive, request))
    if (
        state is None
        or (freshness.refresh and not freshness.offline)
        or _fresh(archive, state, request, freshness, effects.clock()) is None
    ):
        state = _refresh(archive, request, state, freshness, effects)
    path = archive.cache / "locks" / f"{_question(archive, state.key(request), extra)}.json"
    document = read_object(path)
    if document is not None:
        return tuple(LockedPackage(**entry) for entry in document["packages"])
    packages = _resolve(archive, state, freshness, effects, extra)
    write_object(path, {"packages": [asdict(package) for package in packages]})
    return packages


def acquire(
    packages: Iterable[LockedPackage], *, cache: Path, freshness: Freshness, effects: Effects
) -> tuple[Package, ...]:
    """Return the packages unpacked, in the order given; what the store lacks is fetched first.

    BuildError for damaged or hostile packages, MachineError when they cannot be reached (or are not in the
    store, offline).
    """
    wanted = tuple(packages)
    store = PackageStore(cache / "packages")
    opened = [store.open(one) for one in wanted]
    missing = tuple(one for one, package in zip(wanted, opened, strict=True) if package is None)
    if missing:
        if freshness.offline:
            names = ", ".join(one.name for one in missing[:5]) + (", …" if len(missing) > 5 else "")  # noqa: PLR2004 (a line's worth)
            raise MachineError(
                f"Not in the package store, and --offline was given: {names}",
                hint="run once without --offline",
            )
        from builder.sources.debian.fetch import fetch_packages  # noqa: PLC0415 (imports the network)

        fetched = fetch_packages(missing, store, cache / "downloads", effects.transport, effects.progress)
        opened = [package or fetched[one.sha256] for one, package in zip(wanted, opened, strict=True)]
    return tuple(package for package in opened if package is not None)


def _refresh(
    archive: DebianArchive, request: str, known: State | None, freshness: Freshness, effects: Effects
) -> State:
    if freshness.offline:
        raise MachineError(
            f"Nothing is known of {archive.source.suite} on this machine, and --offline was given",
            hint="run once without --offline",
        )
    from builder.sources.debian import openpgp, refresh  # noqa: PLC0415 (imports the network)

    effects.progress.step(f"ask for {archive.source.suite}")
    trust = refresh.Trust(
        keys=openpgp.load_keys(archive.keyrings, archive.inline_keys),
        expires=archive.expires,
        newest={} if archive.source.snapshot else _newest(archive),
        now=effects.clock(),
    )
    selection = refresh.Selection(
        components=archive.source.components, architecture=debian_architecture(archive.platform)
    )
    suites = suites_of(archive.source, archive.mirrors)
    sweep(archive.cache, effects.clock())
    with effects.transport() as transport:
        state = refresh.refresh(suites, selection, trust, known, transport=transport, runner=effects.runner)
    for suite in state.suites:
        write_object(_newest_path(archive, suite.url), {"date": suite.date})
    write_state(_state_path(archive, request), state)
    return state


def _newest(archive: DebianArchive) -> dict[str, float]:
    """Read the latest dates seen of the suites, whatever recipe asked for them."""
    found = {}
    for suite in suites_of(archive.source, archive.mirrors):
        document = read_object(_newest_path(archive, suite.folder))
        if document is not None:
            found[suite.folder] = float(document["date"])
    return found


def _newest_path(archive: DebianArchive, url: str) -> Path:
    return archive.cache / "newest" / f"{hashlib.sha256(url.encode()).hexdigest()}.json"


def _resolve(
    archive: DebianArchive,
    state: State,
    freshness: Freshness,
    effects: Effects,
    extra: tuple[Extra, ...],
) -> tuple[LockedPackage, ...]:
    from builder.sources.debian.index import DamagedIndexError  # noqa: PLC0415 (imports sqlite3)

    effects.progress.step(f"read the package lists of {archive.source.suite}")
    places = tuple(place for suite in state.suites for place in suite.indexes)
    removed: set[Path] = set()
    while True:
        try:
            return _choose(archive, places, freshness, effects, extra)
        except DamagedIndexError as damaged:
            if freshness.offline or damaged.path in removed:
                raise
            damaged.path.unlink(missing_ok=True)
            removed.add(damaged.path)


def _choose(
    archive: DebianArchive,
    places: tuple[IndexPlace, ...],
    freshness: Freshness,
    effects: Effects,
    extra: tuple[Extra, ...],
) -> tuple[LockedPackage, ...]:
    from builder.sources.debian.dependencies import Want, resolve  # noqa: PLC0415 (only for a new answer)
    from builder.sources.debian.index import CombinedIndex, PackagesFile  # noqa: PLC0415 (imports sqlite3)
    from builder.sources.debian.refresh import compile_indexes  # noqa: PLC0415 (imports the network)

    transport = None if freshness.offline else effects.transport
    paths = compile_indexes(places, archive.cache, transport, now=effects.clock())
    index = CombinedIndex(PackagesFile(path, place.base) for path, place in zip(paths, places, strict=True))
    wants = [Want(name=name) for name in archive.source.packages]
    wants += [
        Want(name=one.name, wanted_by=one.wanted_by, requested=False, optional=one.optional) for one in extra
    ]
    try:
        choices = resolve(
            wants,
            index,
            architecture=debian_architecture(archive.platform),
            pins=dict(archive.source.pin),
        )
    finally:
        index.close()
    return tuple(_locked(archive.source.name, choice) for choice in choices)


def _locked(source: str, choice: Choice) -> LockedPackage:
    candidate = choice.candidate
    return LockedPackage(
        source=source,
        name=candidate.name,
        version=candidate.version,
        architecture=candidate.architecture,
        url=candidate.url,
        size=candidate.size,
        sha256=candidate.sha256,
        source_name=candidate.source_name,
        source_version=candidate.source_version,
        requested=choice.requested,
        wanted_by=choice.wanted_by,
        alone=choice.alone,
    )


def _fresh(
    archive: DebianArchive, state: State, request: str, freshness: Freshness, now: float
) -> ArchiveState | None:
    until = state.fetched + (_TEN_YEARS if archive.source.snapshot else freshness.max_age)
    if archive.expires and state.valid_until is not None:
        until = min(until, state.valid_until)
    if freshness.offline:
        until = max(until, now + freshness.max_age)
    # A clock that was set back must not make an old answer look fresh.
    if not state.fetched - 1 <= now < until and not freshness.offline:
        return None
    return ArchiveState(key=state.key(request), fresh_until=until)


def _question(archive: DebianArchive, key: str, extra: tuple[Extra, ...]) -> str:
    source = archive.source
    parts: list[Any] = [FORMAT, key, source.name, source.packages, source.pin, [asdict(one) for one in extra]]
    parts.append([one.name for one in fields(LockedPackage)])
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _state_path(archive: DebianArchive, request: str) -> Path:
    return archive.cache / "releases" / f"{hashlib.sha256(request.encode()).hexdigest()}.json"


def _identity(path: Path) -> list[object]:
    """Path, size and time of a key file, to notice that it was exchanged."""
    try:
        status = path.stat()
    except OSError:
        return [str(path), 0, 0]
    return [str(path), status.st_size, status.st_mtime_ns]

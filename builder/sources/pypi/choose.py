"""From what is asked for to one wheel for each package.

With a lock there is nothing to resolve. Without one, versions are chosen as pip does (resolvelib, PEP 440),
from metadata that lies beside the wheels (PEP 658), else from the wheels themselves: nothing is built or run.
"""

from __future__ import annotations

import email.parser
import email.policy
import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version
from resolvelib import AbstractProvider, BaseReporter, Resolver
from resolvelib.resolvers import ResolutionImpossible, ResolutionTooDeep

from builder.download import shown
from builder.errors import BuildError, ResolutionError
from builder.sources.pypi.asked import Asked, Wants
from builder.sources.pypi.index import Index, Link
from builder.sources.pypi.keep import WheelShelf
from builder.sources.pypi.locks import Pinned
from builder.sources.pypi.target import Target

_MOST_ROUNDS = 20_000
_SHOWN = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A wheel of the image. ``link.sha256`` is known. ``direct``: its address was asked for, not its name."""

    name: str
    version: str
    link: Link
    requested: bool
    direct: bool = False


@dataclass(frozen=True, slots=True)
class _Candidate:
    name: str
    version: Version
    link: Link
    extras: frozenset[str]
    direct: bool = False


def best_wheel(links: Iterable[Link], target: Target) -> Link | None:
    """The wheel that fits the image best: by its tags, then by its build number."""
    ranked = [(rank, link) for link in links if (rank := _rank(link, target)) is not None]
    return min(ranked, key=lambda pair: pair[0])[1] if ranked else None


def _rank(link: Link, target: Target) -> tuple[int, int, str, str] | None:
    if not link.is_wheel:
        return None
    try:
        _, _, build, tags = parse_wheel_filename(link.filename)
    except InvalidWheelFilename:
        return None
    ranks = target.ranks()
    found = [ranks[tag] for tag in tags if tag in ranks]
    number, letters = build or (0, "")
    return (min(found), -number, letters, link.filename) if found else None


def pinned_wheels(
    pinned: Iterable[Pinned], index: Index, target: Target, *, hashes: bool
) -> tuple[Chosen, ...]:
    """The wheels of a lock. ResolutionError for a package without one that fits, or without a hash."""
    return tuple(_pinned_wheel(one, index, target, hashes=hashes) for one in pinned)


def _pinned_wheel(pinned: Pinned, index: Index, target: Target, *, hashes: bool) -> Chosen:
    name = f"{pinned.name} {pinned.version}".strip()
    if pinned.source:
        raise no_wheel(name, f"the lock has {pinned.source} for it")
    links = pinned.links
    if pinned.sums:
        sums = dict(pinned.sums)
        known = {link.filename: link for link in index.files(pinned.name)}
        links = tuple(
            _with_sum(known[filename], sha256) for filename, sha256 in sums.items() if filename in known
        )
        if not links:
            raise ResolutionError(f"none of the locked files of {name} is in the index", hint="lock it again")
    link = best_wheel(links, target)
    if link is None:
        raise no_wheel(name, _reason(links, target))
    if hashes and not link.sha256:
        raise _no_hash(name, "the lock")
    return Chosen(name=pinned.name, version=pinned.version, link=link, requested=pinned.requested)


def _with_sum(link: Link, sha256: str) -> Link:
    return Link(filename=link.filename, url=link.url, sha256=sha256)


def no_wheel(name: str, why: str) -> ResolutionError:
    """The error of a package that would have to be built."""
    return ResolutionError(
        f"{name} has no wheel that the image can take: {why}",
        hint="nothing is built here: build a wheel in a stage, and name its folder with the key links",
    )


def _reason(links: Sequence[Link], target: Target) -> str:
    wheels = [link.filename for link in links if link.is_wheel]
    if not wheels:
        return "there is only a source archive" if links else "there is no file at all"
    shown = ", ".join(wheels[:_SHOWN]) + (", …" if len(wheels) > _SHOWN else "")
    return f"none of {shown} is for Python {target.python} on {target.machine} with {target.libc}"


def _no_hash(name: str, where: str) -> ResolutionError:
    return ResolutionError(
        f"{name} has no SHA-256 hash in {where}",
        hint="add hashes (pip-compile --generate-hashes, uv export), or say hashes = false in the source",
    )


def resolved_wheels(
    wants: Wants, index: Index, shelf: WheelShelf, target: Target, *, hashes: bool
) -> tuple[Chosen, ...]:
    """Choose versions for ``wants``. ResolutionError when nothing fits, with what asks for it."""
    asked = tuple(one for one in wants.requirements if target.holds(one.requirement.marker))
    if hashes:
        for one in asked:
            if not one.hashes and not _has_hash(one):
                raise _no_hash(f"{one.requirement} ({one.origin})", "the requirements")
    provider = _Provider(wants, index, shelf, target, hashes=hashes)
    resolver: Any = Resolver(provider, BaseReporter())
    try:
        result = resolver.resolve(provider.roots(asked), max_rounds=_MOST_ROUNDS)
    except ResolutionImpossible as error:
        raise _impossible(error, provider) from error
    except ResolutionTooDeep as error:
        raise ResolutionError(
            "The requirements do not settle", hint="pin more of them, or lock them"
        ) from error
    direct = {one.name for one in asked}
    found: dict[str, _Candidate] = {}
    for candidate in result.mapping.values():
        found[candidate.name] = candidate
    return tuple(
        Chosen(
            name=name,
            version=str(found[name].version),
            link=found[name].link,
            requested=name in direct,
            direct=found[name].direct,
        )
        for name in sorted(found)
    )


def _has_hash(asked: Asked) -> bool:
    return "sha256=" in (asked.requirement.url or "")


class _Provider(AbstractProvider[Any, Any, Any]):
    """What resolvelib asks: which candidates a requirement has, and what a candidate needs."""

    def __init__(
        self, wants: Wants, index: Index, shelf: WheelShelf, target: Target, *, hashes: bool
    ) -> None:
        self._index = index
        self._shelf = shelf
        self._target = target
        self._hashes = hashes
        self._sums: dict[str, frozenset[str]] = {}
        self._limits: dict[str, list[Asked]] = {}
        self._allowed: dict[str, bool] = {}
        for one in (*wants.requirements, *wants.constraints):
            if target.holds(one.requirement.marker):
                self._note(one)
        for one in wants.constraints:
            if target.holds(one.requirement.marker):
                self._limits.setdefault(one.name, []).append(one)

    def _note(self, one: Asked) -> None:
        if one.hashes:
            known = self._sums.get(one.name)
            self._sums[one.name] = one.hashes if known is None else known & one.hashes

    def roots(self, asked: Iterable[Asked]) -> list[Requirement]:
        """The requirements to begin with."""
        return [one.requirement for one in asked]

    # ---- resolvelib's interface --------------------------------------------------------------------

    def identify(self, requirement_or_candidate: Any) -> str:
        """A project with its extras is something of its own: it depends on the project and on more."""
        one = requirement_or_candidate
        extras = sorted(canonicalize_name(extra) for extra in one.extras)
        name = canonicalize_name(one.name)
        return f"{name}[{','.join(extras)}]" if extras else name

    def get_preference(
        self,
        identifier: Any,
        resolutions: Mapping[Any, Any],  # noqa: ARG002 (resolvelib's signature)
        candidates: Mapping[Any, Iterator[Any]],  # noqa: ARG002 (as above)
        information: Mapping[Any, Iterator[Any]],
        backtrack_causes: Sequence[Any],
    ) -> Any:
        """Exact versions first, then what made trouble, then by name."""
        causes = {self.identify(cause.requirement) for cause in backtrack_causes}
        specifiers = [one.requirement.specifier for one in information[identifier]]
        is_exact = any(spec.operator in {"==", "==="} for one in specifiers for spec in one)
        return (not is_exact, identifier not in causes, identifier)

    def find_matches(
        self,
        identifier: str,
        requirements: Mapping[str, Iterator[Any]],
        incompatibilities: Mapping[str, Iterator[Any]],
    ) -> Any:
        """The candidates for everything that is asked of a project, the best first."""
        wanted: list[Requirement] = list(requirements[identifier])
        bad = {candidate.version for candidate in incompatibilities[identifier]}
        name, extras = canonicalize_name(wanted[0].name), frozenset(wanted[0].extras)
        urls = [one.url for one in wanted if one.url]
        if urls:
            candidates = [self._direct(name, urls[0], extras)]
        else:
            candidates = list(self._candidates(name, extras, wanted))
        return [one for one in candidates if one.version not in bad]

    def is_satisfied_by(self, requirement: Any, candidate: Any) -> bool:
        """Whether the candidate's version is one of those that are asked for."""
        if requirement.url:
            return bool(candidate.direct)
        return bool(requirement.specifier.contains(candidate.version, prereleases=True))

    def get_dependencies(self, candidate: Any) -> list[Requirement]:
        """What a candidate needs; with extras also the project itself, at the same version."""
        found = list(_needs(self._shelf, candidate, self._target))
        if candidate.extras:
            pin = Requirement(f"{candidate.name}=={candidate.version}")
            pin.url = f"{candidate.link.url}#sha256={candidate.link.sha256}" if candidate.direct else None
            found.append(pin)
        if self._hashes:
            for one in found:
                if canonicalize_name(one.name) not in self._sums and "sha256=" not in (one.url or ""):
                    raise _no_hash(
                        f"{one.name}, which {candidate.name} {candidate.version} needs,", "the requirements"
                    )
        return found

    # ---- candidates --------------------------------------------------------------------------------

    def _candidates(
        self, name: str, extras: frozenset[str], wanted: Sequence[Requirement]
    ) -> Iterator[_Candidate]:
        specifier = functools.reduce(lambda one, other: one & other, (one.specifier for one in wanted))
        for limit in self._limits.get(name, ()):
            specifier &= limit.requirement.specifier
        by_version = self._by_version(name)
        is_pinned = any(spec.operator in {"==", "==="} and "*" not in spec.version for spec in specifier)
        good = list(specifier.filter(by_version, prereleases=None))
        for version in sorted(good, reverse=True):
            links = by_version[version]
            kept = [link for link in links if not link.yanked or is_pinned]  # PEP 592
            link = best_wheel(kept, self._target)
            if link is not None:
                yield _Candidate(name, version, link, extras)

    @functools.cache  # noqa: B019 (as long as one resolution)
    def _by_version(self, name: str) -> Mapping[Version, list[Link]]:
        sums = self._sums.get(name)
        found: dict[Version, list[Link]] = {}
        for link in self._index.files(name):
            if not link.is_wheel or not _python_fits(link, self._target):
                continue
            try:
                version = parse_wheel_filename(link.filename)[1]
            except InvalidWheelFilename:
                continue
            if sums is None or _rank(link, self._target) is None:
                found.setdefault(version, []).append(link)
            elif (known := self._shelf.with_sum(link)).sha256 in sums:
                found.setdefault(version, []).append(known)
        return found

    def _direct(self, name: str, url: str, extras: frozenset[str]) -> _Candidate:
        link = self._shelf.direct(url, name)
        sums = self._sums.get(name, frozenset({link.sha256}))
        if link.sha256 not in sums:
            raise BuildError(
                f"{shown(url)} has the SHA-256 {link.sha256}; {', '.join(sorted(sums))} was asked for",
                hint="find out why it changed before you correct the hash",
            )
        if best_wheel((link,), self._target) is None:
            raise no_wheel(f"{name} @ {shown(url)}", _reason((link,), self._target))
        return _Candidate(name, parse_wheel_filename(link.filename)[1], link, extras, direct=True)

    def complaint(self, requirement: Requirement) -> str:
        """Why a project has nothing to choose from: "" when it has."""
        name = canonicalize_name(requirement.name)
        files = self._index.files(name)
        versions = self._by_version(name)
        if not files:
            return "no index has it"
        good = [version for version in versions if version in requirement.specifier]
        if not any(best_wheel(versions[version], self._target) for version in good):
            of_version = [link for version in good for link in versions[version]]
            return _reason(of_version or [link for link in files if not link.is_wheel], self._target)
        return ""


def _python_fits(link: Link, target: Target) -> bool:
    if not link.requires_python:
        return True
    try:
        return SpecifierSet(link.requires_python).contains(target.full, prereleases=True)
    except InvalidSpecifier:
        return True  # as pip: what says nonsense says nothing


def _needs(shelf: WheelShelf, candidate: _Candidate, target: Target) -> Iterator[Requirement]:
    metadata = email.parser.BytesParser(policy=email.policy.compat32).parsebytes(
        shelf.metadata(candidate.link)
    )
    for text in metadata.get_all("Requires-Dist", []):
        try:
            requirement = Requirement(str(text))
        except InvalidRequirement as error:
            raise ResolutionError(
                f"{candidate.link.filename} asks for {str(text)[:100]!r}: {error}"
            ) from error
        if target.holds(requirement.marker, candidate.extras):
            yield requirement


def _impossible(error: ResolutionImpossible[Any, Any], provider: _Provider) -> ResolutionError:
    lines = []
    for cause in error.causes:
        by = f"{cause.parent.name} {cause.parent.version}" if cause.parent is not None else "the requirements"
        lines.append(f"{cause.requirement} (wanted by {by})")
    first = next((cause.requirement for cause in error.causes), None)
    why = provider.complaint(first) if first is not None and len(error.causes) == 1 else ""
    if why:
        return no_wheel(str(first), why)
    listed = "\n  ".join(dict.fromkeys(lines))
    return ResolutionError(
        f"These requirements cannot be had together:\n  {listed}", hint="loosen one of them"
    )

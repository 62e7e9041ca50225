"""Which packages a request comes to: Pre-Depends and Depends, followed to the end. Pure.

Debian Policy §7. Recommends are not followed and Essential packages are not assumed: an image needs what its
packages declare. One version of a name is chosen, the highest that everything accepts; of alternatives, one
that is chosen without them, else the first that can be had. There is no search: a choice is revised only
where a later, unavoidable condition on the same package says so.
"""

from __future__ import annotations

import difflib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from builder.errors import BuildError, ResolutionError
from builder.sources.debian.candidates import Candidate, Index, Provider
from builder.sources.debian.relations import Relation, parse_alternatives, parse_relations

_MOST_REVISIONS = 1000
_LETTERS = 3
"""A name nearer than so many letters in length may be what was meant."""
_RANK = {"required": 0, "important": 1, "standard": 2, "optional": 3}
RECIPE = "recipe"
"""``wanted_by`` of what the recipe names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """A package asked for from outside: by the recipe, or by something else that says its name.

    What is not ``requested`` is taken for single files of it: alone, without what it depends on; where it is
    ``optional`` too, an archive that lacks it is no error.
    """

    name: str
    wanted_by: str = RECIPE
    requested: bool = True
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A package in the answer. ``wanted_by``: "recipe", another, or ``PACKAGE (VERSION) Depends: …``."""

    candidate: Candidate
    requested: bool
    wanted_by: str
    alone: bool = False


@dataclass(frozen=True, slots=True)
class _Edge:
    """A clause of a chosen package (``dependent``), or a want from outside (None)."""

    dependent: Candidate | None
    field: str
    clause: tuple[Relation, ...]
    asker: str = RECIPE

    def __str__(self) -> str:
        return " | ".join(map(str, self.clause))


@dataclass(frozen=True, slots=True)
class _Condition:
    """What a package's version must meet, and who says so in words: "a 1.0 needs"."""

    relation: Relation
    says: str


class _ReviseError(Exception):
    """A chosen version does not meet a condition that cannot be avoided."""

    def __init__(self, condition: _Condition) -> None:
        super().__init__(str(condition.relation))
        self.condition = condition


def resolve(
    wants: Iterable[Want], index: Index, *, architecture: str, pins: Mapping[str, str]
) -> tuple[Choice, ...]:
    """Choose packages for ``wants`` and everything they depend on, sorted by name.

    ``architecture`` is Debian's name; ``pins`` maps packages to exact versions. ResolutionError, with the
    chain back to the recipe, for what cannot be had and for packages that exclude each other.
    """
    asked = tuple(wants)
    conditions: dict[str, tuple[_Condition, ...]] = {
        name: (_Condition(Relation(name, "=", version), "the recipe pins"),) for name, version in pins.items()
    }
    _check_pins(pins, index)
    for _ in range(_MOST_REVISIONS):
        resolution = _Resolution(index, architecture, conditions)
        try:
            return resolution.run(asked)
        except _ReviseError as revise:
            name = revise.condition.relation.name
            conditions[name] = (*conditions.get(name, ()), revise.condition)
    raise ResolutionError("The packages' conditions on each other do not settle", hint="pin some versions")


class _Resolution:
    """One attempt, with the conditions that earlier attempts found."""

    def __init__(
        self,
        index: Index,
        architecture: str,
        conditions: Mapping[str, tuple[_Condition, ...]],
    ) -> None:
        self._index = index
        self._architecture = architecture
        self._conditions = conditions
        self._chosen: dict[str, Candidate] = {}
        self._edges: dict[str, _Edge] = {}
        self._provided: dict[str, list[Provider]] = {}
        self._queue: deque[Candidate] = deque()
        self._open: deque[_Edge] = deque()

    def run(self, wants: tuple[Want, ...]) -> tuple[Choice, ...]:
        """Choose everything wanted first, so that alternatives find it chosen; then what follows from it."""
        requested = set()
        for want in wants:
            if want.requested:
                requested.add(self._want(want))
        while self._queue or self._open:
            if self._queue:
                self._follow(self._queue.popleft())
            else:
                self._satisfy(self._open.popleft())
        self._check_conflicts()
        followed = set(self._chosen)
        for want in wants:
            if not want.optional or self._index.named(want.name):
                self._want(want)
        return tuple(
            Choice(
                candidate=self._chosen[name],
                requested=name in requested,
                wanted_by=self._wanted_by(name),
                alone=name not in followed,
            )
            for name in sorted(self._chosen)
        )

    def _want(self, want: Want) -> str:
        edge = _Edge(None, "", (Relation(want.name),), want.wanted_by)
        if want.name in self._chosen:
            return want.name
        candidate = self._best(Relation(want.name)) or self._only_provider(want.name)
        if candidate is None:
            raise self._impossible(edge)
        self._choose(candidate, edge)
        return candidate.name

    def _follow(self, candidate: Candidate) -> None:
        """Satisfy what leaves no choice; keep alternatives until nothing without a choice is left.

        By then one of them is often chosen for another reason, and the answer stays small.
        """
        for edge in _edges(candidate):
            if self._leaves_a_choice(edge):
                self._open.append(edge)
            else:
                self._satisfy(edge)

    def _leaves_a_choice(self, edge: _Edge) -> bool:
        return len(edge.clause) > 1 or bool(self._index.providers(edge.clause[0].name))

    def _only_provider(self, name: str) -> Candidate | None:
        """Find the package that alone provides a virtual name; ResolutionError when there are several."""
        providers = {one.candidate.name: one.candidate for one in reversed(self._index.providers(name))}
        if len(providers) > 1:
            raise ResolutionError(
                f"{name} is provided by several packages: {', '.join(sorted(providers))}",
                hint="name one of them in the recipe",
            )
        return next(iter(providers.values()), None)

    def _satisfy(self, edge: _Edge) -> None:
        if any(self._is_met(relation) for relation in edge.clause):
            return
        fallback: Candidate | None = None
        for relation in edge.clause:
            for candidate in self._offers(relation):
                if not self._excluded(candidate):
                    self._choose(candidate, edge)
                    return
                fallback = fallback or candidate
        self._revise(edge)
        if fallback is None:
            raise self._impossible(edge)
        # It excludes something chosen, and nothing else will do: the check at the end says so.
        self._choose(fallback, edge)

    def _revise(self, edge: _Edge) -> None:
        """Start again where the one package that will do is chosen in a version that will not."""
        relation = edge.clause[0]
        chosen = self._chosen.get(relation.name)
        if len(edge.clause) > 1 or chosen is None or edge.dependent is None:
            return
        if self._best(relation) is not None:
            raise _ReviseError(_Condition(relation, f"{edge.dependent} needs"))

    def _is_met(self, relation: Relation) -> bool:
        chosen = self._chosen.get(relation.name)
        if chosen is not None and self._fits(relation, chosen):
            return True
        return any(_provides(provider, relation) for provider in self._provided.get(relation.name, ()))

    def _offers(self, relation: Relation) -> Iterator[Candidate]:
        """Candidates for one alternative: the package itself, then those that provide the name."""
        if relation.name not in self._chosen and (candidate := self._best(relation)) is not None:
            yield candidate
        providers = [
            provider.candidate
            for provider in self._index.providers(relation.name)
            if _provides(provider, relation)
            and provider.candidate.name not in self._chosen
            and provider.candidate == self._best(Relation(provider.candidate.name))
        ]
        yield from sorted(providers, key=lambda one: _RANK.get(one.priority, len(_RANK)))

    def _best(self, relation: Relation) -> Candidate | None:
        conditions = self._conditions.get(relation.name, ())
        for candidate in self._index.named(relation.name):
            if self._fits(relation, candidate) and all(
                one.relation.accepts(candidate.version) for one in conditions
            ):
                return candidate
        return None

    def _fits(self, relation: Relation, candidate: Candidate) -> bool:
        if relation.architecture not in {"", "any", "native", self._architecture}:
            return False
        return relation.accepts(candidate.version)

    def _choose(self, candidate: Candidate, edge: _Edge) -> None:
        self._chosen[candidate.name] = candidate
        self._edges[candidate.name] = edge
        self._queue.append(candidate)
        for relation in _relations(candidate, "Provides"):
            provider = Provider(candidate=candidate, version=relation.version)
            self._provided.setdefault(relation.name, []).append(provider)

    def _excluded(self, candidate: Candidate) -> bool:
        """Whether something chosen and ``candidate`` exclude each other."""
        if any(True for _ in self._exclusions(candidate)):
            return True
        names = {candidate.name, *(relation.name for relation in _relations(candidate, "Provides"))}
        return any(
            relation.name in names and _is_target(relation, candidate)
            for other in self._chosen.values()
            if other.conflicts or other.breaks
            for field in ("Conflicts", "Breaks")
            for relation in _relations(other, field)
        )

    def _exclusions(self, candidate: Candidate) -> Iterator[tuple[str, Relation, Candidate]]:
        """Find what ``candidate`` excludes of the packages chosen: field, relation, the other package."""
        for field in ("Conflicts", "Breaks"):
            for relation in _relations(candidate, field):
                others = [self._chosen[relation.name]] if relation.name in self._chosen else []
                others += [provider.candidate for provider in self._provided.get(relation.name, ())]
                for other in others:
                    if other.name != candidate.name and _is_target(relation, other):
                        yield field, relation, other

    def _check_conflicts(self) -> None:
        for name in sorted(self._chosen):
            for field, relation, other in self._exclusions(self._chosen[name]):
                raise ResolutionError(
                    f"{self._chosen[name]} and {other} cannot be together ({name} {field}: {relation})\n"
                    f"{self._chain(name)}\n{self._chain(other.name)}",
                    hint="take one of them out of the recipe, or pin versions that agree",
                )

    def _wanted_by(self, name: str) -> str:
        edge = self._edges[name]
        if edge.dependent is None:
            return edge.asker
        return f"{edge.dependent.name} ({edge.dependent.version}) {edge.field}: {edge}"

    def _chain(self, name: str) -> str:
        """List the packages from ``name`` back to the one who asked, one a line."""
        lines = []
        edge = self._edges[name]
        while edge.dependent is not None:
            lines.append(f"  {self._chosen[name]} is needed by {edge.dependent} ({edge.field}: {edge})")
            name = edge.dependent.name
            edge = self._edges[name]
        return "\n".join([*lines, f"  {self._chosen[name]} is asked for by {_asker(edge.asker)}"])

    def _impossible(self, edge: _Edge) -> ResolutionError:
        if edge.dependent is None:
            return self._unknown(edge)
        states = "; ".join(self._state(relation) for relation in edge.clause)
        return ResolutionError(
            f"{edge} is needed by {edge.dependent} ({edge.field}), {states}\n"
            f"{self._chain(edge.dependent.name)}",
            hint="check `suite`, `components` and `pin` in the recipe",
        )

    def _unknown(self, edge: _Edge) -> ResolutionError:
        name = edge.clause[0].name
        nearest = ", ".join(_nearest(name, self._index))
        return ResolutionError(
            f"{name} was not found, asked for by {_asker(edge.asker)}"
            + (f"; nearest names: {nearest}" if nearest else ""),
            hint="correct the name, or add the suite or component that has it",
        )

    def _state(self, relation: Relation) -> str:
        """Say what the archive has of a name."""
        versions = ", ".join(candidate.version for candidate in self._index.named(relation.name))
        if versions:
            conditions = [f"{one.says} {one.relation}" for one in self._conditions.get(relation.name, ())]
            return f"available: {versions}" + (f", but {' and '.join(conditions)}" if conditions else "")
        providers = sorted({str(one.candidate) for one in self._index.providers(relation.name)})
        if providers:
            return f"provided in other versions or kept out by: {', '.join(providers)}"
        return f"no package is called {relation.name} or provides it"


def _check_pins(pins: Mapping[str, str], index: Index) -> None:
    for name, version in sorted(pins.items()):
        versions = [candidate.version for candidate in index.named(name)]
        pin = Relation(name, "=", version)
        if not any(pin.accepts(one) for one in versions):
            have = f"available: {', '.join(versions)}" if versions else "no package has that name"
            raise ResolutionError(
                f"{name} is pinned to {version}, which the archive does not have; {have}",
                hint="correct `pin` in the recipe, or name a `snapshot` that has that version",
            )


def _edges(candidate: Candidate) -> Iterator[_Edge]:
    for field, text in (("Pre-Depends", candidate.pre_depends), ("Depends", candidate.depends)):
        if text:
            try:
                clauses = parse_alternatives(text)
            except ValueError as error:
                raise _malformed(candidate, field, error) from error
            yield from (_Edge(candidate, field, clause) for clause in clauses)


def _relations(candidate: Candidate, field: str) -> tuple[Relation, ...]:
    text = {"Provides": candidate.provides, "Conflicts": candidate.conflicts, "Breaks": candidate.breaks}[
        field
    ]
    if not text:
        return ()
    try:
        return parse_relations(text)
    except ValueError as error:
        raise _malformed(candidate, field, error) from error


def _malformed(candidate: Candidate, field: str, error: ValueError) -> BuildError:
    return BuildError(
        f"{candidate} has a {field} field that cannot be read: {error}", hint="use another mirror"
    )


def _provides(provider: Provider, relation: Relation) -> bool:
    """Whether a provided name meets a relation; a condition needs a versioned Provides (Policy §7.5)."""
    if not relation.operator:
        return True
    return bool(provider.version) and relation.accepts(provider.version)


def _is_target(relation: Relation, other: Candidate) -> bool:
    """Whether a Conflicts or Breaks means ``other``, by its name or by what it provides."""
    if relation.name == other.name:
        return relation.accepts(other.version)
    return any(
        _provides(Provider(candidate=other, version=provided.version), relation)
        for provided in _relations(other, "Provides")
        if provided.name == relation.name
    )


def _asker(wanted_by: str) -> str:
    return "the recipe" if wanted_by == RECIPE else wanted_by


def _nearest(name: str, index: Index) -> list[str]:
    """Up to five names like ``name``: those that contain it, then those with few letters changed."""
    likely = [one for one in index.names() if name in one or one[:1] == name[:1]]
    containing = sorted((one for one in likely if name in one), key=lambda one: (len(one), one))
    similar = (one for one in likely if abs(len(one) - len(name)) <= _LETTERS)
    close = difflib.get_close_matches(name, similar, n=5)
    return list(dict.fromkeys([*close, *containing]))[:5]

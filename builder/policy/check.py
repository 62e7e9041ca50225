"""The policy of a recipe held against what was seen. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from builder.policy.model import Breach, ImageFacts, Sightings
from builder.recipe.model import ImagePolicy

_SHOWN = 5
_ROOT = frozenset({"", "root", "0"})


def breaches(policy: ImagePolicy, seen: Sightings, facts: ImageFacts | None) -> tuple[Breach, ...]:
    """Every point in which the image is not what the policy asks for; ``facts`` None for a root folder."""
    return (*_of_files(policy, seen), *(_of_image(policy, facts) if facts is not None else ()))


def cautions(policy: ImagePolicy, seen: Sightings) -> tuple[str, ...]:
    """What nobody forbade or allowed, and a person should know."""
    found = []
    if policy.setuid is None and seen.setuid:
        found.append(f"{_listed(seen.setuid)}: runs with the rights of its owner ([policy] setuid)")
    if policy.world_writable is None and seen.world_writable:
        found.append(f"{_listed(seen.world_writable)}: every user may write there ([policy] world_writable)")
    if policy.secrets is None and seen.secrets:
        found.append(f"{_named(seen.secrets)}: everybody who pulls the image has it ([policy] secrets)")
    return tuple(found)


def _of_files(policy: ImagePolicy, seen: Sightings) -> Iterator[Breach]:
    if policy.max_size is not None and seen.size > policy.max_size:
        yield Breach(
            check="max_size",
            message=f"the files take {_size(seen.size)}, more than max_size = {_size(policy.max_size)}",
            fix="rootlet plan shows sizes by package and reason",
        )
    for check, allowed, paths, words, fix in (
        ("shell", policy.shell, seen.shells, "a shell", "rootlet why says what needs it"),
        ("package_manager", policy.package_manager, seen.managers, "a package manager", "take it out"),
        (
            "setuid",
            policy.setuid,
            seen.setuid,
            "a program with the rights of its owner",
            "drop it, or its bit",
        ),
        (
            "world_writable",
            policy.world_writable,
            seen.world_writable,
            "writable for everybody",
            "give it an owner",
        ),
    ):
        if allowed is False and paths:
            yield Breach(check=check, message=f"{_listed(paths)}: {words}", fix=fix)
    if policy.secrets is False and seen.secrets:
        yield Breach(check="secrets", message=_named(seen.secrets), fix="give it when the container starts")
    for one in policy.hardening:
        soft = [path for path, lacks in seen.soft if lacks.value == one]
        if soft:
            message = f"{_listed(soft)}: built without {one}"
            yield Breach(check="hardening", message=message, fix="build it with hardening flags")


def _of_image(policy: ImagePolicy, facts: ImageFacts) -> Iterator[Breach]:
    user = facts.config.user.partition(":")[0]
    if policy.root is False and user in _ROOT:
        yield Breach(check="root", message="the program runs as root", fix='set user = "…" in [config]')
    present = {name for name, value in facts.config.labels if value}
    missing = [name for name in policy.labels if name not in present]
    if missing:
        yield Breach(
            check="labels", message=f"the image lacks {', '.join(missing)}", fix="set them in [image] labels"
        )
    for base in facts.bases:
        if policy.pinned and "@sha256:" not in base and "@sha512:" not in base:
            yield Breach(
                check="pinned", message=f"{base} can be another image tomorrow", fix=f"write {base}@sha256:…"
            )
        if policy.trusted_bases and not any(_fits(base, one) for one in policy.trusted_bases):
            yield Breach(
                check="trusted_bases",
                message=f"{base} is none of {', '.join(policy.trusted_bases)}",
                fix="start from an image that is, or add it there",
            )


def _fits(base: str, pattern: str) -> bool:
    """Whether ``pattern`` means a reference: ``*`` stands for anything, tag and digest are free."""
    name = base.partition("@")[0]
    head, _, last = name.rpartition("/")
    plain = f"{head}/{last.partition(':')[0]}" if head else last.partition(":")[0]
    expression = ".*".join(re.escape(part) for part in pattern.split("*"))
    return any(re.fullmatch(expression, one) is not None for one in (base, name, plain))


def _listed(paths: Iterable[str]) -> str:
    found = list(paths)
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(found[:_SHOWN]) + more


def _named(secrets: tuple[tuple[str, str], ...]) -> str:
    return _listed(f"{path} ({words})" for path, words in secrets)


def _size(size: int) -> str:
    return f"{size / 1_000_000:.1f} MB" if size >= 1_000_000 else f"{size / 1000:.1f} kB"  # noqa: PLR2004 (decimal units)

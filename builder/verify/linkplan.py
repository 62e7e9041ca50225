"""The link check of a plan, and its verdict remembered for as long as the plan's files stay the same."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from builder.elf.facts import ElfFacts
from builder.elf.ldcache import LD_SO_CACHE
from builder.elf.object import ELF_MAGIC, is_elf
from builder.elf.search import library_path
from builder.errors import ResolutionError
from builder.files import read_checked, write_checked
from builder.plan.model import Entry, ImagePlan
from builder.sysroot import Content, Kind, Node, Sysroot, read_content

if TYPE_CHECKING:  # it reads symbols, and that imports elftools: only where nothing is remembered
    from builder.verify.link import LinkReport

_RULES = 1
"""Raised with every change of what the check says."""
_MOST_REMEMBERED = 256
_MOST_TOLD = 20


def linked(
    plan: ImagePlan, facts: ElfFacts, *, memory: Path | None, warn: bool, ground: Sysroot | None = None
) -> ImagePlan:
    """Give the plan with the warnings of its link check. ``ground``: the files of its base.

    The base's own programs are not checked: nobody here can mend them.

    ResolutionError with everything that does not fit together, which are warnings too with ``warn``.
    ``memory`` is a file of the cache that keeps verdicts, None to keep none. Raises BuildError when bytes
    cannot be read.
    """
    key = _key(plan, ground)
    warnings = _recall(memory).get(key) if memory is not None and key else None
    if warnings is None:
        report = _check(plan, facts, ground)
        warnings = report.warnings
        if report.problems:
            messages = tuple(problem.message for problem in report.problems)
            if not warn:
                raise _error(messages)
            return replace(plan, warnings=(*plan.warnings, *messages, *warnings))
        if memory is not None and key:
            _remember(memory, key, warnings)
    return replace(plan, warnings=(*plan.warnings, *warnings)) if warnings else plan


def image_of(entries: Iterable[Entry]) -> Sysroot:
    """The tree that the entries of a plan make. Files that rootlet made itself have no bytes in it."""
    known = {entry.path: entry for entry in entries}
    return Sysroot(
        Node(
            path=entry.path,
            kind=entry.kind,
            mode=entry.mode,
            content=_content(known.get(entry.hardlink, entry)),
            target=entry.target,
            hardlink=entry.hardlink,
            package=entry.package,
        )
        for entry in known.values()
    )


def _content(entry: Entry) -> Content | None:
    return entry.content if isinstance(entry.content, Content) else None


def _check(plan: ImagePlan, facts: ElfFacts, ground: Sysroot | None) -> LinkReport:
    from builder.verify.link import check_links  # noqa: PLC0415 (see above)

    cache = next((entry.content for entry in _entries(plan) if entry.path == LD_SO_CACHE), None)
    image = image_of(_entries(plan))
    own = frozenset(node.path for node in image) if ground is not None else None
    if cache is None and ground is not None:
        known = ground.get(LD_SO_CACHE)
        cache = read_content(known.content) if known is not None and known.content is not None else None
    return check_links(
        image if ground is None else ground.overlay(image),
        facts,
        only=own,
        library_path=library_path(plan.config.env),
        cache=cache if isinstance(cache, bytes) else None,
    )


def _entries(plan: ImagePlan) -> Iterator[Entry]:
    for layer in plan.layers:
        yield from layer.entries


def _error(messages: tuple[str, ...]) -> ResolutionError:
    told = list(messages[:_MOST_TOLD])
    if len(messages) > _MOST_TOLD:
        told.append(f"and {len(messages) - _MOST_TOLD} more")
    return ResolutionError(
        "Objects of the image do not fit together:\n" + "\n".join(f"  {message}" for message in told),
        hint="take both from the same release, name the package that has the right version, drop the "
        'dependent, or say missing = "warn" under [runtime]',
    )


def _key(plan: ImagePlan, ground: Sysroot | None) -> str:
    """Everything that the verdict follows from, in one word; "" where an object has no checksum yet."""
    words = [str(_RULES), *library_path(plan.config.env)]
    if plan.base is not None and ground is not None:
        words += (str(layer.diff_id) for layer in plan.base.layers)
    for entry in _entries(plan):
        content = entry.content
        if isinstance(content, Content):
            if not content.sha256:
                if is_elf(_head(content)):
                    return ""
                continue  # no object: it has no say
            words.append(f"{entry.path}\0{content.sha256}")
        elif entry.path == LD_SO_CACHE and isinstance(content, bytes):
            words.append(hashlib.sha256(content).hexdigest())
        elif entry.kind is Kind.SYMLINK or entry.hardlink:
            words.append(f"{entry.path}\0{entry.target}\0{entry.hardlink}")
    return hashlib.sha256("\n".join(words).encode("utf-8", "surrogateescape")).hexdigest()


def _head(content: Content) -> bytes:
    with content.store.open("rb") as stream:
        return os.pread(stream.fileno(), len(ELF_MAGIC), content.offset)


def _recall(memory: Path) -> dict[str, tuple[str, ...]]:
    try:
        document = json.loads(read_checked(memory) or b"{}")
        return {str(key): tuple(map(str, warnings)) for key, warnings in document.items()}
    except (ValueError, TypeError, AttributeError, RecursionError):
        return {}


def _remember(memory: Path, key: str, warnings: tuple[str, ...]) -> None:
    kept = [*_recall(memory).items()][-_MOST_REMEMBERED + 1 :]
    write_checked(memory, json.dumps({**dict(kept), key: warnings}).encode())

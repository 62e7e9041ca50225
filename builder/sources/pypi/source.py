"""The tree of a ``python`` source: wheels chosen, fetched, laid out and packed, once for every choice."""

from __future__ import annotations

import contextlib
import hashlib
import json
import urllib.parse
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from builder.errors import BuildError, ResolutionError
from builder.files import Stamp, file_sha256, read_checked, stamp, write_checked
from builder.recipe.source_model import PythonSource
from builder.sources.packed import FOLDER, Packed, PackedTrees, Packer
from builder.sources.pypi.asked import Wants, read_pyproject, read_requirements
from builder.sources.pypi.bytecode import Compiler
from builder.sources.pypi.choose import Chosen, pinned_wheels, resolved_wheels
from builder.sources.pypi.index import Index, Link
from builder.sources.pypi.install import Installed, Layout, Placed, lay_out, record_of, winners
from builder.sources.pypi.keep import WheelShelf
from builder.sources.pypi.locks import read_lock
from builder.sources.pypi.settings import Places, config_files, places_of
from builder.sources.pypi.target import Target, target_of
from builder.sources.supply import SourceTree, Supply
from builder.sysroot import Kind, Node

FORMAT = 1
"""Raised when wheels are chosen or laid out in another way: what was remembered is made anew."""


def python_tree(source: PythonSource, supplies: Supply) -> SourceTree:
    """The distributions of ``source`` where they are in the image: the folder of packages, programs, data.

    ResolutionError for what cannot be chosen or has no wheel, BuildError for wheels that are damaged or
    hostile, MachineError when an index cannot be asked.
    """
    target = target_of(source, supplies.platform, supplies.versions)
    places = places_of(source, supplies.effects.settings)
    wants = _wants(source)
    files = tuple(wants.files if wants is not None else (source.lock, source.pyproject))
    stamps = _stamps(files, places, supplies)
    chosen, fresh_until = _choose(source, wants, target, places, supplies)
    layout = _layout(source, target)
    key = _key(chosen, target, layout, source)
    packed = PackedTrees(supplies.cache / FOLDER).open(key)
    if packed is None:
        packed = _pack(chosen, target, layout, source, _Place(key=key, supplies=supplies, places=places))
    return SourceTree(
        name=source.name, tree=packed.tree, key=key, fresh_until=fresh_until, stamps=lambda: stamps
    )


def _wants(source: PythonSource) -> Wants | None:
    """What is asked for; None where a lock says it."""
    if source.lock is not None:
        return None
    if source.requirements is not None:
        return read_requirements(source.requirements)
    if source.pyproject is None:
        raise ResolutionError(f"The source {source.name} names neither requirements, lock nor pyproject")
    return read_pyproject(source.pyproject, source.extras, source.groups)


def _stamps(files: tuple[Path | None, ...], places: Places, supplies: Supply) -> tuple[Stamp, ...]:
    named = [path for path in files if path is not None]
    folders = [folder for place in places.links if (folder := _folder(place)) is not None]
    return tuple(stamp(path) for path in (*named, *config_files(supplies.effects.settings), *folders))


def _folder(place: str) -> Path | None:
    if place.startswith("file://"):
        return Path(urllib.parse.unquote(urllib.parse.urlsplit(place).path))
    return None if "://" in place else Path(place)


# ---- choosing ----------------------------------------------------------------------------------------


def _choose(
    source: PythonSource, wants: Wants | None, target: Target, places: Places, supplies: Supply
) -> tuple[tuple[Chosen, ...], float]:
    """The wheels, and until when they would be chosen again; remembered by everything that decides them."""
    memory = supplies.cache / "locks" / f"python-{_question(source, wants, target, places)}.json"
    freshness, now = supplies.freshness, supplies.effects.clock()
    known = _recall(memory)
    if known is not None:
        chosen, until = known
        if freshness.offline or (now < until and not freshness.refresh):
            return chosen, until if not freshness.offline else float("inf")
    index = Index(places, supplies)
    shelf = WheelShelf(index, supplies)
    supplies.effects.progress.step(f"choose wheels of {source.name}")
    if wants is None and source.lock is not None:
        pinned = read_lock(source.lock, source, target)
        chosen = pinned_wheels(pinned, index, target, hashes=source.hashes)
    else:
        chosen = resolved_wheels(wants or _nothing(), index, shelf, target, hashes=source.hashes)
    chosen = tuple(replace(one, link=shelf.with_sum(one.link)) for one in chosen)
    # Hashes name every byte: what they chose once is chosen for ever.
    until = float("inf") if source.hashes else min(index.oldest, now) + freshness.max_age
    write_checked(memory, json.dumps([FORMAT, until, [asdict(one) for one in chosen]]).encode())
    return chosen, until


def _nothing() -> Wants:
    return Wants(requirements=(), constraints=(), files=())


def _question(source: PythonSource, wants: Wants | None, target: Target, places: Places) -> str:
    files = wants.files if wants is not None else (source.lock, source.pyproject)
    sums = [(str(path), _sum(path)) for path in files if path is not None]
    listings = [_listing(folder) for place in places.links if (folder := _folder(place)) is not None]
    asked = (source.extras, source.groups, source.hashes)
    parts = (FORMAT, sums, listings, asked, repr(target), repr(places))
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:40]


def _sum(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError as error:
        raise ResolutionError(
            f"{path} cannot be read: {error.strerror}", hint="the path starts at the recipe's folder"
        ) from error


def _listing(folder: Path) -> list[Stamp]:
    with contextlib.suppress(OSError):
        return sorted(stamp(path) for path in folder.iterdir())
    return []


def _recall(memory: Path) -> tuple[tuple[Chosen, ...], float] | None:
    body = read_checked(memory)
    if body is None:
        return None
    try:
        form, until, rows = json.loads(body)
        chosen = tuple(Chosen(**{**row, "link": Link(**row["link"])}) for row in rows)
    except (ValueError, TypeError, KeyError):
        return None
    return (chosen, until) if form == FORMAT else None


# ---- laying out --------------------------------------------------------------------------------------


def _layout(source: PythonSource, target: Target) -> Layout:
    return Layout(
        site=source.site or f"/usr/local/lib/python{target.python}/dist-packages",
        scripts="/usr/local/bin",
        data="/usr/local",
        headers=f"/usr/local/include/python{target.python}",
        interpreter=source.interpreter or f"/usr/bin/python{target.python}",
    )


def _key(chosen: tuple[Chosen, ...], target: Target, layout: Layout, source: PythonSource) -> str:
    wheels = [
        (one.link.filename, one.link.sha256, one.requested, one.direct and one.link.url) for one in chosen
    ]
    compiled = (target.python, source.bytecode)
    return "python-" + hashlib.sha256(repr((FORMAT, wheels, layout, compiled)).encode()).hexdigest()[:40]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where a tree is packed and its wheels are had."""

    key: str
    supplies: Supply
    places: Places


def _pack(
    chosen: tuple[Chosen, ...], target: Target, layout: Layout, source: PythonSource, place: _Place
) -> Packed:
    shelf = WheelShelf(Index(place.places, place.supplies), place.supplies)
    shelf.fetch_all(one.link for one in chosen)
    place.supplies.effects.progress.step(f"lay out {source.name}")
    trees = PackedTrees(place.supplies.cache / FOLDER)
    compiler = Compiler(target) if source.bytecode else None
    with contextlib.ExitStack() as stack, trees.pack(place.key, f"the source {source.name}") as packer:
        installed = [
            lay_out(stack.enter_context(shelf.path(one.link).open("rb")), one, layout) for one in chosen
        ]
        for one in installed:
            _pack_wheel(one, winners(installed), packer, layout, compiler)
    return trees.written(place.key)


def _pack_wheel(
    one: Installed, shown: dict[str, Installed], packer: Packer, layout: Layout, compiler: Compiler | None
) -> None:
    for path, placed in list(one.files.items()):
        if shown[path] is one:
            _add(placed, one, packer)
            if compiler is not None and path.endswith(".py") and path.startswith(f"{layout.site}/"):
                body = b"".join(one.chunks(placed))
                for cached, code in compiler.compiled(path, body):
                    made = Placed(
                        path=cached, made=code, sha256=hashlib.sha256(code).hexdigest(), size=len(code)
                    )
                    if cached not in shown:
                        one.files[cached] = made
                        _add(made, one, packer)
    record = record_of(one, layout.site)
    _add(Placed(path=f"{one.dist_info}/RECORD", made=record), one, packer)


def _add(placed: Placed, one: Installed, packer: Packer) -> None:
    node = packer.add(Node(path=placed.path, kind=Kind.FILE, mode=placed.mode), one.chunks(placed))
    found = node.content.sha256 if node.content is not None else ""
    if placed.sha256 and placed.sha256 != found:
        raise BuildError(
            f"{one.chosen.link.filename} has other bytes for {placed.path} than its RECORD says",
            hint="the wheel is damaged or hostile: use another version, or another index",
        )
    placed.sha256 = found

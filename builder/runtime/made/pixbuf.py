"""gdk-pixbuf's list of loaders, as gdk-pixbuf-query-loaders writes it, without loading one.

MIME types, endings and signatures are tables in a loader's initialised data (GdkPixbufFormat,
GdkPixbufModulePattern). Its name, what it is called and whether it can write are said by its code alone:
these are known of Debian's loaders (pixbuf-loaders.toml).
"""

from __future__ import annotations

import re
import struct
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from builder.elf.data import ElfData
from builder.elf.object import ElfError
from builder.runtime.made.material import NOTHING, Made, MadeFile, Material, together
from builder.sysroot import Node

_KNOWN = Path(__file__).resolve().with_name("pixbuf-loaders.toml")
_HEAD = "# GdkPixbuf Image Loader Modules file\n# Automatically generated file, do not edit\n#\n"
_ENTRIES = ("fill_info", "fill_vtable")
_NAME = re.compile(r"(?:libpixbufloader[-_]|io-)?(?P<name>.+)\.so")
_MIME = re.compile(r"[\w.+-]+/[\w.+-]+")
_ENDING = re.compile(r"[\w.+-]{1,16}")
_MASK = re.compile(r"[ !xzn*]*")
_MOST_ROWS = 1000
_BEST = 100
_THREADSAFE = 4
_NO_SVG = (
    'Icons in SVG ({}) are not shown without a loader for them; to see them: packages = ["librsvg2-common"]'
)


@dataclass(frozen=True, slots=True)
class Loader:
    """What a loader's data say: MIME types, endings, and of each signature its bytes, mask and weight."""

    types: tuple[str, ...] = ()
    endings: tuple[str, ...] = ()
    signatures: tuple[tuple[str, str, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What only a loader's code says. ``flags``: 1 writes, 2 draws at any size, 4 in any thread."""

    name: str
    description: str
    license: str = ""
    domain: str = "gdk-pixbuf"
    flags: int = _THREADSAFE


def make(material: Material) -> Made:
    """The list beside each folder of loaders."""
    made = [
        _list(material, folder) for folder in material.sysroot.glob("/usr/lib/**/gdk-pixbuf-2.0/*/loaders")
    ]
    draws_svg = any(b'"image/svg+xml"' in file.content for one in made for file in one.files)
    icons = None if draws_svg else next(material.files("/usr/share/icons/**/*.svg"), None)
    lack = Made(warnings=(_NO_SVG.format(icons.path),)) if icons is not None else NOTHING
    return together((*made, lack))


def _list(material: Material, folder: Node) -> Made:
    known = _known()
    sections: list[str] = []
    sources: set[str] = set()
    warnings: list[str] = []
    for node, target in material.modules(f"{folder.path}/*.so"):
        name = _name(node.path)
        loader = read_loader(ElfData(material.read(target), name=target.path), name)
        if loader is None:
            warnings.append(f"{node.path} does not say in its data which pictures it loads")
            continue
        if name not in known:
            warnings.append(f"{node.path} is no loader of Debian: it is listed as one that cannot write")
        sections.append(section(node.path, loader, known.get(name) or Words(name=name, description=name)))
        sources.add(node.package)
    if not sections:
        return Made(warnings=tuple(warnings))
    content = "".join([_HEAD, *sections, "\n"]).encode("utf-8", "surrogateescape")
    file = MadeFile(path=f"{folder.path.rpartition('/')[0]}/loaders.cache", content=content)
    return Made(files=(file,), sources=frozenset(sources) - {""}, warnings=tuple(warnings))


def read_loader(data: ElfData, name: str) -> Loader | None:
    """Find the tables of the loader ``name`` in its data; None when it is no loader, or they are not there.

    Of several lists of words the one with its name in it has the endings: others are words of its options.
    """
    if any(data.address(entry) is None for entry in _ENTRIES):
        return None
    places = sorted(data.pointers)
    found = ((place, _signatures(data, place)) for place in places)
    start, signatures = next(((place, rows) for place, rows in found if rows), (0, ()))
    end = start + 3 * data.pointer_size * len(signatures)
    others = [place for place in places if not start <= place < end]
    types = next(filter(None, (_texts(data, place, _MIME) for place in others)), ())
    lists = [words for place in others if (words := _texts(data, place, _ENDING))]
    endings = next((one for one in lists if name in one), lists[0] if lists else ())
    return Loader(types, endings, signatures) if types and endings and signatures else None


def section(path: str, loader: Loader, words: Words) -> str:
    """What the list says of one loader."""
    flags = f"{_quoted(words.name)} {words.flags} {_quoted(words.domain)}"
    return "\n".join(
        [
            _quoted(path),
            f"{flags} {_quoted(words.description)} {_quoted(words.license)}",
            " ".join([*map(_quoted, loader.types), '""']),
            " ".join([*map(_quoted, loader.endings), '""']),
            *(f"{_quoted(prefix)} {_quoted(mask)} {weight}" for prefix, mask, weight in loader.signatures),
            "",
            "",
        ]
    )


def _known() -> dict[str, Words]:
    table = tomllib.loads(_KNOWN.read_text("utf-8"))
    return {name: Words(**words) for name, words in table.items()}


def _name(path: str) -> str:
    match = _NAME.fullmatch(path.rpartition("/")[2])
    return match["name"] if match else path


def _texts(data: ElfData, place: int, form: re.Pattern[str]) -> tuple[str, ...]:
    """The texts, each of that form, of an array of pointers that a null ends; () for anything else."""
    texts: list[str] = []
    for _ in range(_MOST_ROWS):
        text = _text(data, place)
        if text is None:
            return tuple(texts) if _is_zero(data, place, data.pointer_size) else ()
        if not form.fullmatch(text):
            return ()
        texts.append(text)
        place += data.pointer_size
    return ()


def _signatures(data: ElfData, place: int) -> tuple[tuple[str, str, int], ...]:
    """The rows of an array of patterns that a row of zeros ends; () for anything else."""
    size = data.pointer_size
    rows: list[tuple[str, str, int]] = []
    for prefix, mask, weight in _rows(data, place):
        if not prefix or (mask and len(mask) != len(prefix)) or not _MASK.fullmatch(mask):
            return ()
        rows.append((prefix, mask, weight))
        place += 3 * size
    return tuple(rows) if rows and rows[0][2] and _is_zero(data, place, 2 * size) else ()


def _rows(data: ElfData, place: int) -> Iterator[tuple[str, str, int]]:
    size = data.pointer_size
    for _ in range(_MOST_ROWS):
        prefix, mask = _text(data, place), _text(data, place + size)
        if prefix is None or place + 2 * size in data.pointers:
            return
        if mask is None and not _is_zero(data, place + size, size):
            return
        try:
            weight = data.number(place + 2 * size)
        except ElfError:
            return
        if not 0 <= weight <= _BEST:
            return
        yield prefix, mask or "", weight
        place += 3 * size


def _text(data: ElfData, place: int) -> str | None:
    target = data.pointers.get(place)
    if not target:
        return None
    try:
        return data.text(target)
    except ElfError:
        return None


def _is_zero(data: ElfData, place: int, size: int) -> bool:
    try:
        return not any(data.number(place + at) for at in range(0, size, struct.calcsize("i")))
    except ElfError:
        return False


def _quoted(text: str) -> str:
    """g_strescape, for the bytes of ``text``."""
    out = []
    for byte in text.encode("utf-8", "surrogateescape"):
        letter = chr(byte)
        short = {"\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t", "\v": "v", "\\": "\\", '"': '"'}.get(
            letter
        )
        if short is not None:
            out.append(f"\\{short}")
        else:
            out.append(letter if " " <= letter <= "~" else f"\\{byte:03o}")
    return f'"{"".join(out)}"'

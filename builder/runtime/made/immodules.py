"""GTK's list of input methods, as gtk-query-immodules writes it, without loading a module.

Each module gives pointers to tables of five texts (GtkIMContextInfo): identifier, name, domain and folder of
its translations, languages. They are initialised data, and so is the list that leads to them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from builder.elf.data import ElfData
from builder.elf.object import ElfError
from builder.runtime.made.material import Made, MadeFile, Material, together
from builder.sysroot import Node

_HEAD = "# GTK+ Input Method Modules file\n# Automatically generated file, do not edit\n#\n"
_ENTRY = "im_module_list"
_TEXTS = tuple(
    re.compile(pattern)
    for pattern in (r"[\w.+@-]+", r"[^\x00-\x1f]+", r"[\w.+-]*", r"(?:/[^\x00-\x1f]*)?", r"[\w.@*:-]*")
)


def make(material: Material) -> Made:
    """The list beside each folder of modules, of GTK 2 and of GTK 3; GTK 4 needs none."""
    folders = material.sysroot.glob("/usr/lib/**/gtk-[23].0/*/immodules")
    return together([_list(material, folder) for folder in folders])


def _list(material: Material, folder: Node) -> Made:
    sections: list[str] = []
    sources: set[str] = set()
    warnings: list[str] = []
    for node, target in material.modules(f"{folder.path}/*.so"):
        section = _section(node, target, material)
        if section:
            sections.append(section)
            sources.add(node.package)
        else:
            warnings.append(f"{node.path} does not say in its data which input methods it has")
    if not sections:
        return Made(warnings=tuple(warnings))
    content = "".join([_HEAD, *sections]).encode("utf-8", "surrogateescape")
    file = MadeFile(path=f"{folder.path}.cache", content=content)
    return Made(files=(file,), sources=frozenset(sources) - {""}, warnings=tuple(warnings))


def contexts(data: ElfData) -> Iterator[tuple[str, ...]]:
    """The five texts of each input method of a module, in the order of its list."""
    pointers = data.pointers
    seen: set[int] = set()
    for place in sorted(pointers):
        start = pointers[place]
        if start in pointers and start not in seen:
            texts = _texts(data, start)
            if texts is not None:
                seen.add(start)
                yield texts


def _section(node: Node, target: Node, material: Material) -> str:
    data = ElfData(material.read(target), name=target.path)
    if data.address(_ENTRY) is None:
        return ""
    lines = ["".join(f"{_quoted(text)} " for text in texts) for texts in contexts(data)]
    return "\n".join([f"{_quoted(node.path)} ", *lines, "", ""]) if lines else ""


def _texts(data: ElfData, start: int) -> tuple[str, ...] | None:
    places = [start + number * data.pointer_size for number in range(len(_TEXTS))]
    if not all(data.pointers.get(place) for place in places):
        return None
    try:
        texts = tuple(data.text(data.pointers[place]) for place in places)
    except ElfError:
        return None
    return texts if all(form.fullmatch(text) for form, text in zip(_TEXTS, texts, strict=True)) else None


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'

"""XML as a small tree. Input is hostile: entities of its own, deep nesting and long files are refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from xml.parsers import expat

_MOST_BYTES = 64 << 20
_MOST_NESTING = 200


class XmlError(ValueError):
    """The file is no XML, or more than a data file has a reason to be."""


@dataclass(frozen=True, slots=True)
class Element:
    """An element: its name (``namespace name`` where namespaces are read), attributes, elements and texts."""

    name: str
    attributes: Mapping[str, str]
    content: tuple[Element | str, ...]

    @property
    def text(self) -> str:
        """The texts directly in it."""
        return "".join(part for part in self.content if isinstance(part, str))

    def __iter__(self) -> Iterator[Element]:
        return (part for part in self.content if not isinstance(part, str))


def read(
    data: bytes, *, namespaces: bool = False, without: frozenset[str] = frozenset(), texts: bool = True
) -> Element:
    """Read a document. XmlError for what is none.

    Elements called as in ``without`` are left out, and all texts where ``texts`` are not wanted.
    """
    if len(data) > _MOST_BYTES:
        raise XmlError(f"it has {len(data)} bytes")
    builder = _Builder(without)
    parser = expat.ParserCreate(namespace_separator=" " if namespaces else None)
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    if texts:
        parser.CharacterDataHandler = builder.text
    parser.EntityDeclHandler = builder.entity
    try:
        parser.Parse(data, True)  # noqa: FBT003 (expat knows it by its place)
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise XmlError(str(error)) from None
    return builder.root()


class _Builder:
    def __init__(self, without: frozenset[str]) -> None:
        self._without = without
        self._skipped = 0
        self._open: list[tuple[str, dict[str, str], list[Element | str]]] = [("", {}, [])]

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if self._skipped or name in self._without:
            self._skipped += 1
            return
        if len(self._open) > _MOST_NESTING:
            raise XmlError("its elements are nested too deeply")
        self._open.append((name, attributes, []))

    def end(self, _: str) -> None:
        if self._skipped:
            self._skipped -= 1
            return
        name, attributes, content = self._open.pop()
        self._open[-1][2].append(Element(name, attributes, tuple(content)))

    def text(self, text: str) -> None:
        if not self._skipped:
            self._open[-1][2].append(text)

    def entity(self, name: str, *_: object) -> None:
        raise XmlError(f"it declares an entity ({name})")

    def root(self) -> Element:
        (element,) = (part for part in self._open[0][2] if isinstance(part, Element))
        return element

"""What one file says of what is installed: the answer that every reader of the inventory gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from zlib_ng import zlib_ng

from builder.inventory.content import Readable
from builder.inventory.model import ComponentKind

MAX_PACKAGES = 100_000
"""Packages that one file may name."""
MAX_NAME = 300
MAX_VERSION = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One package that a file names; it does not know yet who owns that file.

    The fields are those of :class:`~builder.inventory.model.Component`. ``namespace`` is what a system
    package's purl has between type and name, "" for the distribution's id. ``program`` marks what was
    guessed from a text inside a program, ``origin`` what a note of an ELF file says of its source package.
    """

    kind: ComponentKind
    name: str
    version: str
    architecture: str = ""
    source_name: str = ""
    source_version: str = ""
    modularity: str = ""
    namespace: str = ""
    development: bool = False
    claimed: bool = False
    program: bool = False
    origin: bool = False
    vendor: str = ""
    """Who built a system package, as its record says: it tells a distribution's own from others'."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What one file says.

    ``owned`` has, for each of ``packages`` that lists its files, their absolute paths as packaged, packed by
    :func:`packed`; it is empty or as long as ``packages``. ``claims`` are absolute paths of programs that a
    language's package brings along ("/x/" for all below a folder). ``instead_of`` are paths of files that
    this one makes superfluous. ``notes`` say what could not be read, each without the path of the file.
    """

    packages: tuple[Package, ...] = ()
    owned: tuple[bytes, ...] = ()
    claims: tuple[str, ...] = ()
    instead_of: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def packed(paths: Iterable[str]) -> bytes:
    """Pack a list of paths, b"" for none: a large tree lists hundreds of thousands of them."""
    text = "\n".join(paths).encode("utf-8", "surrogateescape")
    return zlib_ng.compress(text, 1) if text else b""


def unpacked(paths: bytes) -> list[str]:
    """Give the paths that :func:`packed` packed."""
    if not paths:
        return []
    return zlib_ng.decompress(paths).decode("utf-8", "surrogateescape").split("\n")


NOTHING = Found()

Reader = Callable[[Readable, str], Found]
"""Pure: bytes of a file and its path → what it says. Whatever the bytes, nothing is raised but OSError."""


def plain_word(text: object, limit: int = MAX_NAME) -> str:
    """Give a name or version that a document spells; "" when it is none: no text, too long, not printable."""
    if not isinstance(text, str) or len(text) > limit:
        return ""
    text = text.strip()
    return text if text.isprintable() and not any(letter.isspace() for letter in text) else ""


def found(packages: Iterable[Package], notes: Iterable[str] = (), *, claims: Iterable[str] = ()) -> Found:
    """Put packages and notes together, each once, in order; one without a name is no package."""
    each = dict.fromkeys(one for one in packages if one.name)
    more = [f"it names more than {MAX_PACKAGES} packages"] if len(each) > MAX_PACKAGES else []
    return Found(packages=tuple(each)[:MAX_PACKAGES], notes=(*notes, *more), claims=tuple(claims))


def damaged(reason: str) -> Found:
    """Give what is left of a file that cannot be read."""
    return Found(notes=(reason,))

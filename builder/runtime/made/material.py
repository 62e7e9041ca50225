"""What makers read, and what they give."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from builder.sysroot import Kind, Node, Sysroot, glob_pattern, read_content


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """The packages' tree with the author's files in it, and what the recipe says of them.

    ``made`` has the bytes of nodes that carry no content: those that the recipe itself makes. What ``drop``
    matches is not in the image; files may be made of it all the same.
    """

    sysroot: Sysroot
    made: Mapping[str, bytes] = field(default_factory=dict)
    drop: tuple[str, ...] = ()
    features: tuple[str, ...] = ()

    def dropped(self, path: str) -> bool:
        """Whether the recipe wants no file at ``path``."""
        return any(glob_pattern(pattern).fullmatch(path) for pattern in self.drop)

    def files(self, pattern: str) -> Iterator[Node]:
        """Regular files whose own path matches, dropped or not, in the order of the tree."""
        return (node for node in self.sysroot.glob(pattern) if node.kind is Kind.FILE)

    def modules(self, pattern: str) -> Iterator[tuple[Node, Node]]:
        """Give what a program loads by these names, less what is dropped: a node and the file behind it."""
        for node in self.sysroot.glob(pattern):
            target = self.sysroot.lookup(node.path).node
            is_file = target is not None and target.kind is Kind.FILE
            if target is not None and is_file and not (self.dropped(node.path) or self.dropped(target.path)):
                yield node, target

    def read(self, node: Node) -> bytes:
        """The bytes of a regular file. BuildError when they are not those that were stored."""
        return read_content(node.content) if node.content is not None else self.made.get(node.path, b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeFile:
    """A file of ``content``, or a link to ``target``. ``package`` is its owner in the package records."""

    path: str
    content: bytes = b""
    target: str = ""
    package: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What one maker gives. ``sources`` are packages of whose files it is made: the image has them in part.

    ``warnings`` are sentences about what could not go into it.
    """

    files: tuple[MadeFile, ...] = ()
    sources: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()

    @property
    def packages(self) -> frozenset[str]:
        """Packages that the image has something of."""
        return self.sources | {file.package for file in self.files if file.package}


def together(parts: Iterable[Made]) -> Made:
    """Everything that ``parts`` give."""
    made = tuple(parts)
    return Made(
        files=tuple(file for one in made for file in one.files),
        sources=frozenset(source for one in made for source in one.sources),
        warnings=tuple(warning for one in made for warning in one.warnings),
    )


Maker = Callable[[Material], Made]
NOTHING = Made()

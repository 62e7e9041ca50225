"""Libraries that objects say they open at run time: the notes of .note.dlopen, by the recipe's policy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from builder.elf.closure import Edge, Resolver
from builder.elf.facts import ElfFacts
from builder.elf.object import DlopenNote, DlopenPriority, ElfError
from builder.recipe.model import Dlopen
from builder.sysroot import Kind, Node

_RANK = {
    DlopenPriority.REQUIRED: Dlopen.REQUIRED,
    DlopenPriority.RECOMMENDED: Dlopen.RECOMMENDED,
    DlopenPriority.SUGGESTED: Dlopen.SUGGESTED,
}


@dataclass(frozen=True, slots=True)
class Opening:
    """One note and what it comes to: ``edges`` to the library and on from there; () when it is missing."""

    path: str
    note: DlopenNote
    edges: tuple[Edge, ...]

    @property
    def words(self) -> str:
        """What the note says, in short: "feature, priority"."""
        return ", ".join(filter(None, (self.note.feature, self.note.priority.value)))

    @property
    def missing(self) -> str:
        """The sentence for a library that nothing provides."""
        purpose = self.note.description or self.note.feature
        what = " or ".join(self.note.sonames)
        return f"{self.path} opens {what} at run time ({self.words}), and nothing provides it" + (
            f"; it is for: {purpose}" if purpose else ""
        )

    @property
    def is_required(self) -> bool:
        """Whether the object does not work without the library."""
        return self.note.priority is DlopenPriority.REQUIRED


def openings(nodes: Iterable[Node], policy: Dlopen, resolver: Resolver, facts: ElfFacts) -> Iterator[Opening]:
    """What the ELF files among ``nodes`` open, as far as ``policy`` wants it."""
    for node in nodes:
        for note in _notes(node, facts):
            if _RANK[note.priority] <= policy:
                yield Opening(node.path, note, resolver.dlopen(node.path, note.sonames).edges)


def _notes(node: Node, facts: ElfFacts) -> tuple[DlopenNote, ...]:
    try:
        elf = facts.of(node) if node.kind is Kind.FILE else None
    except ElfError:
        return ()
    return elf.dlopen if elf is not None else ()

"""Everything that one ELF file says of itself: Go modules, Rust crates, package note, versions."""

from __future__ import annotations

from builder.inventory.content import Readable
from builder.inventory.elfnote import package_note
from builder.inventory.elfparts import DamagedElfError, read_parts
from builder.inventory.found import NOTHING, Found
from builder.inventory.golang import go_program
from builder.inventory.programs import known_program
from builder.inventory.rust import rust_program

_READERS = (go_program, rust_program, package_note)


def elf_file(content: Readable, path: str) -> Found:
    """Read an ELF file, executable or not; one with damaged headers is no program and says nothing (G2)."""
    program = known_program(content, path)
    try:
        parts = read_parts(content)
    except DamagedElfError:
        return program
    answers = [
        one for one in (*(reader(content, parts) for reader in _READERS), program) if one is not NOTHING
    ]
    if len(answers) <= 1:
        return answers[0] if answers else NOTHING
    return Found(
        packages=tuple(dict.fromkeys(package for one in answers for package in one.packages)),
        notes=tuple(note for one in answers for note in one.notes),
    )

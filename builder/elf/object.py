"""What one ELF file says about itself, as a value: headers and dynamic section, no section and no symbol.

Words and numbers are those of the gABI (System V Application Binary Interface, "Object Files" and
"Dynamic Linking") and of the GNU extensions that ld.so(8) describes.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from builder.errors import ResolutionError

ELF_MAGIC = b"\x7fELF"

ET_REL, ET_EXEC, ET_DYN, ET_CORE = 1, 2, 3, 4

EM_386, EM_MIPS, EM_PPC, EM_PPC64, EM_S390, EM_ARM, EM_SPARCV9 = 3, 8, 20, 21, 22, 40, 43
EM_X86_64, EM_AARCH64, EM_RISCV, EM_LOONGARCH = 62, 183, 243, 258

ELFOSABI_NONE, ELFOSABI_GNU = 0, 3

DF_1_NODEFLIB = 0x00000800
DF_1_PIE = 0x08000000

EF_ARM_ABI_FLOAT_SOFT, EF_ARM_ABI_FLOAT_HARD = 0x200, 0x400
EF_RISCV_FLOAT_ABI, EF_RISCV_FLOAT_ABI_DOUBLE = 0x6, 0x4


class ElfError(ResolutionError):
    """A file that calls itself ELF and is damaged: the message names the file (``name``) and ``reason``."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name} is a damaged ELF file: {reason}", hint="fetch or build that file again")
        self.reason = reason


def is_elf(head: bytes) -> bool:
    """Whether ``head``, the first bytes of a file, starts as an ELF file does."""
    return head[:4] == ELF_MAGIC


class DlopenPriority(enum.Enum):
    """How much an object misses a library that it opens at run time: the words of the note."""

    REQUIRED = "required"
    RECOMMENDED = "recommended"
    SUGGESTED = "suggested"


@dataclass(frozen=True, slots=True, kw_only=True)
class DlopenNote:
    """One library that an object may open with dlopen(3), as its author wrote it down in a note.

    ``sonames`` are alternatives, the best first; never empty. ``feature`` and ``description`` are for people,
    "" without. The form is "ELF dlopen metadata" of the UAPI group (systemd.io/ELF_DLOPEN_METADATA).
    """

    sonames: tuple[str, ...]
    feature: str = ""
    description: str = ""
    priority: DlopenPriority = DlopenPriority.RECOMMENDED


@dataclass(frozen=True, slots=True, kw_only=True)
class ElfObject:
    """One ELF file. It does not know its own path, nor whether anything it names exists.

    ``elf_class`` is 32 or 64; ``machine``, ``os_abi``, ``type`` and ``flags`` are the numbers of the ELF
    header (EM_*, ELFOSABI_*, ET_*, e_flags). ``dynamic`` tells whether there is a dynamic section. For
    ``rpath`` and ``runpath`` None means no such tag and "" an empty one: ld.so treats the two differently.
    Names that are not UTF-8 carry surrogate escapes. ``dlopen`` are its notes about libraries it opens at run
    time; ``bad_notes`` says why some of them could not be read ("" when all could): it loads all the same.
    """

    elf_class: int
    little_endian: bool
    machine: int
    os_abi: int
    type: int
    flags: int = 0
    interpreter: str | None = None
    dynamic: bool = False
    soname: str | None = None
    needed: tuple[str, ...] = ()
    rpath: str | None = None
    runpath: str | None = None
    flags_1: int = 0
    auxiliary: tuple[str, ...] = ()
    filter: tuple[str, ...] = ()
    dlopen: tuple[DlopenNote, ...] = ()
    bad_notes: str = ""

    @property
    def target(self) -> tuple[int, int, bool]:
        """What must agree for two objects to share a process: machine, class, byte order."""
        return (self.machine, self.elf_class, self.little_endian)

    @property
    def is_library(self) -> bool:
        """Whether ld.so can load it beside a program: ET_DYN with a dynamic section, no PIE program."""
        return self.type == ET_DYN and self.dynamic and not self.flags_1 & DF_1_PIE

    def to_json(self) -> tuple[object, ...]:
        """Give the fields in a fixed order, as JSON can hold them; :meth:`from_json` reads them back."""
        return (
            self.elf_class,
            self.little_endian,
            self.machine,
            self.os_abi,
            self.type,
            self.flags,
            self.interpreter,
            self.dynamic,
            self.soname,
            self.needed,
            self.rpath,
            self.runpath,
            self.flags_1,
            self.auxiliary,
            self.filter,
            tuple(
                (note.sonames, note.feature, note.description, note.priority.value) for note in self.dlopen
            ),
            self.bad_notes,
        )

    @classmethod
    def from_json(cls, fields: Sequence[Any]) -> ElfObject:
        """Read what :meth:`to_json` gave. ValueError when it has another shape."""
        if not isinstance(fields, list | tuple) or len(fields) != len(_SHAPE):
            raise ValueError("not the fields of an ELF object")
        if not all(fits(value) for fits, value in zip(_SHAPE, fields, strict=True)):
            raise ValueError("a field of an ELF object has the wrong type")
        return cls(
            elf_class=fields[0],
            little_endian=fields[1],
            machine=fields[2],
            os_abi=fields[3],
            type=fields[4],
            flags=fields[5],
            interpreter=fields[6],
            dynamic=fields[7],
            soname=fields[8],
            needed=tuple(fields[9]),
            rpath=fields[10],
            runpath=fields[11],
            flags_1=fields[12],
            auxiliary=tuple(fields[13]),
            filter=tuple(fields[14]),
            dlopen=tuple(map(_note, fields[15])) if fields[15] else (),
            bad_notes=fields[16],
        )


def _number(value: object) -> bool:
    return type(value) is int


def _truth(value: object) -> bool:
    return type(value) is bool


def _text(value: object) -> bool:
    return value is None or type(value) is str


def _names(value: object) -> bool:
    return isinstance(value, list | tuple) and all(type(name) is str for name in value)


def _notes(value: object) -> bool:
    return isinstance(value, list | tuple) and all(map(_is_note, value))


def _is_note(value: object) -> bool:
    if not isinstance(value, list | tuple) or len(value) != len(_NOTE_SHAPE):
        return False
    return all(fits(part) for fits, part in zip(_NOTE_SHAPE, value, strict=True))


def _words(value: object) -> bool:
    return type(value) is str


def _note(fields: Sequence[Any]) -> DlopenNote:
    return DlopenNote(
        sonames=tuple(fields[0]),
        feature=fields[1],
        description=fields[2],
        priority=DlopenPriority(fields[3]),
    )


_NOTE_SHAPE = (_names, _words, _words, _words)
_SHAPE = (
    *(_number, _truth, _number, _number, _number, _number),
    *(_text, _truth, _text, _names, _text, _text, _number, _names, _names),
    *(_notes, _words),
)

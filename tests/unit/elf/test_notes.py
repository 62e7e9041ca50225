"""Notes about libraries that an object opens at run time: taken, passed over, or damaged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from builder.elf.closure import Resolver
from builder.elf.facts import ElfFacts
from builder.elf.notes import MAX_NOTES, NoteError, dlopen_notes
from builder.elf.object import DlopenNote, DlopenPriority, ElfObject
from builder.elf.reader import read_elf
from tests.support.mkelf import Spec, mkelf, sysroot_of
from tests.support.mksymbols import dlopen_note, note

LZ4 = {"soname": ["liblz4.so.1"], "feature": "lz4", "description": "Packing", "priority": "suggested"}
OTHER = note(b"\x01" * 20, vendor=b"GNU\0", kind=3)


def _read(segment: bytes, *, align: int = 4, little_endian: bool = True) -> list[DlopenNote]:
    return list(dlopen_notes(segment, little_endian=little_endian, align=align))


def test_a_note_is_read_with_all_its_fields() -> None:
    assert _read(OTHER + dlopen_note(LZ4) + OTHER) == [
        DlopenNote(
            sonames=("liblz4.so.1",),
            feature="lz4",
            description="Packing",
            priority=DlopenPriority.SUGGESTED,
        )
    ]


FORMS: dict[str, tuple[bytes, tuple[tuple[str, ...], ...]]] = {
    "one SONAME alone may stand without brackets": (dlopen_note({"soname": "a.so"}), (("a.so",),)),
    "alternatives keep their order": (dlopen_note({"soname": ["b.so", "a.so"]}), (("b.so", "a.so"),)),
    "one note may speak of several libraries": (
        dlopen_note({"soname": ["a.so"]}, {"soname": ["b.so"]}),
        (("a.so",), ("b.so",)),
    ),
    "several notes are joined": (
        dlopen_note({"soname": ["a.so"]}) + dlopen_note({"soname": ["b.so"]}),
        (("a.so",), ("b.so",)),
    ),
    "a note may be padded with zeros": (note(b'[{"soname":["a.so"]}]\0\0\0\0\0'), (("a.so",),)),
    "other vendors are passed over": (note(b"[1]", vendor=b"GNU\0"), ()),
    "other types of the same vendor are passed over": (note(b"[1]", kind=0xCAFE1A7E), ()),
    "zeros after the last note are nothing": (dlopen_note({"soname": ["a.so"]}) + bytes(7), (("a.so",),)),
    "an empty array says nothing": (note(b"[]"), ()),
}


@pytest.mark.parametrize(("segment", "sonames"), FORMS.values(), ids=FORMS)
def test_forms_of_notes(segment: bytes, sonames: tuple[tuple[str, ...], ...]) -> None:
    assert tuple(one.sonames for one in _read(segment)) == sonames


def test_fields_that_are_absent_or_unknown_have_their_defaults() -> None:
    (found,) = _read(dlopen_note({"soname": ["a"], "priority": "vital", "feature": 3, "more": {}}))
    assert (found.feature, found.description, found.priority) == ("", "", DlopenPriority.RECOMMENDED)


def test_big_endian_notes_and_alignment_to_eight() -> None:
    text = json.dumps([LZ4]).encode()
    assert len(_read(note(text, order=">"), little_endian=False)) == 1
    first = note(b"abcde", vendor=b"GNU\0", kind=5)
    assert len(_read(first + bytes(-len(first) % 8) + note(text), align=8)) == 1


DAMAGED = {
    "no JSON": note(b"{"),
    "no UTF-8": note(b"\xff\xff"),
    "no array": note(b'{"soname": ["a"]}'),
    "an element that is no object": note(b"[1]"),
    "no SONAME": note(b"[{}]"),
    "an empty list of SONAMEs": note(b'[{"soname": []}]'),
    "a SONAME that is a number": note(b'[{"soname": [1]}]'),
    "a SONAME with a NUL": note(b'[{"soname": ["a\\u0000b"]}]'),
    "a SONAME with half a pair": note(b'[{"soname": ["\\ud800"]}]'),
    "nested without end": note(b"[" * 100_000),
    "longer than its segment": note(b"[]")[:12] + b"FDO\0",
    "too many": dlopen_note(*([{"soname": ["a"]}] * 2000)),
}


@pytest.mark.parametrize("segment", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_note_is_an_error(segment: bytes) -> None:
    with pytest.raises(NoteError):
        _read(segment)


@pytest.mark.parametrize(("size", "little"), [(64, True), (32, True), (64, False)])
def test_notes_are_part_of_an_object(size: int, *, little: bool) -> None:
    text = note(json.dumps([LZ4]).encode(), order="<" if little else ">")
    found = read_elf(mkelf(Spec(notes=text, elf_class=size, little_endian=little)), name="x")
    assert [one.sonames for one in found.dlopen] == [("liblz4.so.1",)]
    assert ElfObject.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_a_file_with_a_damaged_note_is_read_and_keeps_the_good_ones() -> None:
    found = read_elf(mkelf(Spec(soname="x", notes=dlopen_note(LZ4) + note(b"{"))), name="x")
    assert (found.soname, len(found.dlopen), found.bad_notes) == ("x", 1, "it is no JSON")


def test_a_damaged_note_is_a_warning_of_the_closure(tmp_path: Path) -> None:
    body = mkelf(Spec(interpreter="/lib/ld.so", notes=note(b"{")))
    sysroot = sysroot_of({"/bin/x": body}, tmp_path / "store")
    (warning,) = Resolver(sysroot, ElfFacts(None)).closure(["/bin/x"]).warnings
    assert warning == "/bin/x has a damaged note about libraries it opens at run time: it is no JSON"


def test_only_the_first_bytes_of_a_big_segment_are_read() -> None:
    huge = note(bytes(MAX_NOTES), vendor=b"GNU\0") + dlopen_note(LZ4)
    assert read_elf(mkelf(Spec(notes=huge)), name="x").dlopen == ()

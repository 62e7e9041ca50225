"""Data of a shared object as the loader would leave it, and nothing but an error for damaged files."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.elf.data import ElfData
from builder.elf.object import ElfError

_AT = 0x200
_TABLE = 0x100
_PT_LOAD, _PT_DYNAMIC = 1, 2


def shared_object(order: str, *, wide: bool) -> bytes:
    """A file whose symbol ``table`` holds: pointer to "name", pointer to itself by symbol, the int -7.

    Addresses are offsets. 64-bit files carry the pointers in relocations, 32-bit ones in place, as those of
    amd64 and i386 do.
    """
    word = "Q" if wide else "I"
    size = 8 if wide else 4
    strings = b"\0table\0"
    head, entry = (64, 56) if wide else (52, 32)
    text, symbols, names, hashes, moves, dynamic = 0x1C0, 0x240, 0x280, 0x290, 0x2B0, 0x300
    body = bytearray(0x400)
    ident = b"\x7fELF" + bytes((2 if wide else 1, 1 if order == "<" else 2, 1)) + bytes(9)
    machine = 62 if wide else 3
    header = struct.pack(
        f"{order}HHI3{word}I6H", 3, machine, 1, 0, head, 0, 0, head, entry, 2, head and 40, 0, 0
    )
    body[: len(ident) + len(header)] = ident + header
    for number, (kind, at, length) in enumerate(((_PT_LOAD, 0, 0x400), (_PT_DYNAMIC, dynamic, 0x100))):
        row = (
            struct.pack(f"{order}IIQQQQQQ", kind, 6, at, at, at, length, length, 4)
            if wide
            else struct.pack(f"{order}8I", kind, at, at, at, length, length, 6, 4)
        )
        body[head + number * entry : head + (number + 1) * entry] = row
    body[text : text + 5] = b"name\0"
    body[names : names + len(strings)] = strings
    one = (
        struct.pack(f"{order}IBBHQQ", 1, 0x11, 0, 5, _AT, 24)
        if wide
        else struct.pack(f"{order}IIIBBH", 1, _AT, 24, 0x11, 0, 5)
    )
    body[symbols + len(one) : symbols + 2 * len(one)] = one
    body[hashes : hashes + 16] = struct.pack(f"{order}4I", 1, 2, 1, 0)
    body[_AT + 2 * size : _AT + 2 * size + 4] = struct.pack(f"{order}i", -7)
    tags = [(5, names), (10, len(strings)), (6, symbols), (11, len(one)), (4, hashes)]
    if wide:
        body[moves : moves + 48] = struct.pack(f"{order}QQqQQq", _AT, 8, text, _AT + size, 1 << 32 | 1, 4)
        tags += [(7, moves), (8, 48), (9, 24)]
    else:
        body[_AT : _AT + 8] = struct.pack(f"{order}II", text, _AT + 4)
    packed = b"".join(struct.pack(f"{order}2{word}", *tag) for tag in (*tags, (0, 0)))
    body[dynamic : dynamic + len(packed)] = packed
    return bytes(body)


@pytest.mark.parametrize("wide", [True, False], ids=["64 bits, relocated", "32 bits, in place"])
@pytest.mark.parametrize("order", ["<", ">"], ids=["little-endian", "big-endian"])
def test_pointers_numbers_and_texts(order: str, *, wide: bool) -> None:
    data = ElfData(shared_object(order, wide=wide), name="x.so")
    size = data.pointer_size
    assert data.address("table") == _AT
    assert data.address("none") is None
    assert data.text(data.pointer(_AT)) == "name"
    assert data.pointer(_AT + size) == _AT + 4
    assert data.number(_AT + 2 * size) == -7


OUTSIDE = {
    "a pointer behind the file": lambda data: data.pointer(0x400),
    "a number across its end": lambda data: data.number(0x3FE),
    "a text nowhere": lambda data: data.text(1 << 40),
}


@pytest.mark.parametrize("ask", OUTSIDE.values(), ids=OUTSIDE)
def test_what_lies_outside_is_an_error(ask: object) -> None:
    assert callable(ask)
    with pytest.raises(ElfError, match=r"x\.so is a damaged ELF file"):
        ask(ElfData(shared_object("<", wide=True), name="x.so"))


@settings(max_examples=200, deadline=None)
@given(
    changes=st.lists(st.tuples(st.integers(0, 0x3FF), st.integers(0, 255)), max_size=6),
    cut=st.integers(0, 0x400),
)
def test_damage_is_an_error_of_its_own(changes: list[tuple[int, int]], cut: int) -> None:
    body = bytearray(shared_object("<", wide=True))
    for at, value in changes:
        body[at] = value
    try:
        data = ElfData(bytes(body[:cut]), name="x.so")
        data.text(data.pointer(data.address("table") or 0))
    except ElfError:
        pass

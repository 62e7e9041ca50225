"""The order in which GLib's GHashTable gives its keys: programs write their files in it (glib/ghash.c).

Only what makes files equal to theirs byte for byte; readers of these files accept every order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

_PRIMES = (1, 2, 3, 7, 13, 31, 61, 127, 251, 509, 1021, 2039, 4093, 8191, 16381, 32749, 65521)
_MORE_PRIMES = (131071, 262139, 524287, 1048573, 2097143, 4194301)
_SMALLEST = 3  # 1 << 3 places
_REAL = 2  # smaller hashes stand for free places
_WORD = 0xFFFFFFFF


def string_hash(key: bytes) -> int:
    """g_str_hash: Bernstein's hash of signed bytes, modulo 2³²."""
    value = 5381
    for byte in key:
        value = (value * 33 + byte - ((byte & 0x80) << 1)) & _WORD
    return value


def iteration_order(keys: Iterable[str]) -> tuple[str, ...]:
    """The keys of a table into which ``keys`` were put one after the other and from which none was taken."""
    table = _Table()
    for key in dict.fromkeys(keys):
        table.insert(key)
    return tuple(table)


class _Table:
    """Open addressing with growing steps; it grows in place when 15/16 of the places are taken."""

    def __init__(self) -> None:
        self._set_size(_SMALLEST)
        self._places: list[tuple[int, str] | None] = [None] * (self._mask + 1)
        self._count = 0

    def __iter__(self) -> Iterator[str]:
        return (place[1] for place in self._places if place is not None)

    def insert(self, key: str) -> None:
        """Put a key that is not there yet."""
        hashed = max(string_hash(key.encode("utf-8", "surrogateescape")), _REAL)
        at = self._first(hashed)
        step = 0
        while self._places[at] is not None:
            step += 1
            at = (at + step) & self._mask
        self._places[at] = (hashed, key)
        self._count += 1
        if len(self._places) <= self._count + self._count // 16:
            self._grow()

    def _set_size(self, shift: int) -> None:
        self._mask = (1 << shift) - 1
        self._modulus = (_PRIMES + _MORE_PRIMES)[shift]

    def _first(self, hashed: int) -> int:
        return (hashed * 11 & _WORD) % self._modulus

    def _grow(self) -> None:
        """Move every key to its place in the larger table; who sat there moves on at once."""
        old = len(self._places)
        self._set_size(max(int(self._count * 1.333).bit_length(), _SMALLEST))
        places = self._places
        places += [None] * (self._mask + 1 - old)
        settled = bytearray(self._mask + 1)
        for number in range(old):
            moving = places[number]
            if moving is None or settled[number]:
                continue
            places[number] = None
            while moving is not None:
                at = self._first(moving[0])
                step = 0
                while settled[at]:
                    step += 1
                    at = (at + step) & self._mask
                settled[at] = 1
                moving, places[at] = places[at], moving

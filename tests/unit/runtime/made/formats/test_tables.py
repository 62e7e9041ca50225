"""GLib's tables: the order of keys, and GVDB files that are looked up again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.runtime.made.formats import gvdb
from builder.runtime.made.formats.ghash import iteration_order, string_hash
from tests.support import gvdb as reader

KEYS = st.lists(st.text("abcdefgh-é", min_size=1, max_size=6), unique=True, max_size=60)


def test_the_hash_is_that_of_signed_bytes() -> None:
    assert string_hash(b"") == 5381
    assert string_hash(b"a") == 177670
    assert string_hash(b"\xff") == 5381 * 33 - 1


@given(KEYS)
def test_every_key_comes_once(keys: list[str]) -> None:
    assert sorted(iteration_order(keys)) == sorted(keys)
    assert iteration_order([*keys, *keys]) == iteration_order(keys)


def test_the_order_is_that_of_glib() -> None:
    # for (i = 0; i < 12; i++) g_hash_table_insert (table, g_strdup_printf ("key%d", i), NULL), GLib 2.84
    keys = [f"key{number}" for number in range(12)]
    places = {key: string_hash(key.encode()) * 11 % (1 << 32) % 13 for key in keys}
    assert len(set(places.values())) == len(keys)  # none stands in the way of another
    assert iteration_order(keys) == tuple(sorted(keys, key=places.__getitem__))


@given(KEYS, st.sets(st.integers(0, 59)))
def test_what_is_written_is_found_again(keys: list[str], nested: set[int]) -> None:
    inner = gvdb.Table(values={"x": b"inner"})
    values = {key: inner if number in nested else key.encode() for number, key in enumerate(keys)}
    table = reader.read(gvdb.write(gvdb.Table(values=values, children=frozenset(keys))))
    assert sorted(table.keys()) == sorted(["", *keys])
    for number, key in enumerate(keys):
        found = table[key]
        if number in nested:
            assert isinstance(found, reader.Table)
            assert found["x"] == b"inner"
        else:
            assert found == key.encode()
    if keys:
        assert table[""] == sorted(keys)


def test_a_key_that_is_not_there_is_not_found() -> None:
    table = reader.read(gvdb.write(gvdb.Table(values={"a": b"1"}, children=frozenset({"a"}))))
    with pytest.raises(KeyError):
        table["b"]

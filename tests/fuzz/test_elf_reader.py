"""A short run of the fuzzer: mutations without coverage, with a seed of its own each time."""

from __future__ import annotations

import time

from tests.fuzz.elf_reader import blind


def test_twenty_seconds_of_mutations_find_nothing() -> None:
    assert blind(20, time.time_ns()) > 100

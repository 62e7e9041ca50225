"""Any bytes, read as an ELF file by every reader of builder/elf: an object or an ElfError, nothing else.

With atheris (coverage-guided; see README.md here), libFuzzer's options apply:

    python tests/fuzz/elf_reader.py -max_total_time=3600 CORPUS

Without it, seeds made in memory are mutated blindly for so many seconds:

    python tests/fuzz/elf_reader.py --blind 20
"""

from __future__ import annotations

import contextlib
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

if TYPE_CHECKING:
    atheris: Any
else:
    try:
        import atheris
    except ImportError:
        atheris = None

if atheris is not None and __name__ == "__main__":
    with atheris.instrument_imports(include=["builder.elf"]):
        from builder.elf import (  # noqa: F401 (instrumented)
            data,
            notes,
            reader,
            strings,
            symbols,
            symboltable,
            tables,
            versions,
        )

from builder.elf.data import ElfData
from builder.elf.object import ElfError, ElfObject
from builder.elf.reader import read_elf
from builder.elf.strings import named_paths
from builder.elf.symbols import read_references, read_symbols
from tests.support.mkelf import seeds

SLOWEST = 2.0
"""Seconds that one input may take; the bounds of the readers keep real ones in milliseconds."""


def one_input(data: bytes) -> None:
    """Read ``data`` with every reader. Whatever is raised besides ElfError is a defect."""
    with contextlib.suppress(ElfError):
        found = read_elf(data, name="x")
        assert ElfObject.from_json(found.to_json()) == found
    with contextlib.suppress(ElfError):
        symbols = read_symbols(data, name="x")
        assert symbols.given({b"free"}) <= symbols.given()
    for read in (read_references, named_paths):
        with contextlib.suppress(ElfError):
            read(data, name="x")
    with contextlib.suppress(ElfError):
        made = ElfData(data, name="x")
        for address in (0, 64, made.address("soname") or 4096):
            for look in (made.pointer, made.number, made.text):
                with contextlib.suppress(ElfError):
                    look(address)


def mutations(random_source: random.Random) -> Iterator[bytes]:
    """Give seeds with some bytes replaced, repeated or cut off, for ever."""
    originals = seeds()
    while True:
        data = bytearray(random_source.choice(originals))
        for _ in range(random_source.randint(1, 8)):
            at = random_source.randrange(len(data))
            size = random_source.choice((1, 1, 2, 4, 8))
            data[at : at + size] = random_source.choice(
                (bytes(size), b"\xff" * size, random_source.randbytes(size), data[at // 2 : at // 2 + size])
            )
        cut = random_source.randrange(len(data)) + 1
        yield bytes(data[: random_source.choice((len(data), len(data), cut))])


def blind(seconds: float, seed: int) -> int:
    """Try mutations for ``seconds``; give how many. AssertionError for one that takes too long."""
    tried = 0
    end = time.monotonic() + seconds
    for data in mutations(random.Random(seed)):  # noqa: S311 (repeatable, not secret)
        started = time.monotonic()
        try:
            one_input(data)
        except Exception as error:
            raise AssertionError(f"{error!r} for {data.hex()}") from error
        assert time.monotonic() - started < SLOWEST, f"too slow: {data.hex()}"
        tried += 1
        if time.monotonic() > end:
            break
    return tried


def main(arguments: list[str]) -> None:
    """Run with libFuzzer's options, or "--blind SECONDS [SEED]"."""
    if arguments[:1] == ["--blind"]:
        seed = int(arguments[2]) if len(arguments) > 2 else time.time_ns()
        sys.stderr.write(f"seed {seed}\n")
        sys.stderr.write(f"{blind(float(arguments[1]), seed)} inputs, no defect\n")
        return
    if atheris is None:
        sys.exit("atheris is not installed: pip install atheris, or use --blind SECONDS")
    atheris.Setup([sys.argv[0], *arguments], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])

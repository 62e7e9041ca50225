"""Judge rootlet's closures by the real loader: ``python -m tests.oracle --root FOLDER --from-list FILE``.

Prints what differs and the figures; exit code 1 when something differs that explained.toml does not explain.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from builder.elf.loader import Flavour
from tests.oracle.compare import compare


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.oracle", description=__doc__)
    parser.add_argument("--root", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--from-list", type=Path, required=True, metavar="FILE", help="paths inside the root")
    parser.add_argument("--loader", choices=[flavour.value for flavour in Flavour])
    parser.add_argument("--qemu", metavar="ARCH", help="run loaders under qemu-ARCH-static")
    options = parser.parse_args(arguments)
    text = options.from_list.read_text(encoding="utf-8", errors="surrogateescape")
    emulator = Path(f"/usr/bin/qemu-{options.qemu}-static") if options.qemu else None
    flavour = Flavour(options.loader) if options.loader else None
    start = time.perf_counter()
    figures = compare(options.root, text.splitlines(), emulator=emulator, flavour=flavour)
    for line in figures.disagreements:
        sys.stdout.write(line.encode("utf-8", "backslashreplace").decode() + "\n")
    sys.stdout.write(f"{figures.sentence}; {time.perf_counter() - start:.0f} s\n")
    return 1 if figures.disagreements else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

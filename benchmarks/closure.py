"""`rootlet deps --json` over thousands of files, beside lddtree and beside the floor, `readelf -d`.

    python benchmarks/closure.py [--root FOLDER --from-list FILE] [--files 5000] [--runs 3] [--sample 40]

Whole processes, alternating, the files' pages in memory. Without --root: this machine's own ELF files.
lddtree (pax-utils) takes a process and some tenths of a second for each file, so it gets a sample, scaled.
readelf (binutils) reads all dynamic sections in one process and resolves nothing.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
FOLDERS = ("/usr/bin", "/usr/sbin", "/usr/lib", "/usr/libexec", "/usr/local", "/opt")
FACTOR, SECONDS, MEGABYTES = 50, 5.0, 100


def machine_files() -> Iterator[str]:
    for top in FOLDERS:
        for folder, folders, names in os.walk(top):
            folders.sort()
            for path in (Path(folder, name) for name in sorted(names)):
                if path.is_file() and not path.is_symlink() and os.access(path, os.R_OK):
                    with path.open("rb") as stream:
                        if stream.read(4) == b"\x7fELF":
                            yield str(path)


def measured(argv: list[str], output: Path) -> tuple[float, int]:
    """Seconds and peak memory (MiB) of one process; its output goes to a file."""
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPATH"] = str(REPOSITORY)
    with output.open("wb") as stream:
        start = time.perf_counter()
        process = subprocess.Popen(argv, stdout=stream, stderr=subprocess.DEVNULL, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    return seconds, usage.ru_maxrss // 1024


def rootlet(root: Path, listing: Path) -> list[str]:
    script = Path(sys.executable).with_name("rootlet")  # what users run, where it is installed
    command = [str(script)] if script.exists() else [sys.executable, "-m", "builder"]
    return [*command, "deps", "--json", "--root", str(root), "--from-list", str(listing)]


def peer(root: Path, paths: list[str], output: Path) -> float:
    """Seconds of lddtree for each file; 0 where it is not installed."""
    lddtree = shutil.which("lddtree")
    if lddtree is None:
        return 0.0
    times = [measured([lddtree, "-R", str(root), "-l", f"{root}{path}"], output)[0] for path in paths]
    return statistics.fmean(times)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("/"))
    parser.add_argument("--from-list", type=Path)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--sample", type=int, default=40)
    options = parser.parse_args()
    paths = options.from_list.read_text().splitlines() if options.from_list else list(machine_files())
    paths = paths[: options.files]
    prefix = "" if str(options.root) == "/" else str(options.root)
    with tempfile.TemporaryDirectory() as temporary:
        output, listing = Path(temporary, "output"), Path(temporary, "list")
        listing.write_text("".join(f"{path}\n" for path in paths))
        inside = [f"{prefix}{path}" for path in paths]
        ours: list[tuple[float, int]] = []
        floor: list[float] = []
        readelf = shutil.which("readelf")
        for _ in range(options.runs + 1):
            if readelf:
                floor.append(measured([readelf, "-dW", *inside], output)[0])
            ours.append(measured(rootlet(options.root, listing), output))
        assert len(output.read_text().splitlines()) == len(paths)
        theirs = peer(options.root, paths[:: max(1, len(paths) // options.sample)], output) * len(paths)
    seconds, memory = statistics.median(second for second, _ in ours[1:]), max(peak for _, peak in ours)
    each = 1000 * seconds / len(paths)
    print(f"{len(paths)} files: rootlet deps {seconds:.2f} s ({each:.2f} ms a file), {memory} MiB")
    if floor:
        times = seconds / statistics.median(floor[1:])
        print(f"floor, readelf -d in one process: rootlet takes {times:.1f} times as long")
    if theirs:
        times = theirs / seconds
        print(f"lddtree, scaled from {options.sample} files: {theirs:.0f} s, {times:.0f} times as long")
    good = seconds < SECONDS and memory < MEGABYTES and (not theirs or theirs / seconds >= FACTOR)
    print(
        "goals met"
        if good
        else f"goals missed: {SECONDS} s, {MEGABYTES} MiB, {FACTOR} times faster than lddtree"
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

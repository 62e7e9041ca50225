"""How far the layer writer is from what the machine can do.

    python benchmarks/floor.py FOLDER [--runs 7] [--threads N] [--output FOLDER] [--compression gzip]

Every regular file of FOLDER goes into one synthetic layer. The floor does only what no writer of a verified
layer can leave out: read each byte once, hash it once for its file and once for the DiffID, compress it in
the same blocks and threads, hash and write the blob, sync. It makes no tar, checks nothing, and has its
work cut ready before the clock starts. Floor and writer alternate in one process, on the page cache;
medians are printed. The floor without the hash of each file is printed too ("unverified").
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from builder.image.compress import compressor
from builder.image.layer import write_layer
from builder.plan.model import Entry, Layer
from builder.progress import Silent
from builder.reason import Reason, ReasonKind
from builder.recipe.model import Compression
from builder.sysroot import Content, Kind

GOAL = 1.15


@dataclass(frozen=True)
class Case:
    layer: Layer
    store: Path
    size: int
    spans: tuple[tuple[int, int], ...]
    """Offset and size of each file in the store."""


def case_of(folder: Path, store: Path) -> Case:
    """Lay the files of ``folder`` end to end into one store, as a package's data.tar does."""
    entries, spans, offset = [], [], 0
    reason = Reason(ReasonKind.KEEP)
    with store.open("wb") as stream:
        for number, path in enumerate(sorted(folder.rglob("*"))):
            if not path.is_file() or path.is_symlink():
                continue
            payload = path.read_bytes()
            stream.write(payload)
            sha256 = hashlib.sha256(payload).hexdigest()
            content = Content(store=store, offset=offset, size=len(payload), sha256=sha256)
            name = f"/files/{number:07}-{path.name}"
            entries.append(Entry(path=name, kind=Kind.FILE, mode=0o644, content=content, reason=reason))
            spans.append((offset, len(payload)))
            offset += len(payload)
    return Case(Layer(entries=tuple(entries)), store, offset, tuple(spans))


def cuts_of(case: Case, step: int) -> list[list[tuple[int, int]]]:
    """For each block, the pieces of files in it: start and end inside the block."""
    cuts: list[list[tuple[int, int]]] = [[] for _ in range(0, case.size, step)]
    for offset, size in case.spans:
        at = offset
        while at < offset + size:
            end = min(offset + size, (at // step + 1) * step)
            cuts[at // step].append((at % step, end - at // step * step))
            at = end
    return cuts


def floor(
    case: Case, compression: Compression, threads: int, output: Path, cuts: list[list[tuple[int, int]]]
) -> None:
    packer = compressor(compression)
    step = packer.block_size
    whole, blob = hashlib.sha256(), hashlib.sha256()
    with (
        ThreadPoolExecutor(threads) as pool,
        ThreadPoolExecutor(1) as hasher,
        ThreadPoolExecutor(1) as writer,
        case.store.open("rb", buffering=0) as source,
        (output / "floor").open("wb", buffering=0) as target,
    ):

        def write(packed: Future[tuple[bytes | memoryview, int]]) -> None:
            payload = packed.result()[0]
            blob.update(payload)
            target.write(payload)

        waiting: deque[Future[None]] = deque()
        for start in range(0, case.size, step):
            block = memoryview(os.pread(source.fileno(), step, start))
            if not packer.identity:
                waiting.append(hasher.submit(whole.update, block))
            waiting.append(writer.submit(write, pool.submit(packer.pack, block)))
            for begin, end in cuts[start // step]:
                hashlib.sha256(block[begin:end])
            while len(waiting) > 2 * (threads + 3):
                waiting.popleft().result()
        for done in waiting:
            done.result()
        os.fsync(target.fileno())


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--output", type=Path, help="where to write (default: a temporary folder)")
    parser.add_argument("--compression", type=Compression, default=Compression.GZIP)
    return parser.parse_args()


def main() -> int:
    options = arguments()
    with tempfile.TemporaryDirectory(dir=options.output) as scratch:
        output = Path(scratch)
        case = case_of(options.folder, output / "store")
        block = compressor(options.compression).block_size
        cuts = cuts_of(case, block)
        none: list[list[tuple[int, int]]] = [[] for _ in cuts]

        def writer() -> None:
            shutil.rmtree(output / "blobs", ignore_errors=True)
            write_layer(
                case.layer,
                created=0,
                compression=options.compression,
                blobs=output / "blobs",
                progress=Silent(),
                threads=options.threads,
            )

        works: dict[str, Callable[[], object]] = {
            "unverified": lambda: floor(case, options.compression, options.threads, output, none),
            "floor": lambda: floor(case, options.compression, options.threads, output, cuts),
            "write_layer": writer,
        }
        times: dict[str, list[float]] = {name: [] for name in works}
        for _ in range(options.runs):
            for name, work in works.items():
                times[name].append(timed(work))
    kind = options.compression.value
    print(f"{case.size / 1e6:.1f} MB, {len(case.spans)} files, {kind}, {options.threads} threads")
    for name, taken in times.items():
        median = statistics.median(taken)
        speed = case.size / median / 1e6
        print(f"{name:12} {median * 1e3:8.1f} ms (least {min(taken) * 1e3:.1f})  {speed:7.0f} MB/s")
    ratio = statistics.median(
        mine / least for mine, least in zip(times["write_layer"], times["floor"], strict=True)
    )
    print(f"ratio to the floor {ratio:.3f} (goal: {GOAL})")
    return 0 if ratio <= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())

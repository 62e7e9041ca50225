"""`rootlet build recipes/redis.toml` beside the floor and beside the usual ways to make such an image.

    python benchmarks/build.py [--runs 5] [--no-peers]

In one run, alternating: the floor (read, hash, compress and write the image's bytes, nothing else), the whole
build with cached packages (release check, lock, resolution, layer, scan, gate, names), and a build that has
nothing to do. Then, once each, the same application by mmdebstrap + import and by `buildah bud` with apt on a
warm base; these need root, mmdebstrap, podman and buildah, and are left out where they are missing.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))
sys.path.insert(0, str(REPOSITORY / "benchmarks"))

from floor import case_of, floor, timed

from builder.image.compress import compressor
from builder.recipe.model import Compression

RECIPE = REPOSITORY / "recipes/redis.toml"
FACTOR, SLACK, UNCHANGED = 1.5, 0.5, 0.25


def rootlet(folder: Path, *more: str) -> None:
    script = Path(sys.executable).with_name("rootlet")  # what users run, where it is installed
    command = [*([script] if script.exists() else [sys.executable, "-m", "builder"]), *more]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installation has its bytecode
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)


def build(folder: Path, *more: str) -> None:
    rootlet(folder, "build", str(RECIPE), "--database", "db", "--max-database-age", "any", *more)


def unpack(folder: Path) -> Path:
    """The image's files in a folder, as the bytes that the floor handles."""
    layer = max((folder / "dist/redis/blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    files = folder / "files"
    files.mkdir()
    subprocess.run(["tar", "-xf", layer, "-C", files], check=True)
    return files


def ours(folder: Path, runs: int) -> float:
    rootlet(folder, "database", "--database", "db", "import", str(REPOSITORY / "tests/data/osv"))
    build(folder)
    case = case_of(unpack(folder), folder / "store")
    threads = len(os.sched_getaffinity(0))
    cuts: list[list[tuple[int, int]]] = [[]] * (case.size // compressor(Compression.GZIP).block_size + 1)
    times: dict[str, list[float]] = {"floor": [], "build": [], "unchanged": []}
    for _ in range(runs):
        times["floor"].append(timed(lambda: floor(case, Compression.GZIP, threads, folder, cuts)))
        times["build"].append(timed(lambda: build(folder, "--force")))
        times["unchanged"].append(timed(lambda: build(folder)))
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    allowed = FACTOR * medians["floor"] + SLACK
    print(f"redis, {case.size / 1e6:.1f} MB in {len(case.spans)} files, medians of {runs} runs")
    print(f"  floor (read, hash, compress, write)  {medians['floor']:7.3f} s")
    share = f"{medians['build'] / allowed:5.2f} of 1.5 x floor + 0.5 s"
    print(f"  whole build, packages cached         {medians['build']:7.3f} s   {share}")
    print(
        f"  nothing changed                      {medians['unchanged']:7.3f} s   "
        f"{medians['unchanged'] / UNCHANGED:5.2f} of 0.25 s"
    )
    return medians["build"]


def image_size(name: str) -> float:
    shown = subprocess.run(
        ["podman", "image", "inspect", name, "--format", "{{.Size}}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(shown.stdout) / 1e6


def mmdebstrap(folder: Path) -> None:
    tar = folder / "root.tar"
    subprocess.run(
        ["mmdebstrap", "--quiet", "--variant=minbase", "--include=redis-server", "trixie", tar], check=True
    )
    subprocess.run(["podman", "import", "--quiet", tar, "bench-mmdebstrap"], check=True, capture_output=True)


def base(folder: Path) -> None:
    tar = folder / "base.tar"
    subprocess.run(["mmdebstrap", "--quiet", "--variant=apt", "trixie", tar], check=True)
    subprocess.run(["podman", "import", "--quiet", tar, "bench-base"], check=True, capture_output=True)


def bud(folder: Path) -> None:
    (folder / "Dockerfile").write_text(
        "FROM localhost/bench-base\n"
        "RUN apt-get update && apt-get install -y --no-install-recommends redis-server "
        "&& rm -rf /var/lib/apt/lists\n"
        'ENTRYPOINT ["/usr/bin/redis-server"]\n'
    )
    command = [
        "buildah",
        "bud",
        "--isolation",
        "chroot",
        "--pull-never",
        "-t",
        "bench-bud",
        "-f",
        "Dockerfile",
        ".",
    ]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def peers(folder: Path, own: float) -> None:
    missing = [name for name in ("mmdebstrap", "podman", "buildah") if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        print(f"  peers left out: {'needs ' + ', '.join(missing) if missing else 'needs root'}")
        return
    try:
        base(folder)
        for label, work, name in (
            ("mmdebstrap + podman import", mmdebstrap, "bench-mmdebstrap"),
            ("buildah bud with apt, warm base", bud, "bench-bud"),
        ):
            seconds = timed(lambda work=work: work(folder))  # type: ignore[misc]  # bound at once
            ratio = f"{seconds / own:5.1f} x rootlet, {image_size(name):.0f} MB unpacked"
            print(f"  {label:<36} {seconds:7.3f} s   {ratio}")
    finally:
        for name in ("bench-bud", "bench-mmdebstrap", "bench-base"):
            subprocess.run(["podman", "rmi", "-f", f"localhost/{name}"], capture_output=True, check=False)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--no-peers", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        own = ours(Path(folder), options.runs)
        if not options.no_peers:
            peers(Path(folder), own)
    return 0


if __name__ == "__main__":
    sys.exit(main())

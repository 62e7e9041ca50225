"""A root with musl and real objects built for it: ``python -m tests.oracle.musl --to FOLDER --cache FOLDER``.

musl itself comes from Debian; the objects from wheels of the Python package index (pip) and from packages
of the npm registry (npm), each fetched by its own client. Writes ``FOLDER.list`` beside the root.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.oracle.corpus import Corpus, fetch, write_root

WHEELS = ("pillow", "numpy", "lxml", "cryptography", "psycopg-binary", "pyzmq", "shapely", "pynacl", "brotli")
MORE_WHEELS = (
    "scipy",
    "pandas",
    "scikit-learn",
    "matplotlib",
    "grpcio",
    "h5py",
    "pyproj",
    "rasterio",
    "fiona",
)
NPM = ("@img/sharp-linuxmusl-x64", "@img/sharp-libvips-linuxmusl-x64", "@swc/core-linux-x64-musl")
MORE_NPM = ("@rollup/rollup-linux-x64-musl", "lightningcss-linux-x64-musl", "@parcel/watcher-linux-x64-musl")
_PLATFORMS = ("musllinux_1_1_x86_64", "musllinux_1_2_x86_64")


def musl_root(
    folder: Path, cache: Path, downloads: Path, *, wheels: Sequence[str], npm: Sequence[str]
) -> tuple[str, ...]:
    """Write the root and give the paths of the objects, sorted. What a registry does not have is left out.

    ``cache`` is a cache folder of rootlet's; ``downloads`` takes what pip and npm fetch.
    """
    write_root(fetch(Corpus(packages=("musl",)), cache), folder)
    for archive in (*_wheels(wheels, downloads / "wheels"), *_npm(npm, downloads / "npm")):
        place = folder / "usr/lib/site" / archive.name
        place.mkdir(parents=True, exist_ok=True)
        if archive.suffix == ".whl":
            shutil.unpack_archive(archive, place, "zip")
        else:
            shutil.unpack_archive(archive, place, "gztar", filter="data")
    site = folder / "usr/lib/site"
    return tuple(sorted(f"/{path.relative_to(folder)}" for path in site.rglob("*") if _is_elf(path)))


def _is_elf(path: Path) -> bool:
    if not path.is_file() or path.is_symlink():
        return False
    with path.open("rb") as stream:
        return stream.read(4) == b"\x7fELF"


def _wheels(names: Sequence[str], folder: Path) -> Iterator[Path]:
    platforms = [word for platform in _PLATFORMS for word in ("--platform", platform)]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    for name in names:
        argv = [*pip, *platforms, "--python-version", "3.12", "--dest", str(folder / name), name]
        subprocess.run(argv, check=False, capture_output=True, timeout=300)
        yield from sorted((folder / name).glob("*.whl"))


def _npm(names: Sequence[str], folder: Path) -> Iterator[Path]:
    npm = shutil.which("npm")
    folder.mkdir(parents=True, exist_ok=True)
    for name in names if npm else ():
        place = folder / name.replace("/", "_")
        place.mkdir(exist_ok=True)
        subprocess.run([str(npm), "pack", name], cwd=place, check=False, capture_output=True, timeout=300)
        yield from sorted(place.glob("*.tgz"))


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.oracle.musl", description=__doc__)
    parser.add_argument("--to", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--cache", type=Path, required=True, metavar="FOLDER")
    options = parser.parse_args(arguments)
    wheels, npm = (*WHEELS, *MORE_WHEELS), (*NPM, *MORE_NPM)
    paths = musl_root(options.to, options.cache, options.cache, wheels=wheels, npm=npm)
    listing = options.to.with_name(f"{options.to.name}.list")
    listing.write_text("".join(f"{path}\n" for path in paths), encoding="utf-8", errors="surrogateescape")
    sys.stdout.write(f"{len(paths)} ELF files; their paths: {listing}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The link check of a program with some 200 libraries, beside ``ldd -r`` of the same program.

    python benchmarks/linkcheck.py [--root FOLDER] [--program /usr/bin/ffmpeg] [--runs 7]

FOLDER is a tree with the program; without one, mmdebstrap unpacks trixie's ffmpeg into a temporary folder
(network, some minutes). ld.so runs in a chroot of it, so this needs root. Both are measured in turns in one
run, in processor time: the check with nothing remembered, and ld.so.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from builder.elf.closure import Resolver
from builder.elf.facts import ElfFacts
from builder.sysroot import Content, Kind, Node, Sysroot
from builder.verify.link import _Check
from tests.support.ldso import _ENTER
from tests.support.mkelf import GLIBC_X86_64

LIMIT = 0.5
"""Seconds that the check may take."""
_ALTERNATIVES = ("blas/libblas.so.3", "lapack/liblapack.so.3")
_LIBRARIES = "usr/lib/x86_64-linux-gnu"


def fetch(folder: Path) -> Path:
    root = folder / "root"
    command = ["mmdebstrap", "--variant=extract", "--include=ffmpeg", "trixie", str(root)]
    subprocess.run(command, check=True, capture_output=True)
    return root


def prepare(root: Path) -> None:
    """Make the links that the installer and update-alternatives would, and the cache."""
    for name in ("bin", "lib", "lib64"):
        if not (root / name).exists():
            (root / name).symlink_to(f"usr/{name}")
    for name in _ALTERNATIVES:
        target, link = root / _LIBRARIES / name, root / _LIBRARIES / Path(name).name
        if target.exists() and not link.is_symlink():
            link.symlink_to(name)
    subprocess.run(["ldconfig", "-r", str(root)], check=True, capture_output=True)


def tree(root: Path) -> Sysroot:
    return Sysroot(
        node for folder in ("usr", "etc", "lib", "lib64", "bin") for node in below(root, root / folder)
    )


def below(root: Path, path: Path) -> list[Node]:
    shown = "/" + str(path.relative_to(root))
    if path.is_symlink():
        return [Node(path=shown, kind=Kind.SYMLINK, mode=0o777, target=str(path.readlink()))]
    if path.is_dir():
        nodes = [Node(path=shown, kind=Kind.DIRECTORY, mode=0o755)]
        return [*nodes, *(node for child in path.iterdir() for node in below(root, child))]
    content = Content(store=path, offset=0, size=path.stat().st_size, sha256="")
    return [Node(path=shown, kind=Kind.FILE, mode=0o755, content=content)]


def timed(act: Callable[[], object]) -> float:
    """Seconds of processor time, that of finished child processes too."""
    started = _processor_time()
    act()
    return _processor_time() - started


def _processor_time() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path)
    parser.add_argument("--program", default="/usr/bin/ffmpeg")
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("ld.so runs in a chroot: run this as root")
    with tempfile.TemporaryDirectory() as folder:
        measure(options.root or fetch(Path(folder)), options.program, options.runs)


def measure(root: Path, program: str, runs: int) -> None:
    prepare(root)
    image = tree(root)
    known = ElfFacts(None)
    scope = Resolver(image, known).scope(program)
    assert scope is not None
    objects = [program, *scope.libraries]
    nodes = [node for path in objects if (node := image.get(path)) is not None]
    symbols = [found for node in nodes if (found := known.symbols(node)) is not None]
    keys = sum(len(found.wanted) + len(found.given()) for found in symbols)

    def ours() -> int:  # with the headers, that a build has read before
        facts = ElfFacts(None)
        list(facts.elf_nodes(nodes))
        check = _Check(image, facts, Resolver(image, facts))
        check.judge(check.places([program], plugins=False))
        assert not check.warnings, check.warnings
        return len(check.problems)

    def theirs() -> None:
        variables = {"LD_TRACE_LOADED_OBJECTS": "1", "LD_WARN": "yes", "LD_BIND_NOW": "yes"}
        enter = _ENTER.replace('{"LD_TRACE_LOADED_OBJECTS": "1"}', repr(variables))
        command = [sys.executable, "-c", enter, str(root), GLIBC_X86_64, GLIBC_X86_64, program]
        subprocess.run(command, check=True, capture_output=True)

    started = [timed(lambda: subprocess.run([sys.executable, "-c", ""], check=True)) for _ in range(runs)]
    nothing = statistics.median(started)
    problems = ours()
    figures = [(timed(ours), timed(theirs)) for _ in range(runs)]
    check = statistics.median(figure[0] for figure in figures)
    loader = max(0.001, statistics.median(figure[1] for figure in figures) - nothing)
    print(f"{program}: {len(objects)} objects, {keys} keys, {problems} problems")
    missing = [missing.name for missing in scope.missing]
    print(f"missing libraries: {', '.join(missing) or 'none'}")
    print(f"link check  {check * 1e3:7.0f} ms (fastest {min(figure[0] for figure in figures) * 1e3:.0f})")
    print(f"ldd -r      {loader * 1e3:7.0f} ms (without starting Python for the chroot)")
    print(f"ratio       {check / loader:7.2f}")
    if check > LIMIT:
        sys.exit(f"the link check took {check:.2f} s; {LIMIT} s were allowed")


if __name__ == "__main__":
    main()

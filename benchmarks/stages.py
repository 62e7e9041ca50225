"""A C program from source: `rootlet build` with a stage beside `buildah bud` of a hand-written Dockerfile.

    python benchmarks/stages.py [--runs 5]

In one run, alternating, each with its own storage on the same disk and without a network for the commands:

    cold       nothing is there but the mirror: rootlet makes its system of packages and builds; for bud
               mmdebstrap makes a minimal Debian first, on which the Dockerfile installs the compiler with apt
    compiler   the minimal system is there on both sides: the compiler is installed, the program built
    edited     one line of the program changed: it is compiled again and a new image is made
    unchanged  the same again: rootlet as it is called, and with --force (plan, layer, scan, name anew);
               buildah bud --layers

rootlet's times include the closure, package records, the scan and the gate; bud's image has what the
Dockerfile copies and nobody looked at it. Needs root, mmdebstrap and buildah.
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
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGES = ("gcc", "libc6-dev", "make", "zlib1g-dev")
PROGRAM = (
    "#include <stdio.h>\n#include <zlib.h>\n"
    'int main(void) {{ printf("{} %s\\n", zlibVersion()); return 0; }}\n'
)
MAKEFILE = "app: main.c\n\tgcc -O2 -o $@ main.c -lz\n"
RECIPE = f"""\
schema = 1
name = "app"
entrypoint = ["/usr/bin/app"]
[sources.os]
suite = "trixie"
[sources.build]
type = "stage"
from = "os"
packages = {list(PACKAGES)}
copy = [{{ src = ".", dest = "/src", ignore = ["*.toml", "Dockerfile"] }}]
workdir = "/src"
run = ["make"]
[[install]]
from = "build"
path = "/src/app"
to = "/usr/bin/app"
[scan]
unscannable = "warn"
fail_on = "none"
max_database_age = "any"
"""
DOCKERFILE = f"""\
FROM localhost/bench-minimal AS build
RUN apt-get update && apt-get install -y --no-install-recommends {" ".join(PACKAGES)}
WORKDIR /src
COPY main.c Makefile .
RUN make && mkdir -p /out/lib64 /out/usr/bin && cp app /out/usr/bin/ \\
    && cp /lib64/ld-linux-x86-64.so.2 /out/lib64/ \\
    && ldd app | awk '$3 ~ /^\\// {{ print $3 }}' | xargs -I{{}} cp --parents {{}} /out
FROM scratch
COPY --from=build /out /
ENTRYPOINT ["/usr/bin/app"]
"""


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.project = folder / "project"
        self.project.mkdir()
        self.edits = 0
        (self.project / "Makefile").write_text(MAKEFILE)
        (self.project / "recipe.toml").write_text(RECIPE)
        (self.project / "Dockerfile").write_text(DOCKERFILE)
        self.edit()

    def edit(self) -> None:
        self.edits += 1
        (self.project / "main.c").write_text(PROGRAM.format(f"edit {self.edits}"))

    def rootlet(self, *more: str) -> None:
        script = Path(sys.executable).with_name("rootlet")
        command = [*([script] if script.exists() else [sys.executable, "-m", "builder"]), *more]
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        subprocess.run(command, cwd=self.project, env=environment, check=True, capture_output=True)

    def build(self, *more: str) -> None:
        self.rootlet(
            *("build", "recipe.toml", "--database", str(self.folder / "db")),
            *("--cache", str(self.folder / "cache"), *more),
        )

    def build_without_compiler(self) -> None:
        """A stage of the same archive that names no package: the small system is there then."""
        recipe = self.project / "recipe.toml"
        text = recipe.read_text()
        plain = text.replace(f"packages = {list(PACKAGES)}", "packages = []").replace(
            'run = ["make"]', 'run = ["cp /bin/true app"]'
        )
        recipe.write_text(plain)
        self.build("--no-test")
        recipe.write_text(text)

    def buildah(self, *words: str) -> None:
        store = ("--root", str(self.folder / "bud"), "--runroot", str(self.folder / "run"))
        subprocess.run(["buildah", *store, *words], cwd=self.project, check=True, capture_output=True)

    def bud(self) -> None:
        self.buildah("bud", "--isolation", "chroot", "--layers", "--pull-never", "-t", "app", ".")

    def minimal(self) -> None:
        tar = self.folder / "minimal.tar"
        subprocess.run(["mmdebstrap", "--quiet", "--variant=apt", "trixie", tar], check=True)
        self.buildah("from", "--name", "minimal", "scratch")
        self.buildah("add", "minimal", str(tar), "/")
        self.buildah("commit", "--quiet", "minimal", "bench-minimal")
        self.buildah("rm", "minimal")

    def run(self, runs: int) -> None:
        self.rootlet(
            "database", "--database", str(self.folder / "db"), "import", str(REPOSITORY / "tests/data/osv")
        )
        print("one C program with zlib")
        cold = timed(self.build)
        shutil.rmtree(self.folder / "cache")
        self.build_without_compiler()
        compiler = timed(lambda: self.build("--force"))
        minimal, installed = timed(self.minimal), timed(self.bud)
        show("cold", [cold], [minimal + installed])
        show("compiler", [compiler], [installed])
        edited: tuple[list[float], list[float]] = ([], [])
        unchanged: tuple[list[float], list[float], list[float]] = ([], [], [])
        for _ in range(runs):
            self.edit()
            edited[0].append(timed(self.build))
            edited[1].append(timed(self.bud))
            unchanged[0].append(timed(self.build))
            unchanged[1].append(timed(lambda: self.build("--force")))
            unchanged[2].append(timed(self.bud))
        show("edited", *edited)
        show("unchanged", unchanged[0], unchanged[2])
        show("unchanged, --force", unchanged[1], unchanged[2])


def show(label: str, ours: list[float], theirs: list[float]) -> None:
    own, other = statistics.median(ours), statistics.median(theirs)
    print(f"  {label:<20} rootlet {own:7.3f} s   buildah bud {other:7.3f} s   {other / own:5.2f} x")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    missing = [name for name in ("mmdebstrap", "buildah") if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        print(f"needs {', '.join(missing) if missing else 'root'}")
        return 1
    with tempfile.TemporaryDirectory() as folder:
        Bench(Path(folder)).run(options.runs)
    return 0


if __name__ == "__main__":
    sys.exit(main())

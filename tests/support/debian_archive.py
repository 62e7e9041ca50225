"""A Debian archive made in memory and signed, and a loopback server that can misbehave."""

from __future__ import annotations

import contextlib
import email.utils
import gzip
import hashlib
import io
import lzma
import os
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pysequoia

from builder.engine.command import MachineRunner
from builder.oci import Platform
from builder.progress import Silent
from builder.recipe.source_model import DebianSource
from builder.sources.debian.archive import DebianArchive, Effects
from builder.transport import Transport

NOW = 1_800_000_000.0


# ---- packages -------------------------------------------------------------------------------------


def tar_of(*members: tuple[tarfile.TarInfo, bytes], format_: int = tarfile.GNU_FORMAT) -> bytes:
    """A tar archive of members as given, uncompressed."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format_) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def member(
    name: str,
    content: bytes = b"",
    *,
    type_: bytes = tarfile.REGTYPE,
    link: str = "",
    mode: int = 0o644,
    pax: Mapping[str, str] | None = None,
) -> tuple[tarfile.TarInfo, bytes]:
    """One member with root as owner and a fixed time."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode, info.size = type_, link, mode, len(content)
    info.uname = info.gname = "root"
    info.mtime = 1_700_000_000
    info.pax_headers = dict(pax or {})
    return info, content


def tree_tar(files: Mapping[str, bytes | str | None]) -> bytes:
    """A data archive: bytes are files, text is the target of a symbolic link, None a folder."""
    members = [member("./", type_=tarfile.DIRTYPE, mode=0o755)]
    for path, content in files.items():
        if content is None:
            members.append(member(f".{path}/", type_=tarfile.DIRTYPE, mode=0o755))
        elif isinstance(content, str):
            members.append(member(f".{path}", type_=tarfile.SYMTYPE, link=content, mode=0o777))
        else:
            members.append(member(f".{path}", content))
    return tar_of(*members)


def ar_of(*members: tuple[str, bytes]) -> bytes:
    """An ar archive."""
    out = b"!<arch>\n"
    for name, content in members:
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode()
        out += content + b"\n" * (len(content) % 2)
    return out


def compress(kind: str, raw: bytes) -> bytes:
    """Raw bytes as ``kind`` names them: xz, gz, zst or nothing."""
    if kind == "xz":
        return lzma.compress(raw, preset=0)
    if kind == "gz":
        return gzip.compress(raw, 1, mtime=0)
    if kind == "zst":
        if sys.version_info >= (3, 14):
            from compression import zstd  # noqa: PLC0415 (where there is one)
        else:
            from backports import zstd  # noqa: PLC0415 (where there is one)
        return zstd.compress(raw)
    return raw


def deb_of(control: bytes, data: bytes, kind: str = "xz") -> bytes:
    """A .deb of two uncompressed tar archives."""
    end = f".{kind}" if kind else ""
    return ar_of(
        ("debian-binary", b"2.0\n"),
        (f"control.tar{end}", compress(kind, control)),
        (f"data.tar{end}", compress(kind, data)),
    )


@dataclass(frozen=True, kw_only=True)
class Deb:
    """A package of the archive. ``fields``: further lines of its control paragraph."""

    name: str
    version: str = "1.0-1"
    architecture: str = "amd64"
    fields: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes | str | None] = field(default_factory=dict)
    control_files: Mapping[str, bytes] = field(default_factory=dict)
    payload: bytes | None = None
    """The .deb itself, when it is not the honest one."""

    @property
    def paragraph(self) -> str:
        """The control paragraph."""
        fields = {"Package": self.name, "Version": self.version, "Architecture": self.architecture}
        fields |= {**self.fields, "Description": f"{self.name} for tests"}
        return "".join(f"{name}: {value}\n" for name, value in fields.items())

    @property
    def filename(self) -> str:
        """Where the pool has it."""
        version = self.version.partition(":")[2] or self.version
        return f"pool/main/{self.name[0]}/{self.name}/{self.name}_{version}_{self.architecture}.deb"

    def build(self) -> bytes:
        """The .deb."""
        if self.payload is not None:
            return self.payload
        files = self.files or {f"/usr/share/{self.name}": self.name.encode()}
        sums = "".join(
            f"{hashlib.md5(content, usedforsecurity=False).hexdigest()}  {path[1:]}\n"
            for path, content in files.items()
            if isinstance(content, bytes)
        )
        control = {"control": self.paragraph.encode(), "md5sums": os.fsencode(sums), **self.control_files}
        return deb_of(
            tar_of(*(member(f"./{name}", content) for name, content in control.items())), tree_tar(files)
        )


# ---- release files --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Key:
    """A signing key with its public half."""

    secret: pysequoia.Tsk
    public: bytes

    def clear(self, text: bytes) -> bytes:
        """A clear-signed document."""
        signed = pysequoia.sign(self.secret.signer(), text, mode=pysequoia.SignatureMode.CLEAR)
        return bytes(signed)

    def detached(self, text: bytes) -> bytes:
        """An armoured signature."""
        signed = pysequoia.sign(self.secret.signer(), text, mode=pysequoia.SignatureMode.DETACHED)
        return bytes(signed)


def make_key(name: str = "Archive <archive@example.test>") -> Key:
    """A new key."""
    secret = pysequoia.Tsk.generate(user_id=name)
    certificate = secret.extract_certificate()
    return Key(secret, bytes(certificate))


@dataclass(frozen=True, kw_only=True)
class SuiteText:
    """A suite to write. Times in seconds since the epoch."""

    name: str
    debs: tuple[Deb, ...] = ()
    suite: str = "stable"
    origin: str = "Debian"
    architectures: str = "amd64 arm64"
    components: str = "main"
    date: float = NOW - 86400
    valid_until: float | None = None
    by_hash: bool = True
    forms: tuple[str, ...] = ("xz", "")
    extra: str = "No-Support-for-Architecture-all: Packages\n"


def write_suite(mirror: Path, suite: SuiteText, key: Key, *, detached: bool = False) -> None:
    """Write pool, indexes and signed release file of a suite into a mirror's folder."""
    folder = mirror / "dists" / suite.name
    sums = []
    for architecture in suite.architectures.split():
        text = packages_text(mirror, suite, architecture)
        for form in ("xz", "gz", ""):
            payload = compress(form, text)
            path = f"main/binary-{architecture}/Packages" + (f".{form}" if form else "")
            if form not in suite.forms and form:
                continue
            digest = hashlib.sha256(payload).hexdigest()
            sums.append(f" {digest} {len(payload)} {path}\n")
            if form in suite.forms:
                write(folder / path, payload)
                if suite.by_hash:
                    write((folder / path).parent / "by-hash/SHA256" / digest, payload)
    release = release_text(suite, "".join(sums)).encode()
    if detached:
        write(folder / "Release", release)
        write(folder / "Release.gpg", key.detached(release))
    else:
        write(folder / "InRelease", key.clear(release))


def release_text(suite: SuiteText, sums: str) -> str:
    """The text of a release file."""
    until = (
        f"Valid-Until: {email.utils.formatdate(suite.valid_until, usegmt=True)}\n"
        if suite.valid_until
        else ""
    )
    return (
        f"Origin: {suite.origin}\nSuite: {suite.suite}\nCodename: {suite.name}\n"
        f"Date: {email.utils.formatdate(suite.date, usegmt=True)}\n{until}"
        f"Acquire-By-Hash: {'yes' if suite.by_hash else 'no'}\n{suite.extra}"
        f"Architectures: {suite.architectures}\nComponents: {suite.components}\nSHA256:\n{sums}"
    )


def packages_text(mirror: Path, suite: SuiteText, architecture: str) -> bytes:
    """The Packages file of an architecture; the packages are put into the pool."""
    paragraphs = []
    for deb in suite.debs:
        if deb.architecture not in {architecture, "all"}:
            continue
        payload = deb.build()
        write(mirror / deb.filename, payload)
        paragraphs.append(
            f"{deb.paragraph}Filename: {deb.filename}\nSize: {len(payload)}\n"
            f"SHA256: {hashlib.sha256(payload).hexdigest()}\n"
        )
    return "\n".join(paragraphs).encode()


def write(path: Path, payload: bytes) -> None:
    """Write a file with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(payload)


# ---- the server -----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One bad answer. ``status`` 0: answer as usual, but as the rest says."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    """Close the connection after so many bytes of the body."""
    claim: int | None = None
    """Content-Length says this."""
    stall: float = 0.0
    """Seconds of silence before the body."""
    drip: float = 0.0
    """Seconds between single bytes."""
    body: bytes | None = None
    """Other bytes than the file's."""


@dataclass
class Server:
    """A folder served on loopback; ``faults`` are used up one a request to their path ("*": any path)."""

    root: Path
    url: str = ""
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    ranges: bool = True
    etags: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)
    closing: threading.Event = field(default_factory=threading.Event)

    def paths(self) -> list[str]:
        """Paths asked for so far."""
        return [path for path, _ in self.requests]

    def next_fault(self, path: str) -> Fault:
        """The fault of this request, if any."""
        with self.lock:
            for name in (path, "*"):
                if self.faults.get(name):
                    return self.faults[name].pop(0)
        return Fault()


@contextlib.contextmanager
def serve(root: Path) -> Iterator[Server]:
    """Serve a folder until the block ends."""
    state = Server(root)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                answer(self, state)

    class QuietServer(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            # Clients that hang up are part of the tests.
            pass

    server = QuietServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield state
    finally:
        state.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


def answer(request: BaseHTTPRequestHandler, state: Server) -> None:
    """One answer, good or bad."""
    path = request.path.partition("?")[0]
    state.requests.append((path, dict(request.headers.items())))
    fault = state.next_fault(path)
    file = state.root / path.lstrip("/") / ("index.html" if path.endswith("/") else "")
    if fault.status or not file.is_file():
        refuse(request, fault.status or 404, fault.headers)
        return
    body = file.read_bytes() if fault.body is None else fault.body
    etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
    if state.etags and request.headers.get("If-None-Match") == etag:
        refuse(request, 304, {"ETag": etag})
        return
    send(request, state, fault, body, etag)


def refuse(request: BaseHTTPRequestHandler, status: int, headers: Mapping[str, str]) -> None:
    """An answer without a body."""
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name, value)
    request.send_header("Content-Length", "0")
    request.end_headers()


def send(request: BaseHTTPRequestHandler, state: Server, fault: Fault, body: bytes, etag: str) -> None:
    """A file, or the rest of it."""
    start = 0
    wanted = request.headers.get("Range", "")
    if state.ranges and wanted and request.headers.get("If-Range", etag) == etag:
        start = int(wanted.removeprefix("bytes=").rstrip("-"))
        if start >= len(body):
            refuse(request, 416, {"Content-Range": f"bytes */{len(body)}"})
            return
    request.send_response(206 if start else 200)
    if start:
        request.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
    if state.etags:
        request.send_header("ETag", etag)
    for name, value in fault.headers.items():
        request.send_header(name, value)
    rest = body[start:]
    request.send_header("Content-Length", str(len(rest) if fault.claim is None else fault.claim))
    request.end_headers()
    state.closing.wait(fault.stall)
    if fault.drip:
        for byte in rest:
            request.wfile.write(bytes([byte]))
            if state.closing.wait(fault.drip):
                return
    else:
        request.wfile.write(rest if fault.cut is None else rest[: fault.cut])
    if fault.cut is not None or fault.claim is not None:
        request.close_connection = True


# ---- everything together ---------------------------------------------------------------------------


def effects(*, now: Callable[[], float] = lambda: NOW, retries: int = 1, timeout: float = 5.0) -> Effects:
    """Effects with a fixed clock and an impatient transport."""
    return Effects(
        transport=lambda: Transport(progress=Silent(), retries=retries, timeout=timeout),
        runner=MachineRunner(os.environ),
        clock=now,
        progress=Silent(),
    )


def no_network() -> Effects:
    """Effects whose transport must not be used."""

    def refused() -> Transport:
        raise AssertionError("the network was used")

    return replace(effects(), transport=refused)


@dataclass
class World:
    """A mirror on a server, a cache, and the key that signs."""

    server: Server
    key: Key
    folder: Path

    @property
    def mirror(self) -> Path:
        """The main mirror's folder."""
        return self.server.root / "debian"

    @property
    def security(self) -> Path:
        """The security mirror's folder."""
        return self.server.root / "debian-security"

    def publish(self, *debs: Deb, suite: SuiteText | None = None) -> None:
        """Write a whole Debian stable called "test": main, empty updates, empty security."""
        main = replace(suite or SuiteText(name="test"), debs=debs)
        write_suite(self.mirror, main, self.key)
        write_suite(
            self.mirror, replace(main, name="test-updates", suite="stable-updates", debs=()), self.key
        )
        write_suite(
            self.security,
            replace(main, name="test-security", suite="stable-security", components="updates/main", debs=()),
            self.key,
        )

    def archive(self, *packages: str, **changes: object) -> DebianArchive:
        """A source of the mirror for linux/amd64; ``changes`` are fields of the source."""
        keyring = self.folder / "keys.pgp"
        if not keyring.exists():
            keyring.write_bytes(self.key.public)
        source = DebianSource(
            name="os", suite="test", packages=packages, mirror=f"{self.server.url}/debian", keyring=keyring
        )
        source = replace(source, **changes)  # type: ignore[arg-type]  # fields by name
        return DebianArchive(
            source=source,
            platform=Platform.parse("linux/amd64"),
            mirrors=None,
            cache=self.folder / "cache",
        )


@contextlib.contextmanager
def world(folder: Path, key: Key) -> Iterator[World]:
    """A fresh mirror and cache."""
    root = folder / "www"
    root.mkdir()
    with serve(root) as server:
        yield World(server, key, folder)


def wait_until(condition: Callable[[], bool], *, seconds: float = 5.0) -> bool:
    """Whether ``condition`` comes true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return False

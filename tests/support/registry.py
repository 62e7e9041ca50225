"""A container registry on the loopback, in memory, that can be locked and can misbehave; and the real one."""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import itertools
import json
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from builder.engine.command import Command, Finished
from tests.support.tools import need

KIND = "application/vnd.oci.image"
USER, PASSWORD = "ci", "geheim"


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer instead of the honest one. ``cut``: bytes of the body before the connection ends."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: int | None = None
    stall: float = 0.0


Fault = Callable[[str, str], Reply | None]
"""(method, path) → what is answered instead, or None."""


@dataclass(kw_only=True)
class FakeRegistry:
    """What the registry holds and how it behaves. ``auth``: "", "basic" or "bearer" (with its own /token)."""

    blobs: dict[tuple[str, str], bytes] = field(default_factory=dict)
    manifests: dict[tuple[str, str], tuple[str, bytes]] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=itertools.count)
    requests: list[tuple[str, str, Mapping[str, str]]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    auth: str = ""
    public: bool = False
    """Whether everybody may read what is locked by ``auth``."""
    expired: set[str] = field(default_factory=set)
    mounts: bool = True
    largest: int = 1 << 30
    referrers: bool = False
    blob_host: str = ""
    """Where blobs are redirected to, "" for nowhere."""
    address: str = ""
    port: int = 0
    tokens: int = 0

    @property
    def host(self) -> str:
        """As a reference names it."""
        return f"127.0.0.1:{self.port}"

    def put_blob(self, repository: str, payload: bytes) -> str:
        """Have a blob; its digest."""
        digest = f"sha256:{hashlib.sha256(payload).hexdigest()}"
        self.blobs[repository, digest] = payload
        return digest

    def put_manifest(self, repository: str, tag: str, payload: bytes, media_type: str) -> str:
        """Have a manifest under its digest and a tag; its digest."""
        digest = f"sha256:{hashlib.sha256(payload).hexdigest()}"
        self.manifests[repository, digest] = (media_type, payload)
        if tag:
            self.manifests[repository, tag] = (media_type, payload)
        return digest

    def tags(self, repository: str) -> list[str]:
        """Names in a repository that are no digests."""
        return sorted(tag for one, tag in self.manifests if one == repository and ":" not in tag)

    def asked(self, method: str = "") -> list[str]:
        """Paths that were asked for."""
        return [path for one, path, _ in self.requests if not method or one == method]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    registry: FakeRegistry

    def log_message(self, *_: object) -> None:
        pass

    def _serve(self) -> None:
        registry = self.registry
        registry.requests.append((self.command, self.path, dict(self.headers.items())))
        for fault in registry.faults:
            reply = fault(self.command, self.path)
            if reply is not None:
                self._reply(reply)
                return
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        if url.path == "/token":
            self._reply(self._token(dict(urllib.parse.parse_qsl(url.query)), url.query))
        elif url.path.startswith("/elsewhere/"):
            self._reply(self._blob(url.path.removeprefix("/elsewhere/"), redirect=False))
        elif (refused := self._locked(url.path)) is not None:
            self._reply(refused)
        else:
            self._reply(self._answer(url.path, query))

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 (names of the library)

    # ---- authorisation -----------------------------------------------------------------------------

    def _locked(self, path: str) -> Reply | None:
        registry = self.registry
        given = self.headers.get("Authorization", "")
        if not registry.auth:
            return None
        if registry.auth == "basic":
            wanted = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
            challenge = 'Basic realm="demo"'
        else:
            match = re.fullmatch(r"/v2/(.+)/(?:manifests|blobs|referrers)/.*", path)
            action = "pull" if self.command in {"GET", "HEAD"} else "pull,push"
            scope = f"repository:{match[1]}:{action}" if match else ""
            wanted = given if self._allows(given, scope) else ""
            realm = f"http://127.0.0.1:{registry.port}/token"
            challenge = f'Bearer realm="{realm}",service="demo",scope="{scope}"'
        if given and given == wanted:
            return None
        body = b'{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}'
        return Reply(status=401, headers={"WWW-Authenticate": challenge}, body=body)

    def _allows(self, given: str, scope: str) -> bool:
        token = given.removeprefix("Bearer ")
        if not given.startswith("Bearer ") or token in self.registry.expired:
            return False
        granted = token.split("|")[1:]
        return not scope or any(
            one.startswith(scope.removesuffix(",push")) and ("push" not in scope or "push" in one)
            for one in granted
        )

    def _token(self, query: Mapping[str, str], raw: str) -> Reply:
        registry = self.registry
        basic = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        known = self.headers.get("Authorization", "") == basic
        scopes = [urllib.parse.unquote(one[6:]) for one in raw.split("&") if one.startswith("scope=")]
        if self.command == "POST":
            form = dict(urllib.parse.parse_qsl(self._body().decode()))
            known, scopes = form.get("refresh_token") == "identity", form["scope"].split(" ")
        elif self.headers.get("Authorization") and not known:
            return Reply(status=401, body=b'{"errors":[{"code":"DENIED","message":"wrong password"}]}')
        if query.get("service", "demo") != "demo":
            return Reply(status=400)
        if not known:
            scopes = [one.replace(",push", "") for one in scopes] if registry.public else []
        registry.tokens += 1
        token = "|".join([f"token{registry.tokens}", *scopes])
        return Reply(body=json.dumps({"token": token, "expires_in": 300}).encode())

    # ---- content -----------------------------------------------------------------------------------

    def _answer(self, path: str, query: Mapping[str, str]) -> Reply:
        if path == "/v2/":
            return Reply(body=b"{}")
        match = re.fullmatch(r"/v2/(.+)/(manifests|blobs/uploads|blobs|referrers)/(.*)", path)
        if match is None:
            return Reply(status=404)
        repository, what, rest = match[1], match[2], match[3]
        if what == "manifests":
            return self._manifest(repository, rest)
        if what == "blobs/uploads":
            return self._upload(repository, rest, query)
        if what == "referrers":
            return self._referrers(repository, rest)
        return self._blob(f"{repository}@{rest}", redirect=True)

    def _manifest(self, repository: str, reference: str) -> Reply:
        registry = self.registry
        if self.command == "PUT":
            payload = self._body()
            document = json.loads(payload)
            parts = [*document.get("layers", []), *filter(None, [document.get("config")])]
            missing = [one["digest"] for one in parts if (repository, one["digest"]) not in registry.blobs]
            missing += [
                one["digest"]
                for one in document.get("manifests", [])
                if (repository, one["digest"]) not in registry.manifests
            ]
            if missing:
                told = {"errors": [{"code": "MANIFEST_BLOB_UNKNOWN", "message": missing[0]}]}
                return Reply(status=400, body=json.dumps(told).encode())
            digest = registry.put_manifest(repository, reference, payload, self.headers["Content-Type"])
            subject = document.get("subject", {}).get("digest", "")
            extra = {"OCI-Subject": subject} if subject and registry.referrers else {}
            return Reply(status=201, headers={"Docker-Content-Digest": digest, **extra})
        found = registry.manifests.get((repository, reference))
        if found is None:
            body = b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}'
            return Reply(status=404, body=body)
        digest = f"sha256:{hashlib.sha256(found[1]).hexdigest()}"
        return Reply(headers={"Content-Type": found[0], "Docker-Content-Digest": digest}, body=found[1])

    def _blob(self, name: str, *, redirect: bool) -> Reply:
        repository, _, digest = name.partition("@")
        payload = self.registry.blobs.get((repository, digest))
        if payload is None:
            return Reply(status=404, body=b'{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown"}]}')
        if redirect and self.registry.blob_host and self.command == "GET":
            place = f"http://{self.registry.blob_host}/elsewhere/{repository}@{digest}"
            return Reply(status=307, headers={"Location": place})
        start = self.headers.get("Range", "")
        if start.startswith("bytes="):
            at = int(start[6:].rstrip("-"))
            span = f"bytes {at}-{len(payload) - 1}/{len(payload)}"
            return Reply(status=206, headers={"Content-Range": span}, body=payload[at:])
        return Reply(body=payload)

    def _begin(self, repository: str, query: Mapping[str, str]) -> Reply:
        registry = self.registry
        there = (query.get("from", ""), query.get("mount", ""))
        if registry.mounts and there in registry.blobs:
            registry.blobs[repository, there[1]] = registry.blobs[there]
            return Reply(status=201)
        number = str(next(registry.numbers))
        registry.uploads[number] = b""
        return Reply(status=202, headers={"Location": f"/v2/{repository}/blobs/uploads/{number}?state=x"})

    def _upload(self, repository: str, rest: str, query: Mapping[str, str]) -> Reply:
        registry = self.registry
        if self.command == "POST":
            return self._begin(repository, query)
        if self.command == "DELETE":
            return Reply(status=204 if registry.uploads.pop(rest, None) is not None else 404)
        body = self._body()
        if len(body) > registry.largest:
            return Reply(status=413)
        registry.uploads[rest] += body
        if self.command == "PATCH":
            return Reply(status=202, headers={"Location": f"/v2/{repository}/blobs/uploads/{rest}?state=y"})
        payload = registry.uploads.pop(rest)
        if f"sha256:{hashlib.sha256(payload).hexdigest()}" != query.get("digest"):
            return Reply(status=400, body=b'{"errors":[{"code":"DIGEST_INVALID","message":"no"}]}')
        digest = registry.put_blob(repository, payload)
        return Reply(status=201, headers={"Docker-Content-Digest": digest})

    def _referrers(self, repository: str, digest: str) -> Reply:
        if not self.registry.referrers:
            return Reply(status=404, body=b"404 page not found")
        found = [
            {"mediaType": media_type, "digest": name, "size": len(payload)}
            for (one, name), (media_type, payload) in sorted(self.registry.manifests.items())
            if one == repository
            and name.startswith("sha256:")
            and json.loads(payload).get("subject", {}).get("digest") == digest
        ]
        media_type = "application/vnd.oci.image.index.v1+json"
        document = {"schemaVersion": 2, "mediaType": media_type, "manifests": found}
        return Reply(headers={"Content-Type": media_type}, body=json.dumps(document).encode())

    # ---- bytes -------------------------------------------------------------------------------------

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", "0")))

    def _reply(self, reply: Reply) -> None:
        if self.command in {"PUT", "PATCH"} and reply.status == 401:
            self._body()
        time.sleep(reply.stall)
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if self.command != "HEAD":
            with contextlib.suppress(OSError):
                self.wfile.write(reply.body if reply.cut is None else reply.body[: reply.cut])
        if reply.cut is not None:
            self.close_connection = True


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are part of the game."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextlib.contextmanager
def fake_registry(**behaviour: object) -> Iterator[FakeRegistry]:
    """Serve on a free port of the loopback until the block ends."""
    registry = FakeRegistry(**behaviour)  # type: ignore[arg-type]  # names of its fields
    handler = type("Handler", (_Handler,), {"registry": registry})
    server = _Server(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    registry.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def put_image(
    fake: FakeRegistry, *tars: bytes, platform: str = "amd64", tag: str = "1", **changes: Any
) -> dict[str, Any]:
    """Have an image; its descriptor."""
    blobs = [gzip.compress(tar, mtime=0) for tar in tars]
    layers = [
        {"mediaType": f"{KIND}.layer.v1.tar+gzip", "digest": fake.put_blob("app", blob), "size": len(blob)}
        for blob in blobs
    ]
    diff_ids = [f"sha256:{hashlib.sha256(tar).hexdigest()}" for tar in tars]
    config = {"os": "linux", "architecture": platform, "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    payload = json.dumps(config).encode()
    described = {
        "mediaType": f"{KIND}.config.v1+json",
        "digest": fake.put_blob("app", payload),
        "size": len(payload),
    }
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": f"{KIND}.manifest.v1+json",
        "config": described,
        "layers": layers,
    }
    whole = json.dumps(document | changes).encode()
    digest = fake.put_manifest("app", tag, whole, document["mediaType"])
    return {"mediaType": document["mediaType"], "digest": digest, "size": len(whole)}


def put_index(fake: FakeRegistry, *entries: tuple[dict[str, Any], str, str], tag: str = "1") -> str:
    """Have an index over (descriptor, architecture, variant)."""
    manifests = [
        one | {"platform": {"os": "linux", "architecture": architecture, "variant": variant}}
        for one, architecture, variant in entries
    ]
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": f"{KIND}.index.v1+json",
        "manifests": manifests,
    }
    return fake.put_manifest("app", tag, json.dumps(document).encode(), document["mediaType"])


@dataclass(kw_only=True)
class Helpers:
    """A runner that knows credential helpers only: name → (status, output). ``asked`` has their input."""

    answers: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def find(self, program: str) -> str | None:
        """Those that have an answer are on the PATH."""
        return f"/usr/bin/{program}" if program in self.answers else None

    def run(self, command: Command) -> Finished:
        """Answer."""
        name = command.argv[0].rpartition("/")[2]
        self.asked.append((name, command.stdin.decode()))
        status, text = self.answers[name]
        return Finished(status=status, stdout=text.encode(), stderr=b"")


# ---- Debian's docker-registry ------------------------------------------------------------------------


@contextlib.contextmanager
def real_registry(folder: Path, *, user: str = "", password: str = "", tls: bool = False) -> Iterator[str]:
    """Run Debian's docker-registry on a free port; its address. With ``user`` it is locked (htpasswd).

    With ``tls`` it has a certificate of its own, ``folder/cert.pem``.
    """
    need("docker-registry")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    settings: dict[str, object] = {
        "version": 0.1,
        "log": {"level": "error"},
        "storage": {"filesystem": {"rootdirectory": f"{folder}/registry"}},
        "http": {"addr": address},
    }
    if user:
        (folder / "htpasswd").write_text(_htpasswd(user, password))
        settings["auth"] = {"htpasswd": {"realm": "demo", "path": f"{folder}/htpasswd"}}
    if tls:
        http = {"addr": address, "tls": {"certificate": f"{folder}/cert.pem", "key": f"{folder}/key.pem"}}
        settings["http"] = http
        _certificate(folder)
    (folder / "registry.yml").write_text(json.dumps(settings))
    with (folder / "registry.log").open("wb") as log:
        command = [shutil.which("docker-registry") or "", "serve", f"{folder}/registry.yml"]
        server = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        _wait_for(f"http{'s' if tls else ''}://{address}/v2/")
        yield address
    finally:
        server.terminate()
        server.wait(10)


def _certificate(folder: Path) -> None:
    need("openssl")
    kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30")
    names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost")
    files = ("-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem"))
    subprocess.run(["openssl", "req", "-x509", *kind, *names, *files], check=True, capture_output=True)


def _htpasswd(user: str, password: str) -> str:
    """A line that the registry reads: bcrypt, which Debian's libcrypt knows (crypt(5))."""
    import ctypes  # noqa: PLC0415 (for locked registries only)

    library = ctypes.CDLL("libcrypt.so.1")
    library.crypt.restype = ctypes.c_char_p
    hashed = library.crypt(password.encode(), b"$2b$05$abcdefghijklmnopqrstuu")
    return f"{user}:{hashed.decode()}\n"


def _wait_for(url: str) -> None:
    trusting = ssl._create_unverified_context()  # noqa: S323 (whoever answers is the one that was started)
    for _ in range(100):
        try:
            urllib.request.urlopen(url, timeout=1, context=trusting).close()
        except urllib.error.HTTPError:
            return  # it is there, and locked
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.1)
        else:
            return
    pytest.fail("the registry did not start")

"""Conversations with a registry on the loopback that is locked, or misbehaves."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder import transport as transport_module
from builder.errors import BuildError, MachineError, RootletError
from builder.oci import Digest, ImageReference
from builder.progress import Silent
from builder.registry.credentials import Keyring
from builder.registry.name import Repository, is_loopback, locate
from builder.registry.session import Registries
from builder.registry.upload import Blob, push_blob, push_manifest
from builder.transport import Download, FilePart, LockedError, NotFoundError, Transport
from tests.support.registry import PASSWORD, USER, FakeRegistry, Fault, Helpers, Reply, fake_registry

MEDIA = "application/vnd.oci.image.manifest.v1+json"
MANIFEST = json.dumps({"schemaVersion": 2, "mediaType": MEDIA, "layers": []}).encode()
PAYLOAD = bytes(range(256)) * 3000
SUM = hashlib.sha256(PAYLOAD).hexdigest()
DIGEST = Digest("sha256", SUM)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport_module, "_BACK_OFF", 0.01)


@pytest.fixture
def fake() -> Iterator[FakeRegistry]:
    with fake_registry() as running:
        running.put_manifest("shop/api", "1", MANIFEST, MEDIA)
        running.put_blob("shop/api", PAYLOAD)
        yield running


@pytest.fixture
def transport() -> Iterator[Transport]:
    with Transport(progress=Silent(), retries=2, timeout=0.4) as opened:
        yield opened


def auth_file(folder: Path, fake: FakeRegistry, password: str = PASSWORD, key: str = "") -> Path:
    path = folder / "auth.json"
    auth = base64.b64encode(f"{USER}:{password}".encode()).decode()
    path.write_text(json.dumps({"auths": {key or fake.host: {"auth": auth}}}))
    return path


def registries(transport: Transport, *files: Path) -> Registries:
    keyring = Keyring(files, Helpers())
    return Registries(transport, keyring, time.time, insecure=frozenset())


def shop(fake: FakeRegistry, path: str = "shop/api") -> Repository:
    return Repository(registry=fake.host, path=path)


@pytest.mark.parametrize("auth", ["", "basic", "bearer"])
def test_manifest_of_an_open_and_of_a_locked_registry(
    fake: FakeRegistry, transport: Transport, tmp_path: Path, auth: str
) -> None:
    fake.auth = auth
    session = registries(transport, auth_file(tmp_path, fake))
    for _ in range(2):
        received = session.manifest(shop(fake), "1", (MEDIA,))
        assert (received.media_type, received.payload) == (MEDIA, MANIFEST)
        assert str(received.digest) == f"sha256:{hashlib.sha256(MANIFEST).hexdigest()}"
    assert fake.tokens == (1 if auth == "bearer" else 0), "a token is used again"


def test_whoever_has_no_credentials_reads_what_is_public(fake: FakeRegistry, transport: Transport) -> None:
    fake.auth, fake.public = "bearer", True
    assert registries(transport).manifest(shop(fake), "1", (MEDIA,)).payload == MANIFEST


def test_an_identity_token_is_given_to_the_token_server(
    fake: FakeRegistry, transport: Transport, tmp_path: Path
) -> None:
    fake.auth = "bearer"
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"auths": {fake.host: {"identitytoken": "identity"}}}))
    assert registries(transport, path).manifest(shop(fake), "1", (MEDIA,)).payload == MANIFEST
    assert ("POST", "/token") in [(method, path) for method, path, _ in fake.requests]


def test_a_token_that_ended_early_is_renewed(
    fake: FakeRegistry, transport: Transport, tmp_path: Path
) -> None:
    fake.auth = "bearer"
    session = registries(transport, auth_file(tmp_path, fake))
    session.manifest(shop(fake), "1", (MEDIA,))
    fake.expired.add("token1|repository:shop/api:pull")
    assert session.manifest(shop(fake), "1", (MEDIA,)).payload == MANIFEST
    assert fake.tokens == 2


@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_wrong_password_is_said_and_never_shown(
    fake: FakeRegistry, transport: Transport, tmp_path: Path, auth: str
) -> None:
    fake.auth = auth
    session = registries(transport, auth_file(tmp_path, fake, password="falsch"))  # noqa: S106 (of nobody)
    with pytest.raises(LockedError, match=f"skopeo login {fake.host}") as caught:
        session.manifest(shop(fake), "1", (MEDIA,))
    assert "falsch" not in str(caught.value)
    assert caught.value.exit_code == 9


def _fault(path: str, reply: Reply) -> Fault:
    return lambda _, asked: reply if path in asked else None


@pytest.mark.parametrize(
    ("reference", "reply", "error", "text"),
    [
        pytest.param("2", None, NotFoundError, "manifest unknown", id="no such tag"),
        pytest.param("1", Reply(body=b"other"), MachineError, "", id="(other bytes by tag are their own)"),
        pytest.param(
            "1",
            Reply(headers={"Docker-Content-Digest": f"sha256:{SUM}"}, body=b"other"),
            BuildError,
            "gives other bytes",
            id="bytes that the header does not promise",
        ),
        pytest.param(
            "1",
            Reply(headers={"Docker-Content-Digest": "md5:1"}),
            BuildError,
            "a digest that is none",
            id="a header that is no digest",
        ),
        pytest.param(
            f"sha256:{SUM}", Reply(body=b"other"), BuildError, "gives other bytes", id="other bytes"
        ),
        pytest.param("1", Reply(body=bytes(9 << 20)), BuildError, "at most 8388608", id="a huge manifest"),
        pytest.param("1", Reply(body=MANIFEST, cut=10), MachineError, "after 3 attempts", id="cut short"),
        pytest.param("1", Reply(stall=0.6), MachineError, "after 3 attempts", id="silence"),
        pytest.param("1", Reply(status=503), MachineError, "says 503", id="overloaded"),
        pytest.param(
            "1",
            Reply(status=302, headers={"Location": "/v2/shop/api/manifests/1"}),
            MachineError,
            "redirects more than 5 times",
            id="a redirection without end",
        ),
        pytest.param(
            "1",
            Reply(status=302, headers={"Location": "file:///etc/passwd"}),
            MachineError,
            "it redirects to 'file:///etc/passwd'",
            id="a redirection to a file",
        ),
        pytest.param("1", Reply(status=418), MachineError, "the registry says 418", id="an odd status"),
        pytest.param(
            "1",
            Reply(status=400, body=b'{"errors":[{"code":"X","message":"a\\u001b[31mb"}]}'),
            MachineError,
            "X: a [31mb",
            id="control characters in an error",
        ),
        pytest.param("1", Reply(status=400, body=b'{"errors": 5}'), MachineError, "says 400", id="no errors"),
    ],
)
def test_what_goes_wrong_has_its_class_and_words(
    fake: FakeRegistry,
    transport: Transport,
    reference: str,
    reply: Reply | None,
    error: type[RootletError],
    text: str,
) -> None:
    if reply is not None:
        fake.faults.append(_fault("/manifests/", reply))
    session = registries(transport)
    if not text:
        assert session.manifest(shop(fake), reference, (MEDIA,)).payload == b"other"
        return
    with pytest.raises(error) as caught:
        session.manifest(shop(fake), reference, (MEDIA,))
    assert type(caught.value) is error
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("header", "text"),
    [
        pytest.param('Bearer realm="ftp://x/token"', "no address with TLS", id="another protocol"),
        pytest.param("Bearer", "no address with TLS", id="no realm"),
        pytest.param("Negotiate", "says 401", id="an unknown scheme"),
        pytest.param("", "says 401", id="no challenge"),
    ],
)
def test_hostile_challenges(fake: FakeRegistry, transport: Transport, header: str, text: str) -> None:
    reply = Reply(status=401, headers={"WWW-Authenticate": header})
    fake.faults.append(_fault("/manifests/", reply))
    with pytest.raises(MachineError, match=text):
        registries(transport).manifest(shop(fake), "1", (MEDIA,))


@pytest.mark.parametrize(
    ("body", "text"),
    [
        pytest.param(b"<html>", "something else than a token", id="no JSON"),
        pytest.param(b"[]", "something else than a token", id="no object"),
        pytest.param(b'{"token": 5}', "without a token", id="a number"),
        pytest.param(b'{"token": "a\\nb"}', "without a token", id="a header in a token"),
        pytest.param(bytes(2 << 20), "at most 1048576", id="a huge answer"),
    ],
)
def test_hostile_token_servers(fake: FakeRegistry, transport: Transport, body: bytes, text: str) -> None:
    fake.auth = "bearer"
    fake.faults.append(_fault("/token", Reply(body=body)))
    with pytest.raises(RootletError, match=text):
        registries(transport).manifest(shop(fake), "1", (MEDIA,))


def test_credentials_do_not_follow_a_blob_to_another_server(
    fake: FakeRegistry, transport: Transport, tmp_path: Path
) -> None:
    with fake_registry() as other:
        other.put_blob("shop/api", PAYLOAD)
        fake.auth, fake.blob_host = "bearer", other.host
        session = registries(transport, auth_file(tmp_path, fake))
        repository = shop(fake)
        session.authorise(repository, DIGEST)
        wanted = Download(
            url=session.address(repository, f"blobs/{DIGEST}"),
            destination=tmp_path / "blob",
            size=len(PAYLOAD),
            sha256=SUM,
            headers=lambda: session.headers(repository),
        )
        transport.fetch(wanted)
        assert wanted.destination.read_bytes() == PAYLOAD
        asked = [{name.lower() for name in headers} for _, _, headers in other.requests]
        assert len(asked) == 1
        assert "authorization" not in asked[0]


# ---- pushing ---------------------------------------------------------------------------------------


def blob(folder: Path, *, also_in: Repository | None = None) -> Blob:
    (folder / "bytes").write_bytes(b"head" + PAYLOAD + b"tail")
    source = FilePart(path=folder / "bytes", offset=4, size=len(PAYLOAD))
    return Blob(digest=DIGEST, source=source, also_in=also_in)


@pytest.mark.parametrize("auth", ["", "basic", "bearer"])
@pytest.mark.parametrize("largest", [1 << 30, 1 << 18], ids=["at once", "in pieces"])
def test_blob_is_sent_once(
    fake: FakeRegistry,
    transport: Transport,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    auth: str,
    largest: int,
) -> None:
    monkeypatch.setattr("builder.registry.upload._PIECE", 200_000)
    fake.auth, fake.largest = auth, largest
    session = registries(transport, auth_file(tmp_path, fake))
    done: list[int] = []
    assert push_blob(session, shop(fake, "new/app"), blob(tmp_path), done.append)
    assert fake.blobs["new/app", str(DIGEST)] == PAYLOAD
    assert done[-1] == len(PAYLOAD)
    assert not push_blob(session, shop(fake, "new/app"), blob(tmp_path), done.append)


@pytest.mark.parametrize("mounts", [True, False])
def test_blob_that_a_neighbour_has_is_mounted(
    fake: FakeRegistry, transport: Transport, tmp_path: Path, *, mounts: bool
) -> None:
    fake.auth, fake.mounts = "bearer", mounts
    session = registries(transport, auth_file(tmp_path, fake))
    sent = push_blob(session, shop(fake, "new/app"), blob(tmp_path, also_in=shop(fake)), lambda _: None)
    assert sent is not mounts
    assert fake.blobs["new/app", str(DIGEST)] == PAYLOAD
    assert not fake.uploads


def test_neighbour_that_may_not_be_read_is_no_obstacle(
    fake: FakeRegistry, transport: Transport, tmp_path: Path
) -> None:
    fake.auth = "bearer"
    fake.faults.append(lambda _, path: Reply(status=403) if "token" in path and "secret" in path else None)
    session = registries(transport, auth_file(tmp_path, fake))
    wanted = blob(tmp_path, also_in=shop(fake, "secret/app"))
    assert push_blob(session, shop(fake, "new/app"), wanted, lambda _: None)
    assert fake.blobs["new/app", str(DIGEST)] == PAYLOAD


def test_blob_that_is_kept_elsewhere_is_there(
    fake: FakeRegistry, transport: Transport, tmp_path: Path
) -> None:
    place = Reply(status=307, headers={"Location": "http://127.0.0.1:9/signed"})
    fake.faults.append(lambda method, _: place if method == "HEAD" else None)
    session = registries(transport)
    assert not push_blob(session, shop(fake, "new/app"), blob(tmp_path), lambda _: None)
    session.authorise(shop(fake), DIGEST)


def test_upload_that_breaks_is_begun_again(fake: FakeRegistry, transport: Transport, tmp_path: Path) -> None:
    replies = [Reply(status=500), Reply(cut=0, status=201, body=b"x")]
    fake.faults.append(lambda method, _: replies.pop() if method == "PUT" and replies else None)
    assert push_blob(registries(transport), shop(fake, "new/app"), blob(tmp_path), lambda _: None)
    assert fake.blobs["new/app", str(DIGEST)] == PAYLOAD


@pytest.mark.parametrize(
    ("method", "reply", "text"),
    [
        pytest.param("POST", Reply(status=403), "skopeo login", id="nobody may push"),
        pytest.param("POST", Reply(status=202), "does not say where", id="an upload without a place"),
        pytest.param(
            "PUT",
            Reply(status=201, headers={"Docker-Content-Digest": "sha256:0"}),
            "took sha256:0",
            id="other bytes taken",
        ),
        pytest.param("PUT", Reply(status=507), "says 507", id="a full registry"),
    ],
)
def test_push_that_is_refused(
    fake: FakeRegistry, transport: Transport, tmp_path: Path, method: str, reply: Reply, text: str
) -> None:
    fake.faults.append(lambda one, _: reply if one == method else None)
    with pytest.raises(RootletError, match=text):
        push_blob(registries(transport), shop(fake, "new/app"), blob(tmp_path), lambda _: None)


def test_manifest_is_proven_after_it_was_put(fake: FakeRegistry, transport: Transport) -> None:
    session = registries(transport)
    assert not push_manifest(session, shop(fake), MANIFEST, MEDIA, reference="2")
    assert fake.manifests["shop/api", "2"] == (MEDIA, MANIFEST)
    fake.faults.append(
        lambda method, path: Reply(body=b"other") if (method, path[-2:]) == ("GET", "/3") else None
    )
    with pytest.raises(BuildError, match="holds something else"):
        push_manifest(session, shop(fake), MANIFEST, MEDIA, reference="3")


# ---- names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "there"),
    [
        pytest.param("docker.io/debian:13", "docker.io/library/debian", id="an official image of Docker Hub"),
        pytest.param("index.docker.io/library/debian", "docker.io/library/debian", id="its other name"),
        pytest.param("docker.io/grafana/k6", "docker.io/grafana/k6", id="Docker Hub"),
        pytest.param("localhost:5000/app", "localhost:5000/app", id="this machine"),
    ],
)
def test_repository_of_a_name(text: str, there: str) -> None:
    assert str(locate(ImageReference.parse(text))) == there


@pytest.mark.parametrize(("text", "whole"), [("debian:13", "library/debian"), ("team/app", "team/app")])
def test_name_without_a_registry_is_not_guessed(text: str, whole: str) -> None:
    with pytest.raises(RootletError, match=f"write the whole name, as docker.io/{whole}"):
        locate(ImageReference.parse(text))


@pytest.mark.parametrize(
    ("host", "is_here"),
    [
        ("localhost:5000", True),
        ("127.0.0.9:1", True),
        ("localhost", True),
        ("example.com:443", False),
        ("127.example.com", False),
        ("10.0.0.1", False),
    ],
)
def test_loopback(host: str, *, is_here: bool) -> None:
    assert is_loopback(host) is is_here

"""Transport against a server that misbehaves."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder import connections
from builder import transport as transport_module
from builder.errors import BuildError, MachineError, RootletError
from builder.progress import Silent
from builder.transport import Download, LockedError, NotFoundError, Question, Transport
from tests.support.debian_archive import Fault, Server, serve

BODY = bytes(range(256)) * 4000
SUM = hashlib.sha256(BODY).hexdigest()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport_module, "_BACK_OFF", 0.01)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    root = tmp_path / "www"
    root.mkdir()
    (root / "file").write_bytes(BODY)
    with serve(root) as running:
        yield running


@pytest.fixture
def transport() -> Iterator[Transport]:
    with Transport(progress=Silent(), retries=2, timeout=0.5) as opened:
        yield opened


def download(
    server: Server, tmp_path: Path, *, size: int | None = len(BODY), sha256: str | None = SUM
) -> Download:
    return Download(url=f"{server.url}/file", destination=tmp_path / "out" / "file", size=size, sha256=sha256)


def left(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("fault", "ranges"),
    [
        pytest.param([], True, id="a good server"),
        pytest.param([Fault(cut=5000)], True, id="a connection that breaks is continued"),
        pytest.param(
            [Fault(cut=5000), Fault(cut=5000)], True, id="a connection that breaks twice is continued twice"
        ),
        pytest.param([Fault(cut=5000)], False, id="a server without ranges starts again"),
        pytest.param([Fault(status=500), Fault(status=503)], True, id="errors of the server pass"),
        pytest.param(
            [Fault(status=429, headers={"Retry-After": "0"})], True, id="a server that asks to wait"
        ),
        pytest.param([Fault(stall=1.0)], True, id="a server that stays silent is asked again"),
    ],
)
def test_file_arrives_whole(
    server: Server, transport: Transport, tmp_path: Path, fault: list[Fault], *, ranges: bool
) -> None:
    server.faults["/file"], server.ranges = fault, ranges
    wanted = download(server, tmp_path)
    transport.fetch(wanted)
    assert wanted.destination.read_bytes() == BODY
    assert left(tmp_path) == ["file"]


def test_the_rest_is_asked_for_and_not_the_whole(
    server: Server, transport: Transport, tmp_path: Path
) -> None:
    server.faults["/file"] = [Fault(cut=5000)]
    transport.fetch(download(server, tmp_path))
    assert [headers.get("Range") for _, headers in server.requests] == [None, "bytes=5000-"]


def test_without_checksum_the_rest_is_asked_for_only_of_the_same_file(
    server: Server, transport: Transport, tmp_path: Path
) -> None:
    server.faults["/file"], server.etags = [Fault(cut=5000)], True
    transport.fetch(download(server, tmp_path, sha256=None))
    assert server.requests[1][1]["If-Range"].startswith('"')


def test_without_checksum_and_validator_it_starts_again(
    server: Server, transport: Transport, tmp_path: Path
) -> None:
    server.faults["/file"] = [Fault(cut=5000)]
    wanted = download(server, tmp_path, sha256=None, size=None)
    transport.fetch(wanted)
    assert [headers.get("Range") for _, headers in server.requests] == [None, None]
    assert wanted.destination.read_bytes() == BODY


@pytest.mark.parametrize(
    ("part", "asked"),
    [
        pytest.param(BODY[:7000], ["bytes=7000-"], id="a good part is continued"),
        pytest.param(b"x" * 7000, ["bytes=7000-", None], id="a damaged part is noticed and fetched anew"),
        pytest.param(BODY, [], id="a whole part needs no request"),
        pytest.param(BODY + b"more", [None], id="a part that is too long is thrown away"),
    ],
)
def test_part_of_an_earlier_run(
    server: Server, transport: Transport, tmp_path: Path, part: bytes, asked: list[str | None]
) -> None:
    wanted = download(server, tmp_path)
    wanted.destination.parent.mkdir()
    wanted.destination.with_name("file.part").write_bytes(part)
    transport.fetch(wanted)
    assert wanted.destination.read_bytes() == BODY
    assert [headers.get("Range") for _, headers in server.requests] == asked


@pytest.mark.parametrize(
    ("faults", "error", "text"),
    [
        pytest.param(
            [Fault(status=404)], NotFoundError, "does not exist (the server says 404)", id="no such file"
        ),
        pytest.param(
            [Fault(status=410)], NotFoundError, "does not exist (the server says 410)", id="a file gone"
        ),
        pytest.param(
            [Fault(status=403)], LockedError, "cannot be had: the server says 403", id="a locked file"
        ),
        pytest.param(
            [Fault(status=500)] * 3, MachineError, "after 3 attempts: the server says 500", id="broken"
        ),
        pytest.param(
            [Fault(cut=10)] * 3, MachineError, "could not be fetched after 3 attempts", id="always cut"
        ),
        pytest.param([Fault(body=b"x" * len(BODY))] * 2, BuildError, f"{SUM} was promised", id="other bytes"),
        pytest.param(
            [Fault(body=BODY[:-1])] * 2, BuildError, f"{len(BODY)} was promised", id="too few bytes"
        ),
        pytest.param([Fault(body=BODY + b"x")], BuildError, "at most 1024000", id="too many bytes"),
        pytest.param(
            [Fault(claim=10**12)], BuildError, "at least 1000000000000 bytes", id="a lie about the size"
        ),
        pytest.param([Fault(claim=len(BODY) - 5)] * 3, BuildError, "was promised", id="a smaller lie"),
    ],
)
def test_failure_has_its_class_and_words(
    server: Server,
    transport: Transport,
    tmp_path: Path,
    faults: list[Fault],
    error: type[RootletError],
    text: str,
) -> None:
    server.faults["/file"] = faults
    wanted = download(server, tmp_path)
    with pytest.raises(error) as caught:
        transport.fetch(wanted)
    assert type(caught.value) is error
    assert text in str(caught.value)
    assert f"{server.url}/file" in str(caught.value)
    assert not wanted.destination.exists()


def test_failure_without_checksum_leaves_nothing(
    server: Server, transport: Transport, tmp_path: Path
) -> None:
    server.faults["/file"] = [Fault(cut=10)] * 3
    with pytest.raises(MachineError):
        transport.fetch(download(server, tmp_path, sha256=None))
    assert left(tmp_path) == []


def test_dripping_server_is_given_up(server: Server, tmp_path: Path) -> None:
    server.faults["/file"] = [Fault(drip=0.05)]
    start = time.monotonic()
    with (
        Transport(progress=Silent(), retries=0, timeout=0.4) as transport,
        pytest.raises(MachineError, match=r"the server sent \d+ bytes in"),
    ):
        transport.fetch(download(server, tmp_path))
    assert time.monotonic() - start < 3


def test_unreachable_server(tmp_path: Path) -> None:
    wanted = Download(url="http://127.0.0.1:9/file", destination=tmp_path / "out" / "file")
    with (
        Transport(progress=Silent(), retries=1, timeout=1.0) as transport,
        pytest.raises(MachineError, match="after 2 attempts") as caught,
    ):
        transport.fetch(wanted)
    assert "refused" in str(caught.value)
    assert caught.value.exit_code == 9


@pytest.mark.parametrize(
    ("url", "text"),
    [
        pytest.param("ftp://mirror.test/x", "only http, https and file", id="another protocol"),
        pytest.param("http://[mirror", "is not an address", id="a malformed address"),
        pytest.param("http:///x", "only http, https and file", id="an address without a host"),
        pytest.param("/nowhere/at/all", "does not exist", id="a folder without the file"),
        pytest.param("file:///nowhere", "does not exist", id="a file address without a file"),
    ],
)
def test_address_that_cannot_be_fetched(transport: Transport, url: str, text: str) -> None:
    with pytest.raises(MachineError, match=text):
        transport.get(url, limit=10)


def test_password_is_sent_and_never_shown(server: Server, transport: Transport) -> None:
    secret = server.url.replace("http://", "http://user:secret@")
    assert transport.get(f"{secret}/file", limit=1 << 21).body == BODY
    assert server.requests[0][1]["authorization"].startswith("Basic ")
    with pytest.raises(NotFoundError) as caught:
        transport.get(f"{secret}/nothing", limit=10)
    assert "secret" not in str(caught.value)


def test_small_document_with_validators(server: Server, transport: Transport) -> None:
    server.etags = True
    first = transport.get(f"{server.url}/file", limit=1 << 21)
    again = transport.get(f"{server.url}/file", limit=1 << 21, headers={"If-None-Match": first.etag})
    assert (first.status, first.body, again.status, again.body) == (200, BODY, 304, b"")


@pytest.mark.parametrize("fault", [Fault(), Fault(headers={"Transfer-Encoding": "x"})], ids=["honest", "odd"])
def test_small_document_is_limited(server: Server, transport: Transport, fault: Fault) -> None:
    server.faults["/file"] = [fault]
    with pytest.raises(BuildError, match="at most 1000"):
        transport.get(f"{server.url}/file", limit=1000)


def test_folders_stand_in_for_servers(transport: Transport, tmp_path: Path) -> None:
    (tmp_path / "a file").write_bytes(BODY)
    for url in (str(tmp_path / "a file"), f"file://{tmp_path}/a%20file"):
        wanted = Download(url=url, destination=tmp_path / "copy", size=len(BODY), sha256=SUM)
        transport.fetch(wanted)
        assert wanted.destination.read_bytes() == BODY


def test_proxy_is_used_but_for_the_hosts_named(server: Server, tmp_path: Path) -> None:
    (server.root / "through").write_bytes(b"yes")
    proxies = {"http_proxy": server.url, "no_proxy": "localhost, .direct.test,127.0.0.1"}
    with Transport(progress=Silent(), proxies=proxies, retries=0) as transport:
        transport.get(f"{server.url}/file", limit=1 << 21)
        with pytest.raises(NotFoundError):
            transport.get("http://mirror.test/through", limit=10)
    # A proxy is asked for whole addresses, an origin for paths.
    assert server.paths() == ["/file", "http://mirror.test/through"]
    assert not (tmp_path / "out").exists()


def test_redirection_is_followed(server: Server, transport: Transport) -> None:
    server.faults["/old"] = [Fault(status=302, headers={"Location": "/file"})]
    assert transport.get(f"{server.url}/old", limit=1 << 21).body == BODY


def test_redirection_without_end(server: Server, transport: Transport) -> None:
    server.faults["/loop"] = [Fault(status=302, headers={"Location": "/loop"})] * 50
    with pytest.raises(MachineError, match="redirects more than 5 times"):
        transport.get(f"{server.url}/loop", limit=10)


def test_many_files_at_once(server: Server, transport: Transport, tmp_path: Path) -> None:
    wanted = []
    for number in range(20):
        body = bytes([number]) * 1000
        (server.root / f"file{number}").write_bytes(body)
        wanted.append(
            Download(
                url=f"{server.url}/file{number}",
                destination=tmp_path / "out" / str(number),
                size=1000,
                sha256=hashlib.sha256(body).hexdigest(),
            )
        )
    arrived: list[Path] = []
    transport.fetch_all(wanted, jobs=5, then=lambda one: arrived.append(one.destination))
    assert sorted(arrived) == sorted(one.destination for one in wanted)
    assert len(left(tmp_path)) == 20


def test_first_failure_ends_the_rest(server: Server, transport: Transport, tmp_path: Path) -> None:
    server.faults["/file"] = [Fault(drip=0.02)] * 4
    slow = [
        Download(
            url=f"{server.url}/file", destination=tmp_path / "out" / str(number), size=len(BODY), sha256=SUM
        )
        for number in range(4)
    ]
    bad = Download(url=f"{server.url}/nothing", destination=tmp_path / "out" / "bad")
    start = time.monotonic()
    with pytest.raises(NotFoundError):
        transport.fetch_all([*slow[:2], bad, *slow[2:]], jobs=3)
    assert time.monotonic() - start < 2
    # The transport may be used again.
    transport.fetch(download(server, tmp_path))


def test_failure_in_what_follows_is_raised(server: Server, transport: Transport, tmp_path: Path) -> None:
    def fail(_: Download) -> None:
        raise BuildError("it is damaged")

    with pytest.raises(BuildError, match="it is damaged"):
        transport.fetch_all([download(server, tmp_path)], then=fail)


def test_two_processes_fetch_one_file(server: Server, tmp_path: Path) -> None:
    wanted = download(server, tmp_path)
    server.faults["/file"] = [Fault(stall=0.5)]
    with Transport(progress=Silent(), retries=0) as other:
        other.fetch_all([wanted, wanted], jobs=2)
    assert wanted.destination.read_bytes() == BODY
    assert left(tmp_path) == ["file"]


def test_full_disk_is_said(server: Server, transport: Transport, tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"a file where a folder should be")
    with pytest.raises(MachineError, match="could not be written"):
        transport.fetch(download(server, tmp_path))


@pytest.mark.parametrize(
    ("place", "plain", "there"),
    [
        pytest.param("/new", False, "https://a.test/new", id="the same server"),
        pytest.param("https://b.test/x", False, "https://b.test/x", id="another server with TLS"),
        pytest.param("http://b.test/x", True, "http://b.test/x", id="no TLS, where that is allowed"),
        pytest.param("http://b.test/x", False, "without TLS", id="no TLS, where it is not"),
        pytest.param("ftp://b.test/x", True, "it redirects to", id="another protocol"),
        pytest.param("https://b.test:x/", True, "it redirects to", id="no port"),
        pytest.param("http://[", True, "it redirects to", id="no address"),
    ],
)
def test_where_a_redirection_may_lead(place: str, there: str, *, plain: bool) -> None:
    question = Question(url="https://a.test/old", plain=plain)
    if there.startswith("http"):
        assert connections._redirected("https://a.test/old", place, question) == there
        return
    with pytest.raises(MachineError, match=there):
        connections._redirected("https://a.test/old", place, question)

"""Smoke tests in real sandboxes: small images around a static BusyBox, as root and as somebody else."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builder.errors import SmokeError
from builder.oci import ImageConfig
from builder.recipe.model import ExtraFile, HttpProbe, SmokeTest, TcpProbe
from builder.verify.probe import ask_http
from builder.verify.task import Http
from tests.support.images import folder, plain
from tests.support.smoke import prove
from tests.support.tools import REPOSITORY, need, python_of_all, python_path

pytestmark = pytest.mark.tools

HTTPD = "echo hello >/tmp/index.html; exec busybox httpd -f -p 80 -h /tmp"
LENGTH = (("content-length", "^6$"),)
NOBODY = 65534


def shell(script: str, **more: Any) -> SmokeTest:
    return SmokeTest(name="t", run=("/bin/sh", "-c", script), **more)


PASSING = {
    "a program ends well": SmokeTest(name="t", run=("/bin/true",)),
    "a program is found on the PATH": SmokeTest(name="t", run=("true",)),
    "the exit code that is wanted": shell("exit 7", exit_code=7),
    "both outputs and the input": shell(
        "cat; echo no >&2", stdin="a line\n", stdout="^a line$", stderr="^no$"
    ),
    "a great deal of output": shell("yes | busybox head -c 3000000; echo end", stdout="^end$"),
    "the environment": shell(
        "echo $A-$HOME-$HOSTNAME-$PATH", env=(("A", "b"),), stdout="^b-/root-rootlet-/usr/local"
    ),
    "the user, its group and its other groups": shell(
        "id", user="app", stdout=r"uid=1234\(app\) gid=1235\(app\)"
    ),
    "a number as user": shell("id -u; id -g", user="5000:6000", stdout="^5000\n6000$"),
    "the folder": shell("busybox pwd", workdir="/srv", stdout="^/srv$"),
    "a folder that is missing is made": shell("busybox pwd", workdir="/new/one", stdout="^/new/one$"),
    "nothing is written": shell("echo x >/srv/x", exit_code=1, stderr="Read-only file system"),
    "scratch folders are written": shell("echo x >/tmp/x && echo x >/run/x && echo x >/dev/shm/x"),
    "a writable folder belongs to the user and keeps what is in it": shell(
        "cat /srv/sub/here && echo x >/srv/x && echo y >/srv/sub/y",
        user="app",
        writable=("/srv", "/srv/sub"),
        stdout="^here$",
    ),
    "extra files, read-only": shell(
        "cat /etc/extra/a; echo x >/etc/extra/a || exit 3",
        files=(ExtraFile(path="/etc/extra/a", content="inside\n"),),
        stdout="^inside$",
        exit_code=3,
    ),
    "a private file is the user's own": shell(
        "cat /etc/key",
        user="app",
        files=(ExtraFile(path="/etc/key", content="secret", mode=0o600),),
        stdout="secret",
    ),
    "no network": shell("busybox wget http://192.0.2.1/", exit_code=1, stderr="unreachable"),
    "names of the loopback": shell("cat /etc/hosts", stdout="127.0.0.1\\s+localhost"),
    "no capabilities, no way to new ones": shell(
        "busybox grep -E '^(Cap|NoNew)' /proc/self/status",
        stdout="CapInh:\t0+\nCapPrm:\t0+\nCapEff:\t0+\nCapBnd:\t0+\nCapAmb:\t0+\nNoNewPrivs:\t1",
    ),
    "the kernel's settings cannot be written": shell(
        "echo 1 >/proc/sys/kernel/panic", exit_code=1, stderr="Read-only|Permission"
    ),
    "only the test's own processes are seen": shell("ls -d /proc/[0-9]* | busybox wc -l", stdout="^[1-4]$"),
    "devices": shell("echo x >/dev/null && busybox head -c 4 /dev/zero | busybox wc -c && ls /dev/fd/0"),
    "outputs can be opened by name": shell("echo out >/dev/stdout; echo err >/dev/stderr", user="app",
                                           stdout="^out$", stderr="^err$"),
    "a program that leaves another behind": shell("sleep 100 & echo done", stdout="^done$"),
    "a service over HTTP, on a low port, as somebody": shell(
        HTTPD,
        service=True,
        user="app",
        http=HttpProbe(port=80, path="/index.html", body="^hel+o$", expect_headers=LENGTH),
    ),
    "a status that is wanted": shell(HTTPD, service=True, http=HttpProbe(port=80, path="/no", status=404)),
    "a service that needs its time": shell(f"sleep 0.4; {HTTPD}", service=True, tcp=TcpProbe(port=80)),
    "a service over TCP": shell(
        "exec nc -ll -p 7 -e /bin/cat", service=True, tcp=TcpProbe(port=7, send="a\r\nb", expect="^a\r\nb")
    ),
    "a service asked by a program": shell(
        f"sleep 0.2; {HTTPD}", service=True, exec=("wget", "-q", "-O", "-", "http://localhost/index.html"),
        stdout="^hello$",
    ),
    "a program beside a service reads the input": shell(
        "sleep 100", service=True, exec=("/bin/cat",), stdin="x", stdout="^x$"
    ),
    "a service that says when it is ready": shell(
        "sleep 0.1; echo ready >&2; sleep 100", service=True, stderr="^ready$"
    ),
    "a service that nobody asks": shell("sleep 100", service=True),
    "a service that ignores TERM": shell("trap '' TERM INT; sleep 100", service=True),
}  # fmt: skip

FAILING = {
    "a wrong exit code": (shell("exit 3"), ["expected: exit code 0", "came:     exit code 3"]),
    "a signal": (shell("kill -SEGV $$"), ["came:     signal 11 (SIGSEGV)"]),
    "output that does not match": (
        shell("echo a", stdout="^b$"),
        ["expected: stdout that matches '^b$'", r"came:     'a\n'"],
    ),
    "no such program": (SmokeTest(name="t", run=("/bin/no",)), ["/bin/no: No such file or directory"]),
    "no right to it": (SmokeTest(name="t", run=("/etc/passwd",)), ["/etc/passwd: Permission denied"]),
    "a program without its interpreter": (
        SmokeTest(name="t", run=("/srv/script",)),
        ["/srv/script is a script for /no/such/interpreter, which the image does not have"],
    ),
    "what the loader says is put first": (
        shell("echo x: error while loading shared libraries: libz.so.1: gone >&2; exit 127"),
        ["cause:    x: error while loading shared libraries: libz.so.1: gone"],
    ),
    "a time limit": (
        shell("echo started; sleep 100", within=0.3),
        ["expected: an end within 0.3 s", "it was still running and was killed", "| started"],
    ),
    "a service that never listens": (
        shell("sleep 100", service=True, http=HttpProbe(port=80), within=0.4),
        ["http://localhost:80/ answers 200 within 0.4 s", "came:     nothing listens on port 80"],
    ),
    "a service that listens and is silent": (
        shell("exec nc -ll -p 7 -e /bin/sleep 9", service=True, tcp=TcpProbe(port=7, expect="x"), within=0.4),
        ["TCP port 7 answers with a match of 'x'", "came:     a connection without an answer, then silence"],
    ),
    "a service that dies": (
        shell("echo oops >&2; exit 4", service=True, tcp=TcpProbe(port=80), within=5),
        ["came:     the service ended with exit code 4", "| oops"],
    ),
    "a service that dies of the question": (
        shell("sleep 100", service=True, exec=("/bin/sh", "-c", "kill -9 2; sleep 0.3")),
        ["expected: the service keeps running", "the service ended with signal 9 (SIGKILL)"],
    ),
    "a service that ends though nobody asked": (
        shell("exit 0", service=True),
        ["expected: the service keeps running", "the service ended with exit code 0"],
    ),
    "another status": (
        shell(HTTPD, service=True, http=HttpProbe(port=80, path="/no"), within=0.5),
        ["came:     status 404 with the body"],
    ),
    "another body": (
        shell(HTTPD, service=True, http=HttpProbe(port=80, path="/index.html", body="bye"), within=0.5),
        [r"came:     the body 'hello\n'"],
    ),
    "no HTTP": (
        shell("exec nc -ll -p 7 -e /bin/cat", service=True, http=HttpProbe(port=7), within=0.5),
        ["what came is not HTTP: "],
    ),
    "no TLS": (
        shell(HTTPD, service=True, http=HttpProbe(port=80, tls=True), within=2.5),
        ["expected: https://localhost:80/", "came:     no answer"],
    ),
    "a program beside a service fails to the end": (
        shell("sleep 100", service=True, exec=("/bin/sh", "-c", "echo bad >&2; exit 6"), within=0.5),
        ["beside:   /bin/sh -c", "came:     exit code 6", "stderr beside:", "| bad"],
    ),
    "processes without end": (
        shell("f() { f | f & }; f; sleep 100", user="app", within=1.0),
        ["it was still running and was killed"],
    ),
    "a service that leaves no process to others": (
        shell(
            "f() { sleep 100 & }; while f; do :; done; sleep 100",
            user="app",
            service=True,
            exec=("/bin/false",),
            within=8,
        ),
        ["| ", "can't fork"],
    ),
    "a regular expression without end": (
        shell("busybox printf '%050d' 0", stdout="(0|00|000)+x$", within=0.3),
        ["its judgement did not come to an end"],
    ),
}


MORE = (
    folder("/srv/sub"),
    plain("/srv/sub/here", b"here\n"),
    plain("/srv/script", b"#!/no/such/interpreter\n", 0o755),
)


def failure(work: Path, *tests: SmokeTest) -> str:
    with pytest.raises(SmokeError) as raised:
        prove(work, *tests, more=MORE)
    return raised.value.message


@pytest.mark.parametrize("case", PASSING)
def test_it_passes(case: str, tmp_path: Path) -> None:
    assert prove(tmp_path, PASSING[case], more=MORE).passed == 1


@pytest.mark.parametrize("case", FAILING)
def test_it_fails_and_says_why(case: str, tmp_path: Path) -> None:
    test, words = FAILING[case]
    started = time.monotonic()
    message = failure(tmp_path, test)
    for word in words:
        assert word in message
    assert time.monotonic() - started < 15
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith("layout-")] == []


def test_all_tests_run_and_all_failures_are_told(tmp_path: Path) -> None:
    message = failure(tmp_path, shell("exit 1"), shell("exit 0"), shell("exit 2"))
    assert message.startswith("2 of 3 smoke tests of demo failed")
    assert "came:     exit code 1" in message
    assert "came:     exit code 2" in message


def test_the_image_is_started_as_it_would_be(tmp_path: Path) -> None:
    config = ImageConfig(
        entrypoint=("/bin/sh", "-c"),
        cmd=("echo $GREETING $(id -u) $(busybox pwd); echo x >/data/x",),
        env=(("GREETING", "hello"), ("PATH", "/bin")),
        user="app",
        workdir="/srv",
        volumes=("/data",),
    )
    own = plain("/data/kept", b"x")
    data = folder("/data", 0o777)
    test = SmokeTest(name="t", stdout="^hello 1234 /srv$")
    assert prove(tmp_path, test, config=config, more=(data, own)).passed == 1


def test_a_user_cannot_read_what_the_image_forbids(tmp_path: Path) -> None:
    more = (plain("/etc/secret", b"x", 0o600), folder("/closed", 0o700), plain("/closed/file", b"x"))
    script = "cat /etc/secret || cat /closed/file || exit 9"
    test = shell(script, user="app", exit_code=9, stderr="denied(.|\n)*denied")
    assert prove(tmp_path, test, more=more).passed == 1


def test_one_test_leaves_nothing_for_the_next(tmp_path: Path) -> None:
    write = shell("echo x >/tmp/x; echo x >/new/x; (nc -ll -p 7 -e /bin/cat) & sleep 0.1", writable=("/new",))
    script = "ls /tmp/x /new/x 2>&1; echo a | nc -w 1 127.0.0.1 7"
    read = shell(script, exit_code=1, stdout="(No such file(.|\n)*){2}")
    assert prove(tmp_path, write, read).passed == 2


def test_tls_is_spoken_whatever_the_certificate_says(tmp_path: Path) -> None:
    need("openssl")
    words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=elsewhere -keyout key -out cert"
    subprocess.run(["openssl", *words.split()], cwd=tmp_path, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with context.wrap_socket(connection, server_side=True) as tls:
                tls.recv(4096)
                tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret")

        thread = threading.Thread(target=answer)
        thread.start()
        asked = Http(
            port=server.getsockname()[1],
            path="/",
            headers=[],
            tls=True,
            status=200,
            body="^secret$",
            expect_headers=[],
        )
        assert ask_http(asked, time.monotonic() + 20) == ""
        thread.join()


@pytest.fixture(scope="module")
def python() -> str:
    """A Python that other users may start; skips where there is none or this is not root."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to become somebody else")
    need("setpriv")
    return python_of_all()


@pytest.fixture
def desk() -> Iterator[Path]:
    """A folder that somebody else owns, in a path that is open to all."""
    path = Path("/tmp") / f"rootlet-smoke-{os.getpid()}-{time.monotonic_ns()}"  # noqa: S108 (pytest's are closed)
    path.mkdir()
    os.chown(path, NOBODY, NOBODY)
    yield path
    shutil.rmtree(path)


def as_nobody(python: str, desk: Path, code: str) -> subprocess.CompletedProcess[str]:
    user = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    return subprocess.run(
        [*user, python, "-B", "-c", code],
        cwd=desk,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": python_path(), "HOME": str(desk)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_somebody_without_privileges_gets_the_same_answers(python: str, desk: Path) -> None:
    code = """
import importlib.util, pathlib
from builder.errors import SmokeError
spec = importlib.util.spec_from_file_location("cases", CASES)
cases = importlib.util.module_from_spec(spec); spec.loader.exec_module(cases)
here = pathlib.Path.cwd()
for name, test in cases.PASSING.items():
    try:
        cases.prove(here, test, more=cases.MORE)
    except SmokeError as error:
        print("FAILED", name, error)
for name, (test, words) in cases.FAILING.items():
    try:
        cases.prove(here, test, more=cases.MORE)
        print("PASSED", name)
    except SmokeError as error:
        print(*("UNSAID " + name + ": " + word for word in words if word not in error.message), sep="\\n")
cases.test_a_user_cannot_read_what_the_image_forbids(here)
cases.test_one_test_leaves_nothing_for_the_next(here)
print("done", *(path for path in here.iterdir() if not path.name.startswith("layout-")))
""".replace("CASES", repr(str(Path(__file__).resolve())))
    done = as_nobody(python, desk, code)
    assert (done.returncode, done.stdout.split()) == (0, ["done"]), done.stdout + done.stderr


LONG = """
import pathlib, time
from tests.support.smoke import prove
from builder.recipe.model import SmokeTest
prove(pathlib.Path.cwd(), SmokeTest(name="t", run=("/bin/sh", "-c", "trap '' TERM; sleep MARK"), within=60))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_outlives_rootlet(number: signal.Signals, tmp_path: Path) -> None:
    mark = f"{100 + number}.{os.getpid()}"
    process = subprocess.Popen(
        [sys.executable, "-c", LONG.replace("MARK", mark)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stderr=subprocess.DEVNULL,
    )
    with process:
        _wait_until(lambda: _running(mark), "the test never started")
        process.send_signal(number)
        process.wait(30)
    _wait_until(lambda: not _running(mark), "the image's program still runs")
    if number is signal.SIGINT:
        assert [path.name for path in tmp_path.iterdir() if not path.name.startswith("layout-")] == []


def _running(mark: str) -> bool:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[:1] == [b"sleep"] and mark.encode() in words:
            return True
    return False


def _wait_until(done: Any, otherwise: str) -> None:
    deadline = time.monotonic() + 20
    while not done():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.02)


def test_root_without_the_right_to_namespaces_is_told_what_to_do(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    need("unshare")
    code = """
import json, pathlib
from builder.errors import MachineError
from tests.support.smoke import prove
from builder.recipe.model import SmokeTest
try:
    prove(pathlib.Path.cwd(), SmokeTest(name="t", run=("/bin/true",)))
    print(json.dumps(["passed", ""]))
except MachineError as error:
    print(json.dumps([error.message, error.hint]))
"""
    limited = ["unshare", "--user", "--map-root-user", "sh", "-c"]
    script = 'echo 0 >/proc/sys/user/max_user_namespaces; exec "$0" -c "$1"'
    done = subprocess.run(
        [*limited, script, sys.executable, code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    message, hint = json.loads(done.stdout)
    assert message.startswith("The tests of demo cannot run on this machine: unshare")
    assert "user.max_user_namespaces" in hint

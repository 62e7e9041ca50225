from __future__ import annotations

import errno
from pathlib import Path

import pytest

from builder.engine.platforms import check_runs_here, runs_here
from builder.errors import MachineError
from builder.oci import Platform
from builder.recipe.model import SmokeTest
from builder.verify.accounts import Identity, identity
from builder.verify.expect import how_it_ended, program_failures, short
from builder.verify.failures import Failure, again
from builder.verify.obstacles import may_use_real_users, mend
from builder.verify.probe import parse_answer
from builder.verify.task import Job, Outcome, Program, Room

PASSWD = b"root:x:0:0:root:/root:/bin/sh\napp:x:10:20:::/bin/sh\nno:x:-1:0:::\nbroken\n"
GROUP = b"root:x:0:\nstaff:x:20:\nmore:x:30:app,other\n"
AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")


def job(*, stdout: str = "", stderr: str = "", exit_code: int = 0) -> Job:
    room = Room(root="/", uid=0, gid=0, groups=[], folders=[], files=[], env={}, workdir="/")
    return Job(
        room=room,
        argv=["/a"],
        service=False,
        http=None,
        tcp=None,
        exec=[],
        stdin="",
        stdout=stdout,
        stderr=stderr,
        exit_code=exit_code,
        within=2.0,
    )


def program(status: int | None = 0, *, stdout: str = "", stderr: str = "", error: str = "") -> Program:
    return Program(argv=["/a", "b c"], status=status, error=error, stdout=stdout, stderr=stderr)


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        pytest.param("", Identity(uid=0, gid=0, home="/root"), id="nobody said, which is root"),
        pytest.param("app", Identity(uid=10, gid=20, groups=(30,)), id="a name brings its groups"),
        pytest.param("10", Identity(uid=10, gid=20, groups=(30,)), id="a number with an account"),
        pytest.param("999", Identity(uid=999, gid=0), id="a number without one is in the group 0"),
        pytest.param("app:more", Identity(uid=10, gid=30), id="a group given is the only one"),
        pytest.param("0:7", Identity(uid=0, gid=7, home="/root"), id="numbers"),
    ],
)
def test_users_are_found_as_engines_find_them(user: str, expected: Identity) -> None:
    assert identity(user, PASSWD, GROUP) == expected


@pytest.mark.parametrize("user", ["who", "app:who", "no", "99999999999", "0:99999999999"])
def test_users_without_account_are_refused_in_words(user: str) -> None:
    with pytest.raises(ValueError, match=r"is not in the image's|is no number"):
        identity(user, PASSWD, GROUP)


@pytest.mark.parametrize(
    ("given", "came", "failures"),
    [
        pytest.param(job(), program(), [], id="all is well"),
        pytest.param(job(exit_code=3), program(3), [], id="the exit code that was asked for"),
        pytest.param(
            job(), program(-11), [("exit code 0", "signal 11 (SIGSEGV)")], id="a signal has its name"
        ),
        pytest.param(
            job(),
            program(None),
            [("an end within 2 s", "it was still running and was killed")],
            id="no end",
        ),
        pytest.param(job(), program(error="/a: gone"), [("the program starts", "/a: gone")], id="no start"),
        pytest.param(job(stdout="^b$"), program(stdout="a\nb\nc"), [], id="lines have ends"),
        pytest.param(
            job(stdout="x", stderr="y", exit_code=1),
            program(stdout="a", stderr=""),
            [
                ("exit code 1", "exit code 0"),
                ("stdout that matches 'x'", "'a'"),
                ("stderr that matches 'y'", "nothing"),
            ],
            id="everything wrong is said",
        ),
    ],
)
def test_programs_are_judged(given: Job, came: Program, failures: list[tuple[str, str]]) -> None:
    assert program_failures(given, came) == failures


def test_long_and_unprintable_texts_are_shortened() -> None:
    assert short("a" * 300) == f"'{'a' * 200}'…"
    assert short("\x1b[2J") == r"'\x1b[2J'"
    assert how_it_ended(-60) == "signal 60 (unknown)"


def test_the_cause_that_java_says_first_is_shown_above_a_long_trace() -> None:
    cause = 'Exception in thread "main" java.lang.UnsatisfiedLinkError: libfreetype.so.6: gone'
    trace = "\n".join([cause, *("\tat x.Y.z" for _ in range(40))])
    outcome = Outcome(failures=[], programs=[program(1, stderr=trace)], seconds=0.1, trouble="", errno=0)
    failure = Failure(test=SmokeTest(name="t"), command=("/a",), runs_as="", outcome=outcome, image="oci:x:1")
    assert f"    cause:    {cause}" in failure.text().splitlines()


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (12, [f"      | {number}" for number in range(12)]),
        (
            13,
            [
                *(f"      | {number}" for number in range(4)),
                "      … 1 line more",
                *(f"      | {number}" for number in range(5, 13)),
            ],
        ),
    ],
    ids=["twelve lines are shown whole", "of more the first four and the last eight are"],
)
def test_a_long_output_is_shown_from_both_ends(count: int, shown: list[str]) -> None:
    stderr = "".join(f"{number}\n" for number in range(count))
    outcome = Outcome(failures=[], programs=[program(1, stderr=stderr)], seconds=0.1, trouble="", errno=0)
    failure = Failure(test=SmokeTest(name="t"), command=("/a",), runs_as="", outcome=outcome, image="oci:x:1")
    lines = failure.text().splitlines()
    assert lines[lines.index("    stderr:") + 1 : -1] == shown


def test_a_failure_shows_the_cause_and_how_to_look_again() -> None:
    cause = "/a: error while loading shared libraries: libz.so.1: cannot open shared object file"
    stderr = f"\x1b[31mstart\n{cause}\n"
    outcome = Outcome(
        failures=[("exit code 0", "exit code 127")],
        programs=[program(127, stderr=stderr)],
        seconds=0.1,
        trouble="",
        errno=0,
    )
    test = SmokeTest(name="starts", place="r.toml:7", run=("/a", "b c"), env=(("A", "1"),), user="app")
    once_more = (
        "podman run --rm --init --read-only --network=none --cap-drop=all --env=A=1 --user=app "
        "--entrypoint=/a oci:x:1 'b c'"
    )
    text = Failure(test=test, command=("/a", "b c"), runs_as="10:20", outcome=outcome, image="oci:x:1").text()
    assert text.splitlines() == [
        "  test starts (r.toml:7)",
        "    ran:      /a 'b c' as 10:20",
        "    expected: exit code 0",
        "    came:     exit code 127",
        f"    cause:    {cause}",
        "    stderr:",
        r"      | \x1b[31mstart",
        f"      | {cause}",
        f"    again:    {once_more}",
    ]
    assert again(SmokeTest(name="s"), "oci:x:1").endswith("--cap-drop=all oci:x:1")


@pytest.mark.parametrize(
    ("received", "body"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", id="a length"),
        pytest.param(b"HTTP/1.0 200\r\n\r\nto the end", "to the end", id="no length"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
            "abcde",
            id="chunks",
        ),
    ],
)
def test_http_answers_are_read(received: bytes, body: str) -> None:
    answer = parse_answer(received)
    assert (answer.status, answer.body) == (200, body)


@pytest.mark.parametrize(
    "received",
    [
        b"",
        b"+PONG\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno end",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 99 + b"\r\n",
    ],
)
def test_what_is_not_http_is_said(received: bytes) -> None:
    with pytest.raises(ValueError, match=r"not HTTP|closed"):
        parse_answer(received)


def test_platforms_run_natively_or_through_a_fixed_emulator(tmp_path: Path) -> None:
    assert runs_here(Platform("linux", "amd64", "v3"), AMD64, binfmt=tmp_path)
    assert runs_here(Platform("linux", "386"), AMD64, binfmt=tmp_path)
    assert runs_here(Platform("linux", "arm", "v7"), ARM64, binfmt=tmp_path)
    assert not runs_here(ARM64, AMD64, binfmt=tmp_path)
    (tmp_path / "qemu-aarch64").write_text("enabled\ninterpreter /usr/bin/qemu-aarch64\nflags: POCF\n")
    assert runs_here(ARM64, AMD64, binfmt=tmp_path)
    (tmp_path / "qemu-aarch64").write_text("enabled\ninterpreter /usr/bin/qemu-aarch64\nflags: \n")
    assert not runs_here(ARM64, AMD64, binfmt=tmp_path)
    with pytest.raises(MachineError, match="tests of x for linux/arm64 cannot run") as raised:
        check_runs_here("x", ARM64, AMD64, binfmt=tmp_path)
    assert "--no-test" in str(raised.value.hint)
    assert "qemu-aarch64" in str(raised.value.hint)


@pytest.mark.parametrize(
    ("setting", "value", "mended_by"),
    [
        ("user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces="),
        ("kernel/unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"),
        (
            "kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        ("kernel/other", "1", "--privileged"),
    ],
)
def test_what_the_machine_forbids_has_a_mending_line(
    tmp_path: Path, setting: str, value: str, mended_by: str
) -> None:
    (tmp_path / "sys" / setting).parent.mkdir(parents=True)
    (tmp_path / "sys" / setting).write_text(value + "\n")
    hint = mend(errno.EPERM, privileged=False, proc=tmp_path)
    assert mended_by in hint
    assert "--no-test" in hint


@pytest.mark.parametrize(
    ("capabilities", "uid_map", "real"),
    [
        pytest.param("000001ffffffffff", "0 0 4294967295", True, id="root"),
        pytest.param("0000000000000000", "0 0 4294967295", False, id="somebody"),
        pytest.param("00000000a80425fb", "0 0 4294967295", False, id="root of a container"),
        pytest.param("000001ffffffffff", "0 1000 1", False, id="root of a namespace with one user"),
        pytest.param("000001ffffffffff", "0 1000 1\n1 100000 65536", True, id="root with subordinates"),
    ],
)
def test_real_users_need_every_right_and_every_number(
    tmp_path: Path, capabilities: str, uid_map: str, *, real: bool
) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self/status").write_text(f"Name:\tx\nCapEff:\t{capabilities}\n")
    (tmp_path / "self/uid_map").write_text(uid_map + "\n")
    assert may_use_real_users(tmp_path) is real
    assert not may_use_real_users(tmp_path / "nothing")

"""What the sandbox is told and what is made of its words, with a runner that runs nothing."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from builder.engine.command import Command, Finished
from builder.errors import BuildError, MachineError, SmokeError
from builder.image.write import write_image
from builder.oci import Platform
from builder.progress import Silent
from builder.recipe.model import Compression, ExtraFile, Recipe, SmokeTest
from builder.stored.read import open_image
from builder.verify.smoke import Bench, SmokeReport, Subject, smoke_test
from tests.support.images import folder, layer_of, plain, plan_of

PASSED: Mapping[str, Any] = {"failures": [], "programs": [], "seconds": 0.1, "trouble": "", "errno": 0}
FAILED: Mapping[str, Any] = {**PASSED, "failures": [["exit code 0", "exit code 1"]]}
RUN = SmokeTest(name="one", run=("/bin/demo",))


class Fake:
    """A runner that remembers tasks and answers from a list; ``seen`` looks at the disk meanwhile."""

    def __init__(self, *answers: object, seen: Callable[[Mapping[str, Any]], None] | None = None) -> None:
        self.answers = list(answers)
        self.tasks: list[dict[str, Any]] = []
        self.seen = seen

    def find(self, program: str) -> str | None:
        return program

    def run(self, command: Command) -> Finished:
        task = json.loads(command.stdin)
        self.tasks.append(task)
        if self.seen:
            self.seen(task)
        answer = self.answers.pop(0) if self.answers else [PASSED] * len(task["jobs"])
        text = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        return Finished(status=0, stdout=text, stderr=b"")


def prove(work: Path, fake: Fake, *tests: SmokeTest, privileged: bool = False) -> tuple[SmokeReport, ...]:
    layer = layer_of(
        folder("/etc"), plain("/etc/passwd", b"app:x:10:20::/home/app:/bin/sh\n"), folder("/closed", 0o000)
    )
    write_image(plan_of(layer), compression=Compression.NONE, directory=work / "layout", progress=Silent())
    platform = Platform("linux", "amd64")
    recipe = Recipe(path=Path("r.toml"), name="demo", platform=platform, sources=(), tests=tests)
    bench = Bench(runner=fake, progress=Silent(), scratch=work, clock=lambda: 1.0, privileged=privileged)
    try:
        return smoke_test((Subject(image=open_image(work / "layout"), recipe=recipe),), bench)
    finally:
        assert not (work / "test").exists()


def test_the_job_has_the_images_start_with_the_tests_own_words(tmp_path: Path) -> None:
    fake = Fake()
    own = SmokeTest(name="own", user="app", env=(("A", "b"),), workdir="/etc", writable=("/w",), within=3.0)
    assert prove(tmp_path, fake, RUN, own)[0].passed == 2
    first, second = (job for task in fake.tasks for job in task["jobs"])
    assert first["argv"] == second["argv"] == ["/bin/demo"]
    assert first["room"]["workdir"] == "/"
    assert first["room"]["env"] == {"PATH": "/bin", "HOME": "/", "HOSTNAME": "rootlet"}
    assert second["room"]["env"]["A"] == "b"
    assert second["room"]["env"]["HOME"] == "/home/app"
    assert (second["room"]["uid"], second["room"]["gid"]) == (10, 20)
    assert {"path": "/w", "users": True} in second["room"]["folders"]
    assert [path for _, path in second["room"]["files"]] == [
        "/etc/hosts",
        "/etc/hostname",
        "/etc/resolv.conf",
    ]


def test_with_one_user_number_each_user_has_a_task_of_its_own(tmp_path: Path) -> None:
    fake = Fake()
    prove(tmp_path, fake, RUN, SmokeTest(name="own", user="app"), RUN)
    assert [len(task["jobs"]) for task in fake.tasks] == [2, 1]


def test_files_of_a_test_are_there_while_it_runs(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(b"\xffCA")
    files = (
        ExtraFile(path="/etc/ca", context=tmp_path / "ca.pem"),
        ExtraFile(path="/etc/hosts", content="::1 x", mode=0o600),
    )

    def look(task: Mapping[str, Any]) -> None:
        found = {path: Path(source) for source, path in task["jobs"][0]["room"]["files"]}
        assert found["/etc/ca"].read_bytes() == b"\xffCA"
        assert found["/etc/hosts"].read_bytes() == b"::1 x"
        assert found["/etc/hosts"].stat().st_mode & 0o777 == 0o600
        assert b"no network" in found["/etc/resolv.conf"].read_bytes()

    prove(tmp_path, Fake(seen=look), SmokeTest(name="one", files=files))


@pytest.mark.parametrize(
    ("test", "message"),
    [
        pytest.param(SmokeTest(name="t", user="who"), "the user who is not in", id="an unknown user"),
        pytest.param(
            SmokeTest(name="t", files=(ExtraFile(path="/x", context=Path("/nothing/there")),)),
            "/nothing/there cannot be read",
            id="a file that is gone",
        ),
    ],
)
def test_what_cannot_be_prepared_is_a_failure_and_the_others_run(
    tmp_path: Path, test: SmokeTest, message: str
) -> None:
    fake = Fake([FAILED])
    with pytest.raises(SmokeError, match="2 of 2 smoke tests of demo failed") as raised:
        prove(tmp_path, fake, test, RUN)
    assert message in raised.value.message
    assert "came:     exit code 1" in raised.value.message
    assert "rootlet build r.toml --no-test --to oci:untested" in str(raised.value.hint)
    assert raised.value.exit_code == 6


def test_a_machine_that_refuses_is_no_failed_test(tmp_path: Path) -> None:
    refused = {**PASSED, "trouble": "unshare: Operation not permitted", "errno": errno.EPERM}
    with pytest.raises(MachineError, match="cannot run on this machine: unshare") as raised:
        prove(tmp_path, Fake([refused]), RUN, RUN)
    assert "--no-test" in str(raised.value.hint)
    assert raised.value.exit_code == 9


@pytest.mark.parametrize("answer", [b"", b"nonsense", [], [{**PASSED, "trouble": "KeyError: 'x'"}]])
def test_a_broken_sandbox_never_passes(tmp_path: Path, answer: object) -> None:
    with pytest.raises(BuildError, match="andbox"):
        prove(tmp_path, Fake(answer), RUN)


def test_without_tests_nothing_runs(tmp_path: Path) -> None:
    fake = Fake()
    assert prove(tmp_path, fake)[0].passed == 0
    assert fake.tasks == []

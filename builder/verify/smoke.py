"""Smoke tests: the recipe's tests run inside what was written, before it has a name.

The image is unpacked as anybody would read it, and a process of its own (builder.verify.sandbox) starts the
programs in namespaces: the image read-only, no network but the loopback, no privileges, a time limit.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from builder.engine.command import Command, Runner
from builder.errors import BuildError, MachineError, SmokeError
from builder.oci import ImageConfig, Platform
from builder.progress import Progress
from builder.recipe.model import ExtraFile, HttpProbe, Recipe, SmokeTest
from builder.staging import remove_tree
from builder.stored.read import StoredImage
from builder.verify import obstacles
from builder.verify.accounts import Identity, identity
from builder.verify.failures import UNTESTED, Failure
from builder.verify.task import Folder, Http, Job, Outcome, Room, Task, Tcp
from builder.verify.unpack import Unpacked, unpack

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What engines give a container whose image says nothing."""
MAX_EXTRA_FILE = 16 << 20
_INJECTED = (
    ("/etc/hosts", b"127.0.0.1\tlocalhost rootlet\n::1\tlocalhost ip6-localhost ip6-loopback\n"),
    ("/etc/hostname", b"rootlet\n"),
    ("/etc/resolv.conf", b"# A test has no network: names are looked up in /etc/hosts.\n"),
)
_SCRATCH_FOLDERS = ("/tmp", "/run")  # noqa: S108 (the image's own)
_OVERHEAD_SECONDS = 60.0
_BOOT = "import sys; sys.path.append(sys.argv[1]); from builder.verify.sandbox import main; main()"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """An image without a name, and the recipe with its tests."""

    image: StoredImage
    recipe: Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeReport:
    """All tests of an image for one platform passed. ``seconds``: unpacking included; 0 tests take none."""

    platform: Platform
    passed: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What tests need of the machine. ``scratch`` is a folder; what is made there is gone afterwards.

    ``clock`` gives seconds. ``privileged``: the tests may use real user numbers.
    """

    runner: Runner
    progress: Progress
    scratch: Path
    clock: Callable[[], float]
    privileged: bool = field(default_factory=obstacles.may_use_real_users)


def smoke_test(subjects: Sequence[Subject], bench: Bench) -> tuple[SmokeReport, ...]:
    """Run every test of every image.

    SmokeError with all failures together; MachineError when the machine cannot run any; BuildError when the
    image or the sandbox itself is broken.
    """
    reports: list[SmokeReport] = []
    failures: list[Failure] = []
    total = sum(len(subject.recipe.tests) for subject in subjects)
    for subject in subjects:
        started = bench.clock()
        failures += _test_image(subject, bench) if subject.recipe.tests else []
        tests = len(subject.recipe.tests)
        seconds = bench.clock() - started
        reports.append(SmokeReport(platform=subject.recipe.platform, passed=tests, seconds=seconds))
    if failures:
        raise _error(subjects[0].recipe, failures, total)
    return tuple(reports)


def _error(recipe: Recipe, failures: Sequence[Failure], total: int) -> SmokeError:
    texts = "\n\n".join(failure.text() for failure in failures)
    build = shlex.join(["rootlet", "build", str(recipe.path), "--no-test", "--to", UNTESTED])
    return SmokeError(
        f"{len(failures)} of {total} smoke tests of {recipe.name} failed, so it gets no name:\n\n{texts}\n",
        hint=f"to look again, first: {build}",
    )


def _test_image(subject: Subject, bench: Bench) -> list[Failure]:
    folder = bench.scratch / "test"
    try:
        bench.progress.step(f"unpack {subject.recipe.name} for its tests")
        folder.mkdir(mode=0o700)
        _check_programs_start(folder)
        unpacked = unpack(subject.image, folder / "root")
        if bench.privileged:
            unpacked.give_rights()
        return _Tests(subject, unpacked, folder, bench).failures()
    except OSError as error:
        raise MachineError(f"The tests of {subject.recipe.name} cannot be prepared: {error}") from error
    finally:
        remove_tree(folder)


def _check_programs_start(folder: Path) -> None:
    if os.statvfs(folder).f_flag & os.ST_NOEXEC:
        raise MachineError(
            f"The tests cannot run in {folder}: its file system is mounted without the right to execute",
            hint="write the image to another disk with --to, or build it untested with --no-test",
        )


class _Tests:
    """The tests of one unpacked image."""

    def __init__(self, subject: Subject, unpacked: Unpacked, folder: Path, bench: Bench) -> None:
        self._recipe = subject.recipe
        self._config = subject.image.config.config
        self._unpacked = unpacked
        self._folder = folder
        self._bench = bench
        self._files = 0
        self._injected = [(str(self._file(content, 0o644)), path) for path, content in _INJECTED]

    def failures(self) -> list[Failure]:
        """Run all of them; each task has the tests that run as one user."""
        done: dict[int, Failure] = {}
        tasks: dict[Identity | None, dict[int, Job]] = {}
        users: dict[int, Identity] = {}
        for number, test in enumerate(self._recipe.tests):
            try:
                users[number] = self._user(test)
                job = self._job(test, users[number])
            except ValueError as error:
                failures = [("a test that can be prepared", str(error))]
                outcome = Outcome(failures=failures, programs=[], seconds=0.0, trouble="", errno=0)
                done[number] = self._failure(test, outcome, "")
                continue
            tasks.setdefault(None if self._bench.privileged else users[number], {})[number] = job
        for user, jobs in tasks.items():
            if user is not None:
                self._unpacked.show_to(user)
            for number, outcome in zip(jobs, self._perform(tuple(jobs.values())), strict=True):
                if outcome["failures"]:
                    done[number] = self._failure(self._recipe.tests[number], outcome, str(users[number]))
        return [done[number] for number in sorted(done)]

    def _failure(self, test: SmokeTest, outcome: Outcome, runs_as: str) -> Failure:
        image = f"{UNTESTED}:{self._recipe.tags[0]}" if self._recipe.tags else UNTESTED
        return Failure(test=test, command=self._argv(test), runs_as=runs_as, outcome=outcome, image=image)

    def _perform(self, jobs: tuple[Job, ...]) -> list[Outcome]:
        recipe = self._recipe
        words = "1 test" if len(jobs) == 1 else f"{len(jobs)} tests"
        self._bench.progress.step(f"run {words} of {recipe.name} for {recipe.platform}")
        outcomes = _outcomes(self._bench.runner.run(_command(jobs, privileged=self._bench.privileged)).stdout)
        for outcome in outcomes:
            if outcome["trouble"] and not outcome["errno"]:
                raise BuildError(f"The sandbox of the smoke tests is broken: {outcome['trouble']}")
            if outcome["trouble"]:
                raise MachineError(
                    f"The tests of {recipe.name} cannot run on this machine: {outcome['trouble']}",
                    hint=obstacles.mend(outcome["errno"], privileged=self._bench.privileged),
                )
        if len(outcomes) != len(jobs):
            raise BuildError(f"The sandbox ended after {len(outcomes)} of {len(jobs)} tests")
        return outcomes

    def _user(self, test: SmokeTest) -> Identity:
        return identity(test.user or self._config.user, self._unpacked.passwd, self._unpacked.group)

    def _argv(self, test: SmokeTest) -> tuple[str, ...]:
        return test.run or (*self._config.entrypoint, *self._config.cmd)

    def _job(self, test: SmokeTest, user: Identity) -> Job:
        argv = self._argv(test)
        if not argv:
            raise ValueError("the image has neither entrypoint nor cmd")
        return Job(
            room=self._room(test, user),
            argv=list(argv),
            service=test.service,
            http=None if test.http is None else _http(test.http),
            tcp=None
            if test.tcp is None
            else Tcp(port=test.tcp.port, send=test.tcp.send, expect=test.tcp.expect),
            exec=list(test.exec),
            stdin=test.stdin,
            stdout=test.stdout,
            stderr=test.stderr,
            exit_code=test.exit_code,
            within=test.within,
        )

    def _room(self, test: SmokeTest, user: Identity) -> Room:
        extra = [(str(self._extra_file(one, user)), one.path) for one in test.files]
        own = {path for _, path in extra}
        return Room(
            root=str(self._unpacked.root),
            uid=user.uid,
            gid=user.gid,
            groups=list(user.groups),
            folders=_folders(test, self._config),
            files=[*(pair for pair in self._injected if pair[1] not in own), *extra],
            env=_environment(test, self._config, user),
            workdir=test.workdir or self._config.workdir or "/",
        )

    def _extra_file(self, extra: ExtraFile, user: Identity) -> Path:
        """A file that belongs to the test's user: private keys are refused with any other owner."""
        path = self._file(_content(extra), extra.mode)
        if self._bench.privileged:
            os.chown(path, user.uid, user.gid)
        return path

    def _file(self, content: bytes, mode: int) -> Path:
        path = self._folder / f"file-{self._files}"
        self._files += 1
        path.write_bytes(content)
        path.chmod(mode)
        return path


def _content(extra: ExtraFile) -> bytes:
    if extra.context is None:
        return extra.content.encode()
    try:
        with extra.context.open("rb") as stream:
            found = stream.read(MAX_EXTRA_FILE + 1)
    except OSError as error:
        raise ValueError(f"{extra.context} cannot be read: {error.strerror}") from error
    if len(found) > MAX_EXTRA_FILE:
        raise ValueError(f"{extra.context} has more than {MAX_EXTRA_FILE >> 20} MiB")
    return found


def _folders(test: SmokeTest, config: ImageConfig) -> list[Folder]:
    users = dict.fromkeys((*_SCRATCH_FOLDERS, *config.volumes), False) | dict.fromkeys(test.writable, True)
    return [Folder(path=path, users=own) for path, own in users.items()]


def _environment(test: SmokeTest, config: ImageConfig, user: Identity) -> dict[str, str]:
    given = {"PATH": DEFAULT_PATH, "HOME": user.home, "HOSTNAME": "rootlet"}
    return {**given, **dict(config.env), **dict(test.env)}


def _http(probe: HttpProbe) -> Http:
    return Http(
        port=probe.port,
        path=probe.path,
        headers=list(probe.headers),
        tls=probe.tls,
        status=probe.status,
        body=probe.body,
        expect_headers=list(probe.expect_headers),
    )


def _command(jobs: tuple[Job, ...], *, privileged: bool) -> Command:
    """An isolated Python: without the site's packages it starts in a hundredth of a second."""
    task = Task(parent=os.getpid(), privileged=privileged, jobs=list(jobs))
    house = Path(__file__).resolve().parents[2]
    return Command(
        argv=(sys.executable, "-I", "-S", "-c", _BOOT, str(house)),
        description="the sandbox of the smoke tests",
        stdin=json.dumps(task).encode(),
        timeout=sum(job["within"] for job in jobs) + _OVERHEAD_SECONDS,
    )


def _outcomes(text: bytes) -> list[Outcome]:
    try:
        found: list[Outcome] = json.loads(text)
    except ValueError as error:
        raise BuildError("The sandbox of the smoke tests ended without a word") from error
    return found

"""git as rootlet uses it: sealed from the machine's settings, without hooks, filters, helpers and prompts.

Only plumbing that reads objects is used, and nothing is ever checked out: no attribute, filter or hook of a
repository has a say in what its files are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.engine.command import Command, Runner
from builder.errors import BuildError, MachineError, ResolutionError
from builder.sources.tarstream import inner_path

_BATCH = 32 << 20
"""Bytes of blobs that are read at a time."""
_LARGEST = 2 << 30
_MOST_ENTRIES = 500_000
_SETTINGS = (
    ("protocol.version", "2"),
    ("fetch.recurseSubmodules", "false"),
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("credential.helper", ""),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("uploadpack.allowAnySHA1InWant", "true"),
)
_ASKS = (
    "could not read Username",
    "terminal prompts disabled",
    "Authentication failed",
    "returned error: 401",
    "returned error: 403",
)
_ABSENT = ("not our ref", "couldn't find remote ref", "unadvertised object", "no such remote ref")


@dataclass(frozen=True, slots=True, kw_only=True)
class GitEntry:
    """One path of a commit: ``mode`` as git writes it (0o100644, 0o160000 …), ``size`` of a blob."""

    path: str
    mode: int
    object: str
    size: int


class Repository:
    """An empty repository in ``folder`` that commits are fetched into. MachineError when there is no git."""

    def __init__(self, folder: Path, runner: Runner, settings: Mapping[str, str], *, commit: str) -> None:
        git = runner.find("git")
        if git is None:
            raise MachineError("git is not on this machine", hint="apt install git")
        self._git = git
        self._runner = runner
        self._folder = folder / "repository.git"
        home = folder / "home"
        home.mkdir(parents=True)
        (home / ".gitconfig").write_text("[safe]\n\tdirectory = *\n", encoding="utf-8")
        self._environment = {
            **{name: value for name, value in settings.items() if not name.startswith("PIP_")},
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"),
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "/bin/false",
            "SSH_ASKPASS": "/bin/false",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_ALLOW_PROTOCOL": "https:http",
        }
        form = () if len(commit) == 40 else ("--object-format=sha256",)  # noqa: PLR2004 (hex digits of SHA-1)
        self._run("init", "-q", "--bare", "--template=", *form, str(self._folder), where=())

    def fetch(self, address: str, commit: str) -> None:
        """Fetch ``commit`` without its history; the whole repository from servers that give no single commit.

        ResolutionError when it is not there, MachineError when the repository cannot be had.
        """
        quiet = ("fetch", "-q", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules")
        try:
            self._remote(*quiet, "--depth=1", "--", address, commit, address=address)
        except BuildError as error:
            if any(word in error.message for word in _ASKS):
                raise _unreachable(address, error) from error
            try:
                self._remote(*quiet, "--", address, "+refs/*:refs/remotes/all/*", address=address)
            except BuildError as second:
                raise _unreachable(address, second) from second
        if not self.has(commit):
            raise ResolutionError(
                f"{address} has no commit {commit}", hint="correct the hash, or push the commit first"
            )

    def has(self, commit: str) -> bool:
        """Whether the commit is here."""
        done = self._run("cat-file", "-t", commit, success=frozenset({0, 128}))
        return done.strip() == b"commit"

    def heads(self, address: str, name: str) -> tuple[str, str]:
        """The commits that the tag and the branch ``name`` are at; "" for one that is not there."""
        wanted = (f"refs/tags/{name}", f"refs/tags/{name}^{{}}", f"refs/heads/{name}")
        try:
            text = self._remote("ls-remote", "--", address, *wanted, address=address).decode(errors="replace")
        except BuildError as error:
            raise _unreachable(address, error) from error
        found = {ref: commit for commit, _, ref in (line.partition("\t") for line in text.splitlines())}
        return found.get(wanted[1]) or found.get(wanted[0], ""), found.get(wanted[2], "")

    def descends(self, address: str, branch: str, commit: str) -> bool:
        """Whether ``commit`` is in the history of ``branch``; nothing but commits is fetched for that."""
        quiet = ("fetch", "-q", "--no-tags", "--no-recurse-submodules", "--filter=tree:0")
        try:
            self._remote(*quiet, "--", address, f"+refs/heads/{branch}:refs/heads/asked", address=address)
        except BuildError as error:
            raise _unreachable(address, error) from error
        if not self.has(commit):
            return False
        return self._status("merge-base", "--is-ancestor", commit, "refs/heads/asked") == 0

    def entries(self, commit: str) -> Iterator[GitEntry]:
        """Every path of ``commit`` but folders. BuildError for a path that is none."""
        listing = self._run("ls-tree", "-r", "-l", "-z", "--full-tree", commit)
        for number, line in enumerate(listing.split(b"\0")[:-1]):
            facts, _, raw = line.partition(b"\t")
            mode, _, name, size = facts.decode("ascii").split()
            text = raw.decode("utf-8", "surrogateescape")
            path = inner_path(text)
            if path is None or path == "/" or ".git" in path.lower().split("/") or number > _MOST_ENTRIES:
                raise BuildError(f"the commit {commit} holds a path that is none: {text[:200]!r}")
            yield GitEntry(path=path, mode=int(mode, 8), object=name, size=int(size) if size != "-" else 0)

    def blobs(self, entries: Iterator[GitEntry]) -> Iterator[tuple[GitEntry, bytes]]:
        """The bytes of ``entries``, in their order."""
        batch: list[GitEntry] = []
        for entry in entries:
            if entry.size > _LARGEST:
                raise BuildError(f"{entry.path} of the repository has {entry.size} bytes, more than 2 GiB")
            if batch and sum(one.size for one in batch) + entry.size > _BATCH:
                yield from self._read(batch)
                batch = []
            batch.append(entry)
        yield from self._read(batch)

    def _read(self, batch: list[GitEntry]) -> Iterator[tuple[GitEntry, bytes]]:
        asked = "".join(f"{one.object}\n" for one in batch).encode()
        answer = memoryview(self._run("cat-file", "--batch", stdin=asked))
        at = 0
        for one in batch:
            head = f"{one.object} blob {one.size}\n".encode()
            start = at + len(head)
            at = start + one.size + 1
            if answer[start - len(head) : start] != head or at > len(answer):
                raise BuildError(f"git did not give the bytes of {one.path}: the repository is damaged")
            yield one, bytes(answer[start : at - 1])

    def time(self, commit: str) -> int:
        """When ``commit`` was made, in seconds since the epoch."""
        text = self._run("show", "-s", "--no-show-signature", "--format=%ct", commit).decode().strip()
        return max(0, int(text)) if text.lstrip("-").isdigit() else 0

    def modules(self, commit: str) -> Mapping[str, str]:
        """Path → address of the submodules that the commit's .gitmodules names."""
        arguments = ("config", "--blob", f"{commit}:.gitmodules", "-z", "--list")
        listing = self._run(*arguments, success=frozenset({0, 1, 128})).decode("utf-8", "surrogateescape")
        pairs = (line.partition("\n") for line in listing.split("\0") if line)
        values = {key: value for key, _, value in pairs if key.startswith("submodule.")}
        return {
            path: values[key.removesuffix(".path") + ".url"]
            for key, path in values.items()
            if key.endswith(".path") and key.removesuffix(".path") + ".url" in values
        }

    def _remote(self, *arguments: str, address: str) -> bytes:
        allowed = "file" if address.startswith("file://") else "https:http"
        return self._run(*arguments, more=(("GIT_ALLOW_PROTOCOL", allowed),))

    def _status(self, *arguments: str) -> int:
        command = self._command(arguments, self._here(), b"", frozenset({0, 1}), ())
        return self._runner.run(command).status

    def _run(
        self,
        *arguments: str,
        stdin: bytes = b"",
        success: frozenset[int] = frozenset({0}),
        where: tuple[str, ...] | None = None,
        more: tuple[tuple[str, str], ...] = (),
    ) -> bytes:
        place = self._here() if where is None else where
        return self._runner.run(self._command(arguments, place, stdin, success, more)).stdout

    def _here(self) -> tuple[str, ...]:
        return ("--git-dir", str(self._folder))

    def _command(
        self,
        arguments: tuple[str, ...],
        place: tuple[str, ...],
        stdin: bytes,
        success: frozenset[int],
        more: tuple[tuple[str, str], ...],
    ) -> Command:
        settings = (word for name, value in _SETTINGS for word in ("-c", f"{name}={value}"))
        return Command(
            argv=(self._git, *settings, *place, *arguments),
            description=f"git {arguments[0]}",
            environment=(*self._environment.items(), *more),
            stdin=stdin,
            timeout=3600,
            success=success,
        )


def _unreachable(address: str, error: BuildError) -> MachineError | ResolutionError:
    words = error.message.partition("\n")[2].strip() or error.message
    if any(word in words for word in _ASKS):
        return MachineError(
            f"{address} asks for a user and password, or refuses: {words}",
            hint="rootlet asks no credential helper: clone the repository first and name the clone as path",
        )
    if any(word in words for word in _ABSENT):
        return ResolutionError(f"{address} does not have it: {words}", hint="correct the hash or the name")
    return MachineError(
        f"{address} could not be fetched: {words}",
        hint="check the address, the network and the proxy settings",
    )

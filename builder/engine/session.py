"""A room for a build stage: its own mounts, processes, devices, network or none; commands run in it in order.

As a user the room is inside ``buildah unshare``, where the user's subordinate numbers are real ones. However
the build ends, also by SIGKILL, the room kills what runs in it and removes its container (see
builder/engine/room.py).
"""

from __future__ import annotations

import base64
import contextlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from builder.engine import frames
from builder.engine.command import Command, Finished, MachineRunner, Peer, Sink, judge
from builder.engine.failures import explain, translate
from builder.engine.redact import Lines, Redactor, spellings
from builder.errors import BuildError, MachineError

GRACE_SECONDS = 90.0
"""For a room to stop what runs and to clean up."""
_TOLD = 4096
"""Bytes at the end of errors in which the cause is looked for."""
_KEPT = 1 << 20
"""Bytes of each output that are kept of a command whose lines go elsewhere."""
_BOOT = "import sys; sys.path.append(sys.argv[1]); from builder.engine.room import main; main()"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomPlan:
    """What room is wanted.

    ``network`` False: the loopback alone, and the room says so itself before anything runs. ``processors`` 0:
    all. ``secrets`` are laid into memory at ``folder`` that only the room sees, and blotted out of every
    output. ``cleanup`` () or a command that is run at the end of the room. ``environment`` is added to that
    of everything which is run.
    """

    network: bool = False
    processors: int = 0
    folder: Path | None = None
    secrets: tuple[tuple[str, bytes], ...] = ()
    cleanup: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()


class Session:
    """An open room. It runs one command at a time; :meth:`abort` may be called by another thread."""

    def __init__(self, runner: MachineRunner, plan: RoomPlan, *, unshare: tuple[str, ...]) -> None:
        """Open the room; ``unshare``: the command that a user needs before it, () for root.

        MachineError when the machine refuses it.
        """
        self._runner = runner
        self._environment = {**runner.environment, **dict(plan.environment)}
        self._texts = spellings(value for _, value in plan.secrets)
        argv = (*unshare, sys.executable, "-I", "-S", "-c", _BOOT, _library())
        self._aborted = False
        self._peer: Peer = runner.converse(Command(argv=argv, description="a room for a build stage"))
        try:
            self._send(frames.SETUP, _setup(plan, self._environment))
            self._expect_ready(network=plan.network)
        except BaseException:
            self.close()
            raise

    def find(self, program: str) -> str | None:
        """Look along PATH: the room has the machine's programs."""
        return self._runner.find(program)

    def run(self, command: Command) -> Finished:
        """Run to the end. BuildError when the status is not a success."""
        return self.stream(command, None)

    def stream(self, command: Command, sink: Sink | None) -> Finished:
        """Run to the end, giving each line of both outputs to ``sink``; only their ends are kept then."""
        setup = {
            "argv": [self.find(command.argv[0]) or command.argv[0], *command.argv[1:]],
            "environment": {**self._environment, **dict(command.environment)},
            "timeout": command.timeout,
            "memory": command.memory,
        }
        self._send(frames.COMMAND, setup)
        self._send(frames.INPUT, command.stdin)
        outputs = {kind: _Output(self._texts, sink) for kind in (frames.OUTPUT, frames.ERRORS)}
        while True:
            kind, payload = self._receive()
            if kind == frames.ENDED:
                break
            outputs[kind].feed(payload)
        ended = json.loads(payload)
        stdout, stderr = (outputs[kind].finish() for kind in (frames.OUTPUT, frames.ERRORS))
        if ended["trouble"]:
            raise MachineError(f"{command.argv[0]} could not be started: {ended['trouble']}")
        if ended["late"]:
            raise LimitError(
                f"{command.description} did not finish within {command.timeout:g} s and was stopped"
            )
        if ended["hungry"]:
            raise LimitError(
                f"{command.description} used more than {command.memory >> 20} MiB of memory and was stopped"
            )
        finished = Finished(status=ended["status"], stdout=stdout, stderr=stderr)
        if finished.status not in command.success:
            known = translate(stderr[-_TOLD:].decode(errors="replace"), running=sink is not None)
            if known is not None:
                raise known
        return judge(command, finished)

    def abort(self) -> None:
        """Stop what runs; whoever waits for it gets an error."""
        self._aborted = True
        self._peer.hang_up()

    def close(self) -> None:
        """Close the room: everything in it ends, the clean-up is run."""
        self._peer.end(GRACE_SECONDS)
        self._peer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _send(self, kind: bytes, value: object) -> None:
        payload = value if isinstance(value, bytes) else json.dumps(value).encode()
        with contextlib.suppress(OSError, ValueError):  # it ended: the answer says why
            self._peer.send(frames.frame(kind, payload))

    def _receive(self) -> tuple[bytes, bytes]:
        kind, payload = frames.read_frame(self._peer.receive)
        if kind == frames.TROUBLE:
            trouble = json.loads(payload)
            raise explain(trouble["what"], trouble["errno"])
        if not kind:
            if self._aborted:
                raise BuildError("The build stage was interrupted")
            said = self._peer.errors()
            raise translate(said) or BuildError(
                "The room of a build stage ended before its time" + (f":\n{said}" if said else "")
            )
        return kind, payload

    def _expect_ready(self, *, network: bool) -> None:
        kind, payload = self._receive()
        if kind != frames.READY:
            raise BuildError("The room of a build stage gave an answer that makes no sense")
        interfaces = json.loads(payload)["interfaces"]
        if not network and interfaces != ["lo"]:
            raise MachineError(
                f"The network of a build stage could not be taken away: there is {', '.join(interfaces)}",
                hint="network = true in the stage allows it the machine's network",
            )


def attend(runner: MachineRunner, plan: RoomPlan, command: Command, *, unshare: tuple[str, ...]) -> int:
    """Run a command in a room on this terminal, for a person; its status. Secrets are not there."""
    setup = {**_setup(replace(plan, secrets=()), runner.environment), "attended": list(command.argv)}
    setup["environment"] = {**runner.environment, **dict(command.environment)}
    argv = (*unshare, sys.executable, "-I", "-S", "-c", _BOOT.replace("main", "attended"), _library())
    return runner.attach(Command(argv=(*argv, json.dumps(setup)), description=command.description))


def _library() -> str:
    return str(Path(__file__).resolve().parents[2])


class LimitError(BuildError):
    """A command took more time or memory than it was given."""


class _Output:
    """One output of a command: blotted, cut, given on, and its end kept."""

    def __init__(self, texts: tuple[bytes, ...], sink: Sink | None) -> None:
        self._redactor = Redactor(texts)
        self._lines = Lines()
        self._sink = sink
        self._kept = bytearray()

    def feed(self, piece: bytes) -> None:
        self._take(self._redactor.feed(piece))

    def finish(self) -> bytes:
        """Give the rest on; what was kept."""
        self._take(self._redactor.flush())
        if self._sink is not None:
            for line in self._lines.flush():
                self._sink(line)
        return bytes(self._kept)

    def _take(self, shown: bytes) -> None:
        self._kept += shown
        if self._sink is None:
            return
        del self._kept[: max(0, len(self._kept) - _KEPT)]
        for line in self._lines.feed(shown):
            self._sink(line)


def _setup(plan: RoomPlan, environment: Mapping[str, str]) -> dict[str, object]:
    return {
        "network": plan.network,
        "processors": plan.processors,
        "folder": str(plan.folder or ""),
        "files": {name: base64.b64encode(value).decode() for name, value in plan.secrets},
        "cleanup": list(plan.cleanup),
        "environment": dict(environment),
    }

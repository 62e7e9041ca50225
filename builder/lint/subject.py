"""What the checks of a Dockerfile look at, worked out once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from builder.lint.dockerfile import Dockerfile, Instruction, Stage
from builder.lint.model import Remark, Rule
from builder.lint.programs import Invocation, invocations, of_words


@dataclass(frozen=True, kw_only=True)
class Run:
    """One RUN with the programs it starts. ``caches`` are the folders of its cache mounts."""

    stage: Stage
    instruction: Instruction
    programs: tuple[Invocation, ...]
    caches: tuple[str, ...]

    def line(self, one: Invocation) -> int:
        """Where a program stands in the file."""
        return self.instruction.line + one.line

    def keeps(self, folder: str) -> bool:
        """Whether ``folder`` is a cache mount, so that what is left there is not in the image."""
        return any(folder == one or folder.startswith(f"{one.rstrip('/')}/") for one in self.caches)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A Dockerfile and its surroundings. ``has_ignore_file``: a .dockerignore lies beside it."""

    dockerfile: Dockerfile
    has_ignore_file: bool

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """Every RUN of every stage, in order."""
        return tuple(_run(stage, one) for stage in self.dockerfile.stages for one in stage.all_of("RUN"))

    @cached_property
    def image_stages(self) -> tuple[Stage, ...]:
        """The stages whose layers are in the image: the last one and those it starts from."""
        return self.dockerfile.lineage(self.dockerfile.final)

    def in_image(self, run: Run) -> bool:
        """Whether what the command leaves is in the image."""
        return run.stage in self.image_stages


Check = Callable[[Subject], Iterable[Remark]]


def _run(stage: Stage, one: Instruction) -> Run:
    if one.words is not None:
        programs = of_words(one.words)
    elif one.heredocs:
        programs = tuple(
            Invocation(
                words=found.words,
                line=found.line + 1,
                reads=found.reads,
                wrapped=found.wrapped,
                writes=found.writes,
            )
            for body in one.heredocs
            for found in invocations(body)
        )
    else:
        programs = invocations(one.text)
    mounts = (value.split(",") for name, value in one.flags if name == "mount")
    caches = tuple(
        word.partition("=")[2]
        for mount in mounts
        if "type=cache" in mount or "type=tmpfs" in mount
        for word in mount
        if word.startswith(("target=", "dst=", "destination="))
    )
    return Run(stage=stage, instruction=one, programs=programs, caches=caches)


def remark(rule: Rule, line: int, message: str, fix: str) -> Remark:
    """A remark, shortly."""
    return Remark(rule=rule, line=line, message=message, fix=fix)


def quoted(words: Iterable[str], most: int = 4) -> str:
    """Names for a sentence: the first few of them."""
    found = list(dict.fromkeys(words))
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + more


def each_program(subject: Subject, *names: str) -> Iterator[tuple[Run, Invocation]]:
    """Every start of one of the programs."""
    for run in subject.runs:
        for one in run.programs:
            if one.program in names:
                yield run, one

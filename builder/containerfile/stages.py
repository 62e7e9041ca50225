"""Build stages: their commands run as the recipe has them, on the same system, before the collecting."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter

from builder.containerfile import archives, images, systems
from builder.containerfile.context import Context, copy_line
from builder.containerfile.origins import Origin
from builder.containerfile.provision import At, Pin, Provision, Stage, no_form, taken_from
from builder.containerfile.quote import (
    exec_form,
    instruction_word,
    path_form,
    plain_part,
    shell_word,
    writable,
)
from builder.containerfile.script import Command, Run, comment, runs
from builder.containerfile.settings import pairs
from builder.plan.model import Entry
from builder.recipe.source_model import (
    ArchiveSource,
    DebianSource,
    ImageSource,
    Source,
    StageCopy,
    StageSource,
)
from builder.sources.stage.ignore import FILES, read_lines
from builder.sources.supply import SourceTree
from builder.sysroot import Kind

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_FILES = "/files"
_COPY_TIME = 946684800
"""Time of files that are copied into a stage (builder/sources/stage/run.py)."""
_WILD = frozenset("*?[\\!")


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What stages are written from. ``unpack``: the image with the tools."""

    sources: Mapping[str, Source]
    trees: Mapping[str, SourceTree]
    context: Context
    unpack: str
    pin: Pin
    at: At


def stage_name(source: str) -> str:
    """What the stage of a source is called in the Dockerfile."""
    return f"stage-{source.lower()}"


def provide_stages(stages: Sequence[StageSource], entries: Sequence[Entry], around: Around) -> Provision:
    """All stages, each after those that it needs, and copies of what entries have of them."""
    by_name = {one.name: one for one in stages}
    needed = {one.name: {one.start, *(copy.source for copy in one.copy)} & by_name.keys() for one in stages}
    written: list[Stage] = []
    origins: list[Origin] = []
    copies: list[tuple[str, ...]] = []
    uses_context = False
    for name in TopologicalSorter(needed).static_order():
        stage = by_name[name]
        written += _stages_of(stage, by_name, around)
        words = f"the stage {name}"
        used = taken_from(name, stage_name(name), around.trees[name].tree, entries, words)
        origins += used.origins
        copies += used.copies
        uses_context |= any(copy.context is not None for copy in stage.copy)
    return Provision(
        origins=tuple(origins), stages=tuple(written), copies=tuple(copies), context=uses_context
    )


def _stages_of(stage: StageSource, others: Mapping[str, StageSource], around: Around) -> Iterator[Stage]:
    if stage.secrets:
        message = "a Dockerfile that every builder understands has no secrets"
        raise no_form(around.at(("sources", stage.name, "secrets"), message))
    name = stage_name(stage.name)
    start, before = _start(stage, around)
    source = around.sources.get(stage.start)
    if isinstance(source, DebianSource):
        tree = around.trees[stage.name]
        yield systems.system_stage(name, tree.locked, tuple(tree.tree.packages.values()), around.unpack)
    files = [(number, copy) for number, copy in enumerate(stage.copy) if copy.context is not None]
    if files:
        yield _files_stage(stage, files, around)
    steps: list[tuple[str, ...] | Run] = [
        *before,
        *_settings(stage, others, image=stage.image is not None or isinstance(source, ImageSource)),
        *(_copy(stage, number, copy, around) for number, copy in enumerate(stage.copy)),
        *_commands(stage, others),
    ]
    yield Stage(
        title=comment(f"The stage {stage.name} of the recipe."), start=start, name=name, steps=tuple(steps)
    )


def _start(stage: StageSource, around: Around) -> tuple[str, tuple[tuple[str, ...] | Run, ...]]:
    """What FROM names, and the first instructions."""
    source = around.sources.get(stage.start)
    key = ("sources", stage.name, "from")
    if stage.image is not None:
        return images.pinned(stage.image, key, around.pin, around.at), ()
    match source:
        case None:
            return "scratch", ()
        case StageSource():
            return stage_name(source.name), ()
        case ImageSource():
            return images.pinned(source.ref, ("sources", source.name, "ref"), around.pin, around.at), ()
        case ArchiveSource():
            folder = f"{archives.TREE}{source.root.rstrip('/')}/"
            return "scratch", (
                (f"COPY --from={archives.stage_name(source.name)} {path_form([folder, '/'])}",),
            )
        case DebianSource():
            system = f"COPY --from={stage_name(stage.name)}-system {systems.SYSTEM}/ /"
            configure = Command(start=systems.CONFIGURE)
            return "scratch", (
                (system,),
                *runs("Its packages' own scripts, run in this stage only.", [configure]),
            )
        case _:
            message = "files of this machine are nothing that another builder could start from"
            raise no_form(around.at(key, message))


def _settings(
    stage: StageSource, others: Mapping[str, StageSource], *, image: bool
) -> Iterator[tuple[str, ...]]:
    usual = {"PATH": _PATH} if stage.user else {"PATH": _PATH, "HOME": "/root"}
    env = {**({} if image else usual), **dict(stage.env)}
    if env:
        yield pairs("ENV", env.items())
    if stage.user and stage.start in others:
        yield ("# hadolint ignore=DL3002", "USER root")  # files are laid as root
    yield (f"WORKDIR {instruction_word(stage.workdir)}",)


def _files_stage(stage: StageSource, files: Sequence[tuple[int, StageCopy]], around: Around) -> Stage:
    """Files of the build context with the modes and times that rootlet gives them, less what is ignored."""
    copies: list[tuple[str, ...]] = []
    commands: list[Command] = []
    for number, copy in files:
        assert copy.context is not None  # noqa: S101 (the caller chose)
        relative = around.context.relative(copy.context)
        is_folder = copy.context.is_dir()
        copies.append((copy_line(relative, f"{_FILES}/{number}", folder=is_folder),))
        place = f"{_FILES}/{number}/{relative}".rstrip("/")
        if is_folder:
            commands += _ignored(stage, number, copy, shell_word(place), around)
        else:  # under a name that no builder takes for a pattern
            commands.append(Command(start=f"mv {shell_word(place)} {_FILES}/{number}-file"))
    commands.append(Command(start=f"chmod -R u=rwX,go=rX {_FILES}"))
    commands.append(Command(start=f"find {_FILES} -exec touch -hd @{_COPY_TIME} {{}} +"))
    title = comment(f"What the stage {stage.name} gets of the build context.")
    name = f"{stage_name(stage.name)}-files"
    return Stage(title=title, start=around.unpack, name=name, steps=(*copies, *runs("", commands)))


def _ignored(
    stage: StageSource, number: int, copy: StageCopy, folder: str, around: Around
) -> Iterator[Command]:
    """Remove what the recipe or an ignore file leaves out and the builder does not know of."""
    key = ("sources", stage.name, "copy", number, "ignore")
    lines = list(copy.ignore)
    root = copy.context
    if (
        root is not None
        and root.resolve() != around.context.folder.resolve()
        and read_lines(root) is not None
    ):
        lines = [*(read_lines(root) or ()), *lines]
    elif (around.context.folder / FILES[0]).is_file():
        lines = [*(read_lines(around.context.folder) or ()), *lines]
    for line in lines:
        pattern = line.strip().strip("/")
        if not pattern or pattern.startswith("#"):
            continue
        yield Command(start=_removal(pattern, folder, key, around))


def _removal(pattern: str, folder: str, key: tuple[str | int, ...], around: Around) -> str:
    """The command that removes what a pattern of an ignore file means; RecipeError where none is simple."""
    head, _, tail = pattern.rpartition("/")
    if writable(pattern) and not _WILD.intersection(pattern):
        return f"rm -rf {folder}/{shell_word(pattern)}"
    if writable(pattern) and head in {"", "**"} and not {"\\", "!"}.intersection(tail) and "**" not in tail:
        depth = "" if head else " -maxdepth 1"
        name = shell_word(tail) if _WILD.isdisjoint(tail) else f"'{tail}'"
        return f"find {folder} -mindepth 1{depth} -name {name} -prune -exec rm -rf {{}} +"
    message = f"no common command removes what {pattern!r} leaves out: write it to .dockerignore"
    raise no_form(around.at(key, message))


def _copy(stage: StageSource, number: int, copy: StageCopy, around: Around) -> tuple[str, ...]:
    if copy.context is not None:
        name, path = f"{stage_name(stage.name)}-files", f"{_FILES}/{number}-file"
        own, folder = copy.context.name, copy.context.is_dir()
        path = f"{_FILES}/{number}/{around.context.relative(copy.context)}" if folder else path
    else:
        name, path, folder = _of_source(stage, number, copy, around)
        own = copy.path.rpartition("/")[2]
    if plain_part(path) != path:
        message = f"COPY takes {path!r} for a pattern, in one builder or another"
        raise no_form(around.at(("sources", stage.name, "copy", number, "src"), message))
    if folder:
        places = [f"{one.rstrip('/')}/" for one in (path, copy.dest)]
        return (f"COPY --from={name} {path_form(places)}",)
    to = f"{copy.dest.rstrip('/')}/{own}" if copy.into else copy.dest
    return (f"COPY --from={name} {path_form([path, to])}",)


def _of_source(stage: StageSource, number: int, copy: StageCopy, around: Around) -> tuple[str, str, bool]:
    source = around.sources[copy.source]
    found = around.trees[copy.source].tree.lookup(copy.path)
    folder = found.node is not None and found.node.kind is Kind.DIRECTORY
    match source:
        case StageSource():
            return stage_name(source.name), found.path, folder
        case ImageSource():
            start = images.pinned(source.ref, ("sources", source.name, "ref"), around.pin, around.at)
            return start, found.path, folder
        case ArchiveSource():
            path = f"{archives.TREE}{source.root.rstrip('/')}{found.path}"
            return archives.stage_name(source.name), path, folder
        case _:
            key = ("sources", stage.name, "copy", number, "from")
            raise no_form(around.at(key, f"other builders do not have the source {copy.source}"))


def _commands(stage: StageSource, others: Mapping[str, StageSource]) -> Iterator[tuple[str, ...]]:
    if stage.cache:
        folders = " ".join(map(shell_word, stage.cache))
        yield ("# hadolint ignore=DL3059", f"RUN mkdir -p {folders}")
    if stage.user:
        yield ("# hadolint ignore=DL3066", f"USER {instruction_word(stage.user)}")
    elif stage.start in others and others[stage.start].user:
        yield ("# hadolint ignore=DL3002", "USER root")
    for command in stage.run:
        yield ("# hadolint ignore=DL3059", f"RUN {_words(command)}")


def _words(command: str | tuple[str, ...]) -> str:
    if not isinstance(command, str):
        return exec_form(command)
    plain = command.strip()
    simple = writable(plain) and "<<" not in plain and not plain.startswith(("[", "-", "#"))
    return plain if simple and plain and not plain.endswith("\\") else exec_form(("/bin/sh", "-c", command))


def contexts(stages: Iterable[StageSource]) -> Iterator[tuple[StageSource, int, StageCopy]]:
    """Every copy of files of this machine."""
    for stage in stages:
        for number, copy in enumerate(stage.copy):
            if copy.context is not None:
                yield stage, number, copy

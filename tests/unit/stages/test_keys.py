"""What a stage is known by: everything that decides what it leaves, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from builder.errors import MachineError
from builder.lock import LockedPackage
from builder.recipe.source_model import StageSecret, StageSource
from builder.sources.stage.base import debian_base, scratch, tree_base
from builder.sources.stage.context import Context
from builder.sources.stage.run import Task
from builder.sources.stage.secrets import secret_values
from builder.sources.supply import SourceTree
from builder.sysroot import Sysroot

SOURCE = StageSource(name="a", start="scratch", folder=Path("/x"), run=("one", ("two", "2"), "three"))
TASK = Task(source=SOURCE, origin=scratch(), start="scratch", context=Context(nodes=(), key="c"))


def last(task: Task, epoch: int | None = None) -> str:
    return task.keys(epoch)[-1]


CHANGES = {
    "another base": replace(TASK, start="other"),
    "other files": replace(TASK, context=Context(nodes=(), key="d")),
    "another variable": replace(TASK, source=replace(SOURCE, env=(("A", "b"),))),
    "another folder": replace(TASK, source=replace(SOURCE, workdir="/w")),
    "another user": replace(TASK, source=replace(SOURCE, user="me")),
    "the network": replace(TASK, source=replace(SOURCE, network=True)),
    "a secret": replace(TASK, source=replace(SOURCE, secrets=(StageSecret(id="t"),))),
    "a persistent cache": replace(TASK, source=replace(SOURCE, cache=("/c",))),
    "another command": replace(TASK, source=replace(SOURCE, run=("one", ("two", "2"), "four"))),
    "a program in place of a shell's command": replace(
        TASK, source=replace(SOURCE, run=("one", "two 2", "three"))
    ),
    "arguments cut elsewhere": replace(TASK, source=replace(SOURCE, run=("one", ("two 2",), "three"))),
}
SAME = {
    "another name": replace(TASK, source=replace(SOURCE, name="b")),
    "another folder of the recipe": replace(TASK, source=replace(SOURCE, folder=Path("/y"))),
    "limits": replace(TASK, source=replace(SOURCE, memory=1 << 30, cpus=1, seconds=5.0)),
    "where a secret is": replace(TASK, wanted=True, recipe="r"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_what_changes_the_key(case: str) -> None:
    assert last(CHANGES[case]) != last(TASK)


@pytest.mark.parametrize("case", SAME)
def test_what_does_not(case: str) -> None:
    assert last(SAME[case]) == last(TASK)


def test_source_date_epoch_counts_where_it_is_set() -> None:
    assert len({last(TASK), last(TASK, 0), last(TASK, 1)}) == 3


def test_a_change_of_the_last_command_leaves_the_keys_before_it() -> None:
    changed = CHANGES["another command"].keys(None)
    assert changed[:3] == TASK.keys(None)[:3]
    assert len(set(changed)) == 4


def locked(name: str, sha256: str = "ab") -> LockedPackage:
    return LockedPackage(
        source="os",
        name=name,
        version="1",
        architecture="amd64",
        url="http://m/a",
        size=1,
        sha256=sha256,
        source_name=name,
        source_version="1",
        requested=True,
        wanted_by="recipe",
    )


def test_bases_are_known_by_what_they_hold() -> None:
    keys = [
        scratch().key,
        debian_base((locked("a"),)).key,
        debian_base((locked("a", "cd"),)).key,
        debian_base((locked("a"), locked("b"))).key,
        tree_base(SourceTree(name="n", tree=Sysroot(()), key="1")).key,
        tree_base(SourceTree(name="n", tree=Sysroot(()), key="2")).key,
    ]
    assert len(set(keys)) == len(keys)
    elsewhere = replace(locked("a"), url="http://other/a", source="here", wanted_by="x")
    assert debian_base((elsewhere,)).key == keys[1]


def test_a_stage_that_only_collects_files_runs_nothing() -> None:
    collecting = replace(TASK, source=replace(SOURCE, run=()))
    assert TASK.runs_programs
    assert not collecting.runs_programs
    assert replace(collecting, origin=debian_base((locked("a"),))).runs_programs


def test_values_of_secrets(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"from file\n")
    secrets = (
        StageSecret(id="plain"),
        StageSecret(id="named", env="TOKEN"),
        StageSecret(id="filed", file=tmp_path / "key"),
        StageSecret(id="told"),
    )
    given = {"told": StageSecret(id="told", file=tmp_path / "key"), "plain": StageSecret(id="plain", env="P")}
    values = secret_values(secrets, given, {"P": "p", "plain": "no", "TOKEN": "t"})
    assert dict(values) == {"plain": b"p", "named": b"t", "filed": b"from file\n", "told": b"from file\n"}
    assert secret_values((StageSecret(id="plain"),), {}, {"plain": "yes"}) == (("plain", b"yes"),)


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        (StageSecret(id="t"), "The secret t of a stage has no value"),
        (StageSecret(id="t", env="TOKEN"), "The secret t of a stage has no value"),
        (StageSecret(id="t", file=Path("/nowhere/at/all")), "cannot be read from /nowhere/at/all"),
        (StageSecret(id="t", file=Path("/dev/zero")), "longer than 1 MiB"),
    ],
    ids=["no word of it", "no such variable", "no such file", "a file without end"],
)
def test_a_secret_without_a_value(secret: StageSecret, words: str) -> None:
    with pytest.raises(MachineError, match=words) as caught:
        secret_values((secret,), {}, {})
    assert secret.file == Path("/dev/zero") or "--secret t=file:PATH" in str(caught.value.hint)

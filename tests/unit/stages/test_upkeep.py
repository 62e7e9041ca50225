"""What stages keep goes when nobody uses it, and only then."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from builder.engine.buildah import Engine, Store
from builder.engine.command import Command, Finished
from builder.errors import BuildError, MachineError
from builder.files import write_checked
from builder.sources.stage.journal import container_name
from builder.sources.stage.upkeep import mark_used, remove_abandoned, remove_everything, sweep_unused


class Machine:
    """A buildah with these containers; ``stuck`` ones cannot be removed."""

    def __init__(self, *containers: str, stuck: tuple[str, ...] = ()) -> None:
        self.containers = list(containers)
        self.stuck = stuck
        self.removed_images: list[str] = []

    def find(self, program: str) -> str | None:
        return f"/usr/bin/{program}"

    def run(self, command: Command) -> Finished:
        words = command.argv
        if "rm" in words:
            name = words[-1]
            if name not in self.containers or name in self.stuck:
                raise BuildError("buildah rm failed")
            self.containers.remove(name)
        elif "rmi" in words:
            self.removed_images.append(words[-1])
        listed = [{"containername": name} for name in self.containers]
        return Finished(status=0, stdout=json.dumps(listed or None).encode(), stderr=b"")


def engine(folder: Path) -> Engine:
    store = Store(program="b", root=folder / "storage", run=folder / "run", scratch=folder / "scratch")
    return Engine(store=store, version=(1, 28))


def left_behind(folder: Path) -> str:
    with pytest.raises(RuntimeError), container_name(folder / "rooms") as name:
        raise RuntimeError
    (folder / "scratch" / f"{name}.secrets").mkdir(parents=True)
    return name


def test_containers_of_dead_processes_go_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    gone, without = left_behind(tmp_path), left_behind(tmp_path)
    stuck = left_behind(tmp_path)
    with container_name(tmp_path / "rooms") as living:
        machine = Machine(gone, living, stuck, stuck=(stuck,))
        remove_abandoned(tmp_path, engine(tmp_path), machine)
        assert machine.containers == [living, stuck]
        assert {path.stem for path in (tmp_path / "rooms").iterdir()} == {living, stuck}
    assert not (tmp_path / "scratch" / f"{without}.secrets").exists()


def test_what_nobody_used_for_a_month_goes(tmp_path: Path) -> None:
    for shelf, name in (
        ("images", "old.json"),
        ("images", "new.json"),
        ("packs", "old.pack"),
        ("packs", "p.pack"),
    ):
        write_checked(tmp_path / shelf / name, json.dumps({"image": name}).encode())
    (tmp_path / "caches" / "kept").mkdir(parents=True)
    old = time.time() - 40 * 86400
    for path in tmp_path.rglob("*"):
        if path.is_file():
            os.utime(path, (old, old))
    mark_used([tmp_path / "images" / "new.json", tmp_path / "packs" / "p.pack", tmp_path / "nothing"])
    machine = Machine()
    sweep_unused(tmp_path, engine(tmp_path), machine)
    assert machine.removed_images == ["old.json"]
    left = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"new.json", "p.pack", "swept"}
    assert (tmp_path / "caches" / "kept").is_dir()
    os.utime(tmp_path / "packs" / "p.pack", (old, old))
    sweep_unused(tmp_path, engine(tmp_path), machine)  # once a day is enough
    assert (tmp_path / "packs" / "p.pack").exists()


def test_everything_goes_unless_somebody_works(tmp_path: Path) -> None:
    folder = tmp_path / "stages" / str(os.geteuid())
    (folder / "storage" / "closed").mkdir(parents=True)
    (folder / "storage" / "closed").chmod(0)
    with container_name(folder / "rooms"), pytest.raises(MachineError, match=r"are being run \(1 of them\)"):
        remove_everything(tmp_path, Machine())
    remove_everything(tmp_path, Machine())
    assert not (tmp_path / "stages").exists()
    remove_everything(tmp_path, Machine())

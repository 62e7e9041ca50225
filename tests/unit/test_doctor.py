"""What the doctor says of a machine, by the machine's files and programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder import doctor
from builder.doctor import Person, Row, all_needed
from builder.engine.command import Command, Finished
from builder.errors import BuildError

ME = Person(uid=1000, name="me")


class Machine:
    """Programs by name → path; every run fails with ``failure`` where there is one."""

    def __init__(self, programs: dict[str, Path], failure: str = "") -> None:
        self.programs = programs
        self.failure = failure

    def find(self, program: str) -> str | None:
        return str(self.programs[program]) if program in self.programs else None

    def run(self, command: Command) -> Finished:
        if self.failure:
            raise BuildError(f"{command.description} failed with status 1:\n{self.failure}")
        return Finished(status=0, stdout=b"", stderr=b"")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine on which a user can build stages, as far as files tell."""
    programs = {}
    for name in ("buildah", "newuidmap", "newgidmap"):
        programs[name] = tmp_path / name
        programs[name].touch()
        programs[name].chmod(0o4755)
    files = (tmp_path / "subuid", tmp_path / "subgid")
    for file in files:
        file.write_text("other:1:2\nme:100000:65536\n")
    monkeypatch.setattr(doctor, "_SUBORDINATE", files)
    return Machine(programs)


def obstacle(machine: Machine, person: Person = ME) -> str:
    row = doctor._obstacle(machine, person)
    assert row is None or (row.needed and row.hint)
    return "" if row is None else row.detail


def test_a_machine_that_has_everything(machine: Machine) -> None:
    assert obstacle(machine) == ""


def test_without_buildah(machine: Machine) -> None:
    del machine.programs["buildah"]
    assert obstacle(machine) == "buildah is not installed"
    assert obstacle(machine, Person(uid=0, name="root")) == "buildah is not installed"


def test_without_newgidmap(machine: Machine) -> None:
    del machine.programs["newgidmap"]
    assert obstacle(machine) == "newuidmap is not installed, and build stages of users need it"
    assert obstacle(machine, Person(uid=0, name="root")) == ""


def test_a_newuidmap_that_is_not_setuid(machine: Machine) -> None:
    machine.programs["newuidmap"].chmod(0o755)
    assert obstacle(machine) == "newuidmap could not map this user's subordinate numbers"


@pytest.mark.parametrize(
    "text",
    ["", "other:100000:65536\n", "me:100000:0\n", "\n:\n"],
    ids=["none", "others'", "empty", "damaged"],
)
def test_without_subordinate_numbers(machine: Machine, tmp_path: Path, text: str) -> None:
    (tmp_path / "subgid").write_text(text)
    assert obstacle(machine) == "This user has no subordinate user numbers, and build stages need them"


def test_numbers_may_stand_by_the_users_number(machine: Machine, tmp_path: Path) -> None:
    for name in ("subuid", "subgid"):
        (tmp_path / name).write_text("1000:100000:65536\n")
    assert obstacle(machine) == ""


def test_a_kernel_that_refuses_namespaces() -> None:
    row = doctor._tests_row(Machine({}, "PermissionError: [Errno 1] Operation not permitted: 'unshare'"))
    assert (row.works, row.needed) == (False, True)
    assert row.detail == "PermissionError: [Errno 1] Operation not permitted: 'unshare'"
    assert "--no-test" not in row.hint
    assert row.hint
    assert doctor._tests_row(Machine({})).works


def test_storage_and_registries(tmp_path: Path) -> None:
    assert not doctor._storage_row(Machine({})).works
    assert doctor._storage_row(Machine({"skopeo": tmp_path / "skopeo"})).detail == f"by {tmp_path}/skopeo"
    auth = tmp_path / "auth.json"
    assert doctor._push_row((auth,)).detail == "without credentials: images that anybody may read"
    auth.write_text("{}")
    assert doctor._push_row((auth,)).detail == f"credentials in {auth}"


def test_only_what_is_needed_decides() -> None:
    rows = [Row(name="a", works=True, detail=""), Row(name="b", works=False, detail="", needed=False)]
    assert all_needed(rows)
    assert not all_needed([*rows, Row(name="c", works=False, detail="")])

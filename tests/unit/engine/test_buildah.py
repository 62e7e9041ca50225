"""buildah's commands as values, and what is looked up of it once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from builder.engine import buildah
from builder.engine.buildah import Engine, Run, Store
from builder.engine.command import Command, Finished
from builder.engine.lookup import Wish, as_json, choose_driver, look_up, read_version
from builder.errors import BuildError, MachineError, RootletError

STORE = Store(program="/b/buildah", root=Path("/c/storage"), run=Path("/c/run"), scratch=Path("/c/scratch"))
FRONT = "/b/buildah --root /c/storage --runroot /c/run --storage-driver overlay"
ENGINE = Engine(store=STORE, version=(1, 28))
OLD = Engine(store=STORE, version=(1, 23))
FUSE = Engine(
    store=Store(
        program="b",
        root=Path("/r"),
        run=Path("/n"),
        scratch=Path("/s"),
        mount_program="/usr/bin/fuse-overlayfs",
    ),
    version=(1, 40),
    isolation="oci",
)

COMMANDS = {
    "a container of a stored image": (
        buildah.from_image(ENGINE, "abc", "rootlet-1"),
        (
            f"{FRONT} from --quiet --name=rootlet-1 --signature-policy /c/policy.json --isolation=chroot "
            "--network=host --format=oci abc"
        ),
    ),
    "a command with a volume": (
        buildah.run(
            ENGINE,
            "x",
            Run(argv=("/bin/a", "-b"), user="7", env=(("A", "b c"),), volumes=(("/o", "/i", "ro"),)),
        ),
        (
            f"{FRONT} run --isolation=chroot --network=host --hostname=rootlet --user=7 --workingdir=/ "
            "--env=A=b c --volume=/o:/i:ro --terminal=false -- x /bin/a -b"
        ),
    ),
    "a shell for a person": (
        buildah.run(ENGINE, "x", Run(argv=("/bin/sh",), workdir="", terminal=True)),
        f"{FRONT} run --isolation=chroot --network=host --hostname=rootlet --terminal -- x /bin/sh",
    ),
    "another isolation and mount program": (
        buildah.run(FUSE, "x", Run(argv=("a",))),
        (
            "b --root /r --runroot /n --storage-driver overlay "
            "--storage-opt overlay.mount_program=/usr/bin/fuse-overlayfs run --isolation=oci --network=host "
            "--hostname=rootlet --workingdir=/ --terminal=false -- x a"
        ),
    ),
    "a commit": (
        buildah.commit(ENGINE, "x"),
        (
            f"{FRONT} commit --quiet --format=oci --timestamp=0 --disable-compression --signature-policy "
            "/c/policy.json --identity-label=false --omit-history x"
        ),
    ),
    "a commit by a version that knows fewer options": (
        buildah.commit(OLD, "x"),
        (
            f"{FRONT} commit --quiet --format=oci --timestamp=0 --disable-compression --signature-policy "
            "/c/policy.json x"
        ),
    ),
    "mounting": (buildah.mount(ENGINE, "x"), f"{FRONT} mount x"),
    "unmounting": (buildah.unmount(ENGINE, "x"), f"{FRONT} umount x"),
    "removing containers": (buildah.remove(ENGINE, "x", "y"), f"{FRONT} rm x y"),
    "removing images": (buildah.remove_images(ENGINE, "1", "2"), f"{FRONT} rmi --force 1 2"),
    "listing containers": (buildah.containers(ENGINE), f"{FRONT} containers --noheading --json"),
    "asking for the machine": (buildah.info(STORE), f"{FRONT} info"),
    "asking for the version": (buildah.version("/b/buildah"), "/b/buildah version"),
    "a user's namespace": (buildah.unshare("/b/buildah", "rm", "-r"), "/b/buildah unshare rm -r"),
}


@pytest.mark.parametrize("case", COMMANDS)
def test_commands(case: str) -> None:
    command, words = COMMANDS[case]
    assert " ".join(command.argv) == words


def test_work_files_of_buildah_stay_in_the_private_folder() -> None:
    assert ("TMPDIR", "/c/scratch") in buildah.commit(ENGINE, "x").environment


class Machine:
    """A runner that knows buildah; ``drivers`` maps a driver to what its info says, or to its failure."""

    def __init__(
        self, version: str, drivers: dict[str, str | None], programs: tuple[str, ...] = ("buildah",)
    ) -> None:
        self.version = version
        self.drivers = drivers
        self.programs = programs
        self.ran: list[Command] = []

    def find(self, program: str) -> str | None:
        return f"/usr/bin/{program}" if program in self.programs else None

    def run(self, command: Command) -> Finished:
        self.ran.append(command)
        if command.argv[-1] == "version":
            return Finished(
                status=0, stdout=f"Version:  {self.version}\nGo Version: go1\n".encode(), stderr=b""
            )
        driver = command.argv[command.argv.index("--storage-driver") + 1]
        key = "fuse" if "--storage-opt" in command.argv else driver
        failure = self.drivers.get(key, "driver not supported")
        if failure is not None:
            raise BuildError(f"buildah info failed with status 125:\n{failure}")
        return Finished(
            status=0, stdout=json.dumps({"store": {"GraphDriverName": driver}}).encode(), stderr=b""
        )


OVERLAY_REFUSED = "kernel does not support overlay fs: 'overlay' is not supported over tmpfs"
DRIVERS = {
    "the kernel's overlay": (Machine("1.28.2", {"overlay": None}), ("overlay", "")),
    "fuse-overlayfs where the kernel refuses": (
        Machine("1.28.2", {"overlay": OVERLAY_REFUSED, "fuse": None}, ("buildah", "fuse-overlayfs")),
        ("overlay", "/usr/bin/fuse-overlayfs"),
    ),
    "copies where nothing else works": (
        Machine("1.28.2", {"overlay": OVERLAY_REFUSED, "vfs": None}),
        ("vfs", ""),
    ),
    "copies where fuse-overlayfs does not work either": (
        Machine(
            "1.28.2",
            {
                "overlay": OVERLAY_REFUSED,
                "fuse": "fuse: failed to open /dev/fuse: Permission denied",
                "vfs": None,
            },
            ("buildah", "fuse-overlayfs"),
        ),
        ("vfs", ""),
    ),
}


@pytest.mark.parametrize("case", DRIVERS)
def test_the_best_driver_that_works(case: str, tmp_path: Path) -> None:
    machine, expected = DRIVERS[case]
    engine = look_up(machine, Wish(folder=tmp_path, root=True))
    assert (engine.store.driver, engine.store.mount_program) == expected
    assert engine.version == (1, 28)
    assert engine.unshare == ()
    assert "insecureAcceptAnything" in engine.store.policy.read_text()
    assert as_json(engine)["version"] == "1.28"


def test_what_was_looked_up_is_kept_until_something_changes(tmp_path: Path) -> None:
    machine = Machine("1.28.2", {"overlay": None})
    first = look_up(machine, Wish(folder=tmp_path))
    asked = len(machine.ran)
    assert look_up(machine, Wish(folder=tmp_path)) == first
    assert first.unshare == ("/usr/bin/buildah", "unshare")
    assert len(machine.ran) == asked
    machine.programs = ("buildah", "fuse-overlayfs")
    look_up(machine, Wish(folder=tmp_path))
    assert len(machine.ran) > asked


def test_a_storage_keeps_its_driver(tmp_path: Path) -> None:
    (tmp_path / "storage" / "vfs-images").mkdir(parents=True)
    store = Store(program="b", root=tmp_path / "storage", run=tmp_path, scratch=tmp_path)
    chosen = choose_driver(Machine("1.30", {"overlay": None, "vfs": None}), store)
    assert chosen.driver == "vfs"


REFUSALS = {
    "no buildah": (
        Machine("", {}, ()),
        Wish(folder=Path()),
        "Build stages need buildah, and it is not installed",
    ),
    "an isolation that nobody knows": (
        Machine("1.28", {"overlay": None}),
        Wish(folder=Path(), isolation="docker"),
        "BUILDAH_ISOLATION is 'docker', which is no isolation",
    ),
    "a version that is too old": (
        Machine("1.22.3", {"overlay": None}),
        Wish(folder=Path()),
        "buildah 1.22 is too old for build stages",
    ),
    "no subordinate numbers": (
        Machine("1.28", {"overlay": 'no subuid ranges found for user "me" in /etc/subuid'}),
        Wish(folder=Path()),
        "This user has no subordinate user numbers, and build stages need them",
    ),
    "a full disk": (
        Machine("1.28", {"overlay": "mkdir x: no space left on device"}),
        Wish(folder=Path()),
        "The disk is full",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_the_machine_lacks_is_said(case: str, tmp_path: Path) -> None:
    machine, wish, message = REFUSALS[case]
    with pytest.raises(MachineError) as caught:
        look_up(machine, Wish(folder=tmp_path, isolation=wish.isolation))
    assert caught.value.message == message
    assert caught.value.hint


def test_a_program_that_says_no_version() -> None:
    with pytest.raises(RootletError, match="says no version"):
        read_version(Machine("", {}), "b")

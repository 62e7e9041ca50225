"""buildah as pure constructors of commands: what is run is known, and compared in tests, before it runs.

Everything happens in a private storage (:class:`Store`), so that nothing of the user's own containers is
touched and cleaning up can never remove too much. Versions 1.23 and later; what differs is in ``Engine``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from builder.engine.command import Command

Version = tuple[int, int]
"""Major and minor number."""

OLDEST: Version = (1, 23)
_IDENTITY_LABEL: Version = (1, 26)
_OMIT_HISTORY: Version = (1, 27)
_LONG = 3600.0
"""Seconds for work of buildah itself: big images on slow disks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """A private storage of images and containers: ``root`` lasts, ``run`` and ``scratch`` need not.

    ``mount_program`` is that of the overlay driver, "" for the kernel's own.
    """

    program: str
    root: Path
    run: Path
    scratch: Path
    driver: str = "overlay"
    mount_program: str = ""

    @property
    def policy(self) -> Path:
        """The signature policy file: what is imported was verified by digest before."""
        return self.root.parent / "policy.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What is known of buildah here, looked up once. ``isolation``: "chroot", "oci" or "rootless".

    ``unshare`` is the command that a user needs to work with the storage, () for root.
    """

    store: Store
    version: Version
    isolation: str = "chroot"
    unshare: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What commands may use; 0 for what there is. ``memory``: bytes of all their processes together."""

    memory: int = 0
    processors: int = 0


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A command for a container. ``volumes`` are (path on the machine, path inside, options)."""

    argv: tuple[str, ...]
    user: str = ""
    workdir: str = "/"
    volumes: tuple[tuple[str, str, str], ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    seconds: float = _LONG
    terminal: bool = False


def version(program: str) -> Command:
    """Ask for the version, in words."""
    return Command(argv=(program, "version"), description="buildah version", timeout=60)


def info(store: Store) -> Command:
    """Ask for what buildah knows of the machine and the storage, as JSON. Makes the storage."""
    return _buildah(store, "info", description="buildah info", timeout=120)


def unshare(program: str, *argv: str) -> Command:
    """Run a program with this user's subordinate numbers."""
    return Command(argv=(program, "unshare", *argv), description=f"buildah unshare {argv[0]}")


def from_image(engine: Engine, image: str, name: str) -> Command:
    """Make the working container ``name`` of an image that is stored already, or of "scratch"."""
    words = ["from", "--quiet", f"--name={name}", "--signature-policy", str(engine.store.policy)]
    words += [f"--isolation={engine.isolation}", "--network=host", "--format=oci"]
    return _buildah(engine.store, *words, image, description="buildah from")


def run(engine: Engine, container: str, command: Run) -> Command:
    """Run a command in a container; its network is that of the room in which buildah is started."""
    words = ["run", f"--isolation={engine.isolation}", "--network=host", "--hostname=rootlet"]
    words += [f"--user={command.user}"] if command.user else []
    words += [f"--workingdir={command.workdir}"] if command.workdir else []
    words += [f"--env={name}={value}" for name, value in command.env]
    words += [f"--volume={outside}:{inside}:{options}" for outside, inside, options in command.volumes]
    words += ["--terminal"] if command.terminal else ["--terminal=false"]
    return _buildah(
        engine.store,
        *words,
        "--",
        container,
        *command.argv,
        description=f"the command {command.argv[0]}",
        timeout=command.seconds,
    )


def mount(engine: Engine, container: str) -> Command:
    """Mount a container's files; the output is the folder."""
    return _buildah(engine.store, "mount", container, description="buildah mount")


def unmount(engine: Engine, container: str) -> Command:
    """Take a container's files out of the file system."""
    return _buildah(engine.store, "umount", container, description="buildah umount")


def commit(engine: Engine, container: str) -> Command:
    """Keep what a container holds as an image without a name; the output ends with its ID."""
    words = ["commit", "--quiet", "--format=oci", "--timestamp=0", "--disable-compression"]
    words += ["--signature-policy", str(engine.store.policy)]
    words += ["--identity-label=false"] if engine.version >= _IDENTITY_LABEL else []
    words += ["--omit-history"] if engine.version >= _OMIT_HISTORY else []
    return _buildah(engine.store, *words, container, description="buildah commit")


def remove(engine: Engine, *containers: str) -> Command:
    """Remove containers by name; their mounts too."""
    return _buildah(engine.store, "rm", *containers, description="buildah rm")


def containers(engine: Engine) -> Command:
    """List the working containers, as JSON."""
    return _buildah(engine.store, "containers", "--noheading", "--json", description="buildah containers")


def remove_images(engine: Engine, *identifiers: str) -> Command:
    """Remove images by exact ID: never by a pattern, never those that nobody names."""
    return _buildah(engine.store, "rmi", "--force", *identifiers, description="buildah rmi")


def _buildah(store: Store, *words: str, description: str, timeout: float = _LONG) -> Command:
    options = ["--root", str(store.root), "--runroot", str(store.run), "--storage-driver", store.driver]
    if store.mount_program:
        options += ["--storage-opt", f"overlay.mount_program={store.mount_program}"]
    return Command(
        argv=(store.program, *options, *words),
        description=description,
        environment=(("TMPDIR", str(store.scratch)), ("BUILDAH_HISTORY", "false")),
        timeout=timeout,
    )

"""Whether programs of a platform can run on this machine at all, before anything is fetched or built."""

from __future__ import annotations

from pathlib import Path

from builder.errors import MachineError
from builder.oci import Platform

BINFMT = Path("/proc/sys/fs/binfmt_misc")
_RUNS_TOO = {"amd64": ("386",), "arm64": ("arm",)}
"""What the kernel of an architecture runs besides its own programs."""
_QEMU = {
    "386": "i386",
    "amd64": "x86_64",
    "arm64": "aarch64",
    "loong64": "loongarch64",
    "mips64le": "mips64el",
}


def runs_here(platform: Platform, native: Platform, *, binfmt: Path = BINFMT) -> bool:
    """Say whether the kernel runs programs of ``platform``: itself, or through a registered QEMU.

    The QEMU must be registered with the flag F (fixed): inside the image there is none.
    """
    here = native.architecture
    if platform.architecture in (here, *_RUNS_TOO.get(here, ())):
        return True
    name = _QEMU.get(platform.architecture, platform.architecture)
    try:
        lines = (binfmt / f"qemu-{name}").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return False
    flags = next((line.partition(":")[2] for line in lines if line.startswith("flags:")), "")
    return "enabled" in lines and "F" in flags


def check_runs_here(name: str, platform: Platform, native: Platform, *, binfmt: Path = BINFMT) -> None:
    """MachineError when the tests of ``name`` for ``platform`` cannot run on this machine."""
    if not runs_here(platform, native, binfmt=binfmt):
        qemu = _QEMU.get(platform.architecture, platform.architecture)
        raise MachineError(
            f"The tests of {name} for {platform} cannot run on this machine, which is {native}",
            hint=f"register an emulator that is fixed in memory (binfmt_misc, qemu-{qemu}, flag F; on Debian "
            "apt install qemu-user-static), test on such a machine, or build it untested with --no-test",
        )

"""Which dynamic loader a process has, and what that loader carries in itself: default folders and $LIB."""

from __future__ import annotations

import enum
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

from builder.elf.object import (
    EF_ARM_ABI_FLOAT_SOFT,
    EM_386,
    EM_AARCH64,
    EM_ARM,
    EM_LOONGARCH,
    EM_MIPS,
    EM_PPC64,
    EM_RISCV,
    EM_S390,
    EM_X86_64,
    ElfObject,
)
from builder.elf.tokens import folder_of
from builder.errors import BuildError
from builder.sysroot import Kind, Node, Sysroot, read_content

_MAX_LOADER = 8 << 20
_MAX_PATH_FILE = 1 << 16
_MAX_FOLDER = 128
_MAX_ENDS = 4096
"""Strings looked at in a loader. Real ones have some ten that end with a slash."""


class Flavour(enum.Enum):
    """Whose rules a loader follows."""

    GLIBC = "glibc"
    MUSL = "musl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What is fixed for one machine and class, where the sysroot does not say: a row of the table below."""

    glibc: str
    musl: str
    triplet: str
    platform: str
    hwcaps: tuple[str, ...] = ()
    """Sub-folders of glibc-hwcaps, the most demanding first."""


_X86_HWCAPS = ("x86-64-v4", "x86-64-v3", "x86-64-v2")
_POWER_HWCAPS = ("power11", "power10", "power9")
_S390_HWCAPS = ("z17", "z16", "z15", "z14", "z13")


def _row(glibc: str, musl: str, triplet: str, platform: str, hwcaps: tuple[str, ...] = ()) -> Machine:
    return Machine(
        glibc=glibc,
        musl=f"/lib/ld-musl-{musl}.so.1",
        triplet=triplet,
        platform=platform,
        hwcaps=hwcaps,
    )


_MACHINES: dict[tuple[int, int, bool], Machine] = {
    (EM_X86_64, 64, True): _row(
        "/lib64/ld-linux-x86-64.so.2", "x86_64", "x86_64-linux-gnu", "x86_64", _X86_HWCAPS
    ),
    (EM_X86_64, 32, True): _row("/libx32/ld-linux-x32.so.2", "x32", "x86_64-linux-gnux32", "x86_64"),
    (EM_386, 32, True): _row("/lib/ld-linux.so.2", "i386", "i386-linux-gnu", "i686"),
    (EM_AARCH64, 64, True): _row("/lib/ld-linux-aarch64.so.1", "aarch64", "aarch64-linux-gnu", "aarch64"),
    (EM_ARM, 32, True): _row("/lib/ld-linux-armhf.so.3", "armhf", "arm-linux-gnueabihf", "v7l"),
    (EM_PPC64, 64, True): _row(
        "/lib64/ld64.so.2", "powerpc64le", "powerpc64le-linux-gnu", "power8", _POWER_HWCAPS
    ),
    (EM_PPC64, 64, False): _row("/lib64/ld64.so.1", "powerpc64", "powerpc64-linux-gnu", "ppc64"),
    (EM_S390, 64, False): _row("/lib/ld64.so.1", "s390x", "s390x-linux-gnu", "z900", _S390_HWCAPS),
    (EM_RISCV, 64, True): _row("/lib/ld-linux-riscv64-lp64d.so.1", "riscv64", "riscv64-linux-gnu", "riscv64"),
    (EM_MIPS, 64, True): _row("/lib64/ld.so.1", "mips64el", "mips64el-linux-gnuabi64", "mips64"),
    (EM_MIPS, 32, True): _row("/lib/ld.so.1", "mipsel", "mipsel-linux-gnu", "mips"),
    (EM_LOONGARCH, 64, True): _row(
        "/lib64/ld-linux-loongarch-lp64d.so.1", "loongarch64", "loongarch64-linux-gnu", "loongarch"
    ),
}
_ARM_SOFT = _row("/lib/ld-linux.so.3", "arm", "arm-linux-gnueabi", "v5l")
_UNKNOWN = _row("", "unknown", "unknown", "unknown")


def machine_of(elf: ElfObject) -> Machine:
    """Give the row for an object's machine, class and byte order; without a loader if unknown."""
    if elf.machine == EM_ARM and elf.flags & EF_ARM_ABI_FLOAT_SOFT:
        return _ARM_SOFT
    return _MACHINES.get(elf.target, _UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loader:
    """The loader of a process. ``name`` is the path by which a program asks for it.

    ``node`` is None where the sysroot has no such file; ``links`` are the symbolic links crossed to it.
    ``folders`` are searched last of all, in order; ``lib`` is what $LIB stands for.
    """

    flavour: Flavour
    name: str
    path: str
    node: Node | None
    links: tuple[Node, ...]
    folders: tuple[str, ...]
    lib: str
    platform: str
    hwcaps: tuple[str, ...]


def loader_of(elf: ElfObject, sysroot: Sysroot) -> Loader:
    """Find the loader that ``elf`` names, or for a shared object without one, that of its machine.

    Raises BuildError when the loader's bytes cannot be read.
    """
    machine = machine_of(elf)
    name = elf.interpreter if elf.interpreter is not None else _guess(elf, machine)
    found = sysroot.lookup(name) if name else None
    node = (
        found.node if found is not None and found.node is not None and found.node.kind is Kind.FILE else None
    )
    flavour = Flavour.MUSL if _is_musl(name) else Flavour.GLIBC
    if flavour is Flavour.MUSL:
        folders = _musl_folders(name, sysroot)
    else:
        folders = _glibc_folders(node) or _default_folders(elf, machine)
    return Loader(
        flavour=flavour,
        name=name,
        path=found.path if found is not None else "",
        node=node,
        links=found.links if found is not None else (),
        folders=folders,
        lib=folders[0].strip("/") if folders else "lib",
        platform=machine.platform,
        hwcaps=machine.hwcaps,
    )


def _is_musl(name: str) -> bool:
    return name.rpartition("/")[2].startswith("ld-musl-")


def _guess(elf: ElfObject, machine: Machine) -> str:
    musl = any(needed == "libc.so" or needed.startswith("libc.musl-") for needed in elf.needed)
    return machine.musl if musl else machine.glibc


def _default_folders(elf: ElfObject, machine: Machine) -> tuple[str, ...]:
    wide = ("/lib64", "/usr/lib64") if elf.elf_class == 64 else ()  # noqa: PLR2004 (the class)
    return (f"/lib/{machine.triplet}", f"/usr/lib/{machine.triplet}", *wide, "/lib", "/usr/lib")


def _glibc_folders(node: Node | None) -> tuple[str, ...]:
    # glibc keeps its default folders as a run of NUL-ended strings, each with a slash at its end.
    text = b"" if node is None else _head(node, _MAX_LOADER)
    runs: list[list[str]] = [[]]
    expected = 0
    for start, folder in _slashed(text):
        if start != expected:
            runs.append([])
        runs[-1].append(folder.rstrip("/"))
        expected = start + len(folder) + 1
    longest = max(runs, key=len)
    return tuple(dict.fromkeys(longest))


def _slashed(text: bytes) -> Iterator[tuple[int, str]]:
    """Give where each string "/…lib…/" of ``text`` starts, and the string."""
    end = -1
    for _ in range(_MAX_ENDS):
        end = text.find(b"/\0", end + 1)
        if end < 0:
            return
        start = text.rfind(b"\0", max(0, end - _MAX_FOLDER), end) + 1
        folder = text[start : end + 1]
        if start and folder.startswith(b"/") and b"lib" in folder and folder.isascii():
            yield start, folder.decode("ascii")


def _musl_folders(name: str, sysroot: Sysroot) -> tuple[str, ...]:
    # /PREFIX/lib/ld-musl-ARCH.so.1 reads /PREFIX/etc/ld-musl-ARCH.path.
    prefix = folder_of(folder_of(name)).rstrip("/")
    arch = name.rpartition("/")[2].removeprefix("ld-musl-").removesuffix(".so.1")
    found = sysroot.lookup(f"{prefix}/etc/ld-musl-{arch}.path")
    if found.node is None or found.node.content is None:
        return ("/lib", "/usr/local/lib", "/usr/lib")
    text = _head(found.node, _MAX_PATH_FILE).decode("utf-8", "surrogateescape")
    return tuple(folder.rstrip("/") or "/" for folder in re.split("[:\n]", text) if folder.startswith("/"))


def _head(node: Node, size: int) -> bytes:
    content = node.content
    if content is None:
        return b""
    try:
        if content.size <= size:
            return read_content(content)
        with content.store.open("rb") as stream:
            return os.pread(stream.fileno(), size, content.offset)
    except OSError as error:
        raise BuildError(
            f"{node.path} could not be read from {content.store}: {error.strerror}",
            hint="make it readable for you"
            if isinstance(error, PermissionError)
            else "run the build again; rootlet fetches what is missing",
        ) from error

"""What the dynamic loader does, case by case: files, and what must be opened. The real ld.so judges them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.support.mkelf import GLIBC_X86_64, Spec, mkelf

ROOT = "/app/main"
FOLDERS = ("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib", "/usr/lib")
"""What Debian's loader for x86-64 searches last."""
LOADER = "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
D = "/lib/x86_64-linux-gnu"
NODEFLIB, PIE = 0x800, 0x08000000


@dataclass(frozen=True, kw_only=True)
class Case:
    """``opens`` are the canonical paths of all libraries, in any order; the loader itself is left out.

    ``stops``: the real loader gives up at the missing name; what it would open later does not count.
    ``judged``: whether the real loader can tell (what it does with a good processor or a working directory
    says nothing of others).
    """

    sentence: str
    files: Mapping[str, Spec | bytes | str]
    opens: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    warns: bool = False
    stops: bool = False
    judged: bool = True
    hardlinks: Mapping[str, str] = field(default_factory=dict)
    root: str = ROOT


def main(*needed: str, rpath: str | None = None, runpath: str | None = None, flags_1: int = 0) -> Spec:
    """Make the program of a case."""
    return Spec(
        needed=needed, rpath=rpath, runpath=runpath, flags_1=flags_1, interpreter=GLIBC_X86_64, type=3
    )


def lib(
    *needed: str, soname: str | None = None, rpath: str | None = None, runpath: str | None = None
) -> Spec:
    """Make a library of a case."""
    return Spec(needed=needed, soname=soname, rpath=rpath, runpath=runpath)


def bodies(case: Case) -> dict[str, bytes | str]:
    """Give the case's files as bytes and link targets."""
    return {path: mkelf(body) if isinstance(body, Spec) else body for path, body in case.files.items()}


_PATHS = (
    Case(
        sentence="RUNPATH finds what the object itself needs",
        files={ROOT: main("liba.so", runpath="/p"), "/p/liba.so": lib()},
        opens=("/p/liba.so",),
    ),
    Case(
        sentence="RUNPATH of the program is not handed down",
        files={ROOT: main("liba.so", runpath="/p"), "/p/liba.so": lib("libb.so"), "/p/libb.so": lib()},
        opens=("/p/liba.so",),
        missing=("libb.so",),
    ),
    Case(
        sentence="RPATH of the program is handed down",
        files={ROOT: main("liba.so", rpath="/p"), "/p/liba.so": lib("libb.so"), "/p/libb.so": lib()},
        opens=("/p/liba.so", "/p/libb.so"),
    ),
    Case(
        sentence="RPATH of a library is handed down to what it loads",
        files={
            ROOT: main("liba.so", rpath="/p"),
            "/p/liba.so": lib("libb.so", rpath="/q"),
            "/q/libb.so": lib("libc1.so"),
            "/q/libc1.so": lib(),
        },
        opens=("/p/liba.so", "/q/libb.so", "/q/libc1.so"),
    ),
    Case(
        sentence="the nearest RPATH goes before the program's",
        files={
            ROOT: main("liba.so", rpath="/p"),
            "/p/liba.so": lib("libb.so", rpath="/q"),
            "/q/libb.so": lib(),
            "/p/libb.so": lib(),
        },
        opens=("/p/liba.so", "/q/libb.so"),
    ),
    Case(
        sentence="a requester with RUNPATH uses no RPATH, not even the program's",
        files={
            ROOT: main("liba.so", rpath="/p"),
            "/p/liba.so": lib("libb.so", runpath="/q"),
            "/p/libb.so": lib(),
        },
        opens=("/p/liba.so",),
        missing=("libb.so",),
    ),
    Case(
        sentence="the RPATH chain passes through an ancestor with RUNPATH",
        files={
            ROOT: main("liba.so", rpath="/p"),
            "/p/liba.so": lib("libb.so", runpath="/q"),
            "/q/libb.so": lib("libc1.so"),
            "/p/libc1.so": lib(),
        },
        opens=("/p/liba.so", "/q/libb.so", "/p/libc1.so"),
    ),
    Case(
        sentence="RPATH is ignored in an object that has both",
        files={
            ROOT: Spec(needed=("liba.so",), rpath="/p", runpath="/q", interpreter=GLIBC_X86_64),
            "/p/liba.so": lib(),
            "/q/liba.so": lib(),
        },
        opens=("/q/liba.so",),
    ),
    Case(
        sentence="an empty RUNPATH hides RPATH",
        files={
            ROOT: Spec(needed=("liba.so",), rpath="/p", runpath="", interpreter=GLIBC_X86_64),
            "/p/liba.so": lib(),
        },
        missing=("liba.so",),
    ),
    Case(
        sentence="folders of a path are searched in order",
        files={ROOT: main("liba.so", runpath="/x:/p:/q"), "/p/liba.so": lib(), "/q/liba.so": lib()},
        opens=("/p/liba.so",),
    ),
    Case(
        sentence="a trailing slash and a double one mean nothing",
        files={ROOT: main("liba.so", runpath="/p//"), "/p/liba.so": lib()},
        opens=("/p/liba.so",),
    ),
    Case(
        sentence="RUNPATH goes before the default folders",
        files={ROOT: main("liba.so", runpath="/p"), "/p/liba.so": lib(), f"{D}/liba.so": lib()},
        opens=("/p/liba.so",),
    ),
    Case(
        sentence="a relative path depends on the working directory and is a warning",
        files={ROOT: main("liba.so", runpath="rel:/p"), "/p/liba.so": lib()},
        opens=("/p/liba.so",),
        warns=True,
    ),
    Case(
        sentence="an empty element means the working directory and is a warning",
        files={ROOT: main("liba.so", rpath="/x::/p"), "/p/liba.so": lib()},
        opens=("/p/liba.so",),
        warns=True,
    ),
    Case(
        sentence="a colon in DT_NEEDED is a letter of the name",
        files={ROOT: main("liba:b.so", runpath="/p"), "/p/liba:b.so": lib()},
        opens=("/p/liba:b.so",),
    ),
)

_LOADED = (
    Case(
        sentence="the first object loaded under a name serves all",
        files={
            ROOT: main("liba.so", "libb.so", runpath="/p"),
            "/p/liba.so": lib("libc1.so", runpath="/one"),
            "/p/libb.so": lib("libc1.so", runpath="/two"),
            "/one/libc1.so": lib(),
            "/two/libc1.so": lib(),
        },
        opens=("/p/liba.so", "/p/libb.so", "/one/libc1.so"),
    ),
    Case(
        sentence="the SONAME of a loaded file of another name serves",
        files={
            ROOT: main("libx.so", "libreal.so.1", runpath="/p"),
            "/p/libx.so": lib(soname="libreal.so.1"),
            f"{D}/libreal.so.1": lib(soname="libreal.so.1"),
        },
        opens=("/p/libx.so",),
    ),
    Case(
        sentence="the walk is breadth first",
        files={
            ROOT: main("liba.so", "libb.so", runpath="/p"),
            "/p/liba.so": lib("libc1.so", runpath="/deep"),
            "/deep/libc1.so": lib("libd.so", runpath="/deeper"),
            "/deeper/libd.so": lib(),
            "/p/libb.so": lib("libd.so", runpath="/near"),
            "/near/libd.so": lib(),
        },
        opens=("/p/liba.so", "/p/libb.so", "/deep/libc1.so", "/near/libd.so"),
    ),
    Case(
        sentence="objects that need each other end",
        files={ROOT: main("liba.so", rpath="/p"), "/p/liba.so": lib("libb.so"), "/p/libb.so": lib("liba.so")},
        opens=("/p/liba.so", "/p/libb.so"),
    ),
    Case(
        sentence="the program's own SONAME serves",
        files={
            ROOT: Spec(
                needed=("liba.so",), runpath="/p", soname="libmain.so", interpreter=GLIBC_X86_64, flags_1=PIE
            ),
            "/p/liba.so": lib("libmain.so"),
            f"{D}/libmain.so": lib(),
        },
        opens=("/p/liba.so", ROOT),
    ),
    Case(
        sentence="two hard links of one file are one object, and both paths are opened",
        files={
            ROOT: main("liba.so", "libb.so", runpath="/p"),
            "/p/liba.so": lib("libc1.so", runpath="$ORIGIN"),
            "/p/libc1.so": lib(),
        },
        hardlinks={"/p/libb.so": "/p/liba.so"},
        opens=("/p/liba.so", "/p/libb.so", "/p/libc1.so"),
        judged=False,
    ),
    Case(
        sentence="the loader is loaded under its SONAME",
        files={ROOT: main("ld-linux-x86-64.so.2", "liba.so", runpath="/p"), "/p/liba.so": lib()},
        opens=("/p/liba.so",),
    ),
)

_FITNESS = (
    Case(
        sentence="a library of another class is passed over",
        files={
            ROOT: main("liba.so", runpath="/p:/q"),
            "/p/liba.so": Spec(elf_class=32, machine=3),
            "/q/liba.so": lib(),
        },
        opens=("/q/liba.so",),
    ),
    Case(
        sentence="a library of another machine is passed over",
        files={ROOT: main("liba.so", runpath="/p:/q"), "/p/liba.so": Spec(machine=183), "/q/liba.so": lib()},
        opens=("/q/liba.so",),
    ),
    Case(
        sentence="a library of another machine alone is missing",
        files={ROOT: main("liba.so", runpath="/p"), "/p/liba.so": Spec(machine=183)},
        missing=("liba.so",),
    ),
    Case(
        sentence="text in the place of a library stops the program",
        files={
            ROOT: main("liba.so", runpath="/p:/q"),
            "/p/liba.so": b"INPUT(libb.so) " * 20,
            "/q/liba.so": lib(),
        },
        missing=("liba.so",),
        stops=True,
    ),
    Case(
        sentence="an empty file in the place of a library stops the program",
        files={ROOT: main("liba.so", runpath="/p:/q"), "/p/liba.so": b"", "/q/liba.so": lib()},
        missing=("liba.so",),
        stops=True,
    ),
    Case(
        sentence="a folder in the place of a library stops the program",
        files={ROOT: main("liba.so", runpath="/p:/q"), "/p/liba.so/": b"", "/q/liba.so": lib()},
        missing=("liba.so",),
        stops=True,
    ),
    Case(
        sentence="an OS ABI that is not Linux's stops the program",
        files={ROOT: main("liba.so", runpath="/p:/q"), "/p/liba.so": Spec(os_abi=9), "/q/liba.so": lib()},
        missing=("liba.so",),
        stops=True,
    ),
    Case(
        sentence="the GNU OS ABI is Linux's",
        files={ROOT: main("liba.so", runpath="/p"), "/p/liba.so": Spec(os_abi=3)},
        opens=("/p/liba.so",),
    ),
    Case(
        sentence="a program in the place of a library stops the program",
        files={ROOT: main("liba.so", runpath="/p"), "/p/liba.so": Spec(flags_1=PIE)},
        missing=("liba.so",),
        stops=True,
    ),
    Case(
        sentence="an object file in the place of a library stops the program",
        files={ROOT: main("liba.so", runpath="/p"), "/p/liba.so": Spec(type=1)},
        missing=("liba.so",),
        stops=True,
    ),
)

_LINKS = (
    Case(
        sentence="a symbolic link to a library is followed",
        files={ROOT: main("liba.so.1", runpath="/p"), "/p/liba.so.1": "liba.so.1.2", "/p/liba.so.1.2": lib()},
        opens=("/p/liba.so.1.2",),
    ),
    Case(
        sentence="an absolute link starts at the root of the tree",
        files={ROOT: main("liba.so", runpath="/p"), "/p/liba.so": "/q/liba.so", "/q/liba.so": lib()},
        opens=("/q/liba.so",),
    ),
    Case(
        sentence="$ORIGIN of a library is the folder it was found in, not where its link leads",
        files={
            ROOT: main("liba.so", runpath="/p"),
            "/p/liba.so": "../q/liba.so",
            "/q/liba.so": lib("libb.so", runpath="$ORIGIN"),
            "/p/libb.so": lib(),
            "/q/libb.so": lib(),
        },
        opens=("/q/liba.so", "/p/libb.so"),
    ),
    Case(
        sentence="'..' after a linked folder leaves the folder that the link leads to",
        files={
            ROOT: main("liba.so", runpath="/p/link/../sub"),
            "/p/link": "/q/deep",
            "/q/deep/": b"",
            "/q/sub/liba.so": lib(),
            "/p/sub/liba.so": lib(),
        },
        opens=("/q/sub/liba.so",),
    ),
    Case(
        sentence="a dangling link is passed over",
        files={ROOT: main("liba.so", runpath="/p:/q"), "/p/liba.so": "nowhere", "/q/liba.so": lib()},
        opens=("/q/liba.so",),
    ),
    Case(
        sentence="a loop of links ends the search along its path, not the whole search",
        files={
            ROOT: main("liba.so", "libb.so", runpath="/p:/q"),
            "/p/liba.so": "liba.so",
            "/q/liba.so": lib(),
            "/p/libb.so": "libb.so",
            f"{D}/libb.so": lib(),
        },
        opens=(f"{D}/libb.so",),
        missing=("liba.so",),
    ),
    Case(
        sentence="a folder that is a loop of links is passed over",
        files={ROOT: main("liba.so", runpath="/p:/q"), "/p": "p", "/q/liba.so": lib()},
        opens=("/q/liba.so",),
    ),
    Case(
        sentence="a file in the place of a folder is passed over",
        files={ROOT: main("liba.so", runpath="/p:/q"), "/p": b"x", "/q/liba.so": lib()},
        opens=("/q/liba.so",),
    ),
)


def _token(path: str, folder: str) -> Case:
    return Case(
        sentence=f"RUNPATH {path} means {folder}",
        files={ROOT: main("liba.so", runpath=path), f"{folder}/liba.so": lib()},
        opens=(f"{folder}/liba.so",),
    )


_TOKENS = (
    _token("$ORIGIN", "/app"),
    _token("${ORIGIN}", "/app"),
    _token("$ORIGIN/../p", "/p"),
    _token("${ORIGIN}x", "/appx"),
    _token("/a$ORIGIN", "/a/app"),
    _token("$ORIGIN$ORIGIN", "/app/app"),
    _token("/p/$LIB", "/p/lib/x86_64-linux-gnu"),
    _token("/p/${LIB}/x", "/p/lib/x86_64-linux-gnu/x"),
    _token("/p/$ORIGINx", "/p/$ORIGINx"),
    _token("/p/$LIB_x", "/p/$LIB_x"),
    _token("/p/$FOO", "/p/$FOO"),
    _token("/p/${FOO}", "/p/${FOO}"),
    _token("/p/${ORIGIN", "/p/${ORIGIN"),
    _token("/p/$", "/p/$"),
    _token("/p/$origin", "/p/$origin"),
    Case(
        sentence="$PLATFORM is the processor's name",
        files={ROOT: main("liba.so", runpath="/p/$PLATFORM"), "/p/x86_64/liba.so": lib()},
        opens=("/p/x86_64/liba.so",),
        judged=False,
    ),
)

_NAMES = (
    Case(
        sentence="a name with a slash is opened as it is",
        files={ROOT: main("/p/liba.so"), "/p/liba.so": lib()},
        opens=("/p/liba.so",),
    ),
    Case(
        sentence="a name with a slash that is not there is missing",
        files={ROOT: main("/p/liba.so", runpath="/p"), "/q/liba.so": lib()},
        missing=("/p/liba.so",),
    ),
    Case(
        sentence="$ORIGIN in DT_NEEDED is expanded",
        files={ROOT: main("$ORIGIN/../p/liba.so"), "/p/liba.so": lib()},
        opens=("/p/liba.so",),
    ),
    Case(
        sentence="an object loaded by path does not serve its bare file name",
        files={ROOT: main("/p/liba.so", "liba.so"), "/p/liba.so": lib(), f"{D}/liba.so": lib()},
        opens=("/p/liba.so", f"{D}/liba.so"),
    ),
    Case(
        sentence="an object loaded by path serves its SONAME",
        files={ROOT: main("/p/liba.so", "liba.so"), "/p/liba.so": lib(soname="liba.so")},
        opens=("/p/liba.so",),
    ),
    Case(
        sentence="a relative name with a slash is missing and a warning",
        files={ROOT: main("p/liba.so"), "/app/p/liba.so": lib()},
        missing=("p/liba.so",),
        warns=True,
    ),
)

_SYSTEM = (
    Case(
        sentence="default folders are searched in the order that the loader holds",
        files={ROOT: main("liba.so"), "/usr/lib/liba.so": lib(), f"/usr{D}/liba.so": lib()},
        opens=(f"/usr{D}/liba.so",),
    ),
    Case(
        sentence="a folder that only ld.so.conf names is found through the cache",
        files={
            ROOT: main("liba.so.1"),
            "/etc/ld.so.conf": b"# ours\ninclude /etc/ld.so.conf.d/*.conf\n",
            "/etc/ld.so.conf.d/x.conf": b"/opt/x  # there\n",
            "/opt/x/liba.so.1": lib(soname="liba.so.1"),
        },
        opens=("/opt/x/liba.so.1",),
    ),
    Case(
        sentence="folders of ld.so.conf go before the default ones",
        files={
            ROOT: main("liba.so.1"),
            "/etc/ld.so.conf": b"/opt/x\n/opt/y\n",
            "/opt/x/liba.so.1": lib(soname="liba.so.1"),
            "/opt/y/liba.so.1": lib(soname="liba.so.1"),
            f"{D}/liba.so.1": lib(soname="liba.so.1"),
        },
        opens=("/opt/x/liba.so.1",),
    ),
    Case(
        sentence="a file whose SONAME differs from its name is not in the cache",
        files={
            ROOT: main("libb.so.1"),
            "/etc/ld.so.conf": b"/opt/x\n",
            "/opt/x/libb.so.1": lib(soname="libother.so.1"),
            f"{D}/libb.so.1": lib(),
        },
        opens=(f"{D}/libb.so.1",),
    ),
    Case(
        sentence="a name that is not lib*.so is not in the cache",
        files={ROOT: main("plugin.so"), "/etc/ld.so.conf": b"/opt/x\n", "/opt/x/plugin.so": lib()},
        missing=("plugin.so",),
    ),
    Case(
        sentence="NODEFLIB leaves out the default folders, in the cache too",
        files={ROOT: main("liba.so.1", flags_1=NODEFLIB), f"{D}/liba.so.1": lib(soname="liba.so.1")},
        missing=("liba.so.1",),
    ),
    Case(
        sentence="NODEFLIB counts for the object that has it alone",
        files={
            ROOT: main("liba.so.1", runpath="/p", flags_1=NODEFLIB),
            "/p/liba.so.1": lib("libb.so.1"),
            f"{D}/libb.so.1": lib(soname="libb.so.1"),
        },
        opens=("/p/liba.so.1", f"{D}/libb.so.1"),
    ),
    Case(
        sentence="NODEFLIB keeps other folders of the cache",
        files={
            ROOT: main("liba.so.1", flags_1=NODEFLIB),
            "/etc/ld.so.conf": b"/opt/x\n",
            "/opt/x/liba.so.1": lib(soname="liba.so.1"),
        },
        opens=("/opt/x/liba.so.1",),
    ),
)

_FILTERS = (
    Case(
        sentence="DT_AUXILIARY that is there is loaded",
        files={
            ROOT: main("liba.so", runpath="/p"),
            "/p/liba.so": Spec(auxiliary=("libaux.so",), runpath="/p"),
            "/p/libaux.so": lib(),
        },
        opens=("/p/liba.so", "/p/libaux.so"),
    ),
    Case(
        sentence="DT_AUXILIARY that is not there is no error",
        files={
            ROOT: main("liba.so", runpath="/p"),
            "/p/liba.so": Spec(auxiliary=("visibility=hidden",), runpath="/p"),
        },
        opens=("/p/liba.so",),
        optional=("visibility=hidden",),
    ),
    Case(
        sentence="DT_FILTER that is not there is missing",
        files={
            ROOT: main("liba.so", runpath="/p"),
            "/p/liba.so": Spec(filter=("libf.so",), runpath="/p"),
        },
        opens=("/p/liba.so",),
        missing=("libf.so",),
    ),
    Case(
        sentence="what a filter loads comes before the rest of the queue",
        files={
            ROOT: main("liba.so", "libb.so", runpath="/p"),
            "/p/liba.so": Spec(filter=("libf.so",), runpath="/p"),
            "/p/libf.so": lib("libc1.so", runpath="/one"),
            "/p/libb.so": lib("libc1.so", runpath="/two"),
            "/one/libc1.so": lib(),
            "/two/libc1.so": lib(),
        },
        opens=("/p/liba.so", "/p/libb.so", "/p/libf.so", "/one/libc1.so"),
    ),
)

_HWCAPS = (
    Case(
        sentence="copies for better processors are taken besides the plain one",
        files={
            ROOT: main("liba.so.1"),
            f"{D}/liba.so.1": lib(soname="liba.so.1"),
            f"{D}/glibc-hwcaps/x86-64-v3/liba.so.1": lib("libb.so.1", soname="liba.so.1"),
            f"{D}/libb.so.1": lib(soname="libb.so.1"),
        },
        opens=(f"{D}/liba.so.1", f"{D}/glibc-hwcaps/x86-64-v3/liba.so.1", f"{D}/libb.so.1"),
        judged=False,
    ),
    Case(
        sentence="copies for better processors in RUNPATH are taken besides the plain one",
        files={
            ROOT: main("liba.so", runpath="/p"),
            "/p/liba.so": lib(),
            "/p/glibc-hwcaps/x86-64-v2/liba.so": lib(),
            "/p/glibc-hwcaps/power9/liba.so": lib(),
        },
        opens=("/p/liba.so", "/p/glibc-hwcaps/x86-64-v2/liba.so"),
        judged=False,
    ),
)

CASES = (*_PATHS, *_LOADED, *_FITNESS, *_LINKS, *_TOKENS, *_NAMES, *_SYSTEM, *_FILTERS, *_HWCAPS)

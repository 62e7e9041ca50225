"""What musl's loader does, case by case: files, and what must be opened. A real musl judges them."""

from __future__ import annotations

from tests.support.loader_cases import ROOT, Case
from tests.support.mkelf import Spec

LOADER = "/lib/ld-musl-x86_64.so.1"


def main(*needed: str, rpath: str | None = None, runpath: str | None = None) -> Spec:
    """Make the program of a case."""
    return Spec(needed=needed, rpath=rpath, runpath=runpath, interpreter=LOADER)


def lib(
    *needed: str, rpath: str | None = None, runpath: str | None = None, soname: str | None = None
) -> Spec:
    """Make a library of a case."""
    return Spec(needed=needed, rpath=rpath, runpath=runpath, soname=soname)


CASES = (
    Case(
        sentence="names that libc holds in itself mean the loader",
        files={ROOT: main("libc.musl-x86_64.so.1", "libpthread.so.0", "libm.so.6"), "/lib/libm.so.6": lib()},
        opens=(LOADER,),
    ),
    Case(
        sentence="default folders are /lib, /usr/local/lib and /usr/lib",
        files={ROOT: main("liba.so"), "/usr/lib/liba.so": lib(), "/usr/local/lib/liba.so": lib()},
        opens=("/usr/local/lib/liba.so",),
    ),
    Case(
        sentence="the path file replaces the default folders",
        files={
            ROOT: main("liba.so", "libb.so", "libc1.so"),
            "/etc/ld-musl-x86_64.path": b"/x:/y\n/z\n",
            "/y/liba.so": lib(),
            "/z/libb.so": lib(),
            "/lib/libc1.so": lib(),
        },
        opens=("/y/liba.so", "/z/libb.so"),
        missing=("libc1.so",),
    ),
    Case(
        sentence="an empty path file leaves no default folder",
        files={ROOT: main("liba.so"), "/etc/ld-musl-x86_64.path": b"", "/lib/liba.so": lib()},
        missing=("liba.so",),
    ),
    Case(
        sentence="RUNPATH is handed down as RPATH is",
        files={ROOT: main("liba.so", runpath="/p"), "/p/liba.so": lib("libb.so"), "/p/libb.so": lib()},
        opens=("/p/liba.so", "/p/libb.so"),
    ),
    Case(
        sentence="a requester's RUNPATH does not hide the program's path",
        files={
            ROOT: main("liba.so", rpath="/p"),
            "/p/liba.so": lib("libb.so", runpath="/q"),
            "/p/libb.so": lib(),
        },
        opens=("/p/liba.so", "/p/libb.so"),
    ),
    Case(
        sentence="RUNPATH wins over RPATH in one object",
        files={
            ROOT: Spec(needed=("liba.so",), rpath="/p", runpath="/q", interpreter=LOADER),
            "/p/liba.so": lib(),
            "/q/liba.so": lib(),
        },
        opens=("/q/liba.so",),
    ),
    Case(
        sentence="$ORIGIN is expanded",
        files={ROOT: main("liba.so", runpath="${ORIGIN}/p:$ORIGIN/q"), "/app/q/liba.so": lib()},
        opens=("/app/q/liba.so",),
    ),
    Case(
        sentence="any other token discards the whole path",
        files={ROOT: main("liba.so", runpath="/p:/$LIB"), "/p/liba.so": lib()},
        missing=("liba.so",),
    ),
    Case(
        sentence="a file name loaded before serves, a SONAME does not",
        files={
            ROOT: main("libx.so", "liby.so.1", rpath="/p"),
            "/p/libx.so": lib("libx.so", soname="liby.so.1"),
            "/lib/liby.so.1": lib(),
        },
        opens=("/p/libx.so", "/lib/liby.so.1"),
    ),
    Case(
        sentence="a library of another machine is not passed over",
        files={ROOT: main("liba.so", rpath="/p"), "/p/liba.so": Spec(machine=183), "/lib/liba.so": lib()},
        missing=("liba.so",),
        judged=False,  # musl maps it unseen, and the program crashes
    ),
    Case(
        sentence="text in the place of a library is not passed over",
        files={ROOT: main("liba.so", rpath="/p"), "/p/liba.so": b"text" * 20, "/lib/liba.so": lib()},
        missing=("liba.so",),
    ),
    Case(
        sentence="a loop of links ends the search",
        files={ROOT: main("liba.so", rpath="/p"), "/p/liba.so": "liba.so", "/lib/liba.so": lib()},
        missing=("liba.so",),
    ),
    Case(
        sentence="a name with a slash is opened as it is and no token is expanded",
        files={ROOT: main("/p/liba.so", "/p/$ORIGIN/libb.so"), "/p/liba.so": lib()},
        opens=("/p/liba.so",),
        missing=("/p/$ORIGIN/libb.so",),
    ),
    Case(
        sentence="filters mean nothing",
        files={
            ROOT: Spec(needed=("liba.so",), interpreter=LOADER, filter=("libf.so",)),
            "/lib/liba.so": lib(),
        },
        opens=("/lib/liba.so",),
    ),
    Case(
        sentence="ld.so.conf means nothing",
        files={ROOT: main("liba.so"), "/etc/ld.so.conf": b"/opt/x\n", "/opt/x/liba.so": lib()},
        missing=("liba.so",),
    ),
    Case(
        sentence="a relative path depends on the working directory and is a warning",
        files={ROOT: main("liba.so", rpath="p"), "/lib/liba.so": lib()},
        opens=("/lib/liba.so",),
        warns=True,
    ),
)

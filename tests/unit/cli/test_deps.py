"""``rootlet deps``: what it prints, in which form, and how it ends."""

from __future__ import annotations

import io
import json
import os
import struct
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from builder.cli import deps, main
from builder.elf.ldcache import CachedLibrary, write_cache
from builder.elf.object import ElfObject
from builder.elf.reader import read_elf
from tests.support.ldso import write_tree
from tests.support.loader_cases import FOLDERS, LOADER, D
from tests.support.mkelf import GLIBC_X86_64, Spec, loader_bytes, mkelf, sysroot_of

MISSING, FINE = 3, 0


def program(*needed: str, **fields: Any) -> bytes:
    return mkelf(Spec(needed=needed, interpreter=GLIBC_X86_64, **fields))


def library(*needed: str, **fields: Any) -> bytes:
    return mkelf(Spec(needed=needed, **fields))


FILES: Mapping[str, bytes | str] = {
    LOADER: loader_bytes(FOLDERS, Spec(soname="ld-linux-x86-64.so.2")),
    GLIBC_X86_64: LOADER,
    f"{D}/libc.so.6": library("ld-linux-x86-64.so.2", soname="libc.so.6"),
    f"{D}/liba.so.1.2": library("libb.so.1", "libc.so.6", soname="liba.so.1"),
    f"{D}/liba.so.1": "liba.so.1.2",
    "/opt/private/libb.so.1": library("libc.so.6", soname="libb.so.1"),
    "/usr/bin/good": program("liba.so.1", "libb.so.1", "libc.so.6", rpath="$ORIGIN/../../opt/private"),
    "/usr/bin/link": "../../usr/bin/good",
    "/usr/bin/bad": program("libnone.so.3", "libc.so.6", runpath="/opt/private"),
    "/usr/bin/aux": program("libc.so.6", auxiliary=("libextra.so",)),
    "/usr/bin/static": mkelf(Spec(type=2)),
    "/usr/bin/script": b"#!/bin/sh\n" + b"# long enough to look like a file\n" * 4,
    "/usr/bin/damaged": mkelf(Spec(needed=("libc.so.6",)))[:100],
    "/usr/bin/loop": "loop",
}
GOOD = {
    "file": "/usr/bin/good",
    "interpreter": LOADER,
    "libraries": [f"{D}/liba.so.1.2", "/opt/private/libb.so.1", f"{D}/libc.so.6", LOADER],
    "missing": [],
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    write_tree(sysroot_of(FILES, tmp_path / "store"), folder)
    return folder


class Asked:
    """Runs the command and keeps what it printed."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root = root
        self._capsys = capsys

    def text(self, *arguments: str, status: int = FINE) -> str:
        assert main.run(["deps", "--root", str(self.root), *arguments]) == status
        said = self._capsys.readouterr()
        self.error = said.err
        return said.out

    def objects(self, *arguments: str, status: int = FINE) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text("--json", *arguments, status=status).splitlines()]


@pytest.fixture
def ask(root: Path, capsys: pytest.CaptureFixture[str]) -> Asked:
    return Asked(root, capsys)


def test_json_has_libraries_in_the_order_in_which_they_are_loaded(ask: Asked) -> None:
    assert ask.objects("/usr/bin/good") == [GOOD]


@pytest.mark.parametrize(
    "file", ["usr/bin/good", "/usr/bin/link", "//usr/./bin/../bin/good", "/../usr/bin/good"]
)
def test_a_file_is_given_back_as_it_came(ask: Asked, file: str) -> None:
    assert ask.objects(file) == [GOOD | {"file": file}]


def test_a_file_may_be_the_path_on_this_machine(ask: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = f"{ask.root}/usr/bin/good"
    assert ask.objects(outside) == [GOOD | {"file": outside}]
    monkeypatch.chdir(ask.root.parent)
    assert ask.objects("root/usr/bin/good") == [GOOD | {"file": "root/usr/bin/good"}]
    (ask.root.parent / "other").symlink_to(ask.root)
    ask.root = ask.root.parent / "other"
    assert ask.objects(f"{ask.root}/usr/bin/good")[0]["libraries"] == GOOD["libraries"]


def test_a_bare_name_is_looked_for_on_the_path(ask: Asked) -> None:
    assert ask.objects("good") == [GOOD | {"file": "good"}]


def test_what_is_missing_ends_with_3(ask: Asked) -> None:
    (found,) = ask.objects("/usr/bin/bad", status=MISSING)
    assert found["missing"] == ["libnone.so.3"]
    assert found["libraries"] == [f"{D}/libc.so.6", LOADER]


def test_what_a_program_can_do_without_is_not_missing(ask: Asked) -> None:
    assert ask.objects("/usr/bin/aux")[0]["missing"] == []


def test_an_interpreter_that_is_not_there_is_missing(ask: Asked) -> None:
    (ask.root / "usr/bin/other").write_bytes(mkelf(Spec(interpreter="/lib/ld-other.so.1", needed=())))
    (found,) = ask.objects("/usr/bin/other", status=MISSING)
    assert (found["interpreter"], found["missing"]) == (None, ["/lib/ld-other.so.1"])


@pytest.mark.parametrize(
    ("file", "says", "status"),
    [
        ("/usr/bin/script", "is not an ELF file", FINE),
        ("/usr/bin/damaged", "is a damaged ELF file", MISSING),
        ("/usr/bin/none", "is not there", MISSING),
        ("/usr/bin", "is a folder", MISSING),
        ("/usr/bin/loop", "leads to itself", MISSING),
        ("/usr/bin/good/below", "is not there", MISSING),
        ("/usr/bin/with\nnewline", "is not there", MISSING),
        (os.fsdecode(b"/usr/bin/\xff"), "is not there", MISSING),
        ("/" + "n" * 5000, "File name too long", MISSING),
    ],
    ids=["no ELF", "damaged", "absent", "folder", "loop", "below a file", "newline", "no text", "too long"],
)
def test_a_file_about_which_nothing_can_be_said(ask: Asked, file: str, says: str, status: int) -> None:
    first, bad, last = ask.objects("/usr/bin/good", file, "/usr/bin/static", status=status)
    assert first == GOOD
    assert says in bad.pop("error")
    assert bad == {"file": file, "interpreter": None, "libraries": [], "missing": []}
    assert last == {"file": "/usr/bin/static", "interpreter": None, "libraries": [], "missing": []}
    ask.text("--flat", file, status=status)
    assert says in ask.error
    assert ask.error.count("\n") == 1


def test_a_file_that_may_not_be_read_is_an_error_where_it_matters(
    ask: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def refuse(path: str, flags: int, mode: int = 0o777) -> int:
        if os.fspath(path).endswith("libb.so.1"):
            raise PermissionError(13, "Permission denied", path)
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", refuse)
    good, aux = ask.objects("/usr/bin/good", "/usr/bin/aux", status=MISSING)
    assert good["error"].endswith("libb.so.1 could not be opened: Permission denied")
    assert "error" not in aux


def test_an_unreadable_name_says_so(ask: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.lstat

    def refuse(path: str) -> os.stat_result:
        if path.endswith("/opt"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "lstat", refuse)
    (found,) = ask.objects("/opt/private/libb.so.1", status=MISSING)
    assert found["error"].endswith("could not be looked at: /opt: Permission denied")
    assert ask.objects("/usr/bin/good", status=MISSING)[0]["missing"] == ["libb.so.1"]


@pytest.mark.parametrize("kind", ["fifo", "device"])
def test_special_files_are_not_opened(ask: Asked, kind: str) -> None:
    if kind == "fifo":
        os.mkfifo(ask.root / "usr/bin/special")
    elif os.geteuid() == 0:
        os.mknod(ask.root / "usr/bin/special", 0o020666, os.makedev(1, 5))
    assert "is no regular file" in ask.objects("/usr/bin/special", status=MISSING)[0]["error"]


def test_a_link_out_of_the_root_stays_in_it(ask: Asked) -> None:
    outside = ask.root.parent / "outside"
    outside.write_bytes(FILES["/usr/bin/good"])  # type: ignore[arg-type]  # it is bytes
    (ask.root / "usr/bin/out").symlink_to(outside)
    (ask.root / "usr/bin/up").symlink_to("../../../outside")
    for name in ("out", "up"):
        assert "is not there" in ask.objects(f"/usr/bin/{name}", status=MISSING)[0]["error"]
    assert "is not there" in ask.objects(str(outside), status=MISSING)[0]["error"]
    assert "is not there" in ask.objects(f"{ask.root}/../outside", status=MISSING)[0]["error"]


def given(monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BufferedReader(io.BytesIO(body))))


def test_a_list_is_read_from_a_file_after_the_arguments(ask: Asked, tmp_path: Path) -> None:
    listing = tmp_path / "list"
    listing.write_bytes(b"/usr/bin/static\n\n/usr/bin/\xff\n/usr/bin/good")
    found = ask.objects("usr/bin/good", "--from-list", str(listing), status=MISSING)
    files = [one["file"] for one in found]
    assert files == ["usr/bin/good", "/usr/bin/static", os.fsdecode(b"/usr/bin/\xff"), "/usr/bin/good"]


def test_a_list_with_nul_may_hold_any_name(ask: Asked, tmp_path: Path) -> None:
    (ask.root / "new\nline").write_bytes(FILES["/usr/bin/static"])  # type: ignore[arg-type]  # it is bytes
    listing = tmp_path / "list"
    listing.write_bytes(b"/new\nline\0/usr/bin/good\0")
    found = ask.objects("-0", "--from-list", str(listing))
    assert [one["file"] for one in found] == ["/new\nline", "/usr/bin/good"]


def test_a_list_may_be_standard_input(ask: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, b"/usr/bin/good\n")
    assert ask.objects("--from-list", "-") == [GOOD]


def test_an_endless_name_in_a_list_is_refused(ask: Asked, tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(b"n" * (2 << 20))
    ask.text("--from-list", str(tmp_path / "list"), status=2)
    assert "is it a list of paths?" in ask.error


def test_answers_come_while_the_list_is_still_written() -> None:
    read, write = os.pipe()
    with os.fdopen(read, "rb") as stream:
        names = deps._names(stream, b"\n")
        os.write(write, b"/usr/bin/good\n/usr/")
        assert next(names) == "/usr/bin/good"
        os.write(write, b"bin/bad\n")
        assert next(names) == "/usr/bin/bad"
        os.close(write)
        assert list(names) == []


def test_everything_is_forgotten_now_and_then(ask: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deps, "_BATCH", 2)
    assert ask.objects(*["/usr/bin/good"] * 7) == [GOOD] * 7


def test_the_tree_shows_each_library_once_with_its_rule(ask: Asked) -> None:
    assert ask.text("/usr/bin/link") == (
        "/usr/bin/link (/usr/bin/good)\n"
        f"├─ {GLIBC_X86_64} → {LOADER}  interpreter\n"
        f"├─ liba.so.1 → {D}/liba.so.1.2  default folder {D}\n"
        "│  └─ libb.so.1, libc.so.6 (already loaded)\n"
        "├─ libb.so.1 → /opt/private/libb.so.1  RPATH /usr/bin/../../opt/private\n"
        "│  └─ libc.so.6 (already loaded)\n"
        f"└─ libc.so.6 → {D}/libc.so.6  default folder {D}\n"
        "   └─ ld-linux-x86-64.so.2 (already loaded)\n"
    )


def test_the_tree_ends_at_a_depth(ask: Asked) -> None:
    assert ask.text("--depth", "1", "/usr/bin/good").splitlines() == [
        "/usr/bin/good",
        f"├─ {GLIBC_X86_64} → {LOADER}  interpreter",
        f"├─ liba.so.1 → {D}/liba.so.1.2  default folder {D}",
        "├─ libb.so.1 → /opt/private/libb.so.1  RPATH /usr/bin/../../opt/private",
        f"└─ libc.so.6 → {D}/libc.so.6  default folder {D}",
    ]


def test_the_tree_names_the_folders_that_were_searched(ask: Asked) -> None:
    shown = ask.text("/usr/bin/bad", status=MISSING)
    assert "└─ libnone.so.3 not found\n" in shown
    searched = ", ".join(("/opt/private", *FOLDERS))
    assert f"! libnone.so.3 is needed by /usr/bin/bad and nothing provides it; searched {searched}\n" in shown


def test_a_terminal_gets_colours_unless_it_says_no(ask: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builder.cli.machine.colour", lambda stream=None: stream is sys.stdout)
    assert "\x1b[31mlibnone.so.3 not found\x1b[0m" in ask.text("/usr/bin/bad", status=MISSING)


def test_a_file_without_needs_says_so(ask: Asked) -> None:
    assert ask.text("/usr/bin/static") == "/usr/bin/static\n└─ needs no library\n"


def test_hostile_names_do_not_reach_the_terminal(ask: Asked) -> None:
    name = "lib\x1b[2J\n.so"
    (ask.root / "opt/private" / name).write_bytes(library("libgone\x07.so"))
    (ask.root / "usr/bin/evil\x1b").write_bytes(program(name, runpath="/opt/private"))
    shown = ask.text("/usr/bin/evil\x1b", "/none\x1b", status=MISSING)
    assert {letter for letter in shown + ask.error if not letter.isprintable()} == {"\n"}
    assert "lib\\x1b[2J\\n.so → /opt/private/lib\\x1b[2J\\n.so" in shown


def test_flat_gives_each_path_once(ask: Asked) -> None:
    assert ask.text("--flat", "/usr/bin/good", "/usr/bin/aux").splitlines() == [
        LOADER,
        f"{D}/liba.so.1.2",
        "/opt/private/libb.so.1",
        f"{D}/libc.so.6",
    ]


def test_flat_says_what_is_missing_on_standard_error(ask: Asked) -> None:
    assert ask.text("--flat", "/usr/bin/bad", status=MISSING).splitlines() == [LOADER, f"{D}/libc.so.6"]
    assert ask.error.startswith("rootlet: libnone.so.3 is needed by /usr/bin/bad")


def test_a_library_path_comes_before_runpath_and_the_system(ask: Asked) -> None:
    (ask.root / "opt/first").mkdir()
    (ask.root / "opt/first/libnone.so.3").write_bytes(library())
    (found,) = ask.objects("/usr/bin/bad", "--library-path", "/opt/first:/opt/second")
    assert found["libraries"][0] == "/opt/first/libnone.so.3"
    shown = ask.text("/usr/bin/bad", "--library-path", "/opt/first")
    assert "LD_LIBRARY_PATH /opt/first" in shown


def test_a_chain_of_libraries_deeper_than_python_calls(ask: Asked) -> None:
    count = 1500
    for number in range(count):
        needed = (f"lib{number + 1}.so",) if number + 1 < count else ()
        (ask.root / f"lib/x86_64-linux-gnu/lib{number}.so").write_bytes(library(*needed))
    (ask.root / "usr/bin/deep").write_bytes(program("lib0.so"))
    assert len(ask.objects("/usr/bin/deep")[0]["libraries"]) == count
    assert len(ask.text("/usr/bin/deep").splitlines()) == count + 2


@pytest.mark.parametrize("interpreter", [GLIBC_X86_64, "/lib/ld-musl-x86_64.so.1"], ids=["glibc", "musl"])
@pytest.mark.parametrize("folders", [4000, 50_000], ids=["many folders and names", "too many folders"])
def test_a_search_without_end_is_given_up(ask: Asked, folders: int, interpreter: str) -> None:
    if interpreter != GLIBC_X86_64:
        (ask.root / interpreter[1:]).write_bytes(library())
    needed = tuple(f"l{number}.so" for number in range(4000))
    body = mkelf(
        Spec(
            needed=needed, interpreter=interpreter, rpath=":".join(f"/{number}" for number in range(folders))
        )
    )
    (ask.root / "usr/bin/endless").write_bytes(body)
    start = time.monotonic()
    first, bad, last = ask.objects("/usr/bin/good", "/usr/bin/endless", "/usr/bin/good", status=MISSING)
    assert "name too many folders and libraries" in bad["error"]
    assert first == last == GOOD
    assert time.monotonic() - start < 60


def cached(root: Path, **places: str) -> None:
    """Write the cache of the root: name (with ``_`` for ``.``) and the path it gives."""
    elf: ElfObject = read_elf(library(), name="x")
    listed = [CachedLibrary(name=name.replace("_", "."), path=path, elf=elf) for name, path in places.items()]
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc/ld.so.cache").write_bytes(write_cache(listed))


def test_the_roots_own_cache_is_read(ask: Asked) -> None:
    (ask.root / "opt/private/libnone.so.3").write_bytes(library())
    (ask.root / "usr/bin/none").write_bytes(program("libnone.so.3"))
    cached(ask.root, libnone_so_3="/opt/private/libnone.so.3")
    assert ask.objects("/usr/bin/none")[0]["libraries"] == ["/opt/private/libnone.so.3"]
    assert "/opt/private/libnone.so.3  /etc/ld.so.cache" in ask.text("/usr/bin/none")


def test_folders_of_ld_so_conf_are_nothing_without_a_cache(ask: Asked) -> None:
    (ask.root / "etc").mkdir()
    (ask.root / "etc/ld.so.conf").write_text("/opt/private\n")
    (ask.root / "usr/bin/none").write_bytes(program("libb.so.1"))
    assert ask.objects("/usr/bin/none", status=MISSING)[0]["missing"] == ["libb.so.1"]


def test_a_stale_entry_of_the_cache_falls_through(ask: Asked) -> None:
    cached(ask.root, liba_so_1="/gone/liba.so.1", libc_so_6="/usr/bin/../../opt/none/libc.so.6")
    assert ask.objects("/usr/bin/good") == [GOOD]


def test_an_entry_in_a_default_folder_is_not_for_nodeflib(ask: Asked) -> None:
    cached(ask.root, liba_so_1=f"{D}/liba.so.1", libb_so_1="/opt/private/libb.so.1")
    (ask.root / "usr/bin/nodef").write_bytes(program("liba.so.1", "libb.so.1", flags_1=0x800))
    (found,) = ask.objects("/usr/bin/nodef", status=MISSING)
    assert found["missing"] == ["liba.so.1"]
    assert found["libraries"][0] == "/opt/private/libb.so.1"


def test_a_damaged_cache_is_passed_over_with_a_word(ask: Asked) -> None:
    (ask.root / "etc").mkdir()
    (ask.root / "etc/ld.so.cache").write_bytes(b"nonsense" * 10)
    assert "/etc/ld.so.cache is not read, as ld.so would not" in ask.text("/usr/bin/good")
    assert ask.objects("/usr/bin/good") == [GOOD]


@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])
def test_a_cache_that_follows_one_of_the_old_format_is_read(ask: Asked, order: str) -> None:
    cached(ask.root, libb_so_1="/opt/private/libb.so.1")
    (ask.root / "usr/bin/none").write_bytes(program("libb.so.1"))
    file = ask.root / "etc/ld.so.cache"
    old = struct.pack(order + "11sxI", b"ld.so-1.7.0", 3) + bytes(3 * 12)
    old += bytes(-len(old) % 8)
    new = bytearray(file.read_bytes())
    (extension,) = struct.unpack_from("<I", new, 32)
    for place in (
        32,
        extension + 8 + 8,
    ):  # the extension and its one section count from the start of the file
        struct.pack_into("<I", new, place, struct.unpack_from("<I", new, place)[0] + len(old))
    file.write_bytes(old + new)
    assert ask.objects("/usr/bin/none")[0]["libraries"][0] == "/opt/private/libb.so.1"


@pytest.mark.parametrize(
    "body",
    [
        b"ld.so-1.7.0",
        b"ld.so-1.7.0\0\xff\xff\xff\xff",
        b"glibc-ld.so.cache1.1" + b"\xff" * 28,
        b"glibc-ld.so.cache1.1" + bytes(8) + b"\x02" + b"\xff" * 19,
        b"",
    ],
    ids=["cut short", "old entries without end", "entries without end", "an extension outside", "empty"],
)
def test_a_hostile_cache_changes_nothing(ask: Asked, body: bytes) -> None:
    (ask.root / "etc").mkdir()
    (ask.root / "etc/ld.so.cache").write_bytes(body)
    assert ask.objects("/usr/bin/good") == [GOOD]


def test_entries_for_processors_as_glibc_once_counted_them_are_passed_over(ask: Asked) -> None:
    cached(ask.root, libb_so_1="/opt/private/libb.so.1")
    file = ask.root / "etc/ld.so.cache"
    body = bytearray(file.read_bytes())
    body[48 + 16 : 48 + 24] = (1 << 3).to_bytes(8, "little")  # hwcap of the first entry
    file.write_bytes(body)
    (ask.root / "usr/bin/none").write_bytes(program("libb.so.1"))
    assert ask.objects("/usr/bin/none", status=MISSING)[0]["missing"] == ["libb.so.1"]


def test_the_best_copy_of_a_cache_comes_first_of_the_variants(ask: Asked) -> None:
    elf: ElfObject = read_elf(library(), name="x")
    places = {"": "libc.so.6", "x86-64-v2": "v2.so", "x86-64-v4": "v4.so", "other": "other.so"}
    for name in places.values():
        (ask.root / "opt/private" / name).write_bytes(library(soname="libc.so.6"))
    listed = [
        CachedLibrary(name="libc.so.6", path=f"/opt/private/{name}", elf=elf, hwcap=level)
        for level, name in places.items()
    ]
    (ask.root / "etc").mkdir()
    (ask.root / "etc/ld.so.cache").write_bytes(write_cache(listed))
    (found,) = ask.objects("/usr/bin/aux")
    assert found["libraries"] == ["/opt/private/libc.so.6"]
    assert found["variants"] == ["/opt/private/v4.so", "/opt/private/v2.so"]


def test_better_copies_for_some_processors_are_told_apart(ask: Asked) -> None:
    folder = ask.root / D[1:] / "glibc-hwcaps/x86-64-v3"
    folder.mkdir(parents=True)
    (folder / "libc.so.6").write_bytes(library(soname="libc.so.6"))
    (found,) = ask.objects("/usr/bin/good")
    assert found.pop("variants") == [f"{D}/glibc-hwcaps/x86-64-v3/libc.so.6"]
    assert found == GOOD


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "name a FILE"),
        (["/x", "--json", "--flat"], "two forms of one answer"),
        (["/x", "--library-path", "relative"], "expected an absolute path"),
        (["/x", "--from-list", "/none/list"], "No such file"),
        (["/x", "--depth", "0"], "--depth"),
    ],
    ids=["nothing asked", "two forms", "relative folder", "no list", "no depth"],
)
def test_wrong_words_end_with_2(ask: Asked, arguments: list[str], says: str) -> None:
    ask.text(*arguments, status=2)
    assert says in ask.error


@pytest.mark.parametrize("root", ["/none", "/etc/passwd"])
def test_a_root_that_is_no_folder_ends_with_2(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["deps", "--root", root, "/x"]) == 2
    assert root in capsys.readouterr().err


def test_this_machines_files_are_named_as_the_shell_sees_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own").write_bytes(mkelf(Spec()))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/found").write_bytes(mkelf(Spec()))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"relative::{tmp_path}/bin")
    assert main.run(["deps", "--json", "own", "./own", "found", "bin/../own"]) == FINE
    assert [json.loads(line)["file"] for line in capsys.readouterr().out.splitlines()] == [
        *("own", "./own", "found", "bin/../own")
    ]
    assert main.run(["deps", "found", "none"]) == MISSING
    assert f"found ({tmp_path}/bin/found)" in capsys.readouterr().out

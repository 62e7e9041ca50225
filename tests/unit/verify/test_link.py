"""The link check: versions and symbols of programs, plug-ins and variants; glibc's rules and musl's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from builder.elf.facts import ElfFacts
from builder.errors import ResolutionError
from builder.oci import ImageConfig, Platform
from builder.plan.model import Entry, ImagePlan, Layer
from builder.reason import Reason, ReasonKind
from builder.sysroot import Kind, Sysroot
from builder.verify import link as link_module
from builder.verify.link import LinkReport, check_links
from builder.verify.linkplan import image_of, linked
from tests.support.mkelf import Spec, mkelf, sysroot_of
from tests.support.mksymbols import Symbol, Tables, wants

LD = "/lib64/ld-linux-x86-64.so.2"
MUSL = "/lib/ld-musl-x86_64.so.1"
LIB = "/lib/x86_64-linux-gnu"
LIBC = "libc.so.6"
OLD = "GLIBC_2.2.5"


def _program(*symbols: Symbol, needed: tuple[str, ...] = (LIBC,), **fields: object) -> bytes:
    tables = Tables(symbols=symbols)
    return mkelf(replace(Spec(interpreter=LD, needed=needed, tables=tables), **fields))  # type: ignore[arg-type] # fields of a spec


def _library(soname: str, *symbols: Symbol, defines: tuple[str, ...] = (), **fields: object) -> bytes:
    tables = Tables(symbols=symbols, defines=defines)
    return mkelf(replace(Spec(soname=soname, tables=tables), **fields))  # type: ignore[arg-type] # fields of a spec


_LIBC = _library(
    LIBC,
    Symbol(name="free", version=OLD),
    Symbol(name="fopen", version="GLIBC_2.36"),
    Symbol(name="gone", version=OLD, hidden=True),
    defines=(OLD, "GLIBC_2.36"),
)


def _check(tmp_path: Path, files: dict[str, bytes | str], **options: object) -> LinkReport:
    every: dict[str, bytes | str] = {LD: _library("ld-linux-x86-64.so.2"), f"{LIB}/{LIBC}": _LIBC, **files}
    return check_links(sysroot_of(every, tmp_path / "store"), ElfFacts(None), **options)  # type: ignore[arg-type] # as given


def _messages(report: LinkReport) -> list[str]:
    return [problem.message for problem in report.problems]


FITTING: dict[str, dict[str, bytes | str]] = {
    "a version that is defined": {"/bin/x": _program(wants("free", OLD, LIBC))},
    "a hidden version that is asked for": {"/bin/x": _program(wants("gone", OLD, LIBC))},
    "no version, and the oldest answers": {"/bin/x": _program(wants("free"))},
    "a weak symbol that nothing defines": {"/bin/x": _program(wants("__gmon_start__", weak=True))},
    "a weak version that is not defined": {
        "/bin/x": mkelf(
            Spec(interpreter=LD, needed=(LIBC,), tables=Tables(extra_needs=((LIBC, "GLIBC_9", True),)))
        )
    },
    "the program defines what its library wants": {
        "/bin/x": _program(Symbol(name="hook"), needed=("liba.so",)),
        f"{LIB}/liba.so": _library("liba.so", wants("hook")),
    },
    "a library that comes later defines it": {
        "/bin/x": _program(wants("f"), needed=("liba.so", "libb.so")),
        f"{LIB}/liba.so": _library("liba.so"),
        f"{LIB}/libb.so": _library("libb.so", Symbol(name="f")),
    },
    "a version that moved to another library": {
        "/bin/x": _program(wants("dlopen", OLD, "libdl.so.2"), needed=("libdl.so.2", LIBC)),
        f"{LIB}/libdl.so.2": _library("libdl.so.2", defines=(OLD,)),
        f"{LIB}/{LIBC}": _library(LIBC, Symbol(name="dlopen", version=OLD), defines=(OLD,)),
    },
    "a definition without a version among some": {
        "/bin/x": _program(wants("f", "A_1", "liba.so"), needed=("liba.so",)),
        f"{LIB}/liba.so": _library("liba.so", Symbol(name="f"), defines=("A_1",)),
    },
    "a plug-in whose host defines what it wants": {
        "/usr/lib/x/plugin.so": _library("plugin.so", wants("host_call"), needed=(LIBC,)),
    },
    "a plug-in that wants a version of a file its host loads": {
        "/usr/lib/x/plugin.so": _library("plugin.so", wants("f", "HOST_1", "libhost.so.1"), needed=(LIBC,)),
    },
    "a library that is missing is told elsewhere": {"/bin/x": _program(wants("f"), needed=("libnone.so",))},
}


@pytest.mark.parametrize("files", FITTING.values(), ids=FITTING)
def test_what_fits_together(files: dict[str, bytes | str], tmp_path: Path) -> None:
    assert _check(tmp_path, files) == LinkReport()


PROBLEMS: dict[str, tuple[dict[str, bytes | str], list[str]]] = {
    "the C library is too old": (
        {"/bin/x": _program(wants("fopen", "GLIBC_2.38", LIBC))},
        [
            (
                f"/bin/x needs GLIBC_2.38, which {LIB}/{LIBC} (up to GLIBC_2.36) does not define: "
                "the C library of the image is too old"
            )
        ],
    ),
    "another library is too old": (
        {
            "/bin/x": _program(wants("f", "A_1.10", "liba.so"), needed=("liba.so",)),
            f"{LIB}/liba.so": _library("liba.so", Symbol(name="f", version="A_1.9"), defines=("A_1.9",)),
        },
        [
            (
                f"/bin/x needs A_1.10, which {LIB}/liba.so (up to A_1.9) does not define: "
                "that library of the image is too old"
            )
        ],
    ),
    "a library is of another kind": (
        {
            "/bin/x": _program(wants("f", "A_1", "liba.so"), needed=("liba.so",)),
            f"{LIB}/liba.so": _library("liba.so", Symbol(name="f", version="B"), defines=("B",)),
        },
        [f"/bin/x needs A_1, which {LIB}/liba.so does not define: the two do not belong together"],
    ),
    "a version that was taken away": (
        {
            "/bin/x": _program(wants("f", "A_1", "liba.so"), needed=("liba.so",)),
            f"{LIB}/liba.so": _library("liba.so", Symbol(name="f", version="A_2"), defines=("A_2",)),
        },
        [
            (
                f"/bin/x needs A_1, which {LIB}/liba.so (up to A_2) does not define: "
                "the two do not belong together"
            )
        ],
    ),
    "a symbol with a version is nowhere": (
        {"/bin/x": _program(wants("strange", OLD, LIBC))},
        [
            f"undefined symbol strange, version {OLD} (needed by /bin/x); searched /bin/x, {LIB}/{LIBC}",
        ],
    ),
    "a symbol without a version is nowhere": (
        {"/bin/x": _program(wants("strange"))},
        [f"undefined symbol strange (needed by /bin/x); searched /bin/x, {LIB}/{LIBC}"],
    ),
    "a hidden version answers nobody who asks for none": (
        {
            "/bin/x": _program(wants("f"), needed=("liba.so",)),
            f"{LIB}/liba.so": _library(
                "liba.so", Symbol(name="f", version="A_2", hidden=True), defines=("A_1", "A_2")
            ),
        },
        [f"undefined symbol f (needed by /bin/x); searched /bin/x, {LIB}/liba.so"],
    ),
    "a library of the program wants it": (
        {
            "/bin/x": _program(needed=("liba.so",)),
            f"{LIB}/liba.so": _library("liba.so", wants("strange")),
        },
        [
            (
                f"undefined symbol strange (needed by {LIB}/liba.so); searched /bin/x, {LIB}/liba.so "
                "(in the process of /bin/x)"
            )
        ],
    ),
    "a variable copied from a library that lost it": (
        {"/bin/x": _program(Symbol(name="stdout", version=OLD, file=LIBC, kind=1))},
        [f"undefined symbol stdout, version {OLD} (needed by /bin/x); searched /bin/x, {LIB}/{LIBC}"],
    ),
    "a version of a file that nothing loads": (
        {"/bin/x": _program(wants("f", "A_1", "liba.so"))},
        [
            "/bin/x needs A_1 of liba.so, which nothing loads: ld.so stops there",
            f"undefined symbol f, version A_1 (needed by /bin/x); searched /bin/x, {LIB}/{LIBC}",
        ],
    ),
    "a plug-in for a newer C library": (
        {"/usr/lib/x/p.so": _library("p.so", wants("fopen", "GLIBC_2.38", LIBC), needed=(LIBC,))},
        [
            (
                f"/usr/lib/x/p.so needs GLIBC_2.38, which {LIB}/{LIBC} (up to GLIBC_2.36) does not define: "
                "the C library of the image is too old"
            )
        ],
    ),
    "a plug-in whose library lost a symbol": (
        {"/usr/lib/x/p.so": _library("p.so", wants("strange", OLD, LIBC), wants("host"), needed=(LIBC,))},
        [
            (
                f"undefined symbol strange, version {OLD} (needed by /usr/lib/x/p.so); "
                f"searched /usr/lib/x/p.so, {LIB}/{LIBC}"
            )
        ],
    ),
}


@pytest.mark.parametrize(("files", "messages"), PROBLEMS.values(), ids=PROBLEMS)
def test_what_does_not(files: dict[str, bytes | str], messages: list[str], tmp_path: Path) -> None:
    assert _messages(_check(tmp_path, files)) == messages


def test_a_file_without_versions_is_a_warning_as_in_ld_so(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {
        "/bin/x": _program(wants("f", "A_1", "liba.so"), needed=("liba.so",)),
        f"{LIB}/liba.so": _library("liba.so", Symbol(name="f")),
    }
    report = _check(tmp_path, files)
    assert report.problems == ()
    assert report.warnings == (
        f"{LIB}/liba.so has no version information, which /bin/x requires: it loads, as it is",
    )


def test_only_the_first_symbols_of_an_object_are_told_one_by_one(tmp_path: Path) -> None:
    symbols = tuple(wants(f"f{number:02}") for number in range(30))
    report = _check(tmp_path, {"/bin/x": _program(*symbols)})
    assert [problem.name for problem in report.problems] == ["f00", "f01", "f02", "f03", "f04"]
    assert "undefined symbol f04 (needed by /bin/x), and 25 more symbols; searched" in _messages(report)[-1]


def test_a_library_is_told_once_for_many_programs(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {
        f"/bin/{name}": _program(needed=("liba.so",)) for name in ("x", "y", "z")
    }
    report = _check(tmp_path, {**files, f"{LIB}/liba.so": _library("liba.so", wants("strange"))})
    assert [(problem.program, problem.plugin) for problem in report.problems] == [("/bin/x", False)]


def test_a_library_is_judged_anew_in_a_process_that_lacks_what_answered_it(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {
        "/bin/a": _program(Symbol(name="hook"), needed=("liba.so",)),
        "/bin/b": _program(needed=("liba.so",)),
        f"{LIB}/liba.so": _library("liba.so", wants("hook")),
    }
    (problem,) = _check(tmp_path, files).problems
    assert (problem.program, problem.dependent, problem.name) == ("/bin/b", f"{LIB}/liba.so", "hook")


def test_musl_knows_no_versions(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {
        MUSL: _library("libc.musl-x86_64.so.1", Symbol(name="free")),
        "/bin/x": _program(
            wants("free", "V_1", "libother.so"),
            wants("strange"),
            needed=("libc.musl-x86_64.so.1",),
            interpreter=MUSL,
        ),
    }
    assert [problem.name for problem in _check(tmp_path, files).problems] == ["strange"]


def test_an_object_with_damaged_symbols_is_a_warning(tmp_path: Path) -> None:
    body = _program(wants("free", OLD, LIBC))
    at = body.index((6).to_bytes(8, "little"), 0x100)
    report = _check(tmp_path, {"/bin/x": body[: at + 8] + b"\xff" * 8 + body[at + 16 :]})
    assert report.problems == ()
    assert report.warnings == ("The symbols of /bin/x are not checked: its symbol table is in no segment",)


def test_folders_of_ld_library_path_and_the_cache_count(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {
        "/bin/x": _program(wants("f"), needed=("liba.so",)),
        "/opt/lib/liba.so": _library("liba.so", Symbol(name="g")),
    }
    assert _check(tmp_path, files).problems == ()
    assert len(_check(tmp_path, files, library_path=("/opt/lib",)).problems) == 1


# ---- of a plan -------------------------------------------------------------------------------------------


def _plan(sysroot: Sysroot) -> ImagePlan:
    reason = Reason(ReasonKind.KEEP)
    entries = tuple(
        Entry(
            path=node.path,
            kind=node.kind,
            mode=node.mode,
            content=node.content if node.kind is Kind.FILE else None,
            target=node.target,
            reason=reason,
        )
        for node in sysroot
    )
    return ImagePlan(
        platform=Platform(os="linux", architecture="amd64"),
        config=ImageConfig(),
        annotations=(),
        layers=(Layer(entries=entries),),
        packages=(),
        created=0,
        distribution="",
    )


_BAD: dict[str, bytes | str] = {
    LD: _library("ld.so"),
    f"{LIB}/{LIBC}": _LIBC,
    "/bin/x": _program(wants("no")),
}
_GOOD: dict[str, bytes | str] = {**_BAD, "/bin/x": _program(wants("free"))}


def test_a_plan_that_does_not_fit_is_an_error_that_says_all(tmp_path: Path) -> None:
    plan = _plan(sysroot_of(_BAD, tmp_path / "store"))
    with pytest.raises(ResolutionError, match="do not fit together:\n  undefined symbol no") as caught:
        linked(plan, ElfFacts(None), memory=tmp_path / "links", warn=False)
    assert caught.value.hint is not None
    assert not (tmp_path / "links").exists()


def test_with_warn_it_is_a_warning(tmp_path: Path) -> None:
    plan = _plan(sysroot_of(_BAD, tmp_path / "store"))
    (warning,) = linked(plan, ElfFacts(None), memory=None, warn=True).warnings
    assert warning.startswith("undefined symbol no (needed by /bin/x)")


def test_a_verdict_is_remembered_until_a_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = tmp_path / "links"
    good = _plan(sysroot_of(_GOOD, tmp_path / "good"))
    assert linked(good, ElfFacts(None), memory=memory, warn=False) == good
    asked: list[object] = []

    def check(image: Sysroot, *_: object, **__: object) -> LinkReport:
        asked.append(image)
        return LinkReport()

    monkeypatch.setattr(link_module, "check_links", check)
    assert linked(good, ElfFacts(None), memory=memory, warn=False) == good
    assert asked == []
    linked(_plan(sysroot_of(_BAD, tmp_path / "bad")), ElfFacts(None), memory=memory, warn=False)
    assert len(asked) == 1
    memory.write_bytes(b"damaged")
    linked(good, ElfFacts(None), memory=memory, warn=False)
    assert len(asked) == 2


def test_a_second_name_of_a_file_has_its_bytes(tmp_path: Path) -> None:
    (entry,) = (
        one for one in _plan(sysroot_of(_GOOD, tmp_path / "s")).layers[0].entries if one.path == "/bin/x"
    )
    second = replace(entry, path="/bin/y", content=None, hardlink="/bin/x")
    node = image_of([entry, second]).get("/bin/y")
    assert node is not None
    assert node.content == entry.content

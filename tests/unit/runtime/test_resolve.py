"""Why each file of a small image is there, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from builder.elf.facts import ElfFacts
from builder.errors import ResolutionError
from builder.oci import ImageConfig, Platform
from builder.recipe.model import Dlopen, FileType, Install, Missing, Recipe, RecipeFile, Runtime
from builder.recipe.source_model import DebianSource
from builder.runtime.closure import Closure
from builder.runtime.hints import LOADERS
from builder.runtime.resolve import resolve
from builder.runtime.rulebook import read_rules
from builder.sources.debian.tree import merged_tree
from builder.sources.local import LocalFiles, local_files
from builder.sysroot import Package
from tests.support.mkelf import GLIBC_X86_64, Spec, mkelf
from tests.support.mksymbols import Tables, dlopen_note, wants
from tests.support.packages import Dir, File, Link, copyright_of, make_package

LOADER = "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
LIB = "/usr/lib/x86_64-linux-gnu"
_FOLDERS = f"/lib/x86_64-linux-gnu/\0{LIB}/\0/lib/\0/usr/lib/\0".encode()


def program(*needed: str, **fields: Any) -> File:
    return File(content=mkelf(Spec(needed=needed, interpreter=GLIBC_X86_64, **fields)), mode=0o755)


def opener(sonames: tuple[str, ...], **fields: object) -> File:
    return program("libc.so.6", notes=dlopen_note({"soname": list(sonames), **fields}))


def loader_of_plugins(folder: str) -> File:
    tables = Tables(symbols=(wants("dlopen"),))
    return program("libc.so.6", tables=tables, rodata=f"\0{folder}\0".encode(), writable=False)


def library(soname: str, *needed: str, **fields: Any) -> File:
    return File(content=mkelf(Spec(needed=needed, soname=soname, **fields)))


LIBC: dict[str, Dir | File | Link] = {
    LOADER: File(content=mkelf(Spec(soname="ld-linux-x86-64.so.2", rodata=_FOLDERS)), mode=0o755),
    "/usr/lib64/ld-linux-x86-64.so.2": Link("../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"),
    f"{LIB}/libc.so.6": library("libc.so.6"),
    f"{LIB}/libm.so.6": library("libm.so.6", "libc.so.6"),
    "/lib64/marker": File(content=b"x"),
    **copyright_of("libc6"),
}


@dataclass(frozen=True)
class Case:
    """An image of ``app`` (named) and ``dep`` (a dependency); ``expect``: path → the words of its reason."""

    id: str
    app: Mapping[str, Dir | File | Link]
    dep: Mapping[str, Dir | File | Link] = field(default_factory=dict)
    config: ImageConfig = field(default_factory=ImageConfig)
    runtime: Runtime = field(default_factory=Runtime)
    files: tuple[RecipeFile, ...] = ()
    expect: Mapping[str, str] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    error: str = ""
    dep_source: bool = False
    dep_alone: bool = False
    control: str = ""
    """More fields of app's control file."""


CASES = (
    Case(
        "the payload comes without documentation",
        app={
            "/usr/bin/app": File(content=b"data", mode=0o755),
            "/usr/share/doc/app/README": File(content=b"read"),
            "/usr/share/man/man1/app.1": File(content=b"man"),
            "/usr/share/locale/de/LC_MESSAGES/app.mo": File(content=b"mo"),
            "/usr/share/lintian/overrides/app": File(content=b"l"),
            "/usr/share/localedata": File(content=b"not a catalogue"),
            "/var/lib/app": Dir(),
        },
        expect={
            "/usr/bin/app": "payload of the named package app",
            "/usr/share/localedata": "payload of the named package app",
            "/var/lib/app": "payload of the named package app",
        },
        absent=(
            "/usr/share/doc/app/README",
            "/usr/share/doc/app",
            "/usr/share/man/man1/app.1",
            "/usr/share/locale/de/LC_MESSAGES/app.mo",
            "/usr/share/lintian/overrides/app",
        ),
    ),
    Case(
        "a program brings its interpreter and libraries with every link crossed, and nothing else",
        app={"/usr/bin/app": program("libdep.so.1", "libc.so.6")},
        dep={
            f"{LIB}/libdep.so.1": Link("libdep.so.1.2"),
            f"{LIB}/libdep.so.1.2": library("libdep.so.1", "libm.so.6"),
            f"{LIB}/libunused.so.1": library("libunused.so.1"),
            "/usr/bin/dep-tool": File(content=b"#!/bin/sh\n", mode=0o755),
        },
        expect={
            f"{LIB}/libdep.so.1": f"symbolic link crossed to reach {LIB}/libdep.so.1.2",
            f"{LIB}/libdep.so.1.2": f"DT_NEEDED of /usr/bin/app (default folder {LIB})",
            f"{LIB}/libm.so.6": f"DT_NEEDED of {LIB}/libdep.so.1.2 (default folder {LIB})",
            LOADER: "program interpreter of /usr/bin/app",
            "/usr/lib64/ld-linux-x86-64.so.2": f"symbolic link crossed to reach {LOADER}",
            "/lib64": "base of every image: /lib64",
        },
        absent=(f"{LIB}/libunused.so.1", "/usr/bin/dep-tool"),
    ),
    Case(
        "a missing library names the dependent and where it was looked for",
        app={"/usr/bin/app": program("libgone.so.3")},
        error="libgone.so.3 is needed by /usr/bin/app",
    ),
    Case(
        "a missing library is a warning where the recipe says so",
        app={"/usr/bin/app": program("libgone.so.3")},
        runtime=Runtime(missing=Missing.WARN),
        expect={"/usr/bin/app": "payload of the named package app"},
        warnings=("libgone.so.3 is needed by /usr/bin/app",),
    ),
    Case(
        "a plug-in's library that its host program brings is not missing",
        app={
            "/usr/bin/app": program("libhost.so.1", runpath="/usr/lib/app"),
            "/usr/lib/app/libhost.so.1": library("libhost.so.1"),
            "/usr/lib/app/plugins/one.so": library("one.so", "libhost.so.1"),
        },
        expect={"/usr/lib/app/plugins/one.so": "payload of the named package app"},
    ),
    Case(
        "a script brings its interpreter, env the program it names",
        app={
            "/usr/bin/app": File(content=b"#!/usr/bin/env -S FOO=1 dep --fast\n", mode=0o755),
            "/usr/share/app/not-executable": File(content=b"#!/usr/bin/missing\n"),
        },
        dep={
            "/usr/bin/env": File(content=b"env", mode=0o755),
            "/usr/bin/dep": File(content=b"dep", mode=0o755),
        },
        expect={
            "/usr/bin/env": "script interpreter of /usr/bin/app",
            "/usr/bin/dep": "script interpreter of /usr/bin/app",
        },
    ),
    Case(
        "a helper script without interpreter is reported and an init script is not",
        app={
            "/usr/bin/helper": File(content=b"#!/bin/gone -e\n", mode=0o755),
            "/etc/init.d/app": File(content=b"#!/bin/gone\n", mode=0o755),
        },
        expect={"/etc/init.d/app": "payload of the named package app"},
        warnings=("/usr/bin/helper is a script for /bin/gone, which the image does not have",),
    ),
    Case(
        "an entry point without interpreter is refused",
        app={"/usr/bin/app": File(content=b"#!/bin/gone\n", mode=0o755)},
        config=ImageConfig(entrypoint=("/usr/bin/app",)),
        error="/bin/gone, the interpreter of /usr/bin/app that the image starts, is in no package",
    ),
    Case(
        "an entry point is looked up on PATH and through links",
        app={"/usr/share/app/data": File(content=b"x")},
        dep={
            "/usr/bin/dep": Link("/etc/alternatives/dep"),
            "/etc/alternatives/dep": Link("/usr/bin/dep-1"),
            "/usr/bin/dep-1": program("libc.so.6"),
        },
        config=ImageConfig(cmd=("dep", "--serve")),
        expect={
            "/usr/bin/dep-1": "started by the image cmd",
            "/usr/bin/dep": "symbolic link crossed to reach /usr/bin/dep-1",
            "/etc/alternatives/dep": "symbolic link crossed to reach /usr/bin/dep-1",
            f"{LIB}/libc.so.6": f"DT_NEEDED of /usr/bin/dep-1 (default folder {LIB})",
        },
    ),
    Case(
        "an entry point that is not there names the nearest program",
        app={"/usr/bin/redis-server": program("libc.so.6")},
        config=ImageConfig(entrypoint=("/usr/bin/redis-sever",)),
        error="is in no package of the recipe (nearest: /usr/bin/redis-server)",
    ),
    Case(
        "an entry point that is not executable is refused",
        app={"/usr/bin/app": File(content=b"x", mode=0o644)},
        config=ImageConfig(entrypoint=("/usr/bin/app",)),
        error="cannot be started: /usr/bin/app is not executable",
    ),
    Case(
        "a link of the payload brings its target, and a folder that one package ships whole",
        app={
            "/usr/share/app/modules": Link("../../lib/dep/modules"),
            "/usr/share/app/shared": Link("/usr/lib"),
        },
        dep={"/usr/lib/dep/modules/one.conf": File(content=b"1"), "/usr/lib/dep/other": File(content=b"2")},
        expect={
            "/usr/lib/dep/modules": "target of the symbolic link /usr/share/app/modules",
            "/usr/lib/dep/modules/one.conf": "target of the symbolic link /usr/share/app/modules",
            "/usr/lib": "target of the symbolic link /usr/share/app/shared",
        },
        absent=("/usr/lib/dep/other", f"{LIB}/libm.so.6"),
    ),
    Case(
        "drop takes files out of a folder that a link brings",
        app={"/usr/share/app/modules": Link("../../lib/dep/modules")},
        dep={
            "/usr/lib/dep/modules/one.conf": File(content=b"1"),
            "/usr/lib/dep/modules/two.so": library("two.so", "libgone.so.1"),
        },
        runtime=Runtime(drop=("/usr/lib/dep/modules/*.so",)),
        expect={"/usr/lib/dep/modules/one.conf": "target of the symbolic link /usr/share/app/modules"},
        absent=("/usr/lib/dep/modules/two.so",),
    ),
    Case(
        "a link that leads to itself or to nothing stays as it is",
        app={"/usr/share/app/loop": Link("loop"), "/usr/share/app/dangling": Link("/nowhere")},
        expect={
            "/usr/share/app/loop": "payload of the named package app",
            "/usr/share/app/dangling": "payload of the named package app",
        },
        warnings=("/usr/share/app/loop is a link that leads to itself",),
    ),
    Case(
        "keep takes files of dependencies and drop takes files away, but never a needed library",
        app={"/usr/bin/app": program("libdep.so.1"), "/usr/share/app/big": File(content=b"big")},
        dep={
            f"{LIB}/libdep.so.1": library("libdep.so.1"),
            "/usr/share/dep/a/b.txt": File(content=b"b"),
            "/usr/share/dep/c.txt": File(content=b"c"),
        },
        runtime=Runtime(
            keep=("/usr/share/dep/**",), drop=("/usr/share/app/*", "/usr/share/dep/c.*", f"{LIB}/**")
        ),
        expect={
            "/usr/share/dep/a/b.txt": "kept by the recipe: /usr/share/dep/**",
            f"{LIB}/libdep.so.1": f"DT_NEEDED of /usr/bin/app (default folder {LIB})",
        },
        absent=("/usr/share/app/big", "/usr/share/dep/c.txt"),
    ),
    Case(
        "keep that matches nothing is refused",
        app={"/usr/bin/app": File(mode=0o755)},
        runtime=Runtime(keep=("/usr/share/nothing/**",)),
        error="keep = '/usr/share/nothing/**' matches no file",
    ),
    Case(
        "a library loaded by name comes with what it needs",
        app={"/usr/bin/app": program("libc.so.6")},
        dep={f"{LIB}/libplug.so.1": library("libplug.so.1", "libm.so.6")},
        runtime=Runtime(libraries=("libplug.so.1",)),
        expect={
            f"{LIB}/libplug.so.1": "library named by the recipe libplug.so.1",
            f"{LIB}/libm.so.6": f"DT_NEEDED of {LIB}/libplug.so.1 (default folder {LIB})",
        },
    ),
    Case(
        "a library loaded by name that is not there is refused",
        app={"/usr/bin/app": program("libc.so.6")},
        runtime=Runtime(libraries=("libnope.so.1",)),
        error="libnope.so.1, named by runtime.libraries, is in none of",
    ),
    Case(
        "a file that the recipe makes can be the entry point",
        app={"/usr/share/app/data": File(content=b"x")},
        dep={"/usr/bin/dep": program("libc.so.6")},
        files=(
            RecipeFile(path="/start", content="#!/usr/bin/dep\n", mode=0o755),
            RecipeFile(path="/alias", type=FileType.SYMLINK, target="/start"),
        ),
        config=ImageConfig(entrypoint=("/alias",)),
        expect={
            "/start": "started by the image entrypoint",
            "/usr/bin/dep": "script interpreter of /start",
            "/alias": "symbolic link crossed to reach /start",
        },
    ),
    Case(
        "a dependency of the named package's source comes whole, without documentation",
        app={"/usr/bin/app": File(mode=0o755)},
        dep={"/usr/lib/app/module": File(content=b"x"), "/usr/share/man/man1/app.1": File(content=b"x")},
        dep_source=True,
        expect={"/usr/lib/app/module": "payload of a package of the same source as app (dep)"},
        absent=("/usr/share/man/man1/app.1",),
    ),
    Case(
        "a folder link of a dependency of the named package's source brings all that it leads to",
        app={"/usr/bin/app": File(mode=0o755)},
        dep={"/usr/lib/app": Link("../share/doc/plugs"), "/usr/share/doc/plugs/one": File(content=b"x")},
        dep_source=True,
        expect={"/usr/share/doc/plugs/one": "target of the symbolic link /usr/lib/app"},
    ),
    Case(
        "a package that is taken for single files stays a package of single files",
        app={"/usr/bin/app": File(mode=0o755)},
        dep={"/usr/lib/app/module": File(content=b"x")},
        dep_source=True,
        dep_alone=True,
        absent=("/usr/lib/app/module",),
    ),
    Case(
        "the settings of a named package come from whoever ships them, less what is dropped",
        app={"/usr/bin/app": File(mode=0o755)},
        dep={"/etc/app/on.conf": File(content=b"x"), "/etc/app/off.conf": File(content=b"x")},
        runtime=Runtime(drop=("/etc/app/off.*",)),
        expect={"/etc/app/on.conf": "settings of the named package app"},
        absent=("/etc/app/off.conf",),
    ),
    Case(
        "a library that an object says it opens is taken with what it needs, the first that is there",
        app={"/usr/bin/app": opener(("libgone.so.1", "libplug.so.1"), feature="sound")},
        dep={f"{LIB}/libplug.so.1": library("libplug.so.1", "libm.so.6")},
        expect={
            f"{LIB}/libplug.so.1": "loaded at run time by /usr/bin/app (sound, recommended)",
            f"{LIB}/libm.so.6": f"DT_NEEDED of {LIB}/libplug.so.1 (default folder {LIB})",
        },
    ),
    Case(
        "what a library suggests to open is left out unless the recipe wants suggestions",
        app={"/usr/bin/app": opener(("libplug.so.1",), priority="suggested")},
        dep={f"{LIB}/libplug.so.1": library("libplug.so.1")},
        absent=(f"{LIB}/libplug.so.1",),
    ),
    Case(
        "the recipe may want suggestions",
        app={"/usr/bin/app": opener(("libplug.so.1",), priority="suggested")},
        dep={f"{LIB}/libplug.so.1": library("libplug.so.1")},
        runtime=Runtime(dlopen=Dlopen.SUGGESTED),
        expect={f"{LIB}/libplug.so.1": "loaded at run time by /usr/bin/app (suggested)"},
    ),
    Case(
        "the recipe may want nothing that is only opened",
        app={"/usr/bin/app": opener(("libplug.so.1",), priority="required")},
        dep={f"{LIB}/libplug.so.1": library("libplug.so.1")},
        runtime=Runtime(dlopen=Dlopen.NONE),
        absent=(f"{LIB}/libplug.so.1",),
    ),
    Case(
        "a library that must be opened and is nowhere is missing",
        app={"/usr/bin/app": opener(("libgone.so.1",), priority="required", description="output")},
        error="opens libgone.so.1 at run time (required), and nothing provides it; it is for: output",
    ),
    Case(
        "one that is only recommended becomes a hint",
        app={"/usr/bin/app": opener(("libgone.so.1",))},
        hints=("/usr/bin/app opens libgone.so.1 at run time (recommended), and nothing provides it",),
    ),
    Case(
        "a folder of plug-ins that a program names and that is left out becomes a hint with the line to add",
        app={"/usr/bin/app": loader_of_plugins(f"{LIB}/app-plugins")},
        dep={f"{LIB}/app-plugins/one.so": library("one.so"), f"{LIB}/app-plugins/two.so": library("two.so")},
        hints=(
            (
                f"/usr/bin/app names {LIB}/app-plugins (2 shared objects of dep), which is left out; "
                f'to take it: keep = ["{LIB}/app-plugins/**"]'
            ),
        ),
    ),
    Case(
        "no hint where one of the plug-ins was taken",
        app={"/usr/bin/app": loader_of_plugins(f"{LIB}/app-plugins")},
        dep={f"{LIB}/app-plugins/one.so": library("one.so"), f"{LIB}/app-plugins/two.so": library("two.so")},
        runtime=Runtime(keep=(f"{LIB}/app-plugins/one.so",)),
    ),
    Case(
        "no hint for a program that loads nothing by name",
        app={"/usr/bin/app": program(rodata=f"\0{LIB}/app-plugins\0".encode())},
        dep={f"{LIB}/app-plugins/one.so": library("one.so")},
    ),
    Case(
        "a large interpreter that is there for one payload script alone becomes a hint",
        app={"/usr/bin/tool": File(content=b"#!/usr/bin/lang\n", mode=0o755)},
        dep={"/usr/bin/lang": File(content=b"x" * (5 << 20), mode=0o755)},
        expect={"/usr/bin/lang": "script interpreter of /usr/bin/tool"},
        hints=("/usr/bin/lang (5 MB with its modules) is there for the sake of these scripts alone",),
    ),
    Case(
        "no hint where the image starts that script",
        app={"/usr/bin/tool": File(content=b"#!/usr/bin/lang\n", mode=0o755)},
        dep={"/usr/bin/lang": File(content=b"x" * (5 << 20), mode=0o755)},
        config=ImageConfig(entrypoint=("/usr/bin/tool",)),
        expect={"/usr/bin/lang": "script interpreter of /usr/bin/tool"},
    ),
    Case(
        "LD_LIBRARY_PATH of the image is searched",
        app={"/usr/bin/app": program("libx.so.1"), "/opt/x/libx.so.1": library("libx.so.1")},
        config=ImageConfig(env=(("LD_LIBRARY_PATH", "/opt/x"),)),
        expect={"/opt/x/libx.so.1": "payload of the named package app"},
    ),
)


def closure_of(case: Case, folder: Path) -> Closure:
    dep = make_package(folder, "dep", {**case.dep, **copyright_of("dep")})
    source = "app-src" if case.dep_source else "dep-src"
    app = make_package(folder, "app", {**case.app, **copyright_of("app")})
    packages = [
        replace(app, control=app.control + case.control),
        replace(dep, alone=case.dep_alone, source_name=source, source_version="1.0-1"),
        make_package(folder, "libc6", LIBC),
    ]
    recipe = Recipe(
        path=folder / "recipe.toml",
        name="app",
        platform=Platform("linux", "amd64"),
        sources=(DebianSource(name="os", packages=("app",)),),
        config=case.config,
        runtime=case.runtime,
        files=case.files,
    )
    tree = merged_tree(packages)
    local = local_files((), recipe.files, tree)
    return resolve(recipe, tree.overlay(local.nodes()), local, ElfFacts(None, watched=LOADERS))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_closure(case: Case, tmp_path: Path) -> None:
    if case.error:
        with pytest.raises(ResolutionError) as raised:
            closure_of(case, tmp_path)
        assert case.error in raised.value.message
        assert raised.value.hint
        return
    closure = closure_of(case, tmp_path)
    reasons = {path: str(item.reason) for path, item in closure.needed.items()}
    assert {path: reasons.get(path) for path in case.expect} == dict(case.expect)
    assert not [path for path in case.absent if path in reasons]
    assert len(closure.warnings) == len(case.warnings), closure.warnings
    for got, wanted in zip(closure.warnings, case.warnings, strict=True):
        assert got.startswith(wanted)
    assert len(closure.hints) == len(case.hints), closure.hints
    for got, wanted in zip(closure.hints, case.hints, strict=True):
        assert got.startswith(wanted)


def test_a_program_from_a_local_folder_is_resolved_among_the_packages(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "api").write_bytes(program("libm.so.6").content)
    (tmp_path / "bin" / "api").chmod(0o700)
    tree = merged_tree([make_package(tmp_path, "libc6", LIBC)])
    install = Install(context=tmp_path / "bin", to="/usr/bin")
    recipe = Recipe(
        path=tmp_path / "recipe.toml",
        name="api",
        platform=Platform("linux", "amd64"),
        sources=(DebianSource(name="os"),),
        installs=(install,),
        config=ImageConfig(entrypoint=("/usr/bin/api",)),
    )
    local = local_files(recipe.installs, (), tree)
    closure = resolve(recipe, tree.overlay(local.nodes()), local, ElfFacts(None))
    assert closure.needed["/usr/bin/api"].node.mode == 0o755
    assert str(closure.needed["/usr/bin/api"].reason) == "started by the image entrypoint"
    assert f"{LIB}/libm.so.6" in closure.needed


def test_a_missing_library_of_another_entry_is_not_hidden_by_warn(tmp_path: Path) -> None:
    case = replace(
        CASES[2],
        runtime=Runtime(missing=Missing.WARN),
        app={"/usr/bin/a": program("liba.so"), "/usr/bin/b": program("libb.so")},
    )
    assert len(closure_of(case, tmp_path).warnings) == 2


@pytest.mark.parametrize(
    ("app", "config", "line"),
    [
        ({"/usr/bin/a": program("liba.so")}, ImageConfig(), '(drop = ["/usr/bin/a"] under [runtime])'),
        ({f"{LIB}/app/p.so": library("p.so", "liba.so")}, ImageConfig(), f'(drop = ["{LIB}/app/p.so"]'),
        ({"/usr/bin/a": program("liba.so"), "/usr/bin/b": program("libb.so")}, ImageConfig(), ""),
        ({"/usr/bin/a": program("liba.so")}, ImageConfig(entrypoint=("/usr/bin/a",)), ""),
    ],
    ids=["a program", "a plug-in", "one of two would not be enough", "the image starts it"],
)
def test_the_hint_leaves_out_the_one_dependent(
    app: dict[str, Dir | File | Link], config: ImageConfig, line: str, tmp_path: Path
) -> None:
    with pytest.raises(ResolutionError) as raised:
        closure_of(Case("hint", app=app, config=config), tmp_path)
    hint = raised.value.hint or ""
    assert line in hint
    assert ("drop = [" in hint) is bool(line)


OPTIONAL: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "a recommended package that is called after the library": ("libx.so.1", "Recommends: libx1", ("libx1",)),
    "a number at the end of the name is set off": (
        "libpcre2-8.so.0",
        "Recommends: libpcre2-8-0 (>= 10.32), libpcre2",
        ("libpcre2-8-0",),
    ),
    "capitals and underscores are not in names of packages": (
        "libX_y.so.2.1",
        "Recommends: a | libx-y2.1t64, libx-y2",
        ("libx-y2.1t64",),
    ),
    "a dependency of a package that was taken for single files": ("libx.so.1", "Depends: libx1", ("libx1",)),
    "names without a version say nothing": ("libx.so", "Recommends: libx", ()),
}


@pytest.mark.parametrize(("soname", "relation", "taken"), OPTIONAL.values(), ids=OPTIONAL)
def test_libraries_that_a_package_recommends(
    soname: str, relation: str, taken: tuple[str, ...], tmp_path: Path
) -> None:
    app = make_package(tmp_path, "app", {"/usr/lib/app/plugin.so": library("plugin.so", soname)})
    app = replace(app, control=f"Package: app\n{relation}\n")
    libc = make_package(tmp_path, "libc6", LIBC)

    def closure(*more: Package, asked: tuple[str, ...] = ()) -> Closure:
        recipe = Recipe(
            path=tmp_path / "recipe.toml",
            name="app",
            platform=Platform("linux", "amd64"),
            sources=(DebianSource(name="os", packages=("app",)),),
        )
        tree = merged_tree((app, libc, *more))
        return resolve(recipe, tree, LocalFiles(made={}), ElfFacts(None), asked=asked)

    if not taken:
        with pytest.raises(ResolutionError, match=soname):
            closure()
        return
    assert tuple(closure().taken) == taken
    with pytest.raises(ResolutionError, match=soname):
        closure(asked=taken)  # it cannot be had
    found = make_package(tmp_path, taken[0], {f"{LIB}/{soname}": library(soname)})
    again = closure(found, asked=taken)
    assert tuple(again.taken) == taken
    assert str(again.needed[f"{LIB}/{soname}"].reason).startswith("DT_NEEDED of /usr/lib/app/plugin.so")


def test_plugins_may_do_without_libraries_that_their_package_only_suggests(tmp_path: Path) -> None:
    case = Case(
        "",
        app={f"/opt/{name}.so": library(f"{name}.so", f"lib{name}.so.1", "libc.so.6") for name in "abcde"},
        warnings=(
            (
                "/opt/a.so, /opt/b.so, /opt/c.so and 1 more cannot be loaded: app only "
                "suggests the packages of their libraries; to have them: "
                'packages = ["liba1", "libb1t64", "libc1", "libd1"]'
            ),
            ("/opt/e.so needs libe.so.1, which nothing provides: what loads it at run time must do without"),
        ),
        control="Suggests: liba1, libb1t64 | libb0, nice, libc1, libd1 (>= 2), other-e\n",
    )
    closure = closure_of(case, tmp_path)
    assert closure.warnings == case.warnings
    assert (closure.taken, "/opt/a.so" in closure.needed) == ({}, True)
    program_too = replace(case, app={**case.app, "/usr/bin/app": program("liba.so.1")})
    with pytest.raises(ResolutionError, match=r"liba\.so\.1 is needed by /usr/bin/app"):
        closure_of(program_too, tmp_path)


_RULE = """
[[rule]]
name = "x"
about = "x"
when.path = "/usr/bin/app"
take = ["gone"]
add = ["/usr/bin/gone"]
"""


def test_what_rules_take_in_vain_does_not_hide_that_the_start_lacks_its_interpreter(tmp_path: Path) -> None:
    script = File(content=b"#!/bin/sh\n", mode=0o755)
    recipe = Recipe(
        path=tmp_path / "recipe.toml",
        name="app",
        platform=Platform("linux", "amd64"),
        sources=(DebianSource(name="os", packages=("app",)),),
        config=ImageConfig(entrypoint=("/usr/bin/app",)),
    )
    tree = merged_tree([make_package(tmp_path, "app", {"/usr/bin/app": script})])
    rules = read_rules(_RULE, "r.toml")
    facts = ElfFacts(None)
    assert tuple(resolve(recipe, tree, LocalFiles(made={}), facts, rules).taken) == ("gone",)
    with pytest.raises(ResolutionError, match="/bin/sh, the interpreter of /usr/bin/app"):
        resolve(recipe, tree, LocalFiles(made={}), facts, rules, asked=("gone",))


_MODULES = """
[[rule]]
name = "modules"
about = "modules of the application"
when.path = "/usr/lib/app/font.so"
add = ["/usr/lib/app/*.so"]
"""


def test_a_module_of_a_package_that_a_rule_takes_too_may_do_without_a_library(tmp_path: Path) -> None:
    """Java's font manager is in the named package, and wants what only a desktop has."""
    module = {"/usr/lib/app/font.so": library("font.so", "libharfbuzz.so.0")}
    tree = merged_tree([make_package(tmp_path, "libc6", LIBC), make_package(tmp_path, "app", module)])
    recipe = Recipe(
        path=tmp_path / "recipe.toml",
        name="app",
        platform=Platform("linux", "amd64"),
        sources=(DebianSource(name="os", packages=("app",)),),
    )
    rules = read_rules(_MODULES, "r.toml")
    closure = resolve(recipe, tree, LocalFiles(made={}), ElfFacts(None), rules)
    assert [one.split(",")[0] for one in closure.warnings] == ["/usr/lib/app/font.so needs libharfbuzz.so.0"]

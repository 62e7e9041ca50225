"""Lists of modules, read from their data: gdk-pixbuf's loaders and GTK's input methods."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.elf.data import ElfData
from builder.elf.object import ElfError
from builder.runtime.made import immodules, pixbuf
from builder.runtime.made.material import Material
from builder.sources.debian.tree import merged_tree
from tests.support.mkdata import At, Int, Word, data_object
from tests.support.packages import File, make_package

LOADERS = "/usr/lib/x86_64-linux-gnu/gdk-pixbuf-2.0/2.10.0/loaders"
METHODS = "/usr/lib/x86_64-linux-gnu/gtk-3.0/3.0.0/immodules"
ENTRIES = ("fill_info", "fill_vtable")
GIF: tuple[Word, ...] = (
    *("GIF8", 0, Int(100), "\x02 \udcff", "z  ", Int(80), 0, 0, 0),
    *("fast", "small", 0),
    *("image/gif", "image/x-gif", 0),
    *("gif", 0),
)
IPA: tuple[Word, ...] = ("ipa", 'IPA "x"', "gtk30", "/usr/share/locale", "", At(0), "not", "a", "context")
FORMS = {
    "amd64": ("rela", True, "<"),
    "packed relocations": ("relr", True, "<"),
    "s390x": ("rela", True, ">"),
    "i386": ("rel", False, "<"),
    "packed, of 32 bits": ("relr", False, "<"),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_loaders_tables_are_found(form: tuple[str, bool, str]) -> None:
    relocations, wide, order = form
    data = ElfData(data_object(GIF, ENTRIES, form=relocations, wide=wide, order=order), name="gif.so")
    assert pixbuf.read_loader(data, "gif") == pixbuf.Loader(
        ("image/gif", "image/x-gif"), ("gif",), (("GIF8", "", 100), ("\x02 \udcff", "z  ", 80))
    )
    unknown = pixbuf.read_loader(data, "other")
    assert unknown is not None
    assert unknown.endings == ("fast", "small")  # nothing tells which of the words are endings


NO_LOADERS: dict[str, tuple[tuple[Word, ...], tuple[str, ...]]] = {
    "no entry": (GIF, ("fill_info",)),
    "no signature": (GIF[9:], ENTRIES),
    "no types": (GIF[:12] + GIF[15:], ENTRIES),
    "no endings": (GIF[:9] + GIF[12:15], ENTRIES),
    "a mask of another length": (("GIF8", "z", 100, 0, 0, 0, *GIF[9:]), ENTRIES),
    "a weight above all": (("GIF8", 0, 101, 0, 0, 0, *GIF[9:]), ENTRIES),
    "nothing at all": ((), ENTRIES),
}


@pytest.mark.parametrize("case", NO_LOADERS.values(), ids=NO_LOADERS)
def test_what_is_no_loader(case: tuple[tuple[Word, ...], tuple[str, ...]]) -> None:
    words, entries = case
    assert pixbuf.read_loader(ElfData(data_object(words, entries), name="x.so"), "x") is None


def test_the_list_of_loaders(tmp_path: Path) -> None:
    files = {
        f"{LOADERS}/libpixbufloader-gif.so": File(content=data_object(GIF, ENTRIES)),
        f"{LOADERS}/libpixbufloader-new.so": File(content=data_object(GIF, ENTRIES)),
        f"{LOADERS}/libpixbufloader-odd.so": File(content=data_object((), ENTRIES)),
        f"{LOADERS}/libpixbufloader-out.so": File(content=data_object(GIF, ENTRIES)),
    }
    tree = merged_tree((make_package(tmp_path, "loaders", files),))
    made = pixbuf.make(Material(sysroot=tree, drop=("/**/libpixbufloader-out.so",)))
    (file,) = made.files
    assert file.path == LOADERS.removesuffix("loaders") + "loaders.cache"
    assert made.sources == {"loaders"}
    assert [warning.split(" ", 1) for warning in made.warnings] == [
        [
            f"{LOADERS}/libpixbufloader-new.so",
            "is no loader of Debian: it is listed as one that cannot write",
        ],
        [f"{LOADERS}/libpixbufloader-odd.so", "does not say in its data which pictures it loads"],
    ]
    gif, new = file.content.decode().split("#\n")[1].split("\n\n")[:2]
    assert gif == (
        f'"{LOADERS}/libpixbufloader-gif.so"\n"gif" 4 "gdk-pixbuf" "GIF" "LGPL"\n'
        '"image/gif" "image/x-gif" ""\n"gif" ""\n"GIF8" "" 100\n"\\002 \\377" "z  " 80'
    )
    assert new.splitlines()[1] == '"new" 4 "gdk-pixbuf" "new" ""'


@pytest.mark.parametrize("type_of_loader", ["image/gif", "image/svg+xml"])
def test_icons_that_no_loader_draws_are_said(type_of_loader: str, tmp_path: Path) -> None:
    words = tuple(type_of_loader if word == "image/gif" else word for word in GIF)
    files = {
        f"{LOADERS}/libpixbufloader-gif.so": File(content=data_object(words, ENTRIES)),
        "/usr/share/icons/Adwaita/symbolic/a.svg": File(content=b"<svg/>"),
    }
    made = pixbuf.make(Material(sysroot=merged_tree((make_package(tmp_path, "icons", files),))))
    assert any("librsvg2-common" in warning for warning in made.warnings) == (type_of_loader == "image/gif")


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_modules_input_methods_are_found(form: tuple[str, bool, str]) -> None:
    relocations, wide, order = form
    data = ElfData(data_object(IPA, ("im_module_list",), form=relocations, wide=wide, order=order), name="x")
    assert list(immodules.contexts(data)) == [("ipa", 'IPA "x"', "gtk30", "/usr/share/locale", "")]


def test_the_list_of_input_methods(tmp_path: Path) -> None:
    files = {
        f"{METHODS}/im-ipa.so": File(content=data_object(IPA, ("im_module_list",))),
        f"{METHODS}/im-none.so": File(content=data_object(IPA)),
        f"{METHODS}/im-empty.so": File(content=data_object(IPA[6:], ("im_module_list",))),
    }
    made = immodules.make(Material(sysroot=merged_tree((make_package(tmp_path, "gtk", files),))))
    (file,) = made.files
    assert file.path == f"{METHODS}.cache"
    assert file.content.decode().split("#\n")[1] == (
        f'"{METHODS}/im-ipa.so" \n"ipa" "IPA \\"x\\"" "gtk30" "/usr/share/locale" "" \n\n'
    )
    assert [warning.split(" ")[0] for warning in made.warnings] == [
        f"{METHODS}/im-empty.so",
        f"{METHODS}/im-none.so",
    ]


def test_without_modules_there_is_no_list(tmp_path: Path) -> None:
    files = {f"{METHODS}/README": File(content=b"x"), f"{LOADERS}/README": File(content=b"x")}
    material = Material(sysroot=merged_tree((make_package(tmp_path, "gtk", files),)))
    assert pixbuf.make(material).files == immodules.make(material).files == ()


def test_a_module_that_is_damaged_is_an_error(tmp_path: Path) -> None:
    files = {f"{LOADERS}/x.so": File(content=data_object(GIF, ENTRIES)[:0x200])}
    material = Material(sysroot=merged_tree((make_package(tmp_path, "loaders", files),)))
    with pytest.raises(ElfError, match=r"x\.so"):
        pixbuf.make(material)


@given(
    st.sampled_from(list(FORMS.values())),
    st.lists(st.tuples(st.integers(0, 0x1FFF), st.integers(0, 255)), min_size=1, max_size=12),
)
def test_any_damage_is_a_list_or_an_error(form: tuple[str, bool, str], damage: list[tuple[int, int]]) -> None:
    relocations, wide, order = form
    body = bytearray(
        data_object((*GIF, *IPA), (*ENTRIES, "im_module_list"), form=relocations, wide=wide, order=order)
    )
    for place, byte in damage:
        body[place % len(body)] = byte
    with contextlib.suppress(ElfError):
        data = ElfData(bytes(body), name="x.so")
        pixbuf.read_loader(data, "x")
        assert all(len(texts) == 5 for texts in immodules.contexts(data))

"""The proof of each rule of GLib, gdk-pixbuf, GTK and X servers: a real program breaks without it.

What is made for them is compared with what the packages' own programs write.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import display
from tests.support.rule_lab import Lab, Proof, make_lab

pytestmark = [pytest.mark.network, pytest.mark.tools]

_PICTURE = '/* XPM */\nstatic char *p[] = {"2 1 2 1", "a c #ff0000", "b c None", "ab"};\n'
_FILES = {"/picture.xpm": _PICTURE}
_GTK = (*display.PACKAGES, "python3", "mousepad", "libglib2.0-bin", "libgdk-pixbuf2.0-bin")
"""One image for all of them: its packages are planned once, and once without each rule."""
_PRINTERS = """
import ctypes
gtk = ctypes.CDLL('libgtk-3.so.0')
gtk.gtk_printer_get_name.restype = ctypes.c_char_p
gtk.gtk_printer_get_name.argtypes = [ctypes.c_void_p]
see = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(
    lambda printer, _: print('printer:', gtk.gtk_printer_get_name(printer).decode()) or 0
)
gtk.gtk_enumerate_printers(see, None, None, 1)
print('asked')
"""
_ICONS = """
import ctypes
gtk = ctypes.CDLL('libgtk-3.so.0')
gtk.gtk_init(None, None)
gtk.gtk_icon_theme_get_default.restype = ctypes.c_void_p
gtk.gtk_icon_theme_has_icon.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
print('icons:', gtk.gtk_icon_theme_has_icon(gtk.gtk_icon_theme_get_default(), b'folder-music'))
"""
_INPUT = """
import ctypes
gtk = ctypes.CDLL('libgtk-3.so.0')
gtk.gtk_init(None, None)
gtk.gtk_im_multicontext_new.restype = ctypes.c_void_p
gtk.gtk_im_multicontext_get_context_id.argtypes = [ctypes.c_void_p]
gtk.gtk_im_multicontext_get_context_id.restype = ctypes.c_char_p
print('input:', gtk.gtk_im_multicontext_get_context_id(gtk.gtk_im_multicontext_new()).decode())
"""
_LANGUAGES = """
import ctypes, glob
view = ctypes.CDLL(glob.glob('/usr/lib/*/libgtksourceview-[0-9]*.so.*')[0])
view.gtk_source_language_manager_get_default.restype = ctypes.c_void_p
view.gtk_source_language_manager_get_language.restype = ctypes.c_void_p
view.gtk_source_language_manager_get_language.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
manager = view.gtk_source_language_manager_get_default()
print('language:', bool(view.gtk_source_language_manager_get_language(manager, b'python3')))
"""


def _python(program: str) -> tuple[str, ...]:
    return display.on_a_display(f'python3 -c "{program}"')


PROOFS = [
    Proof(
        rule="settings-schemas",
        packages=_GTK,
        files=_FILES,
        argv=("gsettings", "get", "org.gtk.Settings.FileChooser", "startup-mode"),
        expect="'recent'",
        without="No schemas installed",
    ),
    Proof(
        rule="mime-database",
        packages=_GTK,
        files=_FILES,
        argv=("gio", "info", "-a", "standard::content-type", "/picture.xpm"),
        expect="content-type: image/x-xpixmap",
        without="content-type: text/plain",
    ),
    Proof(
        rule="mime-database-of-readers",
        packages=("python3", "python3-xdg", "shared-mime-info"),
        files=_FILES,
        argv=("python3", "-c", "from xdg import Mime; print(Mime.get_type2('/picture.xpm'))"),
        expect="image/x-xpixmap",
        without="text/plain",
    ),
    Proof(
        rule="pixbuf-loaders",
        packages=_GTK,
        files=_FILES,
        argv=("sh", "-c", "gdk-pixbuf-thumbnailer -s 16 /picture.xpm /tmp/out.png && echo made"),
        expect="made",
        without="recognize the image file format",
    ),
    Proof(
        rule="gtk-input-methods",
        packages=_GTK,
        files=_FILES,
        argv=_python(f"import os; os.environ['GTK_IM_MODULE'] = 'ipa'\n{_INPUT}"),
        expect="input: ipa",
        without="input: gtk-im-context-simple",
    ),
    Proof(
        rule="gtk-modules",
        packages=_GTK,
        files=_FILES,
        argv=_python(_PRINTERS),
        expect="printer: Print to File",
        without=r"\Aasked\n",
    ),
    Proof(
        rule="icon-themes",
        packages=_GTK,
        files=_FILES,
        argv=_python(_ICONS),
        expect="icons: 1",
        without="icons: 0",
    ),
    Proof(
        rule="source-view-languages",
        packages=_GTK,
        files=_FILES,
        argv=_python(_LANGUAGES),
        expect="language: True",
        without="language: False",
    ),
    Proof(
        rule="keymaps-of-x-servers",
        packages=_GTK,
        files=_FILES,
        argv=display.on_a_display("echo the server answers"),
        expect="the server answers",
        without="Failed to compile keymap",
    ),
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One lab for all proofs."""
    yield from make_lab(tmp_path_factory.mktemp("lab"))


@pytest.mark.parametrize("proof", PROOFS, ids=lambda proof: proof.rule)
def test_without_it_a_program_breaks(lab: Lab, proof: Proof) -> None:
    lab.check(proof)

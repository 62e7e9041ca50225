"""The proof of each rule of a graphical toolkit: a real program has no window, or no locale, without it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import display
from tests.support.rule_lab import Lab, Proof, make_lab

pytestmark = [pytest.mark.network, pytest.mark.tools]


_WINDOW = """
from PyQt6.QtGui import QGuiApplication
print("on", QGuiApplication([]).platformName())
"""
_BUTTON = """
import tkinter
print(tkinter.Button(text="a widget")["text"])
"""
PROOFS = [
    Proof(
        rule="qt-plugins",
        packages=("python3", "python3-pyqt6"),
        argv=("python3", "-c", _WINDOW),
        env={"QT_QPA_PLATFORM": "offscreen"},
        expect="on offscreen",
        without="Could not find the Qt platform plugin",
    ),
    Proof(
        rule="tk-library",
        packages=(*display.PACKAGES, "python3", "python3-tk"),
        argv=display.on_a_display(f"python3 -c '{_BUTTON}'"),
        expect="a widget",
        without=r"Can't find a usable tk\.tcl",
    ),
    Proof(
        rule="x11-locales",
        packages=(*display.PACKAGES, "xterm"),
        argv=display.on_a_display("xterm -e true && echo ended"),
        expect=r"\Aended\n(?![\s\S]*not supported)",
        without="locale not supported by Xlib",
    ),
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One lab for all proofs."""
    yield from make_lab(tmp_path_factory.mktemp("lab"))


@pytest.mark.parametrize("proof", PROOFS, ids=lambda proof: proof.rule)
def test_without_it_a_program_breaks(lab: Lab, proof: Proof) -> None:
    lab.check(proof)

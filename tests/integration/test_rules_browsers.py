"""The proof of rules of browsers' engines: no page is shown without the programs that the libraries start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import display
from tests.support.rule_lab import Lab, Proof, make_lab

pytestmark = [pytest.mark.network, pytest.mark.tools]

_HOME = {"HOME": "/tmp"}  # noqa: S108 (inside the image)
_PAGE = """
from PyQt6.QtWebEngineWidgets import QWebEngineView
from PyQt6.QtWidgets import QApplication
app = QApplication(["page", "--no-sandbox", "--disable-gpu"])
view = QWebEngineView()
view.loadFinished.connect(lambda loaded: (print("page:", loaded, view.title()), app.quit()))
view.setHtml("<title>hello</title>")
app.exec()
"""
_SURF = """surf file:///page.html & surf=$!
        until [ -e /tmp/.surf/cookies.txt ]; do kill -0 $surf || exit 4; sleep 0.1; done
        sleep 1; kill -0 $surf || exit 4
        kill $surf; echo shown"""

PROOFS = [
    Proof(
        rule="webkit-processes",
        packages=(*display.PACKAGES, "surf"),
        files={"/page.html": "<title>hello</title>"},
        env=_HOME,
        argv=display.on_a_display(_SURF),
        expect="shown",
        without="Failed to spawn child process .*WebKitNetworkProcess",
    ),
    Proof(
        rule="qt-web-engine",
        packages=("python3", "python3-pyqt6.qtwebengine"),
        env={**_HOME, "QT_QPA_PLATFORM": "offscreen", "QTWEBENGINE_DISABLE_SANDBOX": "1"},
        argv=("python3", "-c", _PAGE),
        expect="page: True hello",
        without="paths were searched for Qt WebEngine Process",
    ),
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One lab for all proofs."""
    yield from make_lab(tmp_path_factory.mktemp("lab"))


@pytest.mark.parametrize("proof", PROOFS, ids=lambda proof: proof.rule)
def test_without_it_no_page_is_shown(lab: Lab, proof: Proof) -> None:
    lab.check(proof)

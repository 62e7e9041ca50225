"""The shipped recipes' images, each built once a test run, whichever module or worker wants it first."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.tools import REPOSITORY, rootlet


class Built:
    """Images in a folder that all workers share, by a vulnerability database of the repository's own cut."""

    def __init__(self, factory: pytest.TempPathFactory) -> None:
        base = factory.getbasetemp()
        # A worker's folder lies in that of the whole run.
        self.folder = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "built"
        self.folder.mkdir(exist_ok=True)
        self._database = self.folder / "db"

    def layout(self, name: str) -> Path:
        """Build recipes/NAME.toml, its tests included, unless that was done; give its OCI layout."""
        layout = self.folder / "dist" / name
        with self._alone(name):
            if not layout.exists():
                self._build(name, layout)
        return layout

    def summary(self, name: str) -> str:
        """What the build wrote for CI."""
        return (self.folder / f"{name}.md").read_text()

    def _build(self, name: str, layout: Path) -> None:
        with self._alone("database"):
            if not self._database.exists():
                cut = REPOSITORY / "tests/data/osv"
                rootlet("database", "--database", self._database, "import", cut, cwd=self.folder)
        recipe = REPOSITORY / "recipes" / f"{name}.toml"
        options = ("--database", self._database, "--max-database-age", "any", "--summary", f"{name}.md")
        done = rootlet("build", recipe, *options, cwd=self.folder)
        assert done.stdout.startswith(f"{name}:")
        assert json.loads((layout / "index.json").read_text())["manifests"][0]["digest"] in done.stdout

    @contextlib.contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        with (self.folder / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

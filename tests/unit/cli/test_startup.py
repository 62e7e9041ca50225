"""What commands read before they do anything: most of the time of a build that has nothing to do."""

from __future__ import annotations

import subprocess
import sys

import pytest

LIGHT: dict[str, tuple[str, tuple[str, ...]]] = {
    "the command line does without what builds": (
        "builder.cli.main, builder.cli.build, builder.receipt",
        ("builder.pipeline", "builder.recipe.model", "jinja2", "sqlite3", "urllib3", "elftools"),
    ),
    "the pipeline does without what parses ELF files, and without the second half": (
        "builder.pipeline",
        ("elftools", "builder.approval", "urllib3", "sqlite3", "pysequoia"),
    ),
}


@pytest.mark.parametrize(("modules", "heavy"), LIGHT.values(), ids=LIGHT)
def test_heavy_modules_wait_until_they_are_needed(modules: str, heavy: tuple[str, ...]) -> None:
    code = f"import sys, {modules}; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"

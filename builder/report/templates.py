"""jinja2 for reports and Dockerfiles: strict, layout only; the one importer of jinja2."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2


def render(name: str, *, folder: Path, values: Mapping[str, Any]) -> str:
    """Render the template ``name`` of ``folder``. An undefined name in a template is an error."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        autoescape=jinja2.select_autoescape(("html.j2",), default=False),
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell"] = _cell
    return environment.get_template(name).render(values)


def _cell(text: str) -> str:
    """A text that cannot break out of a cell or a line of Markdown, nor start a tag."""
    for letter in ("\\", "|", "`", "[", "]", "<", ">", "*", "_"):
        text = text.replace(letter, f"\\{letter}")
    return text

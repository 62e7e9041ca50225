"""Where shipped recipes and templates are: beside the package in a checkout, inside it in a wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def shipped(kind: str) -> Path:
    """Folder of the shipped files of a ``kind``: ``recipes`` or ``templates``. Raises FileNotFoundError."""
    for root in (_PACKAGE / "_shipped", _PACKAGE.parent):
        if (root / kind).is_dir():
            return root / kind
    raise FileNotFoundError(f"rootlet's {kind} folder is missing from the installation at {_PACKAGE}")

"""Where images go, as recipes and the command line write it."""

from __future__ import annotations

from pathlib import Path

from builder.recipe.model import Output, OutputKind


def parse_output(text: str, folder: Path) -> Output:
    """Read ``oci:FOLDER``, ``docker-archive:FILE`` (from ``folder`` on), ``storage`` or ``registry``.

    ValueError for anything else.
    """
    kind, colon, path = text.partition(":")
    if text in (OutputKind.STORAGE.value, OutputKind.REGISTRY.value):
        return Output(kind=OutputKind(text))
    if kind in (OutputKind.OCI_LAYOUT.value, OutputKind.DOCKER_ARCHIVE.value) and colon and path.strip("/"):
        return Output(kind=OutputKind(kind), path=folder / path)
    raise ValueError(f"{text!r}: expected oci:FOLDER, docker-archive:FILE, storage or registry")

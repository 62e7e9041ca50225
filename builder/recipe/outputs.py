"""Where images go, as recipes and the command line write it."""

from __future__ import annotations

from pathlib import Path

from builder.recipe.model import Output, OutputKind


def parse_output(text: str, folder: Path) -> Output:
    """Read ``oci:FOLDER``, ``docker-archive:FILE`` or ``storage``, from ``folder`` on; else ValueError."""
    kind, colon, path = text.partition(":")
    if text == OutputKind.STORAGE.value:
        return Output(kind=OutputKind.STORAGE)
    if kind in (OutputKind.OCI_LAYOUT.value, OutputKind.DOCKER_ARCHIVE.value) and colon and path.strip("/"):
        return Output(kind=OutputKind(kind), path=folder / path)
    if kind == "registry":
        raise ValueError(f"{text!r}: registries are not supported yet; push an oci:FOLDER with skopeo")
    raise ValueError(f"{text!r}: expected oci:FOLDER, docker-archive:FILE or storage")

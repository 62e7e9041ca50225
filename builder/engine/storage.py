"""skopeo and buildah as pure constructors of commands for the local container storage."""

from __future__ import annotations

from pathlib import Path

from builder.engine.command import Command


def copy_to_storage(skopeo: str, layout: str, name: str, scratch: Path) -> Command:
    """Copy ``oci:LAYOUT`` under ``name``. skopeo ignores TMPDIR, so its scratch folder is given."""
    return Command(
        argv=(
            skopeo,
            "--tmpdir",
            str(scratch),
            "copy",
            "--quiet",
            f"oci:{layout}",
            f"containers-storage:{name}",
        ),
        description=f"skopeo copy to the container storage as {name}",
    )


def stored_config(skopeo: str, name: str) -> Command:
    """The configuration of a stored image, byte for byte: its SHA-256 is the image's ID."""
    return Command(
        argv=(skopeo, "inspect", "--raw", "--config", f"containers-storage:{name}"),
        description=f"skopeo inspect of {name}",
    )


def pull_archive(buildah: str, archive: Path, scratch: Path) -> Command:
    """Import a docker-archive under the name that stands in it; its output ends with the image's ID.

    From an OCI layout buildah would make up a name of its own, after the folder.
    """
    return Command(
        argv=(buildah, "pull", "--quiet", f"docker-archive:{archive}"),
        description="buildah pull into the container storage",
        environment=(("TMPDIR", str(scratch)),),
    )


def tag_image(buildah: str, image: str, name: str) -> Command:
    """Give a stored image another name."""
    return Command(argv=(buildah, "tag", image, name), description=f"buildah tag {name}")


def export_image(tool: str, name: str, archive: Path, scratch: Path) -> Command:
    """Write a stored image to a docker-archive: no layer is compressed. ``tool``: skopeo or buildah."""
    if tool.rpartition("/")[2] == "buildah":
        return Command(
            argv=(tool, "push", "--quiet", name, f"docker-archive:{archive}"),
            description=f"buildah push of {name} to an archive",
            environment=(("TMPDIR", str(scratch)),),
        )
    return Command(
        argv=(
            *(tool, "--tmpdir", str(scratch), "copy", "--quiet"),
            *(f"containers-storage:{name}", f"docker-archive:{archive}"),
        ),
        description=f"skopeo copy of {name} to an archive",
    )

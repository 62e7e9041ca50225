"""``rootlet sbom``: a bill of materials of any image."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

import click

from builder.cli import machine
from builder.cli.options import insecure_option

if TYPE_CHECKING:
    from builder.sbom.bill import Bill


@click.command("sbom")
@click.argument("reference")
@click.option(
    "--format",
    "form",
    type=click.Choice(["cyclonedx", "spdx"]),
    default="cyclonedx",
    show_default=True,
    help="CycloneDX 1.6 or SPDX 2.3, as JSON.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write it to a file.")
@click.option("--platform", "platforms", multiple=True, help="OS/ARCH, where the reference holds several.")
@insecure_option
def command(
    reference: str,
    form: str,
    output: Path | None,
    *,
    platforms: tuple[str, ...],
    insecure_registries: tuple[str, ...],
) -> None:
    """Write the bill of materials of REFERENCE: an image as rootlet scan takes it, or a root folder.

    Equal images give equal bills: nothing in them depends on the day. Exit code 3: nothing is there.
    """
    from builder.files import write_bytes  # noqa: PLC0415 (imports of one command)
    from builder.sbom.cyclonedx import cyclonedx  # noqa: PLC0415 (as above)
    from builder.sbom.spdx import spdx  # noqa: PLC0415 (as above)

    bill = _bill(reference, platforms, insecure_registries)
    text = spdx(bill) if form == "spdx" else cyclonedx(bill)
    if output:
        write_bytes(output, text.encode(errors="backslashreplace"))
    else:
        click.echo(text, nl=False)


def _bill(reference: str, platforms: tuple[str, ...], insecure_registries: tuple[str, ...]) -> Bill:
    from builder.cli.subject import open_image_or_folder  # noqa: PLC0415 (imports of one command)
    from builder.image.contents import folder_contents, image_contents  # noqa: PLC0415 (as above)
    from builder.sbom.image import bill_of, identity_of, identity_of_folder  # noqa: PLC0415 (as above)

    words = {"platforms": platforms, "settings": (), "profiles": ()}
    opened = open_image_or_folder(reference, words | {"insecure_registries": insecure_registries})
    if isinstance(opened, Path):
        epoch = machine.source_date_epoch()
        moment = dt.datetime.fromtimestamp(int(machine.now()) if epoch is None else epoch, dt.UTC)
        return bill_of(folder_contents(opened, subject=reference), identity_of_folder(opened, moment))
    name, version = _named(opened.names, reference)
    return bill_of(image_contents(opened, subject=reference), identity_of(opened, name=name, version=version))


def _named(names: tuple[str, ...], reference: str) -> tuple[str, str]:
    """What the image is called: by its own first name, which in a layout may be a tag alone."""
    plain = reference.partition(":")[2] or reference if ":" in reference else reference
    path, _, tag = plain.rpartition(":") if ":" in plain.rpartition("/")[2] else (plain, "", "")
    first = names[0] if names else ""
    if ":" in first.rpartition("/")[2]:
        name, _, version = first.rpartition(":")
        return name, version
    return Path(path).name or reference, tag or first

"""Images that commands are asked about and that are no files: in registries and container storages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder.cli import machine
from builder.cli.options import folders

if TYPE_CHECKING:
    from builder.oci import ImageAddress, Platform
    from builder.stored.read import StoredImage
    from builder.transport import Transport

Reach = Callable[["ImageAddress", "Platform | None"], "StoredImage"]
"""Gives an image with all its layers on this machine."""


def reach(options: Mapping[str, Any]) -> Reach:
    """What opens such images, as the options ``cache``, ``insecure_registries`` and ``refresh`` say.

    Of an image for several platforms this machine's is taken where none is asked for.
    """

    def open_one(address: ImageAddress, platform: Platform | None) -> StoredImage:
        from builder.cli.workshop import registry_options  # noqa: PLC0415 (only for such images)
        from builder.stored.layers import LayerStore  # noqa: PLC0415 (as above)
        from builder.stored.open import open_address, whole_image  # noqa: PLC0415 (as above)
        from builder.stored.pull import ImageDoor  # noqa: PLC0415 (as above)

        display = machine.make_progress("none" if options.get("quiet") else "auto", descriptor=None)

        def transport() -> Transport:
            from builder.transport import Transport  # noqa: PLC0415 (only when the network is needed)

            return Transport(progress=display, proxies=machine.proxies())

        cache = folders(_folder(options.get("cache")), None)[0]
        door = ImageDoor(
            folder=cache / "images",
            options=registry_options(options.get("insecure_registries", ())),
            transport=transport,
            runner=machine.runner(),
            clock=machine.now,
            progress=display,
            offline=bool(options.get("offline")),
            refresh=bool(options.get("refresh")),
        )
        wanted = platform or (machine.native_platform() if address.reference is not None else None)
        try:
            return whole_image(open_address(address, wanted, door, LayerStore(cache / "layers")), door)
        finally:
            display.close()

    return open_one


def _folder(value: object) -> Path | None:
    return value if isinstance(value, Path) else None

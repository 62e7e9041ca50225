"""The table of what rules can have made (``make`` of a rule), each with its maker."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from builder.runtime.made.material import Made, Maker, Material

MAKERS: Mapping[str, str] = MappingProxyType(
    {
        "certificates": "certificates",
        "graphviz-plugins": "graphviz",
        "gsettings-schemas": "schemas",
        "gtk-input-methods": "immodules",
        "java-keystore": "keystore",
        "mime-database": "mime",
        "pixbuf-loaders": "pixbuf",
    }
)
"""Each name with the module of this room whose ``make`` makes it: read only when something is made."""


def make_all(names: Iterable[str], material: Material) -> dict[str, Made]:
    """Make each of ``names``, less the files that the recipe drops; without material there are none."""
    return {name: _kept(maker(name)(material), material) for name in sorted(names)}


def maker(name: str) -> Maker:
    """The maker of ``name``."""
    module = importlib.import_module(f"{__package__}.{MAKERS[name]}")
    make: Maker = module.make
    return make


def _kept(made: Made, material: Material) -> Made:
    files = tuple(file for file in made.files if not material.dropped(file.path))
    return Made(files=files, sources=made.sources if files else frozenset(), warnings=made.warnings)

"""The table of what rules can have made (``make`` of a rule), each with its maker."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from builder.runtime.made import certificates, graphviz, keystore
from builder.runtime.made.material import Made, Maker, Material

MAKERS: Mapping[str, Maker] = MappingProxyType(
    {
        "certificates": certificates.make,
        "graphviz-plugins": graphviz.make,
        "java-keystore": keystore.make,
    }
)


def make_all(names: Iterable[str], material: Material) -> dict[str, Made]:
    """Make each of ``names``, less the files that the recipe drops; without material there are none."""
    return {name: _kept(MAKERS[name](material), material) for name in sorted(names)}


def _kept(made: Made, material: Material) -> Made:
    files = tuple(file for file in made.files if not material.dropped(file.path))
    return Made(files=files, sources=made.sources if files else frozenset(), warnings=made.warnings)

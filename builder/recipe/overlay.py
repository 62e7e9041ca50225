"""Layers of a recipe laid over each other: conditions, short forms, ``extends``, profiles, keys with ``!``.

Arrays append, tables merge, scalars replace; a key that ends in ``!`` replaces whatever it is.
"""

from __future__ import annotations

from collections.abc import Sequence

from builder.oci import Platform
from builder.recipe.outline import DOCUMENT, SCHEMA_VERSION
from builder.recipe.shapes import Key, short_forms
from builder.recipe.tree import Node, Problems

_ABOUT_THE_FILE = frozenset({"extends", "extends!", "profile", "profile!"})


def settle(roots: Sequence[Node], profiles: Sequence[str], platform: Platform | None) -> Node:
    """Make one tree of all layers, the last one on top, then the profiles in the order given.

    Tables whose ``when`` does not hold on ``platform`` are left out; None leaves out all that carry one.
    """
    kept = [_kept(root, platform) for root in roots]
    overlays = [_contents(root) for root in kept]
    overlays += [found for name in profiles for root in kept if (found := find_profile(root, name))]
    whole = overlays[-1].holding({})
    for overlay in overlays:
        whole = _laid(whole, _moved(overlay))
    # Whether each file has the right schema is known by now; a fragment may have none.
    return roots[-1].holding({**whole.children, "schema": roots[-1].holding(SCHEMA_VERSION)})


def _contents(root: Node) -> Node:
    children = {name: child for name, child in root.children.items() if name not in _ABOUT_THE_FILE}
    return root.holding(children)


def profile_names(roots: Sequence[Node]) -> tuple[str, ...]:
    """List every profile that some layer has."""
    names = (name.removesuffix("!") for root in roots for name in _tables(root, "profile") if name != "when")
    return tuple(dict.fromkeys(names))


def find_profile(root: Node, name: str) -> Node | None:
    """Find the profile of one layer, or None."""
    profiles = _tables(root, "profile")
    return profiles.get(name) or profiles.get(f"{name}!")


def check_forms(root: Node, problems: Problems) -> None:
    """Report keys that one layer, or one of its profiles, gives in the short form and in the long one."""
    for table in (root, *_tables(root, "profile").values()):
        for key in short_forms(DOCUMENT):
            short, long = _given(table, key.name), _given(_descend(table, key), key.name)
            if short is not None and long is not None:
                message = f"is the short form of {long.key} on line {long.line}; keep one of the two"
                problems.at(short, message)


def check_fixed(root: Node, problems: Problems) -> None:
    """Report a name, tags or platforms that would differ between platforms."""
    for table in (root, *_tables(root, "profile").values()):
        image = _given(table, "image")
        whole = "when" in table.children and table is not root
        fixed = [_given(table, name) for name in ("name", "tags")] if whole else []
        if whole or (image is not None and "when" in image.children):
            fixed += [_given(image, name) for name in ("name", "tags", "platforms")]
        for node in fixed:
            if node is not None:
                problems.at(node, "is the same for all platforms; its table cannot have when")


def _tables(root: Node, name: str) -> dict[str, Node]:
    node = _given(root, name)
    children = node.children if node is not None else {}
    return {key: child for key, child in children.items() if isinstance(child.value, dict)}


def _given(table: Node | None, name: str) -> Node | None:
    children = table.children if table is not None else {}
    return children.get(name) or children.get(f"{name}!")


def _descend(table: Node, key: Key) -> Node | None:
    found: Node | None = table
    for name in key.moves_to:
        found = _given(found, name)
    return found


def _kept(node: Node, platform: Platform | None) -> Node:
    """Leave out what is conditional and does not hold, and the conditions of what does."""
    if isinstance(node.value, tuple):
        return node.holding(tuple(_kept(child, platform) for child in node.value if _holds(child, platform)))
    if isinstance(node.value, dict):
        return node.holding({
            name: _kept(child, platform)
            for name, child in node.value.items()
            if _holds(child, platform) and not _is_condition(name, child)
        })  # fmt: skip
    return node


def _holds(node: Node, platform: Platform | None) -> bool:
    condition = node.children.get("when")
    if condition is None or not _is_condition("when", condition):
        return True
    if platform is None:
        return False
    fits = {"arch": platform.architecture, "os": platform.os}
    return all(fits.get(name) in _values(child) for name, child in condition.children.items())


def _is_condition(name: str, node: Node) -> bool:
    return name == "when" and isinstance(node.value, dict)


def _values(node: Node) -> tuple[object, ...]:
    return tuple(child.value for child in node.value) if isinstance(node.value, tuple) else (node.value,)


def _moved(root: Node) -> Node:
    """Short forms at their long place."""
    whole = dict(root.children)
    for key in short_forms(DOCUMENT):
        for name in (key.name, f"{key.name}!"):
            node = whole.pop(name, None)
            if node is not None:
                whole = _placed(root.holding(whole), key.moves_to, name, node)
    return root.holding(whole)


def _placed(table: Node, path: tuple[str, ...], name: str, node: Node) -> dict[str, Node]:
    children = dict(table.children)
    if not path:
        return {name: node, **children}
    written = path[0] if f"{path[0]}!" not in children else f"{path[0]}!"
    below = children.get(written)
    if below is None:  # short forms stand above all tables: what they make comes first
        made = Node({}, node.origin, None, "")
        return {written: made.holding(_placed(made, path[1:], name, node)), **children}
    if isinstance(below.value, dict):
        children[written] = below.holding(_placed(below, path[1:], name, node))
    return children


def _laid(base: Node | None, over: Node) -> Node:
    if isinstance(over.value, tuple):
        below = base.value if base is not None and isinstance(base.value, tuple) else ()
        return over.holding((*below, *(_laid(None, child) for child in over.value)))
    if isinstance(over.value, dict):
        merged = dict(base.children) if base is not None else {}
        for name, child in over.value.items():
            plain = name.removesuffix("!")
            merged[plain] = _laid(merged.get(plain) if plain == name else None, child)
        return over.holding(merged)
    return over

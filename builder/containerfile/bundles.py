"""Bundles of CA certificates, joined from the package's own files: what an image trusts, by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from builder.containerfile.origins import Origin
from builder.containerfile.quote import shell_word, writable
from builder.containerfile.script import Command, comment
from builder.plan.model import Entry
from builder.runtime.made.certificates import BUNDLE
from builder.sysroot import Kind, Node, read_content

_FOLDER = "/usr/share/ca-certificates"
_MOST_OWN = 64 << 10
"""Bytes of certificates of the author's own that are printed below the package's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A file that is nothing but ``nodes`` of ``origin`` one after the other, then the text ``own``."""

    entry: Entry
    origin: Origin
    nodes: tuple[Node, ...]
    own: str = ""


def bundles(entries: Iterable[Entry], origins: Iterable[Origin]) -> dict[str, Bundle]:
    """Bundles that can be joined, by path; nothing for those that must be embedded."""
    found: dict[str, Bundle] = {}
    by_name = {origin.folder.rpartition("/")[2]: origin for origin in origins}
    for entry in entries:
        origin = by_name.get(entry.package)
        if entry.path == BUNDLE and isinstance(entry.content, bytes) and origin is not None:
            nodes = sorted(filter(_is_certificate, origin.nodes), key=_path)
            own = _own(entry.content, nodes)
            if nodes and own is not None:
                found[entry.path] = Bundle(entry=entry, origin=origin, nodes=tuple(nodes), own=own)
    return found


def bundle_commands(found: Mapping[str, Bundle]) -> Iterator[Command]:
    """Join the files of each bundle into the current folder."""
    for one in found.values():
        target = shell_word(one.entry.path[1:])
        words = tuple(shell_word(node.path[len(_FOLDER) + 1 :]) for node in one.nodes)
        yield Command(
            start=f"env -C {shell_word(one.origin.folder + _FOLDER)} cat",
            words=words,
            end=f"> {target}",
            comments=comment(f"{one.entry.path}: {one.entry.reason}"),
        )
        if one.own:
            lines = tuple(map(shell_word, one.own.removesuffix("\n").split("\n")))
            yield Command(start="printf '%s\\n'", words=lines, end=f">> {target}")


def _own(content: bytes, nodes: Iterable[Node]) -> str | None:
    """What follows the package's certificates; None when they are not the start, or it cannot be printed."""
    start = b"".join(read_content(node.content) for node in nodes if node.content is not None)
    if not content.startswith(start) or len(content) - len(start) > _MOST_OWN:
        return None
    try:
        rest = content[len(start) :].decode()
    except UnicodeDecodeError:
        return None
    lines = rest.removesuffix("\n").split("\n")
    return rest if not rest or (rest.endswith("\n") and all(map(writable, lines))) else None


def _is_certificate(node: Node) -> bool:
    return (
        node.kind is Kind.FILE
        and node.path.startswith(f"{_FOLDER}/")
        and node.path.endswith(".crt")
        and writable(node.path)
    )


def _path(node: Node) -> str:
    return node.path

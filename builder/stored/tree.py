"""What a container of an image sees: its layers laid over each other (layer.md, "Applying Changesets").

Layers are read from the top down, so that each path is known to be visible or hidden when it passes and
its bytes can be read at once. Hard links come in a second pass over their file's layer, with its bytes.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from builder.errors import BuildError
from builder.stored.read import ImageFile, Payload, StoredImage, Whiteout, as_file, layer_members
from builder.stored.untar import DIRECTORY, LINK, SPECIAL
from builder.sysroot import Kind


def tree(image: StoredImage) -> Iterator[ImageFile]:
    """Stream the files of the final tree, each path once, in no particular order; every layer is proven.

    Bytes can be read until the iterator moves on. BuildError as for ``files``, and for two entries of one
    path in a layer and for hard links to nothing: engines differ about what those mean.
    """
    above = Above()
    pending: list[Link] = []
    entries = 0
    for number in reversed(range(len(image.layers))):
        layer = LayerNames(image.layers[number].name)
        for path, member, reader in layer_members(image, number):
            entries += 1
            image.check_count(entries)
            file = as_file(path, member, reader, number)
            layer.take(file, special=member.kind in SPECIAL)
            if member.kind in SPECIAL or file.whiteout is not Whiteout.NONE or above.hides(file.path):
                continue
            if file.hardlink:
                pending.append(Link(file, file.hardlink))
            else:
                yield file
        here, pending = layer.resolve(pending)
        if here:
            yield from _linked(image, number, here)
        above.lay(layer)
    check_links(pending, str(image.path))


def check_links(pending: list[Link], where: str) -> None:
    """BuildError when there are hard links left that no layer has a file for."""
    if pending:
        file = pending[0].file
        raise BuildError(f"{where} links {file.path!a} to {file.hardlink!a}, which is no file of it")


def flatten(image: StoredImage) -> dict[str, ImageFile]:
    """Give the final tree by path, sorted; metadata only: bytes can no longer be read."""
    found = {file.path: file for file in tree(image)}
    return dict(sorted(found.items()))


@dataclass(frozen=True, slots=True)
class Link:
    """A visible hard link, and the path below which its file is looked for next."""

    file: ImageFile
    target: str


def _linked(image: StoredImage, number: int, links: Mapping[str, list[Link]]) -> Iterator[ImageFile]:
    # The layer was proven when it was read first: behind the last file that is wanted nothing is read again.
    left = len(links)
    for path, member, reader in layer_members(image, number):
        if path not in links or member.kind in {LINK, DIRECTORY} or member.kind in SPECIAL:
            continue
        left -= 1
        again = functools.partial(_bytes_of, image, number, path)
        for link in links[path]:
            file = as_file(path, member, reader, link.file.layer)
            payload = Payload(reader, again)
            yield replace(file, path=link.file.path, hardlink=link.file.hardlink, payload=payload)
        if not left:
            return


def _bytes_of(image: StoredImage, number: int, wanted: str) -> Iterator[bytes]:
    for path, _, reader in layer_members(image, number):
        if path == wanted:
            yield from reader.payload()
            return


class LayerNames:
    """What one layer holds and takes away."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._links: dict[str, str] = {}
        self.folders: set[str] = set()
        self.others: set[str] = set()
        self.gone: set[str] = set()
        self.emptied: set[str] = set()

    def take(self, file: ImageFile, *, special: bool) -> None:
        """Remember an entry. BuildError when its path was there already."""
        path = file.path
        if file.whiteout is not Whiteout.NONE:
            (self.gone if file.whiteout is Whiteout.PATH else self.emptied).add(path)
            return
        folder = file.kind is Kind.DIRECTORY and not special
        if path in self.others or (path in self.folders and not folder):
            raise BuildError(f"{self._name} holds {path[:200]!a} twice")
        (self.folders if folder else self.others).add(path)
        if file.hardlink:
            self._links[path] = file.hardlink

    def resolve(self, pending: list[Link]) -> tuple[dict[str, list[Link]], list[Link]]:
        """Part links into those whose file is in this layer, by its path, and those that look below."""
        here: dict[str, list[Link]] = {}
        below: list[Link] = []
        for link in pending:
            target = self._first_name(link.target)
            if target in self.others:
                here.setdefault(target, []).append(link)
            else:
                below.append(Link(link.file, target))
        return here, below

    def _first_name(self, path: str) -> str:
        seen: set[str] = set()
        while path in self._links and path not in seen:
            seen.add(path)
            path = self._links[path]
        return "" if path in seen else path


class Above:
    """What the layers above say of a lower path."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._closed: set[str] = set()
        self._covered: dict[str, bool] = {}

    def lay(self, layer: LayerNames) -> None:
        """Lay one more layer, below those that were laid before."""
        self._seen |= layer.folders | layer.others | layer.gone
        self._closed |= layer.others | layer.gone | layer.emptied
        self._covered.clear()

    def hides(self, path: str) -> bool:
        """Say whether ``path`` of the next lower layer cannot be seen."""
        if not self._seen and not self._closed:
            return False
        return path in self._seen or (path != "/" and self._is_covered(path.rpartition("/")[0] or "/"))

    def _is_covered(self, folder: str) -> bool:
        climbed: list[str] = []
        while folder not in self._covered:
            climbed.append(folder)
            if folder in self._closed or folder == "/":
                self._covered[folder] = folder in self._closed
                break
            folder = folder.rpartition("/")[0] or "/"
        covered = self._covered[folder]
        self._covered.update(dict.fromkeys(climbed, covered))
        return covered

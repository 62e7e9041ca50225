"""What rootlet makes itself: readable where a person may want to read it.

Short texts are printed line by line. The rest (package records, reasons, caches, bundles) travels in one tar
archive, compressed, in base64. Its headers are those of the layer writer, so owners and modes are exact.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence

from builder.containerfile.quote import shell_word, writable
from builder.containerfile.script import MOST_BYTES, Command, Run, comment
from builder.image.compress import smallest_gzip
from builder.image.tar import END, tar_header
from builder.plan.model import Entry
from builder.reason import Reason, ReasonKind
from builder.stored.untar import padding
from builder.sysroot import Content, Node, read_content

_MOST_TEXT = 8 << 10
_MOST_LINE = 500
_COLUMNS = 104
_RECORDS = frozenset({ReasonKind.METADATA, ReasonKind.CACHE})
"""Made for programs."""
MOST_EMBEDDED = 4 << 20
"""Compressed bytes of a source that nobody can fetch, and that are embedded therefore: some 60 RUNs."""
ARCHIVE = "/made.tar.gz"
_ENCODED = "/made.base64"


def is_text(entry: Entry) -> bool:
    """Whether the entry is a short text that the Dockerfile can print line by line."""
    content = entry.content
    if not isinstance(content, bytes) or len(content) > _MOST_TEXT or entry.reason.kind in _RECORDS:
        return False
    if entry.xattrs or not writable(entry.path):
        return False
    try:
        lines = content.decode().split("\n")
    except UnicodeDecodeError:
        return False
    return all(writable(line.replace("\t", "")) and len(line) <= _MOST_LINE for line in lines)


def text_commands(entries: Iterable[Entry]) -> Iterator[Command]:
    """Print each text into its file, below the current folder."""
    for entry in entries:
        assert isinstance(entry.content, bytes)  # noqa: S101 (is_text said so)
        target = f"> {shell_word(entry.path[1:])}"
        body, newline, last = entry.content.decode().rpartition("\n")
        words = tuple(map(shell_word, body.split("\n"))) if newline else ()
        comments = comment(f"{entry.path}: {entry.reason}")
        if words:
            yield Command(start="printf '%s\\n'", words=tuple(words), end=target, comments=comments)
        if last or not words:
            tail = f">{target}" if words else target
            yield Command(start=f"printf %s {shell_word(last)} {tail}", comments=() if words else comments)


def link_commands(entries: Iterable[Entry]) -> Iterator[Command]:
    """Make links, symbolic and hard, below the current folder; a reason above each group."""
    for reason, group in _by_reason(entries):
        comments = comment(str(reason))
        for entry in group:
            options, first = ("", entry.hardlink[1:]) if entry.hardlink else ("-sn ", entry.target)
            dashes = "-- " if first.startswith("-") else ""
            words = f"ln {options}{dashes}{shell_word(first)} {shell_word(entry.path[1:])}"
            yield Command(start=words, comments=comments)
            comments = ()


def folder_commands(folders: Sequence[tuple[str, str]]) -> Iterator[Command]:
    """Make folders, given with the reason for them, below the current folder."""
    groups: dict[str, list[str]] = {}
    for path, reason in folders:
        groups.setdefault(reason, []).append(path)
    words: list[str] = []
    for reason, paths in groups.items():
        words += [f"# {line}" for line in comment(reason)]
        words += [shell_word(path[1:]) for path in paths]
    if words:
        yield Command(start="mkdir -p", words=tuple(words))


def archive_runs(entries: Sequence[Entry], created: int) -> Iterator[Run]:
    """Print the archive of ``entries``, then unpack it into the current folder. Nothing for no entries."""
    if not entries:
        return
    text = base64.b64encode(smallest_gzip(b"".join(_tar(entries, created)))).decode()
    lines = [text[at : at + _COLUMNS] for at in range(0, len(text), _COLUMNS)]
    step = MOST_BYTES // (_COLUMNS + 16)
    title = comment(
        f"{len(entries)} files that rootlet makes for programs, as a tar archive (gzip, base64). To look "
        f"into it: build the stage and run tar -tvf {ARCHIVE}. It holds"
    )
    title += archive_listing(entries)
    for at in range(0, len(lines), step):
        redirection = f"> {_ENCODED}" if not at else f">> {_ENCODED}"
        command = Command(start="printf %s", words=tuple(lines[at : at + step]), end=redirection)
        unpack = (
            Command(start=f"base64 -d {_ENCODED} > {ARCHIVE}"),
            Command(start=f"tar -xpf {ARCHIVE} --numeric-owner --xattrs --xattrs-include='*'"),
        )
        last = at + step >= len(lines)
        yield Run(title=title, commands=(command, *unpack) if last else (command,))
        title = ()


def archive_listing(entries: Iterable[Entry]) -> tuple[str, ...]:
    """What is in the archive, as comment lines: how many files for which reason, and where."""
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(_kind_words(entry.reason), []).append(entry)
    lines: list[str] = []
    for words, group in groups.items():
        place = group[0].path if len(group) == 1 else f"{len(group)} in {_common(group)}"
        lines += comment(f"  {words}: {place}")
    return tuple(lines)


def stamp_commands(entries: Iterable[Entry], created: int) -> Iterator[Command]:
    """Give files of packages their extended attributes: as tar archives whose headers are printed here.

    No tool for that is in every image, but tar restores what a header says.
    """
    for entry in entries:
        path = shell_word(entry.path[1:])
        header = base64.b64encode(tar_header(entry, created)).decode()
        lines: tuple[str, ...] = tuple(header[at : at + _COLUMNS] for at in range(0, len(header), _COLUMNS))
        names = ", ".join(name for name, _ in entry.xattrs)
        yield Command(
            start="printf %s", words=lines, end="> /header.base64", comments=comment(f"{entry.path}: {names}")
        )
        for command in (
            "base64 -d /header.base64 > /stamped.tar",
            f"cat {path} >> /stamped.tar",
            f"head -c {padding(entry.size) + len(END)} /dev/zero >> /stamped.tar",
            "tar -xpf /stamped.tar --numeric-owner --xattrs --xattrs-include='*'",
        ):
            yield Command(start=command)


def packed_size(contents: Iterable[Content]) -> int:
    """Bytes that contents take in the archive, before base64."""
    return len(smallest_gzip(b"".join(map(read_content, contents))))


def _tar(entries: Iterable[Entry], created: int) -> Iterator[bytes]:
    for entry in entries:
        yield tar_header(entry, created)
        content = entry.content
        payload = read_content(content) if isinstance(content, Content) else content or b""
        yield payload + bytes(padding(len(payload)))
    yield END


def _by_reason(entries: Iterable[Entry]) -> Iterator[tuple[Reason, list[Entry]]]:
    groups: dict[Reason, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.reason, []).append(entry)
    yield from groups.items()


def _kind_words(reason: Reason) -> str:
    return "records of packages" if reason.kind is ReasonKind.METADATA else str(reason)


def _common(entries: Iterable[Entry | Node]) -> str:
    """The innermost folder that all of them are in."""
    return "/".join(_shared([entry.path.rpartition("/")[0].split("/") for entry in entries])) or "/"


def _shared(paths: list[list[str]]) -> list[str]:
    shortest = min(paths, key=len)
    for count, names in enumerate(zip(*paths, strict=False)):
        if len(set(names)) > 1:
            return shortest[:count]
    return shortest

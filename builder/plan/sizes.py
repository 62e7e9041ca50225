"""Where the bytes of an image come from: its files by the kind of reason, or the rule, that brought them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from builder.plan.model import Entry
from builder.reason import Reason, ReasonKind
from builder.sysroot import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one kind of reason brings. ``size`` in bytes; ``files`` counts files and links, no folders.

    ``kind`` and ``subject`` are the reason's; ``subject`` is "" where files are grouped by kind alone, and
    the rule's name for rules.
    """

    kind: ReasonKind
    subject: str
    files: int
    size: int

    @property
    def words(self) -> str:
        """What a person reads."""
        return _WORDS[self.kind].replace("{subject}", self.subject)


_WORDS: Mapping[ReasonKind, str] = {
    ReasonKind.PAYLOAD: "payload of the named package {subject}",
    ReasonKind.SAME_SOURCE: "payload of packages of the same source as {subject}",
    ReasonKind.SETTINGS: "settings of the named package {subject}",
    ReasonKind.ENTRYPOINT: "started by the image",
    ReasonKind.NEEDED: "libraries by DT_NEEDED",
    ReasonKind.INTERPRETER: "program interpreters",
    ReasonKind.SHEBANG: "script interpreters",
    ReasonKind.LINK: "symbolic links crossed",
    ReasonKind.LINK_TARGET: "targets of symbolic links",
    ReasonKind.DLOPEN: "loaded at run time (dlopen)",
    ReasonKind.RULE: "run-time rule {subject}",
    ReasonKind.CONFIGURED: "made when packages are configured",
    ReasonKind.LIBRARY: "libraries named by the recipe",
    ReasonKind.KEEP: 'keep = ["{subject}"]',
    ReasonKind.FEATURE: "feature {subject}",
    ReasonKind.INSTALL: "installed by the recipe from {subject}",
    ReasonKind.RECIPE: "made by the recipe: {subject}",
    ReasonKind.PARENT: "folders",
    ReasonKind.ACCOUNTS: "accounts and groups",
    ReasonKind.SYSTEM: "base of every image",
    ReasonKind.CACHE: "index of the shared objects",
    ReasonKind.BASE: "the base",
    ReasonKind.METADATA: "package records",
    ReasonKind.COPYRIGHT: "copyright files",
}


def shares(entries: Iterable[Entry]) -> tuple[Share, ...]:
    """The files of ``entries`` by reason, largest share first. Every file and byte counts once."""
    files: dict[tuple[ReasonKind, str], int] = {}
    sizes: dict[tuple[ReasonKind, str], int] = {}
    for entry in entries:
        if entry.kind is not Kind.DIRECTORY:
            key = (entry.reason.kind, _subject(entry.reason))
            files[key] = files.get(key, 0) + 1
            sizes[key] = sizes.get(key, 0) + entry.size
    found = (Share(kind=key[0], subject=key[1], files=files[key], size=sizes[key]) for key in files)
    return tuple(sorted(found, key=lambda share: (-share.size, -share.files, share.words)))


def _subject(reason: Reason) -> str:
    if "{subject}" not in _WORDS[reason.kind]:
        return ""
    return reason.detail or reason.subject if reason.kind is ReasonKind.RULE else reason.subject

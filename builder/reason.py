"""Why a file is in an image: the provenance that every entry carries from the closure to the report."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class ReasonKind(enum.Enum):
    """The edge that pulled a file in. The value is what a user reads before the subject."""

    PAYLOAD = "payload of the named package"
    SAME_SOURCE = "payload of a package of the same source as"
    SETTINGS = "settings of the named package"
    ENTRYPOINT = "started by the image"
    NEEDED = "DT_NEEDED of"
    INTERPRETER = "program interpreter of"
    SHEBANG = "script interpreter of"
    LINK = "symbolic link crossed to reach"
    LINK_TARGET = "target of the symbolic link"
    DLOPEN = "loaded at run time by"
    RULE = "needed at run time by"
    CONFIGURED = "made when this package is configured:"
    LIBRARY = "library named by the recipe"
    KEEP = "kept by the recipe:"
    FEATURE = "feature"
    INSTALL = "installed by the recipe from"
    RECIPE = "made by the recipe:"
    PARENT = "folder of"
    ACCOUNTS = "accounts and groups"
    SYSTEM = "base of every image:"
    CACHE = "index of the shared objects"
    METADATA = "package record of"
    COPYRIGHT = "copyright of the package"
    BASE = "from the base"


@dataclass(frozen=True, slots=True)
class Reason:
    """One edge: ``kind`` and the file, package, key or feature (``subject``) at its other end.

    For kinds that speak of a file, ``subject`` is that file's absolute path in the image.
    """

    kind: ReasonKind
    subject: str = ""
    detail: str = ""

    def __str__(self) -> str:
        text = f"{self.kind.value} {self.subject}".rstrip()
        return f"{text} ({self.detail})" if self.detail else text

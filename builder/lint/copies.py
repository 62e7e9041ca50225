"""Checks of COPY, ADD and WORKDIR: what comes from the context, and what should not."""

from __future__ import annotations

import re
from collections.abc import Iterator

from builder.lint.dockerfile import Instruction, Stage
from builder.lint.model import Remark, Rule
from builder.lint.secrets import is_secret_file
from builder.lint.subject import Check, Subject, quoted, remark
from builder.recipe.model import Severity

ADD_URL = Rule(id="add-url", severity=Severity.MEDIUM, title="ADD of an address", also=("DL3020",))
ADD_FILE = Rule(id="add-for-copy", severity=Severity.LOW, title="ADD where COPY is meant", also=("DL3020",))
SECRET_FILE = Rule(id="secret-file", severity=Severity.HIGH, title="a file of secrets goes into a layer")
EVERYTHING = Rule(id="copy-everything", severity=Severity.LOW, title="the whole context goes into the image")
FOLDER = Rule(
    id="copy-many-no-slash", severity=Severity.MEDIUM, title="several files for one name", also=("DL3021",)
)
UNKNOWN = Rule(
    id="copy-from-unknown",
    severity=Severity.MEDIUM,
    title="COPY --from what is no earlier stage",
    also=("DL3022", "DL3023"),
)
RELATIVE = Rule(
    id="workdir-relative",
    severity=Severity.LOW,
    title="a path that depends on others",
    also=("DL3000", "DL3045"),
)

_ARCHIVE = re.compile(r"\.(?:tar|tar\.(?:gz|bz2|xz|zst)|tgz|tbz2?|txz)$", re.IGNORECASE)
_ADDRESS = re.compile(r"(?:https?|ftp|git)://|git@")


def _sources(one: Instruction) -> tuple[str, ...]:
    return tuple(word for word in one.arguments()[:-1] if not word.startswith("<<"))


def adds(subject: Subject) -> Iterator[Remark]:
    """ADD unpacks and downloads, silently and unchecked."""
    for stage in subject.dockerfile.stages:
        for one in stage.all_of("ADD"):
            sources = _sources(one)
            addresses = [word for word in sources if _ADDRESS.match(word)]
            if addresses and one.flag("checksum") is None:
                yield remark(
                    ADD_URL,
                    one.line,
                    f"ADD {quoted(addresses)} takes whatever is there that day, and keeps it in a layer",
                    "fetch it in a RUN that compares its checksum, or ADD --checksum=sha256:…",
                )
            elif (
                sources
                and not addresses
                and not any(_ARCHIVE.search(word) or "*" in word or "$" in word for word in sources)
            ):
                yield remark(
                    ADD_FILE, one.line, "ADD also unpacks and downloads, by what it is given", "use COPY"
                )


def secret_files(subject: Subject) -> Iterator[Remark]:
    """A layer is for everybody who can pull the image."""
    for stage in subject.dockerfile.stages:
        for one in stage.all_of("COPY", "ADD"):
            found = [word for word in _sources(one) if is_secret_file(word)]
            if found and one.flag("from") is None:
                yield remark(
                    SECRET_FILE,
                    one.line,
                    f"{quoted(found)} usually holds secrets, and everybody who pulls the image gets it",
                    "mount it where it is needed: RUN --mount=type=secret,id=…",
                )


def everything(subject: Subject) -> Iterator[Remark]:
    """``COPY . .`` brings .git, .env and what nobody thought of."""
    for stage in subject.dockerfile.stages:
        for one in stage.all_of("COPY", "ADD"):
            whole = any(word in {".", "./", "/", "*", "./*"} for word in _sources(one))
            if whole and one.flag("from") is None and not subject.has_ignore_file:
                yield remark(
                    EVERYTHING,
                    one.line,
                    "the whole folder is copied, .git and all, and there is no .dockerignore",
                    "name what is needed, or write a .dockerignore",
                )


def targets(subject: Subject) -> Iterator[Remark]:
    """Several sources need a folder; a relative one needs a WORKDIR."""
    for stage in subject.dockerfile.stages:
        for one in stage.all_of("COPY", "ADD"):
            words = one.arguments()
            target = words[-1] if words else ""
            if len(words) > 2 and not target.endswith("/") and target not in {".", ".."}:  # noqa: PLR2004 (several sources)
                yield remark(
                    FOLDER,
                    one.line,
                    f"several files go to {target}, which is not said to be a folder",
                    f"write {target}/",
                )
            elif _is_relative(target) and not _has_workdir(subject, stage, one.line):
                yield remark(
                    RELATIVE,
                    one.line,
                    f"{target} starts at whatever folder the base ends in",
                    "set WORKDIR before it",
                )
        for one in stage.all_of("WORKDIR"):
            if _is_relative(one.text.strip().strip("\"'")):
                yield remark(
                    RELATIVE,
                    one.line,
                    f"WORKDIR {one.text.strip()} starts at the one before it",
                    "write it from /",
                )


def _is_relative(path: str) -> bool:
    return not path.startswith(("/", "$", "~")) and not re.match(r"[A-Za-z]:[\\/]", path) and path != ""


def _has_workdir(subject: Subject, stage: Stage, line: int) -> bool:
    return any(
        one.name == "WORKDIR" and (one.line < line or other is not stage)
        for other in subject.dockerfile.lineage(stage)
        for one in other.instructions
    )


def origins(subject: Subject) -> Iterator[Remark]:
    """``--from`` takes an earlier stage, its number, or an image."""
    stages = subject.dockerfile.stages
    for stage in stages:
        earlier = {one.name for one in stages[: stage.number] if one.name} | {
            str(n) for n in range(stage.number)
        }
        for one in stage.all_of("COPY", "ADD"):
            origin = (one.flag("from") or "").lower()
            is_image = any(letter in origin for letter in "/:@$.")
            if not origin or origin in earlier or is_image:
                continue
            own = origin == stage.name
            message = f"{origin} is this very stage" if own else f"{origin} is no stage before this one"
            yield remark(
                UNKNOWN, one.line, message, "name an earlier stage, or an image with its tag and digest"
            )


CHECKS: tuple[Check, ...] = (adds, secret_files, everything, targets, origins)
RULES = (ADD_URL, ADD_FILE, SECRET_FILE, EVERYTHING, FOLDER, UNKNOWN, RELATIVE)

"""What is asked for: requirements files as pip reads them, and the dependencies of a pyproject.toml.

pip's "Requirements File Format", PEP 508, PEP 621, PEP 735.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from builder.errors import ResolutionError

_LARGEST = 16 << 20
_MOST_FILES = 100
_DEEPEST = 20
_HASH = re.compile(r"sha256:([0-9a-f]{64})")
_OPTION = re.compile(r"\s--hash[=\s]\s*(\S+)")
_COMMENT = re.compile(r"(?:^|\s)#.*$")
_IGNORED = ("--require-hashes", "--only-binary", "--prefer-binary", "--trusted-host", "--use-feature")
"""Options that change nothing here: hashes are required anyway, and only wheels are taken."""
_ELSEWHERE = {
    "-i": "index",
    "--index-url": "index",
    "--extra-index-url": "extra_indexes",
    "-f": "links",
    "--find-links": "links",
    "--no-index": "links",
}
"""Options whose key in the recipe says the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One requirement. ``hashes``: SHA-256 sums of files that may be taken, empty for any.

    ``origin`` says in words where it stands.
    """

    requirement: Requirement
    hashes: frozenset[str]
    origin: str

    @property
    def name(self) -> str:
        """The normalised name (PEP 503)."""
        return canonicalize_name(self.requirement.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wants:
    """Everything that is asked for; ``constraints`` only limit what else asks for. ``files`` were read."""

    requirements: tuple[Asked, ...]
    constraints: tuple[Asked, ...]
    files: tuple[Path, ...]


def read_requirements(path: Path) -> Wants:
    """Read a requirements file and those that it names. ResolutionError says the line that is wrong."""
    reader = _Reader()
    reader.read(path, constraint=False, depth=0)
    return Wants(
        requirements=tuple(reader.requirements),
        constraints=tuple(reader.constraints),
        files=tuple(dict.fromkeys(reader.files)),
    )


class _Reader:
    def __init__(self) -> None:
        self.requirements: list[Asked] = []
        self.constraints: list[Asked] = []
        self.files: list[Path] = []

    def read(self, path: Path, *, constraint: bool, depth: int) -> None:
        """Read one file; a file that names itself ends in an error."""
        if depth > _DEEPEST or len(self.files) > _MOST_FILES:
            raise ResolutionError(
                f"{path} is named in a circle of -r and -c", hint="take one of the lines out"
            )
        self.files.append(path)
        for number, line in _lines(read_text(path)):
            self._line(line, f"{path.name}:{number}", path, constraint=constraint, depth=depth)

    def _line(self, line: str, origin: str, path: Path, *, constraint: bool, depth: int) -> None:
        if not line.startswith("-"):
            asked = asked_of(line, origin)
            (self.constraints if constraint else self.requirements).append(asked)
            return
        option, _, rest = line.replace("=", " ", 1).partition(" ")
        short = option[:2] if len(option) > 2 and option[1] != "-" else option  # noqa: PLR2004 ("-rfile")
        rest = rest.strip() or option[len(short) :]
        if short in {"-r", "--requirement", "-c", "--constraint"}:
            is_constraint = constraint or short in {"-c", "--constraint"}
            self.read(path.parent / rest, constraint=is_constraint, depth=depth + 1)
        elif short in _ELSEWHERE:
            raise ResolutionError(
                f"{origin}: {short} in a requirements file has no effect on images",
                hint=f"say it in the recipe: the source has the key {_ELSEWHERE[short]}",
            )
        elif not short.startswith(_IGNORED):
            raise ResolutionError(
                f"{origin}: {short} cannot be followed: wheels are taken as they are, and nothing is built",
                hint="build a wheel in a stage, and name the folder with the key links",
            )


def asked_of(line: str, origin: str) -> Asked:
    """One requirement with its ``--hash`` options."""
    hashes = frozenset(_hash_of(text, origin) for text in _OPTION.findall(line))
    text = _OPTION.sub("", line).strip()
    if re.search(r"\$\{[A-Z0-9_]+\}", text):
        raise ResolutionError(f"{origin}: {text} needs a variable of the environment", hint="write it out")
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        raise ResolutionError(
            f"{origin}: {text[:100]} is no requirement by name: {str(error).splitlines()[0]}",
            hint='write NAME==VERSION, or "NAME @ https://…whl"',
        ) from error
    return Asked(requirement=requirement, hashes=hashes, origin=origin)


def _hash_of(text: str, origin: str) -> str:
    match = _HASH.fullmatch(text)
    if match is None:
        raise ResolutionError(
            f"{origin}: {text[:80]} is no sha256:… hash", hint="use sha256, as pip-compile does"
        )
    return match[1]


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Logical lines with the number of their first one: continued ones joined, comments taken out."""
    pending, first = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        first = first or number
        if line.endswith("\\") and not line.lstrip().startswith("#"):
            pending += line[:-1] + " "
            continue
        whole = _COMMENT.sub("", pending + line).strip()
        if whole:
            yield first, whole
        pending, first = "", 0
    if pending.strip():
        yield first, _COMMENT.sub("", pending).strip()


def read_pyproject(path: Path, extras: Iterable[str], groups: Iterable[str]) -> Wants:
    """The dependencies of a project, with those of ``extras`` and of dependency ``groups``."""
    document = read_toml(path)
    project = document.get("project")
    if not isinstance(project, dict):
        raise ResolutionError(
            f"{path} has no table [project]", hint="name a lock or a requirements file instead"
        )
    optional = project.get("optional-dependencies", {})
    texts = list(_strings(project.get("dependencies", []), path, "project.dependencies"))
    for extra in extras:
        named = {canonicalize_name(key): value for key, value in _table(optional).items()}
        if canonicalize_name(extra) not in named:
            raise ResolutionError(f"{path} has no extra {extra}", hint="correct the key extras of the source")
        texts += _strings(named[canonicalize_name(extra)], path, f"extra {extra}")
    for group in groups:
        texts += _group(_table(document.get("dependency-groups")), group, path, 0)
    asked = tuple(asked_of(text, path.name) for text in dict.fromkeys(texts))
    return Wants(requirements=asked, constraints=(), files=(path,))


def _group(groups: Mapping[str, Any], name: str, path: Path, depth: int) -> Iterator[str]:
    named = {canonicalize_name(key): value for key, value in groups.items()}
    members = named.get(canonicalize_name(name))
    if not isinstance(members, list) or depth > _DEEPEST:
        raise ResolutionError(
            f"{path} has no dependency group {name}", hint="correct the key groups of the source"
        )
    for one in members:
        if isinstance(one, dict) and isinstance(one.get("include-group"), str):
            yield from _group(groups, one["include-group"], path, depth + 1)
        else:
            yield from _strings([one], path, f"group {name}")


def _strings(value: object, path: Path, where: str) -> Iterator[str]:
    for one in value if isinstance(value, list) else [value]:
        if not isinstance(one, str):
            raise ResolutionError(f"{path}: {where} holds something else than requirements")
        yield one


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML document. ResolutionError when it is none."""
    try:
        return tomllib.loads(read_text(path))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ResolutionError(f"{path} is no sound TOML: {error}") from error


def read_text(path: Path) -> str:
    """A text file of the author. ResolutionError when it cannot be read."""
    try:
        if path.stat().st_size > _LARGEST:
            raise ResolutionError(f"{path} has more than {_LARGEST} bytes")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ResolutionError(
            f"{path} cannot be read: {error.strerror}", hint="the path starts at the file that names it"
        ) from error
    except UnicodeDecodeError as error:
        raise ResolutionError(f"{path} is not UTF-8 text: {error}") from error

"""Checks of FROM: what an image starts from, and whether that is the same tomorrow."""

from __future__ import annotations

import re
from collections.abc import Iterator

from builder.lint.dockerfile import Stage
from builder.lint.model import Remark, Rule
from builder.lint.subject import Check, Subject, remark
from builder.oci import ImageReference
from builder.recipe.model import Severity

NO_TAG = Rule(
    id="base-without-tag",
    severity=Severity.MEDIUM,
    title="the base has neither tag nor digest",
    also=("DL3006",),
)
LATEST = Rule(
    id="base-latest", severity=Severity.MEDIUM, title="the base is whatever is latest", also=("DL3007",)
)
NO_DIGEST = Rule(id="base-not-pinned", severity=Severity.LOW, title="the base has a tag, which can move")
OLD = Rule(id="base-end-of-life", severity=Severity.HIGH, title="the base gets no security updates any more")
HUGE = Rule(id="base-huge", severity=Severity.LOW, title="the image carries a whole distribution")
TOOLS = Rule(id="build-tools-in-image", severity=Severity.MEDIUM, title="compilers are in the finished image")
TWICE = Rule(
    id="stage-name-twice", severity=Severity.MEDIUM, title="two stages have one name", also=("DL3024",)
)

_WHOLE = frozenset(
    [
        "ubuntu",
        "debian",
        "centos",
        "fedora",
        "amazonlinux",
        "rockylinux",
        "almalinux",
        "oraclelinux",
        "archlinux",
        "opensuse/leap",
        "node",
        "python",
        "ruby",
        "php",
        "perl",
        "openjdk",
        "eclipse-temurin",
        "httpd",
        "nginx",
        "mysql",
        "postgres",
        "redis",
        "mongo",
        "buildpack-deps",
    ]
)
_COMPILERS = frozenset(
    [
        "golang",
        "rust",
        "gcc",
        "maven",
        "gradle",
        "haskell",
        "swift",
        "elixir",
        "erlang",
        "dart",
        "sbt",
        "buildpack-deps",
    ]
)
_SMALL = re.compile(
    r"slim|alpine|distroless|minimal|micro|busybox|scratch|chiselled|wolfi|-jre", re.IGNORECASE
)
_OLD = (
    ("debian", re.compile(r"(?:[4-9]|10)(?:\D|$)|(?:etch|lenny|squeeze|wheezy|jessie|stretch|buster)\b")),
    (
        "ubuntu",
        re.compile(r"(?:[4-9]|1[0-9])\.|20\.(?:04|10)|21\.|22\.10|23\.|(?:trusty|xenial|bionic|focal)\b"),
    ),
    ("centos", re.compile(r"")),
    ("alpine", re.compile(r"[12]\.|3\.(?:[0-9]|1[0-9])(?:\D|$)")),
    ("python", re.compile(r"2(?:\D|$)|3\.[0-9](?:\D|$)")),
    ("node", re.compile(r"(?:[0-9]|1[0-9])(?:\D|$)")),
    ("php", re.compile(r"[4-7](?:\D|$)|8\.[01](?:\D|$)")),
    ("ruby", re.compile(r"[12](?:\D|$)|3\.[0-2](?:\D|$)")),
    ("golang", re.compile(r"1\.(?:[0-9]|1[0-9]|2[0-3])(?:\D|$)")),
    ("openjdk", re.compile(r"")),
)
"""Official images by name, with the tags that had ended when this was written (2026-11)."""


def _references(subject: Subject) -> Iterator[tuple[Stage, ImageReference]]:
    """Every FROM that names an image outside this file, where its name can be known."""
    for stage in subject.dockerfile.stages:
        unknown = not stage.image or "$" in stage.image or stage.image.lower() == "scratch"
        if unknown or subject.dockerfile.base_stage(stage) is not None:
            continue
        try:
            yield stage, ImageReference.parse(stage.image)
        except ValueError:
            continue


def _official(reference: ImageReference) -> str:
    """The short name of one of Docker's official images, else the whole repository."""
    if reference.registry in {"", "docker.io", "index.docker.io"}:
        return reference.repository.removeprefix("library/")
    return f"{reference.registry}/{reference.repository}"


def pinned(subject: Subject) -> Iterator[Remark]:
    """Tags move; a digest does not."""
    for stage, reference in _references(subject):
        line, name = stage.start.line, stage.image
        if reference.digest is not None:
            continue
        if not reference.tag:
            yield remark(
                NO_TAG, line, f"{name} has no tag: it is whatever is latest when it is built", _pin(name)
            )
        elif reference.tag == "latest":
            yield remark(
                LATEST, line, f"{name} is another image tomorrow", _pin(name.removesuffix(":latest"))
            )
        else:
            yield remark(NO_DIGEST, line, f"the tag of {name} can be moved", f"write {name}@sha256:…")


def _pin(name: str) -> str:
    return f"name a version and its digest: {name}:VERSION@sha256:…"


def supported(subject: Subject) -> Iterator[Remark]:
    """Bases that nobody mends any more."""
    for stage, reference in _references(subject):
        name = _official(reference)
        old = next((tags for official, tags in _OLD if official == name), None)
        if old is not None and reference.tag not in {"", "latest"} and old.match(reference.tag):
            yield remark(
                OLD,
                stage.start.line,
                f"{stage.image} gets no security updates any more",
                "take a release that does",
            )
        elif old is not None and old.pattern == "":
            yield remark(
                OLD, stage.start.line, f"{name} has ended; its images get no updates", "take its successor"
            )


def small(subject: Subject) -> Iterator[Remark]:
    """Whole distributions and compilers in the finished image."""
    last = subject.image_stages[-1]
    for stage, reference in _references(subject):
        if stage is not last or _SMALL.search(f"{reference.repository}:{reference.tag}"):
            continue
        name = _official(reference)
        if name in _COMPILERS or name.endswith("/sdk"):
            yield remark(
                TOOLS,
                stage.start.line,
                f"the image is built on {stage.image}: compilers and headers are in it",
                "build in a first stage and COPY --from it into a small one",
            )
        elif name in _WHOLE:
            yield remark(
                HUGE,
                stage.start.line,
                f"{stage.image} is a whole distribution around one program",
                "take its slim variant, or a recipe: rootlet finds the files that are needed",
            )


def names(subject: Subject) -> Iterator[Remark]:
    """Stages that cannot be told apart."""
    seen: dict[str, int] = {}
    for stage in subject.dockerfile.stages:
        first = seen.setdefault(stage.name, stage.start.line) if stage.name else stage.start.line
        if first != stage.start.line:
            message = f"the stage of line {first} is called {stage.name} too"
            yield remark(TWICE, stage.start.line, message, "give it a name of its own")


CHECKS: tuple[Check, ...] = (pinned, supported, small, names)
RULES = (NO_TAG, LATEST, NO_DIGEST, OLD, HUGE, TOOLS, TWICE)

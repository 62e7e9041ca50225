"""Checks of the other commands in RUN: downloads, rights, and what a layer cannot undo."""

from __future__ import annotations

import re
from collections.abc import Iterator

from builder.lint.model import Remark, Rule
from builder.lint.subject import Check, Run, Subject, each_program, remark
from builder.recipe.model import Severity

PIPED = Rule(id="download-piped-to-shell", severity=Severity.HIGH, title="a download is run unread")
INSECURE = Rule(
    id="download-insecure", severity=Severity.HIGH, title="a download is not protected on its way"
)
UNCHECKED = Rule(
    id="download-unchecked", severity=Severity.LOW, title="a download is not compared with a checksum"
)
PIPEFAIL = Rule(
    id="pipe-without-pipefail",
    severity=Severity.LOW,
    title="a failure in a pipe is not noticed",
    also=("DL4006",),
)
SUDO = Rule(id="sudo", severity=Severity.MEDIUM, title="sudo in a build", also=("DL3004",))
OPEN = Rule(id="world-writable", severity=Severity.MEDIUM, title="everybody may write a file of the image")
SETUID = Rule(id="setuid", severity=Severity.MEDIUM, title="a program gets the rights of its owner")
CD = Rule(id="cd-for-workdir", severity=Severity.NEGLIGIBLE, title="cd lasts for one RUN", also=("DL3003",))
LATE = Rule(id="removed-too-late", severity=Severity.LOW, title="a later layer cannot make an image smaller")
SERVER = Rule(id="ssh-server", severity=Severity.MEDIUM, title="an SSH server in an image")

_FETCHERS = frozenset({"curl", "wget"})
_INTERPRETERS = frozenset(
    ["sh", "bash", "dash", "ash", "zsh", "python", "python3", "perl", "ruby", "node", "php"]
)
_CHECKERS = frozenset(
    [
        "sha256sum",
        "sha512sum",
        "sha1sum",
        "md5sum",
        "shasum",
        "gpg",
        "gpgv",
        "cosign",
        "minisign",
        "openssl",
        "rhash",
        "b2sum",
    ]
)
_INSECURE = frozenset({"-k", "--insecure", "--no-check-certificate"})


def piped(subject: Subject) -> Iterator[Remark]:
    """What a server sends is run as root, whoever it is that day."""
    for run, one in each_program(subject, *_INTERPRETERS):
        fetched = next((name for name in one.reads if name in _FETCHERS), None)
        substituted = any("$(…)" in word for word in one.words[1:]) and _fetches(run)
        if fetched or (substituted and ("-c" in one.words or "<(" in " ".join(one.words))):
            yield remark(
                PIPED,
                run.line(one),
                f"what {fetched or 'a server'} sends is run by {one.program} without anybody having read it",
                "download a version, compare it with its checksum, then run it",
            )


def _fetches(run: Run) -> bool:
    return any(one.program in _FETCHERS for one in run.programs)


def insecure(subject: Subject) -> Iterator[Remark]:
    """TLS without certificates, or no TLS and no checksum."""
    for run, one in each_program(subject, *_FETCHERS):
        checked = any(other.program in _CHECKERS for other in run.programs)
        addresses = [word for word in one.words if re.match(r"(?:https?|ftp)://", word)]
        if not _INSECURE.isdisjoint(one.words) or (one.program == "curl" and "-k" in one.options()):
            fix = "take the option out; add the CA's certificate if it is one of your own"
            yield remark(
                INSECURE, run.line(one), f"{one.program} does not check the server's certificate", fix
            )
        elif not checked and any(
            word.startswith(("http://", "ftp://")) for word in addresses if not _is_local(word)
        ):
            yield remark(
                INSECURE,
                run.line(one),
                f"{one.program} fetches without TLS and nothing checks what came",
                "use https and compare a checksum",
            )
        elif not checked and any(_is_artifact(word) for word in addresses):
            yield remark(
                UNCHECKED,
                run.line(one),
                "what was downloaded is not compared with anything",
                "compare it: echo 'SHA256  FILE' | sha256sum -c -",
            )


def _is_local(address: str) -> bool:
    return re.match(r"\w+://(?:localhost|127\.|\[::1\])", address) is not None


def _is_artifact(address: str) -> bool:
    return (
        re.search(
            r"\.(?:tar|tgz|t[gx]z|zip|gz|xz|bz2|zst|deb|rpm|apk|jar|whl|bin|AppImage|sh|run)\b", address
        )
        is not None
    )


def pipes(subject: Subject) -> Iterator[Remark]:
    """A shell gives the status of the last program of a pipe."""
    for run in subject.runs:
        shells = [one for one in run.stage.all_of("SHELL") if one.line < run.instruction.line]
        if any("pipefail" in one.text for one in shells) or "pipefail" in run.instruction.text:
            continue
        behind = next((one for one in run.programs if any(name in _FETCHERS for name in one.reads)), None)
        if behind is not None:
            yield remark(
                PIPEFAIL,
                run.line(behind),
                f"when the download in front of {behind.program} fails, the build goes on",
                'set SHELL ["/bin/bash", "-o", "pipefail", "-c"] before it',
            )


def sudo(subject: Subject) -> Iterator[Remark]:
    """Builds are root already; with USER, say so."""
    for run in subject.runs:
        one = next((one for one in run.programs if "sudo" in one.wrapped), None)
        if one is not None:
            yield remark(
                SUDO, run.line(one), "sudo in a build hides who does what", "use USER root before, USER after"
            )


def rights(subject: Subject) -> Iterator[Remark]:
    """Chmod that gives everybody, or everybody as the owner, more than is needed."""
    for run, one in each_program(subject, "chmod"):
        if not subject.in_image(run):
            continue
        mode = next(iter(one.operands()), "")
        if _everybody_writes(mode):
            yield remark(
                OPEN,
                run.line(one),
                f"chmod {mode} lets every user of the container write there",
                "give the folder to the user who needs it: COPY --chown or chown",
            )
        if _sets_id(mode):
            yield remark(
                SETUID,
                run.line(one),
                f"chmod {mode} makes a program run as its owner",
                "give the one capability that is needed, or run as that user",
            )


_OCTAL = re.compile(r"[0-7]{3,5}")
_CLAUSE = re.compile(r"([ugoa]*)[+=]([rwxXst]*)")


def _everybody_writes(mode: str) -> bool:
    """Whether others may write; not where the sticky bit protects what is there, as in /tmp."""
    if _OCTAL.fullmatch(mode):
        bits = int(mode, 8)
        return bool(bits & 0o002) and not bits & 0o1000
    return (
        any("w" in rights and not {"o", "a"}.isdisjoint(who) for who, rights in _CLAUSE.findall(mode))
        and "t" not in mode
    )


def _sets_id(mode: str) -> bool:
    if _OCTAL.fullmatch(mode):
        return bool(int(mode, 8) & 0o6000)
    return any("s" in rights for _, rights in _CLAUSE.findall(mode))


def cd(subject: Subject) -> Iterator[Remark]:
    """Only when it is all the command is for; ``cd`` inside a chain is fine for its own RUN."""
    for run in subject.runs:
        programs = [one for one in run.programs if one.program != "set"]
        if len(programs) == 1 and programs[0].program == "cd":
            yield remark(CD, run.line(programs[0]), "cd is forgotten after this RUN", "use WORKDIR")


def late(subject: Subject) -> Iterator[Remark]:
    """A file that one layer adds and a later one removes is in the image all the same."""
    copied: dict[str, int] = {}
    for stage in reversed(subject.image_stages):
        for one in stage.instructions:
            if one.name in {"COPY", "ADD"}:
                target = (one.arguments() or ("",))[-1]
                copied.setdefault(target.rstrip("/"), one.line)
            elif one.name == "RUN":
                for run in (found for found in subject.runs if found.instruction is one):
                    yield from _removed(run, copied)


def _removed(run: Run, copied: dict[str, int]) -> Iterator[Remark]:
    for one in run.programs:
        for word in one.operands() if one.program == "rm" else ():
            line = copied.get(word.rstrip("/"))
            if line is not None and word.startswith("/"):
                yield remark(
                    LATE,
                    run.line(one),
                    f"{word} was added by line {line} and stays in that layer, for everybody to read",
                    "mount it instead (RUN --mount=type=bind or secret), or remove it in a stage before",
                )


def servers(subject: Subject) -> Iterator[Remark]:
    """Containers are entered by their engine."""
    for run in subject.runs:
        for one in run.programs:
            if (
                subject.in_image(run)
                and "openssh-server" in one.words
                and "install" in " ".join(one.words[:3])
            ):
                yield remark(
                    SERVER,
                    run.line(one),
                    "an SSH server in a container is a second way in",
                    "use the engine's exec",
                )


CHECKS: tuple[Check, ...] = (piped, insecure, pipes, sudo, rights, cd, late, servers)
RULES = (PIPED, INSECURE, UNCHECKED, PIPEFAIL, SUDO, OPEN, SETUID, CD, LATE, SERVER)

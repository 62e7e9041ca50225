"""Checks of package managers in RUN: what is upgraded, left behind, or different tomorrow."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from builder.lint.model import Remark, Rule
from builder.lint.programs import Invocation
from builder.lint.subject import Check, Run, Subject, each_program, quoted, remark
from builder.recipe.model import Severity

UPGRADE = Rule(
    id="package-upgrade",
    severity=Severity.MEDIUM,
    title="all packages are upgraded in a layer",
    also=("DL3005", "DL3017"),
)
ASKS = Rule(
    id="package-question",
    severity=Severity.MEDIUM,
    title="the package manager waits for an answer",
    also=("DL3014", "DL3030", "DL3034", "DL3038"),
)
RECOMMENDS = Rule(
    id="package-recommends",
    severity=Severity.LOW,
    title="recommended packages are installed too",
    also=("DL3015",),
)
LISTS = Rule(
    id="package-lists-left",
    severity=Severity.LOW,
    title="the package manager's files stay in the layer",
    also=("DL3009", "DL3019", "DL3032", "DL3036", "DL3040", "DL3042", "DL3060"),
)
STALE = Rule(
    id="package-lists-stale", severity=Severity.MEDIUM, title="package lists come from an older layer"
)
APT = Rule(id="apt-for-people", severity=Severity.LOW, title="apt is for people", also=("DL3027",))
PINS = Rule(
    id="package-without-version",
    severity=Severity.LOW,
    title="packages are whatever is newest",
    also=("DL3008", "DL3013", "DL3016", "DL3018", "DL3028"),
)
UNSIGNED = Rule(
    id="package-unverified", severity=Severity.HIGH, title="packages are taken without being verified"
)
BUILD = Rule(
    id="build-packages-in-image", severity=Severity.MEDIUM, title="compilers are in the finished image"
)

_APT = frozenset({"apt-get", "apt", "aptitude"})
_YUM = frozenset({"yum", "dnf", "microdnf", "tdnf"})
_UPGRADES: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(_APT, frozenset({"upgrade", "dist-upgrade", "full-upgrade"})),
    **dict.fromkeys(_YUM, frozenset({"update", "upgrade", "distro-sync"})),
    "apk": frozenset({"upgrade"}),
    "zypper": frozenset({"update", "up", "dist-upgrade", "dup"}),
}
_INSTALLS: Mapping[str, frozenset[str]] = {
    **dict.fromkeys((*_APT, *_YUM), frozenset({"install"})),
    "apk": frozenset({"add"}),
    "zypper": frozenset({"install", "in"}),
}
_UNVERIFIED = frozenset(
    {
        "--allow-unauthenticated",
        "--force-yes",
        "--allow-untrusted",
        "--nogpgcheck",
        "--no-gpg-checks",
        "--trusted-host",
    }
)
_BUILD_PACKAGES = re.compile(
    r"build-essential|gcc(?:-\d+)?|g\+\+(?:-\d+)?|clang(?:-\d+)?|make|cmake|ninja-build|autoconf|automake|golang(?:-go)?|"
    r"rustc|cargo|build-base|alpine-sdk|musl-dev|maven|gradle|gcc-c\+\+|.*-(?:dev|devel)"
)
_CLEANED = ("/var/lib/apt/lists", "/var/cache/apt")


def command_of(one: Invocation) -> str:
    """The command of a package manager: its first operand, values of options passed over."""
    return next(iter(one.operands()), "")


def _installed(one: Invocation) -> tuple[str, ...]:
    """What an installing command installs; () for any other command."""
    commands = _INSTALLS.get(one.program, frozenset())
    words = one.operands()
    if not words or words[0] not in commands:
        return ()
    skip = {
        word
        for option, word in zip(one.words, one.words[1:], strict=False)
        if option in {"-o", "-t", "-c", "--virtual", "--repository"}
    }
    return tuple(word for word in words[1:] if word not in skip)


def upgrades(subject: Subject) -> Iterator[Remark]:
    """An upgrade in a layer keeps the old files below it, and makes the image depend on the day."""
    for run, one in each_program(subject, *_UPGRADES):
        command = command_of(one)
        if command in _UPGRADES[one.program] and len(one.operands()) == 1:
            yield remark(
                UPGRADE,
                run.line(one),
                f"{one.program} {command} lays a second copy of upgraded files over the base; what comes "
                "depends on the day",
                "take a newer base, pinned by digest, and rebuild often",
            )


def questions(subject: Subject) -> Iterator[Remark]:
    """A build cannot answer."""
    for run, one in each_program(subject, *_APT, *_YUM, "zypper"):
        answers = {"-y", "--yes", "--assume-yes", "-qq", "--assumeyes", "--non-interactive", "-n", "-yq"}
        if _installed(one) and answers.isdisjoint(one.options()):
            yield remark(
                ASKS,
                run.line(one),
                f"{one.program} install asks before it installs, and nobody answers",
                "add -y",
            )


def recommends(subject: Subject) -> Iterator[Remark]:
    """APT installs what packages merely recommend."""
    for run, one in each_program(subject, *_APT):
        words = " ".join(one.words)
        if (
            _installed(one)
            and subject.in_image(run)
            and "--no-install-recommends" not in words
            and "APT::Install-Recommends=" not in words
        ):
            yield remark(
                RECOMMENDS,
                run.line(one),
                f"{one.program} install brings every recommended package too",
                "add --no-install-recommends",
            )


def leftovers(subject: Subject) -> Iterator[Remark]:
    """What a later layer removes is still in the image."""
    for run in subject.runs:
        if subject.in_image(run):
            for one in run.programs:
                left = _left(run, one)
                if left:
                    yield remark(LISTS, run.line(one), *left)


def _left(run: Run, one: Invocation) -> tuple[str, str] | None:  # noqa: PLR0911 (one line for each manager)
    words = " ".join(one.words)
    if one.program in {"apt-get", "apt"} and _installed(one):
        cleaned = any(_is_removal(other, _CLEANED[0]) for other in run.programs)
        if cleaned or run.keeps(_CLEANED[0]):
            return None
        return "the lists of apt stay in this layer", "end the same RUN with rm -rf /var/lib/apt/lists/*"
    if one.program == "apk" and _installed(one) and "--no-cache" not in words:
        cleaned = any(_is_removal(other, "/var/cache/apk") for other in run.programs)
        return (
            None
            if cleaned or run.keeps("/var/cache/apk")
            else ("apk keeps its index in this layer", "add --no-cache")
        )
    if one.program in {*_YUM, "zypper"} and _installed(one):
        cleaned = any(other.program == one.program and "clean" in other.words for other in run.programs)
        folder = f"/var/cache/{one.program}"
        if cleaned or run.keeps(folder) or any(_is_removal(other, folder) for other in run.programs):
            return None
        return (
            f"{one.program} keeps its cache in this layer",
            f"end the same RUN with {one.program} clean all",
        )
    if re.fullmatch(r"pip[\d.]*", one.program) and "install" in one.words and "--no-cache-dir" not in words:
        return (
            None
            if run.keeps("/root/.cache/pip")
            else ("pip keeps its cache in this layer", "add --no-cache-dir")
        )
    return None


def _is_removal(one: Invocation, folder: str) -> bool:
    return one.program in {"rm", "find"} and any(word.startswith(folder) for word in one.words)


def stale(subject: Subject) -> Iterator[Remark]:
    """``apt-get update`` in a layer of its own is not run again when only the next line changes."""
    for run in subject.runs:
        apt = [one for one in run.programs if one.program in _APT]
        updates = [one for one in apt if command_of(one) == "update"]
        if updates and not any(_installed(one) or command_of(one) == "build-dep" for one in apt):
            yield remark(
                STALE,
                run.line(updates[0]),
                f"{updates[0].program} update alone stays in the build's cache: later installs are old",
                "update and install in one RUN",
            )


def for_people(subject: Subject) -> Iterator[Remark]:
    """Its output and options change from release to release."""
    for run, one in each_program(subject, "apt"):
        yield remark(APT, run.line(one), "apt is made for people: its behaviour may change", "use apt-get")


def versions(subject: Subject) -> Iterator[Remark]:
    """Whatever is newest is something else tomorrow."""
    for run in subject.runs:
        for one in run.programs:
            names, form = _unpinned(one)
            if names:
                yield remark(
                    PINS, run.line(one), f"{quoted(names)}: whatever is newest on that day", f"write {form}"
                )


def _unpinned(one: Invocation) -> tuple[tuple[str, ...], str]:
    names = tuple(name for name in _installed(one) if not name.startswith((".", "/", "$", "http")))
    if one.program in _APT:
        return tuple(name for name in names if "=" not in name), "PACKAGE=VERSION"
    if one.program == "apk":
        return tuple(name for name in names if not re.search(r"[=<>~]", name)), "PACKAGE=VERSION"
    operands = one.operands()
    if re.fullmatch(r"pip[\d.]*", one.program) and operands[:1] == ("install",):
        given = {"-r", "--requirement", "--requirements", "-c", "--require-hashes", "-e"} & one.options()
        local = (name for name in operands[1:] if re.match(r"[A-Za-z]", name) and "/" not in name)
        return () if given else tuple(
            name for name in local if "==" not in name and "@" not in name
        ), "NAME==VERSION"
    if one.program == "npm" and operands[:1] in {("install",), ("i",), ("add",)}:
        return tuple(name for name in operands[1:] if not re.search(r".@|[/$.]", name)), "NAME@VERSION"
    if one.program == "gem" and operands[:1] == ("install",):
        given = {"-v", "--version"} & one.options()
        return () if given else tuple(
            name for name in operands[1:] if ":" not in name
        ), "gem install NAME:VERSION"
    return (), ""


def unverified(subject: Subject) -> Iterator[Remark]:
    """Signatures and certificates are what stands between the build and anybody on the way."""
    for run in subject.runs:
        for one in run.programs:
            found = _UNVERIFIED & {word.partition("=")[0] for word in one.words[1:]}
            if found:
                yield remark(
                    UNSIGNED,
                    run.line(one),
                    f"{one.program} {min(found)} takes what anybody may have changed on the way",
                    "add the key or certificate of the archive instead",
                )


def build_packages(subject: Subject) -> Iterator[Remark]:
    """Compilers that only the build needs."""
    for run in subject.runs:
        removed = any(
            "remove" in one.words or "purge" in one.words or "del" in one.words for one in run.programs
        )
        if not subject.in_image(run) or removed:
            continue
        for one in run.programs:
            found = [name for name in _installed(one) if _BUILD_PACKAGES.fullmatch(name.partition("=")[0])]
            if found:
                yield remark(
                    BUILD,
                    run.line(one),
                    f"{quoted(found)}: only the build needs it, and it is in the image",
                    "build in a first stage and COPY --from it",
                )


CHECKS: tuple[Check, ...] = (
    upgrades,
    questions,
    recommends,
    leftovers,
    stale,
    for_people,
    versions,
    unverified,
    build_packages,
)
RULES = (UPGRADE, ASKS, RECOMMENDS, LISTS, STALE, APT, PINS, UNSIGNED, BUILD)

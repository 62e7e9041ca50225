"""Checks of a recipe as it is written, before anything is fetched. Wrong recipes never come here."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Iterator

from builder.lint import bases, commands, packages, settings
from builder.lint.model import LintReport, Remark, Rule, in_order
from builder.lint.programs import invocations, of_words
from builder.lint.secrets import is_secret_file, is_secret_name, secret_form
from builder.recipe.model import Severity
from builder.recipe.tree import Node

UNTESTED = Rule(id="recipe-without-tests", severity=Severity.LOW, title="nothing proves that the image works")
MOVES = Rule(id="suite-not-named", severity=Severity.LOW, title="the suite changes with rootlet")
TOLERANT = Rule(id="gate-open", severity=Severity.MEDIUM, title="findings do not stop the image")
FOREVER = Rule(id="waiver-without-end", severity=Severity.LOW, title="a finding is ignored for ever")
EXPIRED = Rule(id="waiver-expired", severity=Severity.MEDIUM, title="an ignored finding counts again")
MISSING = Rule(id="missing-tolerated", severity=Severity.MEDIUM, title="a missing library is no error")
NETWORK = Rule(id="stage-with-network", severity=Severity.LOW, title="a build may fetch what it likes")
ALL = Rule(id="keep-everything", severity=Severity.MEDIUM, title="whole trees are kept")
SHELL = Rule(
    id="package-manager-in-image", severity=Severity.MEDIUM, title="a package manager is in the image"
)

RULES = (UNTESTED, MOVES, TOLERANT, FOREVER, EXPIRED, MISSING, NETWORK, ALL, SHELL)

_MANAGERS = frozenset({"apt", "dpkg", "aptitude", "apk-tools", "rpm", "dnf", "python3-pip", "npm"})
_BUILD = re.compile(
    r"build-essential|gcc(?:-\d+)?|g\+\+(?:-\d+)?|clang(?:-\d+)?|make|cmake|golang(?:-go)?|rustc|cargo|.*-dev"
)
_MOVED = re.compile(r"oldstable|stable|testing|unstable|sid")
_OLD_SUITES = frozenset({"wheezy", "jessie", "stretch", "buster"})

Check = Callable[[Node, dt.date], Iterable[Remark]]


def lint_recipe(root: Node, file: str, *, today: dt.date) -> LintReport:
    """Judge the settled tree of a recipe. Lines are those of the file that says it; fragments count too."""
    found = (one for check in _CHECKS for one in check(root, today))
    return LintReport(file=file, kind="recipe", remarks=in_order(found))


def _say(rule: Rule, node: Node, message: str, fix: str) -> Remark:
    return Remark(rule=rule, line=_line(node), message=message, fix=fix)


def _line(node: Node) -> int:
    """Where ``node`` stands; a table that the short form made stands where its first key does."""
    if node.line is not None:
        return node.line
    lines = (_line(child) for child in (*node.children.values(), *node.elements))
    return min((line for line in lines if line), default=0)


def _get(node: Node, *keys: str) -> Node | None:
    found: Node | None = node
    for key in keys:
        found = found.children.get(key) if found is not None else None
    return found


def _text(node: Node | None) -> str:
    return node.value if node is not None and isinstance(node.value, str) else ""


def _sources(root: Node) -> Iterator[tuple[str, Node]]:
    for source in (_get(root, "sources") or root.holding({})).children.values():
        yield _text(_get(source, "type")) or "debian", source


def _root(root: Node, _: dt.date) -> Iterator[Remark]:
    user = _get(root, "config", "user")
    name = _text(user).partition(":")[0]
    if name in {"", "root", "0"}:
        said = f"user = {name!r}" if name else "there is no user"
        yield _say(
            settings.ROOT,
            user or _get(root, "config") or root,
            f"{said}: the program runs as root",
            'name an account: user = "…" (a package\'s own, or one of [users])',
        )


def _untested(root: Node, _: dt.date) -> Iterator[Remark]:
    if _get(root, "test") is None:
        yield _say(
            UNTESTED,
            root,
            "there is no [[test]]: nothing shows that the image works",
            "add a [[test]] that starts it",
        )


def _suites(root: Node, _: dt.date) -> Iterator[Remark]:
    for kind, source in _sources(root):
        suite = _get(source, "suite")
        name = _text(suite)
        if kind != "debian":
            continue
        if suite is None:
            yield _say(
                MOVES,
                source,
                "no suite is named: a later rootlet may take a newer one",
                'write suite = "trixie"',
            )
        elif _MOVED.fullmatch(name):
            yield _say(MOVES, suite, f"{name} is another release some day", "name the release")
        elif name in _OLD_SUITES:
            yield _say(
                bases.OLD, suite, f"{name} gets no security updates any more", "take a release that does"
            )


def _images(root: Node, _: dt.date) -> Iterator[Remark]:
    references = [_get(root, "image", "base")]
    references += [
        _get(source, {"image": "ref", "stage": "from"}[kind])
        for kind, source in _sources(root)
        if kind in {"image", "stage"}
    ]
    for node in references:
        name = _text(node)
        is_image = "/" in name or ":" in name
        if (
            node is None
            or not is_image
            or "@sha256:" in name
            or re.match(r"(?:oci|dir|docker-archive):", name)
        ):
            continue
        tag = name.rpartition("/")[2].partition(":")[2]
        rule = bases.NO_DIGEST if tag not in {"", "latest"} else (bases.LATEST if tag else bases.NO_TAG)
        yield _say(rule, node, f"{name} can be another image tomorrow", f"write {name}@sha256:…")


def _packages(root: Node, _: dt.date) -> Iterator[Remark]:
    for kind, source in _sources(root):
        named = _get(source, "packages")
        for node in named.elements if named is not None and kind == "debian" else ():
            name = _text(node)
            if _BUILD.fullmatch(name):
                message = f"{name} is for building; here it is part of the image"
                yield _say(
                    packages.BUILD, node, message, 'name it in the packages of a source of type "stage"'
                )
            elif name in _MANAGERS:
                yield _say(SHELL, node, f"{name} lets whoever gets in install more", "take it out")


def _gate(root: Node, today: dt.date) -> Iterator[Remark]:
    scan = _get(root, "scan") or root.holding({})
    for key, value, words in (
        ("fail_on", "none", "no finding stops the image"),
        ("unscannable", "warn", "what cannot be judged does not stop the image"),
        ("max_database_age", "any", "data of any age may judge the image"),
    ):
        node = _get(scan, key)
        if node is not None and _text(node) == value:
            yield _say(
                TOLERANT, node, f'{key} = "{value}": {words}', "take the line out, or ignore single findings"
            )
    for one in (_get(scan, "ignore") or scan.holding(())).elements:
        expires = _get(one, "expires")
        if expires is None:
            yield _say(
                FOREVER, one, f"{_text(_get(one, 'id'))} is ignored for ever", "say until when: expires = …"
            )
        elif isinstance(expires.value, dt.date) and expires.value < today:
            message = f"the ignore of {_text(_get(one, 'id'))} ended on {expires.value}"
            yield _say(EXPIRED, expires, message, "look at it again: a new day, or no ignore")


def _runtime(root: Node, _: dt.date) -> Iterator[Remark]:
    missing = _get(root, "runtime", "missing")
    if missing is not None and _text(missing) == "warn":
        yield _say(
            MISSING,
            missing,
            'missing = "warn": an image that lacks a library gets its name all the same',
            "name the package that ships it, or drop the file that wants it",
        )
    keep = _get(root, "runtime", "keep")
    for node in keep.elements if keep is not None else ():
        if re.fullmatch(r"/(?:(?:usr|usr/lib|usr/share|etc|var)/)?\*\*", _text(node)):
            yield _say(
                ALL, node, f"{_text(node)} keeps whole trees of every dependency", "name what is needed"
            )


def _modes(root: Node, _: dt.date) -> Iterator[Remark]:
    for table in ("install", "file"):
        for one in (_get(root, table) or root.holding(())).elements:
            mode = _get(one, "mode")
            bits = int(_text(mode), 8) if mode is not None and re.fullmatch(r"[0-7]+", _text(mode)) else 0
            if mode is not None and bits & 0o002 and not bits & 0o1000:
                message = f'mode = "{_text(mode)}" lets every user of the container write there'
                yield _say(commands.OPEN, mode, message, "give it to the user who needs it: owner = …")
            if mode is not None and bits & 0o6000:
                message = f'mode = "{_text(mode)}" makes a program run as its owner'
                yield _say(commands.SETUID, mode, message, "run as that user instead")


def _secrets(root: Node, _: dt.date) -> Iterator[Remark]:
    fix = 'give it when the container starts; in a stage: secrets = ["…"]'
    for node, name in _named_texts(root):
        value = _text(node)
        form = secret_form(value)
        if form or (value and is_secret_name(name) and not value.startswith("/")):
            words = form or "a secret by its name"
            yield _say(
                settings.SECRET, node, f"{name} is {words}, in the image for everybody who pulls it", fix
            )
    for one in (_get(root, "install") or root.holding(())).elements:
        context = _get(one, "context")
        if context is not None and is_secret_file(_text(context)):
            message = f"{_text(context)} usually holds secrets, and everybody who pulls the image gets it"
            yield _say(settings.SECRET, context, message, fix)


def _named_texts(root: Node) -> Iterator[tuple[Node, str]]:
    """Every text that ends in the image or its configuration, with its name."""
    for path in (("config", "env"), ("image", "labels"), ("image", "annotations")):
        table = _get(root, *path)
        for name, node in (table.children if table is not None else {}).items():
            yield node, name
    for _, source in _sources(root):
        env = _get(source, "env")
        for name, node in (env.children if env is not None else {}).items():
            yield node, name
    for one in (_get(root, "file") or root.holding(())).elements:
        content = _get(one, "content")
        if content is not None:
            yield content, _text(_get(one, "path"))


def _stages(root: Node, _: dt.date) -> Iterator[Remark]:
    for kind, source in _sources(root):
        if kind != "stage":
            continue
        network = _get(source, "network")
        if network is not None and network.value is True:
            yield _say(
                NETWORK,
                network,
                "with the network on, a build is what servers send on that day",
                "fetch it as a source with a checksum, and leave the network off",
            )
        run = _get(source, "run")
        for node in run.elements if run is not None else ():
            yield from _command(node)


def _command(node: Node) -> Iterator[Remark]:
    words = tuple(_text(one) for one in node.elements)
    programs = of_words(words) if words else invocations(_text(node))
    for one in programs:
        if {"curl", "wget"} & set(one.reads) and one.program in {"sh", "bash", "python3", "perl"}:
            message = f"what a server sends is run by {one.program} without anybody having read it"
            yield _say(commands.PIPED, node, message, "download a version and compare it with its checksum")
        if one.program in {"apt-get", "apt"} and "install" in one.words:
            message = "packages that a command installs are not locked, verified or known to the image"
            yield _say(packages.PINS, node, message, "name them in the packages of the stage")
        if "sudo" in one.wrapped:
            yield _say(commands.SUDO, node, "commands of a stage are root already", "take sudo out")


_CHECKS: tuple[Check, ...] = (
    _root, _untested, _suites, _images, _packages, _gate, _runtime, _modes, _secrets, _stages,
)  # fmt: skip

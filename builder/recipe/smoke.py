"""``[[test]]`` tables: what they ask of each other and of the image, and the values made of them."""

from __future__ import annotations

from pathlib import Path

from builder.recipe import formats
from builder.recipe.model import ExtraFile, HttpProbe, SmokeTest, TcpProbe
from builder.recipe.reading import Section
from builder.recipe.tree import Problems, show

_SHELL = ("/bin/sh", "-c")
_PROBES = ("http", "tcp", "exec")


def check_tests(root: Section, problems: Problems) -> None:
    """Report tests that run nothing, expect what cannot come, or ask a port that nobody names."""
    for test in root.sections("test"):
        _check_program(test, root.section("config"), problems)
        _check_service(test, problems)
        for key in ("http", "tcp"):
            if test.has(key) and not test.section(key).has("port") and _own_port(root) is None:
                known = root.section("config").values["ports"]
                why = "the image has several" if known else "the image has none"
                problems.at(
                    test.at(key), f"is missing; expected the port that is asked ({why})", child="port"
                )
        _check_files(test, problems)


def make_tests(root: Section) -> tuple[SmokeTest, ...]:
    """Make the tests, in the order of the recipe."""
    port = _own_port(root) or 0
    return tuple(_test(number, one, port) for number, one in enumerate(root.sections("test"), 1))


def _is_service(test: Section) -> bool:
    return bool(test.values["start"]) or any(test.has(key) for key in _PROBES)


def _check_program(test: Section, config: Section, problems: Problems) -> None:
    for key in ("run", "exec"):
        argv = _argv(test, key)
        if test.has(key) and (not argv or not argv[0] or argv == (*_SHELL, "")):
            problems.at(test.at(key), f"expected a program, found {show(test.at(key).value)}")
    if test.has("run"):
        return
    if not _is_service(test):
        problems.at(test.node, "runs nothing; expected run, start, http, tcp or exec")
    elif not config.texts("entrypoint") and not config.texts("cmd"):
        problems.at(test.node, "starts the image, which has neither entrypoint nor cmd; add run")


def _check_service(test: Section, problems: Problems) -> None:
    probes = [key for key in _PROBES if test.has(key)]
    if test.values["start"] is False and probes:
        problems.at(test.at("start"), f"expected true, found false; {probes[0]} asks a service")
    if _is_service(test) and not test.has("exec") and test.has("exit_code"):
        problems.at(test.at("exit_code"), "goes with run or exec; a service is stopped, not waited for")


def _check_files(test: Section, problems: Problems) -> None:
    seen: set[str] = set()
    for file in test.sections("files"):
        if file.has("content") == file.has("context"):
            which = "both content and context" if file.has("content") else "neither content nor context"
            problems.at(file.node, f"says {which}; expected one of them")
        if file.text("path") in seen:
            problems.at(file.at("path"), f"{show(file.text('path'))} stands here twice")
        seen.add(file.text("path"))


def _own_port(root: Section) -> int | None:
    """The image's TCP port, if it has exactly one."""
    ports = [formats.port(one) for one in root.section("config").texts("ports")]
    numbers = [int(port.removesuffix("/tcp")) for port in ports if port.endswith("/tcp")]
    return numbers[0] if len(numbers) == 1 else None


def _argv(test: Section, key: str) -> tuple[str, ...]:
    value = test.values[key]
    return (*_SHELL, value) if isinstance(value, str) else test.texts(key)


def _test(number: int, section: Section, port: int) -> SmokeTest:
    node = section.node
    return SmokeTest(
        name=section.text("name") or f"number {number}",
        place=node.origin.label if node.line is None else f"{node.origin.label}:{node.line}",
        run=_argv(section, "run"),
        service=_is_service(section),
        http=_http(section.section("http"), port) if section.has("http") else None,
        tcp=_tcp(section.section("tcp"), port) if section.has("tcp") else None,
        exec=_argv(section, "exec"),
        stdin=section.text("stdin"),
        stdout=section.text("stdout"),
        stderr=section.text("stderr"),
        exit_code=section.number("exit_code"),
        env=section.pairs("env"),
        user=section.text("user"),
        workdir=section.text("workdir"),
        within=formats.nanoseconds(section.text("within")) / 10**9,
        files=tuple(_file(one) for one in section.sections("files")),
        writable=section.texts("writable"),
    )


def _http(section: Section, port: int) -> HttpProbe:
    return HttpProbe(
        port=section.maybe_number("port") or port,
        path=section.text("path"),
        headers=section.pairs("headers"),
        tls=section.flag("tls"),
        status=section.number("status"),
        body=section.text("body"),
        expect_headers=section.pairs("expect_headers"),
    )


def _tcp(section: Section, port: int) -> TcpProbe:
    return TcpProbe(
        port=section.maybe_number("port") or port, send=section.text("send"), expect=section.text("expect")
    )


def _file(section: Section) -> ExtraFile:
    context = section.maybe_text("context")
    path: Path | None = None if context is None else section.at("context").origin.folder / context
    return ExtraFile(
        path=section.text("path"),
        content=section.text("content"),
        context=path,
        mode=formats.mode(section.text("mode")),
    )

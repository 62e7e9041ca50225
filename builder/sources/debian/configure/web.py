"""phpenmod(8) and a2enmod(8): modules, sites and settings that packages switch on by links."""

from __future__ import annotations

import re
from collections.abc import Callable

from builder.shell.syntax import UNKNOWN
from builder.sources.debian.configure.conditions import Verdict
from builder.sources.debian.configure.files import understood
from builder.sources.debian.configure.filters import unknown
from builder.sources.debian.configure.options import read_arguments
from builder.sources.debian.configure.shell import Handler, Shell
from builder.sysroot import Kind, Node

_PRIORITY = re.compile(r"^;[ \t]*priority[ \t]*=[ \t]*(\d{1,3})[ \t]*$", re.MULTILINE)
_DEPENDS = re.compile(r"^#[ \t]*Depends:(.*)$", re.MULTILINE)
_VERSION = re.compile(r"\d+(?:\.\d+)*")
_NAME = re.compile(r"[A-Za-z0-9_+][A-Za-z0-9_.+-]*")
_APACHE = "/etc/apache2"
_KINDS = {"mod": ("mods", ("load", "conf")), "conf": ("conf", ("conf",)), "site": ("sites", ("conf",))}
_MOST_DEPTH = 8


def _link(shell: Shell, path: str, target: str, detail: str) -> None:
    place = shell.system.place(path, follow=False)
    if shell.system.get(place) is None:
        node = Node(path=place, kind=Kind.SYMLINK, mode=0o777, target=target, user="root", group="root")
        shell.system.put(node, package=shell.package, detail=detail)


def _names(shell: Shell, folder: str, end: str = "") -> list[str]:
    """Names directly inside a folder, without their ending."""
    top = shell.system.place(folder, follow=True)
    found = {
        node.path[len(top) + 1 :].removesuffix(end)
        for node in shell.system.below(top)
        if node.path.endswith(end) and "/" not in node.path[len(top) + 1 :]
    }
    return sorted(found)


# ---- PHP -------------------------------------------------------------------------------------------


def php_invoke(shell: Shell, arguments: list[str]) -> Verdict:
    """``php_invoke enmod VERSION SAPI MODULE`` of php-maintscript-helper."""
    if not understood(shell, arguments):
        return None
    action, version, sapi, *modules = [*arguments, "", "", ""][: max(4, len(arguments))]
    if action != "enmod" or not _VERSION.fullmatch(version):
        return action == "dismod" or None
    for module in filter(_NAME.fullmatch, modules):
        _enable_php(shell, version, sapi, module)
    return True


def _enable_php(shell: Shell, version: str, sapi: str, module: str) -> None:
    settings = f"/etc/php/{version}/mods-available/{module}.ini"
    text = shell.system.read(settings)
    if text == UNKNOWN:
        return
    match = _PRIORITY.search(text)
    name = f"{match[1] if match else '20'}-{module}.ini"
    sapis = _names(shell, f"/usr/lib/php/{version}/sapi") if sapi == "ALL" else [sapi]
    for one in sapis:
        folder = f"/etc/php/{version}/{one}/conf.d"
        if shell.system.find(folder) is not None:
            _link(shell, f"{folder}/{name}", settings, f"phpenmod {module}")
            shell.say(f"switches the PHP module {module} on for {one}")


def phpenmod(shell: Shell, arguments: list[str]) -> Verdict:
    """``phpenmod [-v VERSION|ALL] [-s SAPI|ALL] MODULE…``."""
    read = read_arguments(arguments, ("v", "s", "m"))
    if not understood(shell, arguments):
        return None
    wanted = read.value("v", default="ALL")
    versions = _names(shell, "/etc/php") if wanted == "ALL" else [wanted]
    for version in filter(_VERSION.fullmatch, versions):
        for operand in read.operands:
            php_invoke(shell, ["enmod", version, read.value("s", default="ALL"), operand.partition("/")[0]])
    return True


def phpquery(shell: Shell, arguments: list[str]) -> Verdict:
    """``phpquery -v VERSION -M`` (modules) and ``-S`` (server interfaces); ``-V`` for the versions."""
    read = read_arguments(arguments, ("v", "s", "m"))
    version = read.value("v")
    if read.has("V"):
        found = [name for name in _names(shell, "/usr/lib/php") if _VERSION.fullmatch(name)]
    elif read.has("M") and _VERSION.fullmatch(version):
        found = _names(shell, f"/etc/php/{version}/mods-available", ".ini")
    elif read.has("S") and _VERSION.fullmatch(version):
        found = _names(shell, f"/usr/lib/php/{version}/sapi")
    else:
        shell.write(UNKNOWN)
        return None
    shell.write("".join(f"{name}\n" for name in found))
    return True


# ---- Apache ----------------------------------------------------------------------------------------


def _apache(kind: str, *, on: bool) -> Handler:
    def switch(shell: Shell, arguments: list[str]) -> Verdict:
        if not understood(shell, arguments):
            return None
        for name in read_arguments(arguments).operands:
            if _NAME.fullmatch(name):
                (_enable if on else _disable)(shell, kind, name)
        return True

    return switch


def _enable(shell: Shell, kind: str, name: str, depth: int = 0) -> None:
    folder, endings = _KINDS[kind]
    first = f"{_APACHE}/{folder}-available/{name}.{endings[0]}"
    text = shell.system.read(first)
    if text == UNKNOWN or depth > _MOST_DEPTH:
        return
    for needed in _DEPENDS.findall(text) if kind == "mod" else ():
        for one in filter(_NAME.fullmatch, needed.split()):
            _enable(shell, "mod", one, depth + 1)
    for ending in endings:
        if shell.system.find(f"{_APACHE}/{folder}-available/{name}.{ending}") is not None:
            link = f"{_APACHE}/{folder}-enabled/{name}.{ending}"
            _link(shell, link, f"../{folder}-available/{name}.{ending}", f"a2en{kind} {name}")
    shell.say(f"switches the Apache {kind} {name} on")


def _disable(shell: Shell, kind: str, name: str) -> None:
    folder, endings = _KINDS[kind]
    for ending in endings:
        place = shell.system.place(f"{_APACHE}/{folder}-enabled/{name}.{ending}", follow=False)
        if shell.system.get(place) is not None:
            shell.system.remove(place)


def apache2_invoke(shell: Shell, arguments: list[str]) -> Verdict:
    """``apache2_invoke enmod NAME`` of apache2-maintscript-helper; done once Apache itself is configured."""
    if not understood(shell, arguments) or len(arguments) < 2:  # noqa: PLR2004 (what and which)
        return None
    match = re.fullmatch(r"(en|dis)(mod|conf|site)", arguments[0])
    if match is None:
        return None
    _later(shell, lambda: _apache(match[2], on=match[1] == "en")(shell, [arguments[1]]))
    return True


def apache2_switch_mpm(shell: Shell, arguments: list[str]) -> Verdict:
    """``apache2_switch_mpm NAME``: another multi-processing module takes the place of the present one."""
    if not understood(shell, arguments) or not arguments or not _NAME.fullmatch(arguments[0]):
        return None
    _later(shell, lambda: _switch_mpm(shell, arguments[0]))
    return True


def _switch_mpm(shell: Shell, name: str) -> Verdict:
    for other in ("event", "prefork", "worker"):
        _disable(shell, "mod", f"mpm_{other}")
    _enable(shell, "mod", f"mpm_{name}")
    return True


def _later(shell: Shell, action: Callable[[], Verdict]) -> None:
    """At once when Apache is configured, as its helper does; otherwise when everything is."""
    if _names(shell, f"{_APACHE}/mods-enabled"):
        action()
    else:
        shell.system.deferred.append(lambda: bool(action()))


def a2query(shell: Shell, arguments: list[str]) -> Verdict:
    """``a2query -m|-s|-c [NAME]`` and ``-M``: what is switched on so far."""
    read = read_arguments(arguments, ("m", "s", "c"))
    asked = [kind for option, kind in (("m", "mod"), ("s", "site"), ("c", "conf")) if read.has(option)]
    if any(UNKNOWN in word for word in arguments) or len(asked) + read.has("M") != 1:
        return unknown(shell, [])
    if read.has("M"):
        found = [name.removeprefix("mpm_") for name in _switched_on(shell, "mod") if name.startswith("mpm_")]
        shell.write("".join(f"{name}\n" for name in found[:1]))
        return bool(found)
    wanted = read.value("m", "s", "c").removesuffix(".load").removesuffix(".conf")
    found = [name for name in _switched_on(shell, asked[0]) if wanted in {"", name}]
    if not read.has("q"):
        shell.write("".join(f"{name} (enabled by maintainer script)\n" for name in found))
    return bool(found)


def _switched_on(shell: Shell, kind: str) -> list[str]:
    folder, endings = _KINDS[kind]
    end = f".{endings[0]}"
    top = shell.system.place(f"{_APACHE}/{folder}-enabled", follow=True)
    return [name for name in _names(shell, top, end) if shell.system.get(f"{top}/{name}{end}") is not None]


WEB_COMMANDS: dict[str, Handler] = {
    "php_invoke": php_invoke,
    "phpenmod": phpenmod,
    "phpquery": phpquery,
    **{f"a2en{kind}": _apache(kind, on=True) for kind in _KINDS},
    **{f"a2dis{kind}": _apache(kind, on=False) for kind in _KINDS},
    "a2query": a2query,
    "apache2_invoke": apache2_invoke,
    "apache2_switch_mpm": apache2_switch_mpm,
    "apache2_msg": lambda _, __: True,
    "apache2_reload": lambda _, __: True,
    "apache2_needs_action": lambda _, __: False,
    "apache2_has_module": lambda _, __: None,
}

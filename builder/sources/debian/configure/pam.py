"""/etc/pam.d/common-* as pam-auth-update(8) makes them on a fresh root: profiles with ``Default: yes``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from builder.sources.debian.configure.system import System
from builder.sysroot import Kind

_PROFILES = "/usr/share/pam-configs"
_TYPES = ("auth", "account", "password", "session", "session-noninteractive")
_FIELD = re.compile(r"([^\s:]+):\s+(.*)")
_MODULE = re.compile(r"((?:\[[^]]+\]|\w+)\s+\S+)\s*(.*)")
_FALLBACK = "# here's the fallback if no module succeeds"
_END = "# end of pam-auth-update config"
_BLOCKS = (
    ('# here are the per-package modules (the "Primary" block)', "Primary", _FALLBACK),
    ('# and here are more per-package modules (the "Additional" block)', "Additional", _END),
)

Profile = Mapping[str, str]


def lay_common_files(system: System, package: str) -> list[str]:
    """Make the five files from their templates; the paths made, none when a template is not there."""
    enabled = _enabled(system)
    made = []
    for name in _TYPES:
        template = system.read(f"/usr/share/pam/common-{name}")
        text = _filled(template, enabled, name)
        path = f"/etc/pam.d/common-{name}"
        place = system.place(path, follow=True)
        present = system.get(place)
        if text and (present is None or not present.package or place in system.contents):
            system.write(place, text, package=package, detail="pam-auth-update")
            made.append(path)
    return made


def _enabled(system: System) -> list[Profile]:
    """Profiles that are on by default, in the order of the stack, without those in conflict."""
    folder = system.place(_PROFILES, follow=True)
    found = {
        node.path.rpartition("/")[2]: _profile(system.read(node.path))
        for node in system.below(folder)
        if node.kind is Kind.FILE
        and not node.path.endswith("~")
        and node.path.count("/") == folder.count("/") + 1
    }
    kept: dict[str, Profile] = {}
    excluded: set[str] = set()
    for name, profile in sorted(found.items(), key=lambda item: (_priority(item[1]), item[0]), reverse=True):
        conflicts = {one for one in profile.get("Conflicts", "").split(", ") if one}
        if profile.get("Default") == "yes" and name not in excluded and not conflicts & set(kept):
            kept[name] = profile
            excluded |= conflicts
    return list(kept.values())


def _priority(profile: Profile) -> int:
    digits = profile.get("Priority", "0")
    return int(digits[:9]) if digits.isdecimal() else 0


def _profile(text: str) -> Profile:
    fields: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        match = _FIELD.fullmatch(line)
        if match or (line.endswith(":") and not line[:1].isspace()):
            name = (match[1] if match else line[:-1]).removesuffix("-Final")
            fields[name] = match[2].strip() if match else ""
        elif line.strip() and name:
            fields[name] = f"{fields[name]}\n{line.strip()}".lstrip()
    if fields.get("Session-Interactive-Only") != "yes":
        for end in ("-Type", "", "-Initial"):
            if f"Session{end}" in fields:
                fields[f"Session-noninteractive{end}"] = fields[f"Session{end}"]
    return fields


def _filled(template: str, enabled: Sequence[Profile], name: str) -> str:
    """The template with its two blocks; "" when it has not both."""
    lines: list[str] = []
    waiting = list(_BLOCKS)
    until = ""
    for line in template.splitlines():
        if until:
            if not line.startswith(until):
                continue
            until = ""
        lines.append(line)
        if waiting and line.startswith(waiting[0][0]):
            _, block, until = waiting.pop(0)
            lines += _block(enabled, name, block)
    return "" if waiting or until else "".join(f"{line}\n" for line in lines)


def _block(enabled: Sequence[Profile], name: str, block: str) -> list[str]:
    key = name.capitalize()
    kind = name.removesuffix("-noninteractive")
    modules: list[str] = []
    taken = 0
    for profile in enabled:
        if profile.get(f"{key}-Type") == block:
            initial = profile.get(f"{key}-Initial") if taken == 0 else None
            modules += [line for line in (initial or profile.get(key, "")).split("\n") if line]
            taken += 1
    if block == "Primary" and not modules:
        return [f"{kind}\t[default=1]\t\t\tpam_permit.so"]
    count = len(modules) - (block == "Additional")
    return [_line(kind, module, count - number) for number, module in enumerate(modules)]


def _line(kind: str, module: str, count: int) -> str:
    match = _MODULE.match(module)
    if match is None:
        return f"{kind}\t{module}"
    start = match[1].replace("end", str(count))
    return f"{kind}\t{start} {' '.join(match[2].split())}"

"""What the tables of a recipe ask of each other: names that exist, keys that fit, numbers used once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from builder.oci import ImageReference
from builder.recipe import formats
from builder.recipe.model import FileType, OutputKind
from builder.recipe.reading import Section
from builder.recipe.stage_checks import check_stages
from builder.recipe.tree import Node, Problems, nearest, show

_AT_ONE_PLACE = {"archive": "an archive", "git": "a repository"}
_WHICH_WHEELS = ("requirements", "lock", "pyproject")
_BASE_ACCOUNTS = ("root", "nobody", "nogroup")
_WORD_FOR = {FileType.FILE: "a file", FileType.DIRECTORY: "a folder", FileType.SYMLINK: "a symbolic link"}
_WRONG_FOR = {
    FileType.FILE: ("target",),
    FileType.DIRECTORY: ("content", "target"),
    FileType.SYMLINK: ("content", "mode"),
}


def check_all(root: Section, problems: Problems) -> None:
    """Report everything that is wrong between tables; those wrong by themselves are not looked at again."""
    for _, source in root.named("sources"):
        _check_source(source, problems)
    for install in root.sections("install"):
        _check_install(install, root, problems)
    check_stages(root, problems)
    for file in root.sections("file"):
        _check_file(file, problems)
    _check_twice(((one.text("path"), one.at("path")) for one in root.sections("file")), "is made", problems)
    _check_numbers(root, problems)
    _check_config(root.section("config"), problems)
    _check_accounts(root, problems)
    _check_outputs(root, problems)


def _check_source(source: Section, problems: Problems) -> None:
    kind = source.text("type")
    if kind in _AT_ONE_PLACE and source.has("url") == source.has("path"):
        which = "both url and path" if source.has("url") else "neither url nor path"
        problems.at(source.node, f"says {which}; {_AT_ONE_PLACE[kind]} is at one place")
    if kind == "python" and not any(source.has(key) for key in _WHICH_WHEELS):
        problems.at(
            source.node, f"names none of {', '.join(_WHICH_WHEELS)}; one says which wheels are wanted"
        )
    if kind == "python" and source.has("requirements") and source.has("lock"):
        problems.at(
            source.at("lock"), "is given beside requirements; one of them says which wheels are wanted"
        )
    if kind == "archive" and source.has("url"):
        _ask(source, "sha256", "is missing; an archive that is fetched needs its checksum", problems)


def _check_install(install: Section, root: Section, problems: Problems) -> None:
    if install.has("from") == install.has("context"):
        which = "both from and context" if install.has("from") else "neither from nor context"
        problems.at(install.node, f"says {which}; files come from a source or from this machine")
        return
    if install.has("context"):
        _refuse(install, ("path",), "goes with from, not with context", problems)
        _ask(install, "to", "is missing; expected an absolute path in the image", problems)
        return
    name = install.text("from")
    if not _is_of_wheels(name, root):
        _ask(install, "path", "is missing; expected an absolute path in the source", problems)
    known = root.names("sources")
    if name not in known:
        others = f"there are {', '.join(known)}" if known else "the recipe has no source"
        hint = nearest(name, known) or others
        problems.at(install.at("from"), f"there is no source {show(name)}; {hint}")


def _is_of_wheels(name: str, root: Section) -> bool:
    return any(key == name and source.text("type") == "python" for key, source in root.named("sources"))


def _check_file(file: Section, problems: Problems) -> None:
    kind = FileType(file.text("type"))
    _refuse(file, _WRONG_FOR[kind], f"{_WORD_FOR[kind]} has none", problems)
    if kind is FileType.SYMLINK:
        _ask(file, "target", "is missing; expected the path that the link leads to", problems)


def _refuse(section: Section, keys: Iterable[str], message: str, problems: Problems) -> None:
    for key in keys:
        if section.has(key):
            problems.at(section.at(key), message)


def _ask(section: Section, key: str, message: str, problems: Problems) -> None:
    if not section.has(key):
        problems.at(section.node, message, child=key)


def _check_twice(found: Iterable[tuple[object, Node]], verb: str, problems: Problems) -> None:
    first: dict[object, Node] = {}
    for value, node in found:
        other = first.setdefault(value, node)
        if other is not node:
            problems.at(node, f"{show(value)} {verb} twice, first {_place(other, node)}")


def _place(node: Node, beside: Node) -> str:
    file = "" if node.origin == beside.origin else f" of {node.origin.label}"
    return f"by {node.key}{file}"


def _check_numbers(root: Section, problems: Problems) -> None:
    users = root.named("users")
    groups = dict(root.named("groups"))
    _check_twice(((one.number("uid"), one.at("uid")) for _, one in users), "is used", problems)
    own = (
        (one.number("uid"), one.at("uid")) for name, one in users if not one.has("gid") and name not in groups
    )
    numbers = ((one.number("gid"), one.at("gid")) for one in groups.values())
    _check_twice((*numbers, *own), "is the number of a group", problems)
    for table, key in ((dict(users), "uid"), (groups, "gid")):
        root_account = table.get("root")
        if root_account is not None and root_account.number(key) != 0:
            problems.at(root_account.at(key), f"root is always 0, found {root_account.number(key)}")


def _check_config(config: Section, problems: Problems) -> None:
    nodes = config.at("ports").elements
    ports = ((formats.port(node.value), node) for node in nodes if isinstance(node.value, (int, str)))
    _check_twice(ports, "is exposed", problems)
    if config.texts("entrypoint")[:1] == ("",):
        problems.at(config.at("entrypoint"), 'expected a program, found ""')
    healthcheck = config.section("healthcheck")
    if healthcheck.node.children and not healthcheck.values["test"]:
        problems.at(healthcheck.node, "is missing; expected the program that is run", child="test")


def _check_outputs(root: Section, problems: Problems) -> None:
    """Look for a push without a registry in the image's name."""
    image, output = root.section("image"), root.section("output")
    name = str(image.values["name"] or "")
    if output.values["to"] is None or formats.image_name(name):
        return
    if OutputKind.REGISTRY.value in output.texts("to") and not ImageReference.parse(name).registry:
        hint = f'the name {show(name)} has none, as "registry.example.com/{name}"'
        problems.at(output.at("to"), f"the image cannot be pushed to a registry: {hint}")


def _check_accounts(root: Section, problems: Problems) -> None:
    """Look for names without account, unless there are packages or a base: these may bring any."""
    if root.names("sources") or root.section("image").text("base") != "scratch":
        return
    users = {*_BASE_ACCOUNTS, *root.names("users")}
    groups = {*users, *root.names("groups")}
    for text, node in _owners(root):
        user, _, group = text.partition(":")
        for name, known, table in ((user, users, "users"), (group, groups, "groups")):
            if name and not name.isdecimal() and name not in known:
                hint = nearest(name, known - set(_BASE_ACCOUNTS)) or f"add [{table}.{name}]"
                problems.at(node, f"nothing gives the image the account {show(name)}; {hint}")


def _owners(root: Section) -> Iterator[tuple[str, Node]]:
    config = root.section("config")
    yield config.text("user"), config.at("user")
    for table in ("install", "file"):
        for section in root.sections(table):
            yield section.text("owner"), section.at("owner")

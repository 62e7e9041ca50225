"""Installed packages of npm, RubyGems, Composer and .NET: one small file each says name and version."""

from __future__ import annotations

import re

from builder.inventory.content import Readable
from builder.inventory.document import DocumentError, json_object, json_value, object_of, objects, whole_text
from builder.inventory.found import NOTHING, Found, Package, damaged, found, plain_word
from builder.inventory.model import ComponentKind

_MAX_GEMSPEC = 4 << 20
_NPM_FOLDER = re.compile(r".*/(?:node_modules|nodejs)/((?:@[^/]+/)?[^/]+)/package\.json")
_GEM_FIELD = re.compile(
    r"""^[ \t]*\w{1,20}\.(name|version|platform)[ \t]*=[ \t]*"""
    r"""(?:Gem::Version\.new\(? ?)?["']([^"'\n]{1,200})["']""",
    re.MULTILINE,
)
_GEM_COMMENT = re.compile(r"^# stub: (\S+) (\S+) (\S+)", re.MULTILINE)


def npm_package(content: Readable, path: str) -> Found:
    """Read package.json of an installed package: in node_modules, or a release in a folder of its name.

    The project's own package.json names no release: a public package may have the same name and number.
    """
    folder = _NPM_FOLDER.fullmatch(path) is not None
    parent = path.rsplit("/", 2)[-2]
    if not folder and not any(letter.isdecimal() for letter in parent):
        return NOTHING
    try:
        document = json_object(content)
    except DocumentError as error:
        return damaged(str(error)) if folder else NOTHING
    name, version = plain_word(document.get("name")), plain_word(document.get("version"))
    unpacked = (f"{name}-{version}", f"{name}-v{version}")
    if not name or not version or (not folder and parent not in unpacked):
        return NOTHING
    package = Package(kind=ComponentKind.NPM, name=name, version=version)
    return found([package], claims=[path.removesuffix("package.json")])


def ruby_gem(content: Readable, path: str) -> Found:
    """Read a specification of an installed gem; its folder's native extensions belong to it."""
    try:
        text = whole_text(content, _MAX_GEMSPEC)
    except DocumentError as error:
        return damaged(str(error))
    fields: dict[str, str] = {}
    for key, value in _GEM_FIELD.findall(text):
        fields.setdefault(key, plain_word(value))
    stub = _GEM_COMMENT.search(text)
    name = fields.get("name") or (plain_word(stub[1]) if stub else "")
    version = fields.get("version") or (plain_word(stub[2]) if stub else "")
    if not name or not version:
        return damaged("it is damaged: it has no name or no version")
    home, _, file = path.rpartition("/specifications/")
    full = file.rpartition("/")[2].removesuffix(".gemspec")
    claims = (f"{home}/gems/{full}/", f"{home}/extensions/")
    return found([Package(kind=ComponentKind.RUBY, name=name, version=version)], claims=claims)


def composer_installed(content: Readable, path: str) -> Found:  # noqa: ARG001 (every reader is given the path)
    """Read vendor/composer/installed.json of Composer 1 or 2."""
    try:
        document = json_object(content) if content[0:4096].lstrip()[:1] == b"{" else _listed(content)
    except DocumentError as error:
        return damaged(str(error))
    development = document.get("dev-package-names")
    names = {one for one in development if isinstance(one, str)} if isinstance(development, list) else set()
    return found(composer_packages(document.get("packages"), names))


def composer_packages(value: object, development: set[str] | None = None) -> list[Package]:
    """Give the packages of a list of Composer's; all of them are for development where None says so."""
    made = []
    for one in objects(value):
        name, version = plain_word(one.get("name")), plain_word(one.get("version"))
        if name and version:
            marked = development is None or name in development
            made.append(Package(kind=ComponentKind.PHP, name=name, version=version, development=marked))
    return made


def dotnet_dependencies(content: Readable, path: str) -> Found:
    """Read NAME.deps.json: the NuGet packages of a published application, and their native files."""
    try:
        document = json_object(content)
    except DocumentError as error:
        return damaged(str(error))
    packages = []
    for key, library in object_of(document.get("libraries")).items():
        name, _, version = key.partition("/")
        if (
            str(object_of(library).get("type")).lower() == "package"
            and plain_word(name)
            and plain_word(version)
        ):
            packages.append(
                Package(kind=ComponentKind.DOTNET, name=plain_word(name), version=plain_word(version))
            )
    folder = path.rpartition("/")[0]
    claims = {
        f"{folder}/{asset if group == 'runtimeTargets' else asset.rpartition('/')[2]}"
        for target in object_of(document.get("targets")).values()
        for library in object_of(target).values()
        for group in ("native", "runtimeTargets")
        for asset in object_of(object_of(library).get(group))
        if ".." not in asset
    }
    return found(packages, claims=sorted(claims))


def _listed(content: Readable) -> dict[str, object]:
    return {"packages": json_value(content)}

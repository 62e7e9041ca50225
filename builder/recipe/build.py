"""Sections of a settled recipe, judged against each other and made into a :class:`Recipe`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from builder.oci import Healthcheck, ImageConfig, Platform
from builder.recipe import checks, formats, smoke
from builder.recipe.model import (
    BillKind,
    Compression,
    Dlopen,
    FileType,
    Group,
    Ignore,
    ImagePolicy,
    Install,
    Missing,
    Output,
    Owner,
    Recipe,
    RecipeFile,
    Runtime,
    Scanner,
    ScanPolicy,
    Severity,
    Unscannable,
    User,
)
from builder.recipe.outputs import parse_output
from builder.recipe.reading import Section
from builder.recipe.source_build import make_source
from builder.recipe.source_model import PythonSource, Source
from builder.recipe.tree import Problems

_DOCKER_WORDS = ("CMD", "CMD-SHELL", "NONE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What a recipe does not say itself. ``folder``: where relative outputs start; ``inputs``: its files."""

    path: Path
    platform: Platform
    folder: Path
    inputs: tuple[Path, ...]


def make_recipe(root: Section, frame: Frame, problems: Problems) -> Recipe:
    """Make the recipe. With problems reported it is only good for finding more of them."""
    checks.check_all(root, problems)
    smoke.check_tests(root, problems)
    image = root.section("image")
    name = str(image.values["name"] or "")
    users = _users(root)
    outputs = _outputs(root.section("output"), name, frame.folder)
    page = root.section("output").maybe_text("report")
    return Recipe(
        path=frame.path,
        name=name,
        tags=image.texts("tags"),
        platform=frame.platform,
        annotations=image.pairs("annotations"),
        base=None if image.text("base") == "scratch" else image.image("base"),
        sources=tuple(
            _sited(make_source(source_name, one), root.sections("install"))
            for source_name, one in root.named("sources")
        ),
        installs=tuple(_install(one, users) for one in root.sections("install")),
        files=tuple(_file(one, users) for one in root.sections("file")),
        users=users,
        groups=tuple(_group(group_name, one) for group_name, one in root.named("groups")),
        runtime=_runtime(root.section("runtime")),
        config=_config(root.section("config"), labels=image.pairs("labels")),
        tests=smoke.make_tests(root),
        scan=_scan(root.section("scan")),
        policy=_policy(root.section("policy")),
        compression=Compression(root.section("layers").text("compression")),
        outputs=outputs,
        bills=tuple(BillKind(word) for word in root.section("output").words("sbom")),
        report=None if page is None else frame.folder / page,
        beside=_beside(outputs, name, frame.folder),
        insecure=frozenset(root.section("registries").words("insecure")),
        inputs=frame.inputs,
    )


def _sited(source: Source, installs: tuple[Section, ...]) -> Source:
    """A source of wheels knows where they go: their programs and records speak of it."""
    if not isinstance(source, PythonSource):
        return source
    of_it = (one for one in installs if one.text("from") == source.name and not one.has("path"))
    site = next((one.text("to") for one in of_it if one.has("to")), "")
    return replace(source, site=site.rstrip("/"))


def _install(section: Section, users: tuple[User, ...]) -> Install:
    if section.has("from") and not section.has("path"):  # wheels: everything, where it belongs
        path = to = "/"
    else:
        path = section.text("path")
        to = section.maybe_text("to") or path
    return Install(
        source=section.text("from"),
        path=path,
        context=section.local_path("context"),
        to=to.rstrip("/") or "/",
        into=to.endswith("/"),
        mode=_mode(section),
        owner=_owner(section.text("owner"), users),
        ignore=section.words("ignore"),
    )


def _file(section: Section, users: tuple[User, ...]) -> RecipeFile:
    return RecipeFile(
        path=section.text("path"),
        type=FileType(section.text("type")),
        content=section.text("content"),
        target=section.text("target"),
        mode=_mode(section),
        owner=_owner(section.text("owner"), users),
    )


def _mode(section: Section) -> int | None:
    text = section.maybe_text("mode")
    return None if text is None else formats.mode(text)


def _owner(text: str, users: tuple[User, ...]) -> Owner:
    """Without a group, the user's own: that of [users], else the one of the same name or number."""
    user, colon, group = text.partition(":")
    if colon:
        return Owner(user=user, group=group)
    gid = next((one.gid for one in users if user in (one.name, str(one.uid))), None)
    name = next((one.name for one in users if user == str(one.uid)), user)
    return Owner(user=user, group=name if gid is None else str(gid))


def _users(root: Section) -> tuple[User, ...]:
    groups = {name: section.number("gid") for name, section in root.named("groups")}
    return tuple(_user(name, section, groups.get(name)) for name, section in root.named("users"))


def _user(name: str, section: Section, gid: int | None) -> User:
    written = section.maybe_number("gid")
    return User(
        name=name,
        uid=section.number("uid"),
        gid=gid if written is None else written,
        home=section.text("home"),
        shell=section.text("shell"),
        comment=section.text("comment"),
        groups=section.words("groups"),
    )


def _group(name: str, section: Section) -> Group:
    return Group(name=name, gid=section.number("gid"), members=section.words("members"))


def _runtime(section: Section) -> Runtime:
    return Runtime(
        features=section.words("features"),
        libraries=section.words("libraries"),
        dlopen=Dlopen[section.text("dlopen").upper()],
        keep=section.words("keep"),
        drop=section.words("drop"),
        missing=Missing(section.text("missing")),
    )


def _config(section: Section, *, labels: tuple[tuple[str, str], ...]) -> ImageConfig:
    return ImageConfig(
        entrypoint=section.texts("entrypoint"),
        cmd=section.texts("cmd"),
        env=section.pairs("env"),
        user=section.text("user"),
        workdir=section.text("workdir"),
        ports=tuple(formats.port(one) for one in section.texts("ports")),
        volumes=section.texts("volumes"),
        labels=labels,
        stop_signal=section.text("stop_signal"),
        healthcheck=_healthcheck(section.section("healthcheck")),
    )


def _healthcheck(section: Section) -> Healthcheck | None:
    test = section.values["test"]
    if not test:
        return None
    words = ("CMD-SHELL", test) if isinstance(test, str) else section.texts("test")
    return Healthcheck(
        test=words if words[0] in _DOCKER_WORDS else ("CMD", *words),
        interval=formats.nanoseconds(section.text("interval")),
        timeout=formats.nanoseconds(section.text("timeout")),
        start_period=formats.nanoseconds(section.text("start_period")),
        retries=section.number("retries"),
    )


def _scan(section: Section) -> ScanPolicy:
    fail_on = section.text("fail_on")
    return ScanPolicy(
        fail_on=None if fail_on == "none" else Severity[fail_on.upper()],
        only_fixed=section.flag("only_fixed"),
        scanner=Scanner(section.text("scanner")),
        unscannable=Unscannable(section.text("unscannable")),
        max_database_age=formats.seconds(section.text("max_database_age")),
        ignore=tuple(_ignore(one) for one in section.sections("ignore")),
        limits=_limits(section.section("limits")),
        vex=section.local_paths("vex"),
    )


def _policy(section: Section) -> ImagePolicy:
    size = section.maybe_text("max_size")
    return ImagePolicy(
        max_size=None if size is None else formats.size(size),
        shell=section.maybe_flag("shell"),
        package_manager=section.maybe_flag("package_manager"),
        root=section.maybe_flag("root"),
        setuid=section.maybe_flag("setuid"),
        world_writable=section.maybe_flag("world_writable"),
        secrets=section.maybe_flag("secrets"),
        hardening=section.words("hardening"),
        trusted_bases=section.words("trusted_bases"),
        pinned=section.flag("pinned"),
        labels=section.words("labels"),
    )


def _ignore(section: Section) -> Ignore:
    return Ignore(
        id=section.text("id"),
        reason=section.text("reason"),
        expires=section.maybe_day("expires"),
        package=section.text("package"),
        justification=section.text("justification"),
    )


def _limits(section: Section) -> tuple[tuple[Severity, int], ...]:
    counts = ((one, section.maybe_number(one.name.lower())) for one in Severity)
    return tuple((severity, count) for severity, count in counts if count is not None)


def _beside(outputs: tuple[Output, ...], name: str, folder: Path) -> Path:
    paths = (output.path for output in outputs if output.path is not None)
    return next(paths, folder / "dist" / name.rpartition("/")[2])


def _outputs(section: Section, name: str, folder: Path) -> tuple[Output, ...]:
    written = section.values["to"]
    texts = section.texts("to") if written is not None else (f"oci:dist/{name.rpartition('/')[2]}",)
    return tuple(parse_output(text, folder) for text in texts)

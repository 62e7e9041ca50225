"""The outline of a recipe: the keys at the top of the file; how the image starts, is judged and packed."""

from __future__ import annotations

from builder.recipe import formats
from builder.recipe.keys import (
    ACCOUNT_NAME,
    ARGUMENT,
    ARGUMENTS,
    FILE,
    FILE_PATH,
    GROUP,
    HEALTHCHECK,
    IMAGE,
    INSTALL,
    OWNER,
    PATH,
    RUNTIME,
    USER,
    WORD,
)
from builder.recipe.model import BillKind, Compression
from builder.recipe.policy_keys import POLICY
from builder.recipe.scan_keys import IGNORE, LIMITS, SCAN
from builder.recipe.shapes import Either, Key, ListOf, MapOf, Number, Table, Text
from builder.recipe.smoke_keys import EXTRA_FILE, HTTP, TCP, TEST
from builder.recipe.source_keys import SOURCE
from builder.recipe.stage_keys import COPY

SCHEMA_VERSION = 1

VARIABLE_NAME = r"[A-Za-z_][A-Za-z0-9_-]*"

CONFIG = Table(
    title="[config]",
    about="How a container of the image starts.",
    keys=(
        Key(name="entrypoint", shape=ARGUMENTS, about="program and first arguments", default=()),
        Key(
            name="cmd",
            shape=ARGUMENTS,
            about="arguments that whoever starts the container may replace",
            default=(),
        ),
        Key(
            name="user",
            shape=OWNER,
            about="user, or user and group, that the program runs as",
            default="",
            otherwise="root",
        ),
        Key(
            name="workdir",
            shape=PATH,
            about="folder in which it starts",
            default="",
            otherwise="`/`",
        ),
        Key(
            name="env",
            shape=MapOf(
                of=ARGUMENT,
                names=Text(expected="the name of a variable", pattern=r"[A-Za-z_][A-Za-z0-9_.-]*"),
            ),
            about="environment variables, kept in order",
            default=(),
        ),
        Key(
            name="ports",
            shape=ListOf(
                of=Either(
                    shapes=(
                        Number(low=1, high=65535),
                        Text(
                            expected='a port from 1 to 65535, as 8080, "8080/tcp" or "53/udp"',
                            pattern=r"(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]"
                            r"|6553[0-5])(?:/(?:tcp|udp|sctp))?",
                        ),
                    )
                )
            ),
            about="ports that the program listens on, for people and engines to read",
            default=(),
        ),
        Key(
            name="volumes",
            shape=ListOf(of=FILE_PATH, unique=True),
            about="folders whose content outlives a container",
            default=(),
        ),
        Key(
            name="stop_signal",
            shape=Text(expected='a signal such as "SIGTERM"', rule=formats.signal),
            about="signal that stops the program",
            default="",
            otherwise="the engine's, SIGTERM",
        ),
        Key(name="healthcheck", shape=HEALTHCHECK, about="how an engine asks whether the program is well"),
    ),
)

LAYERS = Table(
    title="[layers]",
    about="How the files are packed.",
    keys=(
        Key(
            name="strategy",
            shape=Text(choices=("single",), later=("by-owner",)),
            about="how files are spread over layers",
            default="single",
        ),
        Key(name="budget", shape=Number(low=1, high=127), about="most layers", later=True),
        Key(
            name="compression",
            shape=Text(choices=tuple(one.value for one in Compression)),
            about="compression of the layers",
            default=Compression.GZIP.value,
        ),
    ),
)

OUTPUT = Table(
    title="[output]",
    about="Where the image goes once it is approved.",
    keys=(
        Key(
            name="to",
            shape=ListOf(
                of=Text(
                    expected='"oci:FOLDER", "docker-archive:FILE", "storage" or "registry"',
                    rule=formats.output,
                ),
                unique=True,
            ),
            about="`oci:FOLDER`, `docker-archive:FILE`, `storage` (this machine's container storage), "
            "`registry` (the one of the image's name)",
            otherwise='`["oci:dist/NAME"]`, NAME being the last part of the image\'s name',
        ),
        Key(
            name="sbom",
            shape=ListOf(of=Text(choices=tuple(one.value for one in BillKind)), unique=True),
            about="bills of materials to write beside the first output (`dist/NAME.cdx.json`, "
            "`dist/NAME.spdx.json`), and to attach to an image that is pushed",
            default=(),
        ),
        Key(
            name="report",
            shape=Text(rule=formats.local_path, expected="a path"),
            about="HTML page with the findings and packages of the image to write",
        ),
    ),
)

REGISTRIES = Table(
    title="[registries]",
    about="How registries are reached, for sources, the base and the output.",
    keys=(
        Key(
            name="insecure",
            shape=ListOf(
                of=Text(
                    expected='a registry such as "registry.lan:5000"',
                    pattern=r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?",
                )
            ),
            about="registries that have no TLS; this machine's own need not be named",
            default=(),
        ),
    ),
)


def _short(table: Table, names: tuple[str, ...], *moves_to: str) -> tuple[Key, ...]:
    found = (table.find(name) for name in names)
    return tuple(
        Key(
            name=key.name,
            shape=key.shape,
            about=f"short for `{'.'.join((*moves_to, key.name))}`",
            moves_to=moves_to,
        )
        for key in found
        if key is not None
    )


_LAID_OVER = (
    *_short(IMAGE, ("name", "tags"), "image"),
    *_short(SOURCE.usual, ("packages", "suite"), "sources", "os"),
    *_short(CONFIG, ("entrypoint", "cmd", "user", "env", "ports"), "config"),
    Key(
        name="vars",
        shape=MapOf(
            of=Text(), names=Text(expected="the name of a variable", pattern=rf"(?!when$){VARIABLE_NAME}")
        ),
        about="variables: `{NAME}` in any string stands for the value",
        default=(),
    ),
    Key(name="image", shape=IMAGE, about=IMAGE.about),
    Key(name="sources", shape=MapOf(of=SOURCE, names=WORD), about=SOURCE.about, default=()),
    Key(name="install", shape=ListOf(of=INSTALL), about=INSTALL.about, default=()),
    Key(name="file", shape=ListOf(of=FILE), about=FILE.about, default=()),
    Key(name="users", shape=MapOf(of=USER, names=ACCOUNT_NAME), about=USER.about, default=()),
    Key(name="groups", shape=MapOf(of=GROUP, names=ACCOUNT_NAME), about=GROUP.about, default=()),
    Key(name="runtime", shape=RUNTIME, about=RUNTIME.about),
    Key(name="config", shape=CONFIG, about=CONFIG.about),
    Key(name="test", shape=ListOf(of=TEST), about=TEST.about, default=()),
    Key(name="scan", shape=SCAN, about=SCAN.about),
    Key(name="policy", shape=POLICY, about=POLICY.about),
    Key(name="layers", shape=LAYERS, about=LAYERS.about),
    Key(name="output", shape=OUTPUT, about=OUTPUT.about),
    Key(name="registries", shape=REGISTRIES, about=REGISTRIES.about),
)

PROFILE = Table(
    title="[profile.NAME]", about="Laid over the recipe when the build asks for the profile.", keys=_LAID_OVER
)

DOCUMENT = Table(
    title="The top of the file",
    about="Short forms and tables.",
    conditional=False,
    keys=(
        Key(
            name="schema",
            shape=Number(low=SCHEMA_VERSION, high=SCHEMA_VERSION),
            about="always 1",
            required=True,
        ),
        Key(
            name="extends",
            shape=ListOf(of=Text(expected="the name of a fragment, or a path", rule=formats.local_path)),
            about="recipes that this one is laid over: names of shipped fragments, or paths from this file",
            default=(),
        ),
        *_LAID_OVER,
        Key(
            name="profile",
            shape=MapOf(of=PROFILE, names=WORD),
            about=PROFILE.about,
            default=(),
        ),
    ),
)
"""Everything a recipe file may say."""

TABLES = (
    DOCUMENT, IMAGE, *SOURCE.tables.values(), COPY, INSTALL, FILE, USER, GROUP, RUNTIME, CONFIG, HEALTHCHECK,
    TEST, HTTP, TCP, EXTRA_FILE, SCAN, IGNORE, LIMITS, POLICY, LAYERS, OUTPUT, REGISTRIES, PROFILE,
)  # fmt: skip
"""Every table, in the order of the reference."""

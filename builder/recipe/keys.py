"""Every key of a recipe, once: reading, suggestions, refusals, JSON schema and docs/recipe.md follow it."""

from __future__ import annotations

from builder.recipe import formats
from builder.recipe.model import FEATURES, Dlopen, FileType, Missing
from builder.recipe.shapes import Either, Key, ListOf, MapOf, Number, Table, Text

ARGUMENT = Text(rule=formats.argument)
ARGUMENTS = ListOf(of=ARGUMENT)
PATH = Text(expected="an absolute path", rule=formats.absolute_path)
FILE_PATH = Text(expected="an absolute path", rule=formats.file_path)
_GLOBS = ListOf(of=Text(expected="an absolute path, may have *, ?, [ ] and **", rule=formats.glob))
IMAGE_ADDRESS = Text(
    expected='an image, as "docker.io/library/debian:trixie" or "oci:FOLDER:TAG"', rule=formats.image_address
)
LOCAL_PATH = Text(expected="a path", rule=formats.local_path)
_ID = Number(low=0, high=formats.MAX_ID)
_MODE = Text(expected='a file mode such as "0644"', pattern=r"[0-7]{3,4}")
_ACCOUNT = r"[A-Za-z_][A-Za-z0-9_.-]{0,30}\$?"
ACCOUNT_NAME = Text(
    expected='the name of an account (letters, digits, ".", "_", "-"; not "when")',
    pattern=rf"(?!when$){_ACCOUNT}",
)
_USER = rf"(?:{_ACCOUNT}|[0-9]{{1,10}})"
OWNER = Text(
    expected='"user" or "user:group", names or numbers',
    pattern=f"{_USER}(?::{_USER})?",
    rule=formats.account_numbers,
)
WORD = Text(
    expected='a name (letters, digits, ".", "_", "-"; not "when")',
    pattern=r"(?!when$)[A-Za-z0-9][A-Za-z0-9._-]*",
)
_DURATION = Text(expected='a time such as "30s" or "1m30s"', pattern=formats.DURATION)
_LABELS = MapOf(of=ARGUMENT, names=Text(expected="a label's name", pattern=r"[^\x00-\x20\x7f]+"))
_ARCHITECTURE = Text(expected="an architecture", rule=formats.architecture)
_OS = Text(choices=("linux",))

WHEN = Table(
    title="when",
    about="A condition: the table that carries it counts only where every key of it holds.",
    conditional=False,
    keys=(
        Key(
            name="arch",
            shape=Either(shapes=(_ARCHITECTURE, ListOf(of=_ARCHITECTURE))),
            about="architecture of the image, or several of which it must be one",
        ),
        Key(name="os", shape=Either(shapes=(_OS, ListOf(of=_OS))), about="operating system of the image"),
    ),
)

IMAGE = Table(
    title="[image]",
    about="What the image is called and for which platforms it is made.",
    keys=(
        Key(
            name="name",
            shape=Text(expected="an image name without a tag", rule=formats.image_name),
            about="name of the image, with or without a registry",
            required=True,
        ),
        Key(
            name="tags",
            shape=ListOf(
                of=Text(expected="a tag", pattern=r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"), unique=True
            ),
            about="tags that the image gets once it is approved",
            default=("latest",),
        ),
        Key(
            name="platforms",
            shape=ListOf(
                of=Text(expected='a platform such as "linux/amd64"', rule=formats.platform), unique=True
            ),
            about="platforms to build for",
            default=(),
            otherwise="this machine's",
        ),
        Key(
            name="base",
            shape=Text(expected='"scratch", or an image to start from', rule=formats.base),
            about="image to start from; only what it lacks is added",
            default="scratch",
        ),
        Key(name="annotations", shape=_LABELS, about="annotations of the image's manifest", default=()),
        Key(name="labels", shape=_LABELS, about="labels of the image configuration", default=()),
    ),
)

INSTALL = Table(
    title="[[install]]",
    about="Files of a source, or of a folder beside the recipe.",
    keys=(
        Key(name="from", shape=WORD, about="the source that has the files", default=""),
        Key(
            name="path",
            shape=PATH,
            about="file or folder of that source",
            default="",
            otherwise="everything, of a source of wheels; else needed with `from`",
        ),
        Key(
            name="context",
            shape=LOCAL_PATH,
            about="file or folder on this machine, relative to the recipe; instead of `from` and `path`",
        ),
        Key(
            name="to",
            shape=Text(expected="an absolute path", rule=formats.target_path),
            about='where it goes; with a slash at the end, "into this folder"',
            otherwise="the same as `path`; needed with `context`",
        ),
        Key(
            name="mode",
            shape=_MODE,
            about="permission bits of the files, octal",
            otherwise="as in the source; 0644 or 0755 for `context`",
        ),
        Key(name="owner", shape=OWNER, about="user, or user and group", default="root:root"),
        Key(
            name="ignore",
            shape=ListOf(of=Text(expected="a pattern", rule=formats.local_path)),
            about="names or patterns inside the folder that are left out",
            default=(),
        ),
    ),
)

FILE = Table(
    title="[[file]]",
    about="A file, folder or symbolic link that the recipe itself makes.",
    keys=(
        Key(name="path", shape=FILE_PATH, about="path in the image", required=True),
        Key(
            name="type",
            shape=Text(choices=tuple(one.value for one in FileType)),
            about="what is made",
            default=FileType.FILE.value,
        ),
        Key(name="content", shape=Text(), about="text of a file", default=""),
        Key(
            name="target",
            shape=Text(expected="a path", rule=formats.link_target),
            about="what a symbolic link says",
            default="",
            otherwise="needed for a symbolic link",
        ),
        Key(
            name="mode",
            shape=_MODE,
            about="permission bits, octal",
            otherwise="0644 for files, 0755 for folders",
        ),
        Key(name="owner", shape=OWNER, about="user, or user and group", default="root:root"),
    ),
)

USER = Table(
    title="[users.NAME]",
    about="A user of the image. Users that packages bring need no entry.",
    keys=(
        Key(name="uid", shape=_ID, about="number of the user", required=True),
        Key(
            name="gid", shape=_ID, about="number of the user's group", otherwise="the group of the same name"
        ),
        Key(
            name="home",
            shape=Text(expected="an absolute path", rule=formats.account_path),
            about="home folder (not made)",
            default="/nonexistent",
        ),
        Key(
            name="shell",
            shape=Text(expected="an absolute path", rule=formats.account_path),
            about="login shell",
            default="/usr/sbin/nologin",
        ),
        Key(name="comment", shape=Text(rule=formats.account_comment), about="full name", default=""),
        Key(name="groups", shape=ListOf(of=ACCOUNT_NAME), about="further groups", default=()),
    ),
)

GROUP = Table(
    title="[groups.NAME]",
    about="A group of the image.",
    keys=(
        Key(name="gid", shape=_ID, about="number of the group", required=True),
        Key(name="members", shape=ListOf(of=ACCOUNT_NAME), about="users in the group", default=()),
    ),
)

RUNTIME = Table(
    title="[runtime]",
    about="What runs needs besides what is named.",
    keys=(
        Key(
            name="features",
            shape=ListOf(of=Text(choices=FEATURES)),
            about="bundles of files that no binary names; most are found without being named",
            default=(),
        ),
        Key(
            name="libraries",
            shape=ListOf(
                of=Text(expected="a library's file name, as libpq.so.5", pattern=r"[A-Za-z0-9_][^/\s\x00]*")
            ),
            about="libraries that are loaded by name at run time",
            default=(),
        ),
        Key(
            name="dlopen",
            shape=Text(choices=tuple(one.name.lower() for one in reversed(Dlopen))),
            about="which libraries to take of those that binaries say they load (`.note.dlopen`)",
            default=Dlopen.RECOMMENDED.name.lower(),
        ),
        Key(name="keep", shape=_GLOBS, about="files of the packages that stay in any case", default=()),
        Key(name="drop", shape=_GLOBS, about="files that are left out in any case", default=()),
        Key(
            name="missing",
            shape=Text(choices=tuple(one.value for one in Missing)),
            about="what to do about a library that nothing provides",
            default=Missing.ERROR.value,
        ),
    ),
)

HEALTHCHECK = Table(
    title="[config.healthcheck]",
    about="Docker's health check. An array is a program with arguments, a string is for the image's shell.",
    keys=(
        Key(name="test", shape=Either(shapes=(ARGUMENT, ARGUMENTS)), about="what is run", default=()),
        Key(
            name="interval",
            shape=_DURATION,
            about="time between two runs",
            default="",
            otherwise="the engine's",
        ),
        Key(
            name="timeout",
            shape=_DURATION,
            about="longest time of a run",
            default="",
            otherwise="the engine's",
        ),
        Key(
            name="start_period",
            shape=_DURATION,
            about="time at the start in which failures do not count",
            default="",
            otherwise="the engine's",
        ),
        Key(
            name="retries",
            shape=Number(low=0, high=1_000_000),
            about="failures in a row that count",
            default=0,
            otherwise="the engine's",
        ),
    ),
)

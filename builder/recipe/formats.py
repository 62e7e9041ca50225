"""Strings of a recipe that have a form: a rule gives "" or the complaint, a reader gives the value."""

from __future__ import annotations

import datetime as dt
import posixpath
import re
from pathlib import Path

from builder.dpkg.version import is_version
from builder.oci import ImageAddress, ImageReference, Platform
from builder.recipe.outputs import parse_output
from builder.recipe.tree import nearest, show

ARCHITECTURES = ("386", "amd64", "arm", "arm64", "loong64", "mips64le", "ppc64le", "riscv64", "s390x")
"""Processors as OCI (that is, Go) names them."""
_OTHER_NAMES = {
    "x86_64": "amd64",
    "x86-64": "amd64",
    "i386": "386",
    "i686": "386",
    "aarch64": "arm64",
    "armhf": "arm/v7",
    "armel": "arm/v5",
    "ppc64el": "ppc64le",
}
SIGNALS = (
    "SIGABRT", "SIGALRM", "SIGBUS", "SIGCHLD", "SIGCONT", "SIGFPE", "SIGHUP", "SIGILL",
    "SIGINT", "SIGIO", "SIGKILL", "SIGPIPE", "SIGPROF", "SIGPWR", "SIGQUIT", "SIGSEGV",
    "SIGSTKFLT", "SIGSTOP", "SIGSYS", "SIGTERM", "SIGTRAP", "SIGTSTP", "SIGTTIN", "SIGTTOU",
    "SIGURG", "SIGUSR1", "SIGUSR2", "SIGVTALRM", "SIGWINCH", "SIGXCPU", "SIGXFSZ", "SIGRTMIN",
    "SIGRTMAX",
)  # fmt: skip
MAX_ID = 2**32 - 2
"""The last number of an account: -1 as an unsigned number means "nobody said" (chown(2))."""
_MAX_NAME = 255
_MAX_PATH = 4095
_MAX_IMAGE_NAME = 255

_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SIGNAL_NUMBER = re.compile(r"[1-9]|[1-5][0-9]|6[0-4]")
_REAL_TIME = re.compile(r"SIGRT(?:MIN\+|MAX-)[0-9]{1,2}")
_DURATION_PART = re.compile(r"([0-9]+)(ms|s|m|h)")
DURATION = r"(?:[0-9]{1,9}(?:ms|s|m|h))+"
SIZE = r"[0-9]{1,12}(?:\.[0-9]{1,3})?(?:B|kB|KB|KiB|MB|MiB|GB|GiB)?"
_BYTES = {
    "": 1,
    "B": 1,
    "kB": 10**3,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
}
AGE = r"[0-9]{1,6}[smhdw]|any"
_NANOSECONDS = {"ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def plain(text: str) -> str:
    """Ask for text that is not empty and without control characters."""
    if not text.strip():
        return "expected some text, found an empty string"
    return _no_control(text)


def argument(text: str) -> str:
    """Ask for a string that a program can be given: no NUL."""
    return f"expected text without NUL characters, found {show(text)}" if "\0" in text else ""


def image_name(text: str) -> str:
    """Ask for a reference without tag and digest."""
    if len(text) > _MAX_IMAGE_NAME:
        return f"expected at most {_MAX_IMAGE_NAME} letters, found {len(text)}"
    try:
        reference = ImageReference.parse(text)
    except ValueError:
        letters = 'lower-case letters, digits, ".", "_", "-", "/"'
        return f"expected an image name ({letters}), found {show(text)}"
    if reference.tag or "@" in text:
        return f"expected a name without a tag or digest, found {show(text)}; tags go to the key tags"
    return ""


def image_address(text: str) -> str:
    """Ask for an image in a registry, a layout, an archive or the local storage."""
    try:
        address = ImageAddress.parse(text, Path())
    except ValueError as error:
        return f"expected an image, found {show(text)}: {error}"
    if address.reference is not None and not address.reference.registry:
        return (
            f"expected the whole name of an image with its registry, found {show(text)}; "
            f"did you mean docker.io/{'' if '/' in text else 'library/'}{text}?"
        )
    return _no_control(text)


def base(text: str) -> str:
    """Ask for "scratch" or an image."""
    return "" if text == "scratch" else image_address(text)


def platform(text: str) -> str:
    """Ask for ``os/architecture[/variant]`` that containers run on."""
    try:
        value = Platform.parse(text)
    except ValueError:
        return f'expected a platform such as "linux/amd64", found {show(text)}'
    if value.os != "linux":
        return f'expected a platform that starts with "linux/", found {show(text)}'
    if value.architecture not in ARCHITECTURES:
        return f"there is no architecture {show(value.architecture)}" + _architecture_hint(value.architecture)
    return ""


def architecture(text: str) -> str:
    """Ask for a processor's OCI name."""
    if text in ARCHITECTURES:
        return ""
    return f"there is no architecture {show(text)}" + _architecture_hint(text)


def _architecture_hint(text: str) -> str:
    other = _OTHER_NAMES.get(text)
    hint = f"did you mean {show(other)}?" if other else nearest(text, ARCHITECTURES)
    return f"; {hint or 'known are ' + ', '.join(ARCHITECTURES)}"


def absolute_path(text: str) -> str:
    """Ask for a path as :mod:`builder.sysroot` writes it: absolute and normalised."""
    if not text.startswith("/"):
        return f"expected an absolute path, found {show(text)}"
    if complaint := _no_control(text) or _lengths(text):
        return complaint
    if text != "/" and text.endswith("/"):
        return f"expected a path without a slash at its end, found {show(text)}"
    if text != posixpath.normpath(text) or text.startswith("//"):
        return f'expected a path without ".", ".." and doubled slashes, found {show(text)}'
    return ""


def file_path(text: str) -> str:
    """Ask for an absolute path other than the root."""
    return "expected a path below /, found the root" if text == "/" else absolute_path(text)


def target_path(text: str) -> str:
    """Ask for an absolute path; a slash at its end means "into this folder"."""
    return absolute_path(text if text == "/" else text.removesuffix("/"))


def account_path(text: str) -> str:
    """Ask for a path that fits between the colons of passwd(5)."""
    return f'expected a path without ":", found {show(text)}' if ":" in text else absolute_path(text)


def account_comment(text: str) -> str:
    """Ask for text that fits between the colons of passwd(5)."""
    return f'expected text without ":", found {show(text)}' if ":" in text else _no_control(text)


def account_numbers(text: str) -> str:
    """Ask that the numbers of ``user:group`` are numbers of accounts."""
    if any(part.isdecimal() and int(part) > MAX_ID for part in text.split(":")):
        return f"expected numbers up to {MAX_ID}, found {show(text)}"
    return ""


def glob(text: str) -> str:
    """Ask for an absolute path with ``*``, ``?``, ``[…]`` or ``**`` in it."""
    return absolute_path(text)


def link_target(text: str) -> str:
    """Ask for what a symbolic link may say: any path, not empty."""
    return plain(text) or _lengths(text)


def local_path(text: str) -> str:
    """Ask for a path on the machine that builds."""
    return plain(text) or _lengths(text)


def package(text: str) -> str:
    """Ask for a binary package's name (Debian Policy §5.6.7)."""
    if _PACKAGE.fullmatch(text):
        return ""
    name, equals, _ = text.partition("=")
    if equals and _PACKAGE.fullmatch(name):
        return (
            f"expected a package name without a version, found {show(text)}; exact versions go to the key pin"
        )
    if _PACKAGE.fullmatch(text.lower()):
        return f"package names are lower-case, found {show(text)}; did you mean {show(text.lower())}?"
    return f"expected the name of a Debian package, found {show(text)}"


def version(text: str) -> str:
    """Ask for a whole Debian version, as ``1:2.3-4``."""
    return "" if is_version(text) else f"expected a Debian version, found {show(text)}"


def snapshot(text: str) -> str:
    """Ask for a moment in the way that snapshot archives write it."""
    try:
        moment = dt.datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)
    except ValueError:
        moment = None
    if moment is None or f"{moment:%Y%m%dT%H%M%SZ}" != text:
        return f'expected a moment such as "20261101T000000Z", found {show(text)}'
    return ""


def signal(text: str) -> str:
    """Ask for a signal's name or number (signal(7))."""
    if text in SIGNALS or _SIGNAL_NUMBER.fullmatch(text) or _REAL_TIME.fullmatch(text):
        return ""
    near = nearest(text if text.upper().startswith("SIG") else f"SIG{text}", SIGNALS)
    return f'expected a signal such as "SIGTERM", found {show(text)}' + (f"; {near}" if near else "")


def output(text: str) -> str:
    """Ask for where an approved image goes: ``oci:FOLDER``, ``storage`` or the like."""
    try:
        parse_output(text, Path())
    except ValueError:
        return f'expected "oci:FOLDER", "docker-archive:FILE", "storage" or "registry", found {show(text)}'
    return _no_control(text)


def mode(text: str) -> int:
    """Give the number of an octal file mode."""
    return int(text, 8)


def nanoseconds(text: str) -> int:
    """Give ``1m30s`` in nanoseconds, as Docker's health check counts; "" is 0."""
    return sum(int(count) * _NANOSECONDS[unit] for count, unit in _DURATION_PART.findall(text))


def seconds(text: str) -> int | None:
    """Give ``7d`` in seconds; ``any`` is None."""
    return None if text == "any" else int(text[:-1]) * _SECONDS[text[-1]]


def size(text: str) -> int:
    """Bytes of ``40MB``, ``1.5GiB`` or ``100``."""
    number = text.rstrip("BKMGik")
    return int(float(number) * _BYTES[text[len(number) :]])


def port(value: int | str) -> str:
    """Write a port as the image configuration writes it: ``8080/tcp``."""
    text = str(value)
    return text if "/" in text else f"{text}/tcp"


def _no_control(text: str) -> str:
    return f"expected text without control characters, found {show(text)}" if _CONTROL.search(text) else ""


def _lengths(path: str) -> str:
    encoded = path.encode()
    if len(encoded) > _MAX_PATH:
        return f"expected a path of at most {_MAX_PATH} bytes, found {len(encoded)}"
    if any(len(name) > _MAX_NAME for name in encoded.split(b"/")):
        return f"expected names of at most {_MAX_NAME} bytes in a path, found {show(path)}"
    return ""

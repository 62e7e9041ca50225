"""Where this machine gets Debian from: apt's own configuration, read without apt.

sources.list(5) in both formats, and the option of apt.conf(5) that concerns expiry. Only entries of Debian's
own archive are chosen, never third-party ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from builder.dpkg.control import paragraphs

_CODENAMES = frozenset(
    {"buster", "bullseye", "bookworm", "trixie", "forky", "duke", "sid"}
    | {"oldoldstable", "oldstable", "stable", "testing", "unstable"}
)
_SCHEMES = ("http://", "https://", "file:/")
_ONE_LINE = re.compile(
    r"(?P<type>deb|deb-src)\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<rest>\S.*)"
)
_NO = frozenset({"no", "false", "0", "off", "without", "disable"})
_CONF_TOKEN = re.compile(
    r'//[^\n]*|/\*.*?\*/|#[^\n]*|(?P<string>"[^"\n]*")|(?P<mark>[{};])|(?P<word>[^\s{};"]+)', re.DOTALL
)
_LIMIT = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirrors:
    """The machine's Debian mirrors.

    ``main`` and ``security`` are addresses without a trailing slash, ``security`` "" where there is none.
    ``keyrings`` are files that Signed-By names, ``keys`` armoured keys written into the sources file itself.
    ``origin`` is the file that the main mirror was read from.
    """

    main: str
    security: str
    keyrings: tuple[Path, ...]
    check_valid_until: bool
    origin: str
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """One archive: an address with the suites and components taken from it."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str
    check_valid_until: bool
    origin: str

    @property
    def is_security(self) -> bool:
        return any(_is_security(suite) for suite in self.suites)


def machine_mirrors(root: Path = Path("/")) -> Mirrors | None:
    """Find the Debian archive in apt's configuration below ``root``; None when there is none.

    Files that cannot be read or parsed are passed over, as apt would complain about them itself.
    """
    entries = tuple(_entries(root))
    candidates = [entry for entry in entries if _is_debian(entry, entries)]
    main = max(
        (entry for entry in candidates if not entry.is_security or _plain_suites(entry)),
        key=lambda entry: _likelihood(entry, candidates),
        default=None,
    )
    if main is None:
        return None
    security = next((entry for entry in candidates if entry.is_security), None)
    signed_by = dict.fromkeys(entry.signed_by for entry in (main, security) if entry and entry.signed_by)
    return Mirrors(
        main=main.uri,
        security=security.uri if security else "",
        keyrings=tuple(path for text in signed_by for path in _keyring_files(text, root)),
        keys=tuple(text for text in signed_by if "BEGIN PGP" in text),
        check_valid_until=main.check_valid_until and _configured_check(root),
        origin=main.origin,
    )


def _is_debian(entry: _Entry, entries: Iterable[_Entry]) -> bool:
    """Tell Debian's own archive, or a copy of it, from third parties that use its suite names."""
    if "main" not in entry.components or not any(_base(suite) in _CODENAMES for suite in entry.suites):
        return False
    if not entry.signed_by or "debian-archive" in entry.signed_by:
        return True
    return any(other.is_security and other.signed_by == entry.signed_by for other in entries)


def _likelihood(entry: _Entry, candidates: Iterable[_Entry]) -> tuple[bool, bool]:
    # A copy of Debian's archive comes with its security and updates suites; a third party's does not.
    names = {_base(suite) for suite in entry.suites}
    companions = {
        suite
        for other in candidates
        if other.uri == entry.uri or other.is_security
        for suite in other.suites
        if _base(suite) in names
    }
    return (
        any(_is_security(suite) for suite in companions),
        any(suite.endswith("-updates") for suite in companions),
    )


def _is_security(suite: str) -> bool:
    return suite.endswith(("-security", "/updates"))


def _base(suite: str) -> str:
    return re.sub(r"(-(security|updates|backports|proposed-updates)|/updates)$", "", suite)


def _plain_suites(entry: _Entry) -> bool:
    return any(suite in _CODENAMES for suite in entry.suites)


def _entries(root: Path) -> Iterator[_Entry]:
    folder = root / "etc/apt"
    files = [folder / "sources.list", *_sorted_files(folder / "sources.list.d")]
    for path in files:
        text = _read(path)
        try:
            if path.suffix == ".list":
                yield from _one_line_entries(text, str(path))
            elif path.suffix == ".sources":
                for fields in paragraphs(text):
                    yield from _paragraph_entries(fields, str(path))
        except ValueError:
            continue


def _one_line_entries(text: str, origin: str) -> Iterator[_Entry]:
    for line in text.splitlines():
        match = _ONE_LINE.fullmatch(line.partition("#")[0].strip())
        if match is None or match["type"] != "deb":
            continue
        options = {
            name.rstrip("+-").lower(): value
            for name, _, value in (option.partition("=") for option in (match["options"] or "").split())
        }
        suite, *components = match["rest"].split()
        yield from _usable(
            [match["uri"]],
            _Entry(
                uri="",
                suites=(suite,),
                components=tuple(components),
                signed_by=options.get("signed-by", "").replace(",", " "),
                check_valid_until=options.get("check-valid-until", "yes").lower() not in _NO,
                origin=origin,
            ),
        )


def _paragraph_entries(fields: Mapping[str, str], origin: str) -> Iterator[_Entry]:
    values = {name.lower(): value for name, value in fields.items()}
    if "deb" not in values.get("types", "").split() or values.get("enabled", "yes").lower() in _NO:
        return
    yield from _usable(
        values.get("uris", "").split(),
        _Entry(
            uri="",
            suites=tuple(values.get("suites", "").split()),
            components=tuple(values.get("components", "").split()),
            signed_by=_unfold(values.get("signed-by", "")),
            check_valid_until=values.get("check-valid-until", "yes").lower() not in _NO,
            origin=origin,
        ),
    )


def _usable(uris: Iterable[str], entry: _Entry) -> Iterator[_Entry]:
    """Fill in each address that rootlet can fetch from; cdrom:, tor+http: and the like are passed over."""
    for uri in uris:
        if uri.startswith(_SCHEMES):
            yield replace(entry, uri=_with_slashes(uri).rstrip("/"))


def _with_slashes(uri: str) -> str:
    return re.sub(r"^file:/+", "file:///", uri)


def _unfold(value: str) -> str:
    """Join a folded value; in an inline key, empty lines are written " ." (sources.list(5), Signed-By)."""
    if "BEGIN PGP" not in value:
        return " ".join(value.split())
    lines = (line.strip() for line in value.strip().split("\n"))
    return "\n".join("" if line == "." else line for line in lines) + "\n"


def _keyring_files(text: str, root: Path) -> Iterator[Path]:
    """Yield the files among what Signed-By says; fingerprints are passed over."""
    if "BEGIN PGP" not in text:
        for word in text.split():
            if word.startswith("/"):
                yield root / word.lstrip("/")


def _configured_check(root: Path) -> bool:
    """Read ``Acquire::Check-Valid-Until`` of apt.conf.d and apt.conf; the last one wins."""
    folder = root / "etc/apt"
    answer = True
    for path in [*_sorted_files(folder / "apt.conf.d"), folder / "apt.conf"]:
        for name, value in _settings(_read(path)):
            if name == "acquire::check-valid-until":
                answer = value.lower() not in _NO
    return answer


def _settings(text: str) -> Iterator[tuple[str, str]]:
    """Yield every ``name value;`` of apt.conf(5) with its scopes joined by ``::``, in lower case."""
    scopes: list[str] = []
    name = ""
    for match in _CONF_TOKEN.finditer(text):
        if match["word"]:
            name = match["word"].lower()
        elif match["string"]:
            yield "::".join([*scopes, name]), match["string"].strip('"')
        elif match["mark"] == "{":
            scopes.append(name)
            name = ""
        elif match["mark"] == "}" and scopes:
            scopes.pop()


def _sorted_files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError:
        return []


def _read(path: Path) -> str:
    try:
        if path.is_file() and path.stat().st_size < _LIMIT:
            return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        pass
    return ""

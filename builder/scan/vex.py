"""OpenVEX documents (https://github.com/openvex/spec, v0.2.0) read, held against findings, and written.

Matching is lenient (rule V1): of a product's package URL only the fields that it gives count, a release of a
distribution stands for its point releases, and the source package may be named for the binary one. trivy
passes over a statement that names one field too many without a word; here every unused one is reported.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import urllib.parse
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.errors import ScanError
from builder.scan.model import Finding, ScanReport

CONTEXT = "https://openvex.dev/ns/v0.2.0"
MAX_DOCUMENT = 16 << 20
"""Bytes of a document; those of whole distributions stay below."""

_STATUSES = ("not_affected", "affected", "fixed", "under_investigation")
_SUPPRESSING = frozenset({"not_affected", "fixed"})
_NAMESPACE = uuid.UUID("5b1f6f0e-7c70-5d1b-9a55-9b0d4f6d7a10")
_COMPARED = frozenset({"arch", "distro"})
"""Qualifiers that tell packages apart; others, as epoch or upstream, only describe one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What one document says of one vulnerability. ``products``: package URLs, () for everything there is."""

    document: str
    names: tuple[str, ...]
    products: tuple[str, ...]
    status: str
    justification: str = ""
    impact: str = ""

    @property
    def suppresses(self) -> bool:
        """Whether a finding that it covers does not count."""
        return self.status in _SUPPRESSING

    @property
    def words(self) -> str:
        """The statement as a reason."""
        why = self.impact or self.justification.replace("_", " ")
        return f"{self.document}: {self.status.replace('_', ' ')}" + (f" ({why})" if why else "")

    def covers(self, finding: Finding) -> bool:
        """Whether it speaks of this finding."""
        names = {name.upper() for name in self.names}
        if names.isdisjoint(name.upper() for name in (finding.id, *finding.aliases)):
            return False
        return not self.products or any(_is_product(one, finding) for one in self.products)


def read_vex(paths: Iterable[Path]) -> tuple[Statement, ...]:
    """The statements of OpenVEX files. ScanError naming what is wrong and where."""
    return tuple(one for path in paths for one in parse_vex(_bytes(path), path.name))


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            payload = stream.read(MAX_DOCUMENT + 1)
    except OSError as error:
        raise ScanError(f"{path} could not be read: {error.strerror}") from error
    if len(payload) > MAX_DOCUMENT:
        raise ScanError(f"{path} is no OpenVEX document: it has more than {MAX_DOCUMENT} bytes")
    return payload


def parse_vex(payload: bytes, name: str) -> tuple[Statement, ...]:
    """The statements of one document; ScanError where it is none."""
    try:
        document = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise ScanError(f"{name} is no OpenVEX document: it is not JSON ({str(error)[:100]})") from error
    context = document.get("@context") if isinstance(document, dict) else None
    if not isinstance(context, str) or "openvex" not in context:
        raise ScanError(
            f"{name} is no OpenVEX document: its @context is {str(context)[:60]!a}",
            hint=f'an OpenVEX document starts with "@context": "{CONTEXT}"',
        )
    statements = document.get("statements")
    if not isinstance(statements, list):
        raise ScanError(f"{name}: statements is not a list")
    return tuple(_statement(one, f"{name}: statements[{at}]", name) for at, one in enumerate(statements))


def _statement(plain: object, where: str, document: str) -> Statement:
    if not isinstance(plain, dict):
        raise ScanError(f"{where} is not an object")
    status = plain.get("status")
    if status not in _STATUSES:
        raise ScanError(f"{where}.status is {str(status)[:60]!a}, none of {', '.join(_STATUSES)}")
    names = tuple(_names(plain.get("vulnerability")))
    if not names:
        raise ScanError(f"{where}.vulnerability names none")
    return Statement(
        document=document,
        names=names,
        products=tuple(dict.fromkeys(_products(plain.get("products")))),
        status=status,
        justification=_text(plain.get("justification")),
        impact=_text(plain.get("impact_statement")),
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _names(plain: object) -> Iterator[str]:
    """A name, as the first versions had it, or an object with a name and aliases."""
    if isinstance(plain, str):
        yield plain
    elif isinstance(plain, dict):
        aliases = plain.get("aliases")
        found = [plain.get("name"), *(aliases if isinstance(aliases, list) else [])]
        yield from (name for name in found if isinstance(name, str) and name)


def _products(plain: object) -> Iterator[str]:
    for one in plain if isinstance(plain, list) else []:
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            inner = list(_products(one.get("subcomponents")))
            # A statement about an image means the parts that it names.
            yield from inner or _identifiers(one)


def _identifiers(plain: dict[str, Any]) -> Iterator[str]:
    identifiers = plain.get("identifiers")
    purl = identifiers.get("purl") if isinstance(identifiers, dict) else None
    found = next((one for one in (purl, plain.get("@id")) if isinstance(one, str) and one), None)
    if found is not None:
        yield found


@dataclass(frozen=True, slots=True)
class _Purl:
    """The parts of a package URL that are compared; "" for what is not given."""

    kind: str
    name: str
    version: str
    qualifiers: dict[str, str]


def _purl(text: str) -> _Purl | None:
    if not text.startswith("pkg:"):
        return None
    path, _, query = text[4:].partition("#")[0].partition("?")
    kind, _, rest = path.strip("/").partition("/")
    name, _, version = rest.rpartition("@") if "@" in rest.rpartition("/")[2] else (rest, "", "")
    unquote = urllib.parse.unquote
    return _Purl(kind.lower(), unquote(name), unquote(version), dict(urllib.parse.parse_qsl(query)))


def _is_product(product: str, finding: Finding) -> bool:
    wanted, found = _purl(product), _purl(finding.purl)
    if wanted is None:
        return product in {finding.package, finding.source_name}
    if wanted.kind == "oci":  # the image itself: all of it
        return True
    if found is None or wanted.kind != found.kind or not _same_name(wanted.name, found.name, finding):
        return False
    if wanted.version and not _same_version(wanted.version, finding):
        return False
    return all(
        _same_qualifier(key, value, found.qualifiers.get(key, "")) for key, value in wanted.qualifiers.items()
    )


def _same_name(wanted: str, found: str, finding: Finding) -> bool:
    folder = found.rpartition("/")[0]
    source = f"{folder}/{finding.source_name}" if folder else finding.source_name
    return wanted.lower() in {found.lower(), source.lower()}


def _same_version(wanted: str, finding: Finding) -> bool:
    versions = {finding.version, finding.source_version}
    plain = {one.partition(":")[2] or one for one in versions}
    return wanted in versions or (wanted.partition(":")[2] or wanted) in plain


def _same_qualifier(key: str, wanted: str, found: str) -> bool:
    if key not in _COMPARED or not found:
        return True
    # debian-12 and debian-12.15 are one release.
    return found == wanted or found.startswith(f"{wanted}.") or wanted.startswith(f"{found}.")


def write_vex(report: ScanReport, *, author: str, now: dt.datetime) -> str:
    """The findings of a judged report as an OpenVEX document.

    A finding is affected, with what mends it; one that the recipe ignores with a justification is not.
    """
    statements = [_written(one) for one in report.findings]
    words = json.dumps([report.subject, statements], sort_keys=True)
    document = {
        "@context": CONTEXT,
        "@id": f"urn:uuid:{uuid.uuid5(_NAMESPACE, hashlib.sha256(words.encode()).hexdigest())}",
        "author": author,
        "timestamp": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        "version": 1,
        "tooling": "rootlet",
        "statements": statements,
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _written(finding: Finding) -> dict[str, Any]:
    made: dict[str, Any] = {
        "vulnerability": {
            "name": finding.id,
            **({"aliases": list(finding.aliases)} if finding.aliases else {}),
        },
        "products": [{"@id": finding.purl, "identifiers": {"purl": finding.purl}}],
    }
    ignored = finding.ignored
    if ignored is not None and ignored.justification:
        return {
            **made,
            "status": "not_affected",
            "justification": ignored.justification,
            "impact_statement": ignored.reason,
        }
    action = finding.mend or "no fix yet"
    if ignored is not None:
        until = f" until {ignored.expires}" if ignored.expires is not None else ""
        action = f"accepted{until}: {ignored.reason}"
    return {**made, "status": "affected", "action_statement": action}

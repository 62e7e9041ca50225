"""What a scan found, what the gate made of it, and the image that the gate let through."""

from __future__ import annotations

import datetime as dt
from dataclasses import InitVar, dataclass
from pathlib import Path

from builder.inventory.model import Inventory
from builder.oci import Descriptor
from builder.recipe.model import Ignore, Severity

Ranges = tuple[tuple[tuple[str, str], ...], ...]
"""For each range its events (("introduced" | "fixed" | "last_affected", version), …) as written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advisory:
    """What one OSV record says of one package in one release of an ecosystem.

    ``package`` is a source package in Debian. ``release`` is "" where the ecosystem has none or the record
    names none. ``names`` are the record's aliases and upstream ids. ``versions`` are affected beside the
    ``ranges``. ``status`` is the raw word of the source ("unfixed", "no-dsa", …).
    """

    id: str
    names: tuple[str, ...]
    release: str
    package: str
    status: str
    severity: Severity
    ranges: Ranges
    versions: tuple[str, ...] = ()
    summary: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseMeta:
    """Where the data of one ecosystem comes from and how much it is.

    ``fetched`` is when this machine last learned that the data is current, ``newest`` the newest
    ``modified`` in it; both UTC. ``live`` says that it came from a server. ``refused`` counts records that
    were not OSV.
    ``coverage`` None: the whole ecosystem, else the source packages that a partial cut speaks of.
    """

    ecosystem: str
    source: str
    etag: str
    sha256: str
    fetched: dt.datetime
    newest: dt.datetime
    live: bool
    records: int
    refused: int
    advisories: int
    releases: tuple[str, ...]
    coverage: frozenset[str] | None

    @property
    def date(self) -> dt.datetime:
        """The date of the data: when it was fetched; for an imported file, its newest record."""
        return self.fetched if self.live else self.newest


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSummary:
    """The data a scan used: ``date`` as :class:`DatabaseMeta` says, ``age`` in seconds when it was used."""

    ecosystem: str
    source: str
    date: dt.datetime
    age: int
    records: int
    refused: int
    partial: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One vulnerability of one installed package. It does not know whether the policy minds it.

    ``id`` is the CVE where there is one; ``aliases`` are the other ids that were merged into it. ``fixed`` is
    the version that mends it, "" when none is known. ``ignored`` is the waiver of the recipe that covers it.
    """

    id: str
    aliases: tuple[str, ...]
    package: str
    version: str
    architecture: str
    purl: str
    source_name: str
    source_version: str
    fixed: str
    status: str
    severity: Severity
    summary: str = ""
    ignored: Ignore | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanReport:
    """Everything one scan found, before any policy.

    ``findings`` are sorted: worst first, then by id and package. Each of ``unscannable`` says why a part
    could not be judged; only an empty one means that the findings are all there is.
    """

    subject: str
    inventory: Inventory
    findings: tuple[Finding, ...]
    database: DatabaseSummary | None
    unscannable: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the policy makes of a report.

    ``reasons`` say why it did not pass (empty when it did), ``warnings`` what a person should still read.
    ``findings`` are the report's with waivers marked; ``over_limit`` those of them that the policy does
    not allow; ``unjudged`` the reasons that are about what could not be scanned.
    """

    passed: bool
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    findings: tuple[Finding, ...]
    over_limit: tuple[Finding, ...]
    unjudged: tuple[str, ...]


GATE_SEAL = object()
"""What makes an :class:`ApprovedImage`; builder/scan/gate.py alone uses it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovedImage:
    """An image that the gate let through: the only thing that publishing accepts.

    ``layout`` is the OCI layout folder with its blobs; ``descriptor`` what gets a name (a manifest, or the
    index of several); ``manifests`` the images judged, one a platform, each with its report and verdict in
    the same order. Made by :func:`builder.scan.gate.approve`; TypeError for anyone else.
    """

    layout: Path
    descriptor: Descriptor
    manifests: tuple[Descriptor, ...]
    reports: tuple[ScanReport, ...]
    verdicts: tuple[Verdict, ...]
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        if seal is not GATE_SEAL:
            raise TypeError("an ApprovedImage is made by builder.scan.gate.approve alone")

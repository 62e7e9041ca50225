"""What a scan found, what the gate made of it, and the image that the gate let through."""

from __future__ import annotations

import datetime as dt
from dataclasses import InitVar, dataclass
from pathlib import Path

from builder.inventory.model import Inventory
from builder.oci import Descriptor
from builder.policy.model import Breach, ImageFacts, Sightings
from builder.recipe.model import Ignore, Severity

Ranges = tuple[tuple[tuple[str, str], ...], ...]
"""For each range its events (("introduced" | "fixed" | "last_affected" | "limit", version), …) as written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advisory:
    """What one OSV record says of one package in one release of an ecosystem.

    ``package`` is spelled as :class:`builder.scan.ecosystems.Ecosystem` folds it. ``release`` is "" where
    the ecosystem has none or the record names none. ``names`` are the record's aliases and upstream ids.
    ``versions`` are affected beside the ``ranges``. ``status`` is the raw word of the source ("unfixed",
    "no-dsa", "unmaintained" …). ``module`` is the stream of a modular rpm erratum ("nodejs:18"). ``vector``
    is the CVSS vector with its ``score``, "" and None when the record has none that can be scored.
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
    module: str = ""
    vector: str = ""
    score: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """What is known of exploits of a CVE: whether CISA lists it; EPSS' forecast (0 to 1, None for none)."""

    kev: bool = False
    epss: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseMeta:
    """Where the data of one ecosystem comes from and how much it is.

    ``fetched`` is when this machine last learned that the data is current, ``newest`` the newest
    ``modified`` in it; both UTC. ``live`` says that it came from a server. ``refused`` counts records that
    were not OSV. ``size``: bytes on this machine's disk.
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
    size: int
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

    ``id`` is the CVE where there is one; ``aliases`` are the other ids that were merged into it.
    ``ecosystem`` is the one whose data says so. ``source_version`` is the version that was compared.
    ``fixed`` is the version that mends it, "" when none is known. ``status`` is the raw word of the data.
    ``score`` is that of the CVSS ``vector``, None and "" without one. ``kev``: CISA knows that it is
    exploited; ``epss``: how probable that is within 30 days (0 to 1), None where nobody says. ``ignored`` is
    the waiver of the recipe, or the OpenVEX statement, that covers it. ``known``: an earlier report has it.

    ``place`` is the file that brings the package in (builder/scan/explain.py), ``because`` what asked for it
    and the files that lead there, () where nobody has written it down; ``mend`` is what takes it away.
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
    ecosystem: str = "Debian"
    score: float | None = None
    vector: str = ""
    kev: bool = False
    epss: float | None = None
    summary: str = ""
    ignored: Ignore | None = None
    known: bool = False
    place: str = ""
    because: tuple[str, ...] = ()
    mend: str = ""


_NOTHING_SEEN = Sightings()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanReport:
    """Everything one scan found, before any policy.

    ``databases`` is the data that was used, the distribution's first. ``supported_until``: the last day on
    which the distribution's release gets security updates, None where nobody knows (D10).
    ``findings`` are sorted: worst first, then by id and package. Each of ``unscannable`` says why a part
    could not be judged; only an empty one means that the findings are all there is.
    """

    subject: str
    inventory: Inventory
    findings: tuple[Finding, ...]
    databases: tuple[DatabaseSummary, ...]
    unscannable: tuple[str, ...]
    supported_until: dt.date | None = None
    sightings: Sightings = _NOTHING_SEEN
    facts: ImageFacts | None = None
    """What the image says of itself; None for a folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the policy makes of a report.

    ``reasons`` say why it did not pass (empty when it did), ``warnings`` what a person should still read.
    ``findings`` are the report's with waivers marked; ``over_limit`` those of them that the policy does
    not allow; ``unjudged`` the reasons that are about what could not be scanned; ``breaches`` where the image
    is not what ``[policy]`` asks for.
    """

    passed: bool
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    findings: tuple[Finding, ...]
    over_limit: tuple[Finding, ...]
    unjudged: tuple[str, ...]
    breaches: tuple[Breach, ...] = ()


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

"""How much trust a set places in each source, and the cheapest way to control a share of it.

What is counted are facts of the manifest and of `sources.toml`; the weights below are judgement, not measurement, and each risk comes
with its reasons. The count of domains or accounts that hold a share of a set is that of Carlini et al. 2023 (arXiv 2302.10149), table I.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from untaint.provenance.fresh import fresh_of
from untaint.provenance.sealed import Seal
from untaint.provenance.sources import Source, Sources

UNNAMED: Final = "(no source)"
SHARES: Final = (0.0001, 0.001, 0.01, 0.1)
"""Of a set; .01 % was enough for the attacks that Carlini et al. cite."""
FRESH: Final = timedelta(days=7)
"""Before the newest sample: long enough to edit ahead of a dump, short beside the months that honest data span."""
_AGE = timedelta(days=365)  # of a vetting that is old: a year, as certificates and audits are renewed
_KINDS: Mapping[str, tuple[float, str]] = {
    "pinned": (0.02, "bytes that are pinned by a digest"),
    "internal": (0.05, "made in-house"),
    "contractor": (0.2, "made by people paid per sample, whose accounts can be had"),
    "api": (0.3, "an interface that may answer otherwise next time"),
    "live-url": (0.4, "live URLs: whoever holds the domain decides what they show"),
    "scrape": (0.5, "scraped: whoever holds one of the sites decides what it shows"),
    "crowd": (0.6, "anybody can edit it"),
}
"""Risk of a kind by itself: how many strangers can change what it sends."""
_UNLISTED, _UNVETTED, _EXPIRED, _OLD, _OWNER, _STRAY = 0.5, 0.3, 0.3, 0.1, 0.2, 0.5
_HOST = r"^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?(?P<host>[^/:?#]+)"
_OPEN = frozenset({"api", "live-url", "scrape", "crowd", "contractor", None})
"""Kinds of which a stranger can own a part; None = unlisted."""


@final
@dataclass(frozen=True)
class SourceRisk:
    """One source. risk: 0–1, high is bad.  reasons: what it is made of.  stray: samples from hosts it is not expected to use.

    fresh: samples that the seal marks as such; where it marks none, those collected in the last week before the newest of the set.
    """

    name: str
    samples: int
    share: float
    risk: float
    reasons: tuple[str, ...]
    listed: bool
    hosts: int
    stray: int
    fresh: int


@final
@dataclass(frozen=True)
class Takeover:
    """The fewest domains and accounts that hold a share of a set. held: what they hold.  names: the largest of them."""

    share: float
    domains: int
    accounts: int
    held: float
    names: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """In words."""
        what = [
            f"{n:,} {one if n == 1 else many}"
            for n, one, many in ((self.domains, "domain", "domains"), (self.accounts, "account or source", "accounts or sources"))
            if n
        ]
        return f"{self.share:.2%} of the set: {' and '.join(what)} ({', '.join(self.names)}), which hold {self.held:.2%}"


@final
@dataclass(frozen=True)
class Exposure:
    """All of a set. takeovers: none for a share that no stranger can reach."""

    sources: tuple[SourceRisk, ...]
    takeovers: tuple[Takeover, ...]


@final
@dataclass
class _Counts:
    hosts: Counter[str] = field(default_factory=Counter)
    samples: int = 0
    fresh: int = 0


def exposure(seal: Seal, sources: Sources, today: date, hits: Mapping[str, float] | None = None) -> Exposure:
    """Risks of every source, the highest first. hits: share of a source's samples that an audit flagged."""
    marked = fresh_of(seal)
    counts = _counted(seal, None if marked is None else marked.mask())
    total = max(1, sum(found.samples for found in counts.values()))
    named = sources.named()
    why = f"are fresh: {marked.why}" if marked else "were collected in the last week before the newest"
    risks = [_risk(name, found, total, named.get(name), (today, why, (hits or {}).get(name))) for name, found in counts.items()]
    units = _units(counts, named)
    takeovers = (_takeover(share, units, total) for share in SHARES)
    return Exposure(tuple(sorted(risks, key=lambda risk: (-risk.risk, -risk.samples))), tuple(filter(None, takeovers)))


def _counted(seal: Seal, marks: np.ndarray | None) -> dict[str, _Counts]:
    """Samples by source and host, a batch at a time. marks: (n,) which are fresh, None = as their times say."""
    counts, start = defaultdict[str, _Counts](_Counts), 0
    newest = _newest(seal) if marks is None else None
    for batch in seal.manifest.batches(["source", "url", "collected_at"]):
        names = pc.fill_null(batch.column("source"), UNNAMED)
        hosts = pc.fill_null(pc.utf8_lower(pc.struct_field(pc.extract_regex(batch.column("url"), _HOST), "host")), "")
        here = np.zeros(batch.num_rows, np.int64) if marks is None else marks[start : start + batch.num_rows].astype(np.int64)
        fresh = pa.array(here) if newest is None else _fresh(batch.column("collected_at"), newest)
        start += batch.num_rows
        table = pa.table({"source": names, "host": hosts, "fresh": fresh, "one": np.ones(batch.num_rows, np.int64)})
        for row in table.group_by(["source", "host"]).aggregate([("one", "sum"), ("fresh", "sum")]).to_pylist():
            found = counts[row["source"]]
            found.samples += row["one_sum"]
            found.fresh += row["fresh_sum"] or 0
            if row["host"]:
                found.hosts[row["host"]] += row["one_sum"]
    return counts


def _newest(seal: Seal) -> datetime | None:
    latest = (pc.max(batch.column("collected_at")).as_py() for batch in seal.manifest.batches(["collected_at"]))
    return max((time for time in latest if time is not None), default=None)


def _fresh(times: pa.Array, newest: datetime) -> pa.Array:
    return pc.fill_null(pc.greater(times, pa.scalar(newest - FRESH, times.type)), False).cast(pa.int64())


def _risk(name: str, found: _Counts, total: int, source: Source | None, known: tuple[date, str, float | None]) -> SourceRisk:
    """One minus the product of what each reason leaves. known: the date, what fresh means, what an audit flagged."""
    today, why, hits = known
    stray = sum(count for host, count in found.hosts.items() if not source.expects(host)) if source and source.hosts else 0
    reasons = list(_reasons(source, today, stray / max(1, found.samples)))
    if source is not None and found.fresh > found.samples / 2 and found.samples > 1:
        reasons.append((_OLD, f"{found.fresh:,} of its samples {why}"))
    if hits:
        reasons.append((min(1.0, 10 * hits), f"an audit flagged {hits:.2%} of its samples"))
    risk = 1 - float(np.prod([1 - weight for weight, _ in reasons])) if reasons else 0.0
    told = tuple(reason for _, reason in reasons)
    return SourceRisk(
        name, found.samples, found.samples / total, risk, told, source is not None, len(found.hosts), stray, found.fresh
    )


def _reasons(source: Source | None, today: date, stray: float) -> Iterator[tuple[float, str]]:
    if source is None:
        yield _UNLISTED, "not listed in sources.toml"
        return
    if source.kind is not None:
        yield _KINDS[source.kind]
    if source.vetted_by is None or source.vetted_on is None:
        yield _UNVETTED, "nobody has vetted it"
    elif source.expires is not None and source.expires < today:
        yield _EXPIRED, f"its vetting expired on {source.expires}"
    elif source.vetted_on < today - _AGE:
        yield _OLD, f"it was vetted on {source.vetted_on}, more than a year ago"
    if source.owner_changes:
        yield min(0.8, _OWNER * source.owner_changes), f"its owner changed {source.owner_changes} times"
    if stray:
        yield _STRAY, f"{stray:.1%} of its samples come from hosts it is not expected to use"


def _units(counts: Mapping[str, _Counts], named: Mapping[str, Source]) -> list[tuple[int, str, bool]]:
    """What a stranger can own: domains where samples have URLs, else the source; its samples, its name, whether it is a domain."""
    domains, units = Counter[str](), []
    for name, found in counts.items():
        source = named.get(name)
        if (source.kind if source else None) not in _OPEN:
            continue
        domains.update(found.hosts)
        rest = found.samples - found.hosts.total()
        if rest and name != UNNAMED:
            units.append((rest, name, False))
    return sorted([*units, *((count, host, True) for host, count in domains.items())], reverse=True)


def _takeover(share: float, units: Sequence[tuple[int, str, bool]], total: int) -> Takeover | None:
    """The largest first, until they hold enough: no other choice takes fewer."""
    held = np.cumsum([count for count, _, _ in units])
    wanted = share * total
    place = int(np.searchsorted(held, wanted))
    if place >= len(units):
        return None
    chosen = units[: place + 1]
    domains = sum(is_domain for _, _, is_domain in chosen)
    names = tuple(name for _, name, _ in chosen[:3])
    return Takeover(share, domains, len(chosen) - domains, float(held[place]) / total, names)

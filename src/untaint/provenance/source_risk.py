"""How much trust a set places in each source, and the cheapest way to control a share of it.

What is counted are facts of the manifest and of `sources.toml`; what they weigh is judgement (`risk_reasons`), and each risk comes with
its reasons. The count of domains or accounts that hold a share of a set is that of Carlini et al. 2023 (arXiv 2302.10149), table I.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Final, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from untaint.provenance.coverage import Coverage, coverage
from untaint.provenance.fresh import DAYS, fresh_of
from untaint.provenance.risk_reasons import Facts, reasons
from untaint.provenance.sealed import Seal
from untaint.provenance.sources import UNNAMED, Source, Sources

SHARES: Final = (0.0001, 0.001, 0.01, 0.1)
"""Of a set; .01 % was enough for the attacks that Carlini et al. cite."""
FRESH: Final = timedelta(days=DAYS)
"""Before the newest sample."""
_HOST = r"^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?(?P<host>[^/:?#]+)"
_OPEN = frozenset({"api", "live-url", "scrape", "crowd", "contractor", None})
"""Kinds of which a stranger can own a part; None = unlisted."""


@final
@dataclass(frozen=True)
class SourceRisk:
    """One source. risk: 0–1, high is bad.  reasons: what it is made of.  stray: samples from hosts it is not expected to use.

    fresh: samples that the seal marks as such; where it marks none, those collected in the last week before the newest of the set.
    coverage: those that came with a digest.
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
    coverage: Coverage


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
        return f"{self.share:.2%} of the set: {' and '.join(what)} ({', '.join(self.names)}) with {self.held:.2%}"


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
    covered = coverage(seal).sources
    known = {name: Facts(today, why, (hits or {}).get(name), covered.get(name, Coverage())) for name in counts}
    risks = [_risk(name, found, total, named.get(name), known[name]) for name, found in counts.items()]
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


def _risk(name: str, found: _Counts, total: int, source: Source | None, known: Facts) -> SourceRisk:
    """One minus the product of what each reason leaves."""
    stray = sum(count for host, count in found.hosts.items() if not source.expects(host)) if source and source.hosts else 0
    why = list(reasons(source, replace(known, samples=found.samples, stray=stray, fresh=found.fresh)))
    risk = 1 - float(np.prod([1 - weight for weight, _ in why])) if why else 0.0
    told, listed, hosts = tuple(reason for _, reason in why), source is not None, len(found.hosts)
    return SourceRisk(name, found.samples, found.samples / total, risk, told, listed, hosts, stray, found.fresh, known.coverage)


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

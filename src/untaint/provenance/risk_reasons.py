"""Why a source is risky, and what each reason weighs: judgement, not measurement, so every risk is told with its reasons."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TypeAlias, final

from untaint.provenance.coverage import Coverage
from untaint.provenance.sources import Source

Reason: TypeAlias = tuple[float, str]
"""Its weight, 0–1, and the words for it."""
_AGE = timedelta(days=365)  # of a vetting that is old: a year, as certificates and audits are renewed
_KINDS: Mapping[str, Reason] = {
    "pinned": (0.02, "bytes that are pinned by a digest"),
    "internal": (0.05, "made in-house"),
    "contractor": (0.2, "made by people paid per sample, whose accounts can be had"),
    "api": (0.3, "an interface that may answer otherwise next time"),
    "live-url": (0.4, "live URLs: whoever holds the domain decides what they show"),
    "scrape": (0.5, "scraped: whoever holds one of the sites decides what it shows"),
    "crowd": (0.6, "anybody can edit it"),
}
"""Risk of a kind by itself: how many strangers can change what it sends."""
_MUTABLE = frozenset({"api", "live-url", "scrape", "crowd"})
_SPARED = 0.5
"""Of the risk of what strangers can change: bytes that somebody saw earlier were not exchanged since, and are no better for it."""
_UNLISTED, _UNVETTED, _EXPIRED, _OLD, _OWNER, _STRAY = 0.5, 0.3, 0.3, 0.1, 0.2, 0.5
_UNPINNED, _WRONG, _BOGUS, _AGED = 0.3, 0.5, 0.1, 0.1


@final
@dataclass(frozen=True)
class Facts:
    """What is known of a source beside what people wrote.

    why: what fresh means.  hits: share of its samples that an audit flagged.  coverage: digests that they came with.  samples, stray,
    fresh: counts, of all, from hosts it is not expected to use, that came just before the snapshot.
    """

    today: date
    why: str = "are fresh"
    hits: float | None = None
    coverage: Coverage = field(default_factory=Coverage)
    samples: int = 0
    stray: int = 0
    fresh: int = 0


def reasons(source: Source | None, found: Facts) -> Iterator[Reason]:
    """All that speaks against a source. source: None = it is not listed."""
    if source is None:
        yield _UNLISTED, "not listed in sources.toml"
    else:
        yield from _of_its_kind(source, found.coverage)
        yield from _of_its_vetting(source, found.today)
        if found.stray:
            yield _STRAY, f"{found.stray / max(1, found.samples):.1%} of its samples come from hosts it is not expected to use"
        if found.fresh > found.samples / 2 and found.samples > 1:
            yield _OLD, f"{found.fresh:,} of its samples {found.why}"
    yield from _of_its_digests(found.coverage)
    if found.hits:
        yield min(1.0, 10 * found.hits), f"an audit flagged {found.hits:.2%} of its samples"


def _of_its_kind(source: Source, coverage: Coverage) -> Iterator[Reason]:
    if source.kind is None:
        return
    weight, why = _KINDS[source.kind]
    if source.kind in _MUTABLE and coverage.fit:
        yield weight * (1 - _SPARED * coverage.share), f"{why}; {coverage.share:.0%} of its samples fit the digest they came with"
        return
    yield weight, why
    if source.kind == "pinned" and coverage.share < 1:
        missing = "no sample came with one that fits" if not coverage.fit else f"only {coverage.share:.0%} of its samples fit one"
        yield _UNPINNED * (1 - coverage.share), f"it is said to be pinned by a digest, and {missing}"


def _of_its_vetting(source: Source, today: date) -> Iterator[Reason]:
    if source.vetted_by is None or source.vetted_on is None:
        yield _UNVETTED, "nobody has vetted it"
    elif source.expires is not None and source.expires < today:
        yield _EXPIRED, f"its vetting expired on {source.expires}"
    elif source.vetted_on < today - _AGE:
        yield _OLD, f"it was vetted on {source.vetted_on}, more than a year ago"
    if source.owner_changes:
        yield min(0.8, _OWNER * source.owner_changes), f"its owner changed {source.owner_changes} times"


def _of_its_digests(coverage: Coverage) -> Iterator[Reason]:
    if coverage.wrong and not coverage.recoded:
        yield _WRONG, f"{coverage.wrong:,} of its samples are not what the digest they came with says"
    if coverage.bogus:
        yield _BOGUS, f"{coverage.bogus:,} of its samples hold something else where a digest should be"
    if coverage.aged and not coverage.recoded:
        yield _AGED, f"{coverage.aged:,} of its samples came with MD5 or SHA-1 only, of which two contents can be made to fit one"

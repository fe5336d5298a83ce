"""Samples that came shortly before a snapshot: first seen since an earlier seal, edited since, or collected in its last days.

Whoever knows when a snapshot is taken of what anybody can edit edits just before, so that nobody sees it in time (frontrunning: Carlini et
al. 2023, arXiv 2302.10149). Honest data have bursts of their own, so a mark accuses nobody; it is evidence beside other evidence.

`fresh.parquet` in the folder of a seal, a row per marked sample. A record can lie about its time, and not about what an earlier seal holds.
"""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pandas.util import hash_array

from untaint.errors import BadInput
from untaint.provenance.changes import count
from untaint.provenance.manifest import Manifest, sha256_of
from untaint.provenance.sealed import Seal, folder_for, read_seal

TABLE: Final = "fresh.parquet"
MARKS = pa.schema(
    [
        ("row", pa.int64()),  # of the manifest
        ("new", pa.bool_()),  # no earlier seal holds its content
        ("edited", pa.bool_()),  # one holds its URL with another content, or its content with another label
        ("late", pa.bool_()),  # collected within the window before the snapshot
    ]
)
DAYS: Final = 7.0
"""Long enough to edit ahead of a dump, short beside the months that honest data span."""
_COLUMNS = ("id", "label", "url", "collected_at")


@final
@dataclass(frozen=True)
class Window:
    """What counts as fresh. earlier: seals of earlier versions.  snapshot: when this one was taken, None = its newest time up to now."""

    earlier: Sequence[Seal] = ()
    days: float = DAYS
    snapshot: datetime | None = None


@final
@dataclass(frozen=True)
class Fresh:
    """The marks of a seal. marked: samples that are.  counts: of new, edited, late.  earlier: how many seals were looked at."""

    path: Path
    marked: int
    counts: Mapping[str, int]
    samples: int
    earlier: int
    days: float
    snapshot: str

    def mask(self) -> np.ndarray:
        """(n,) whether each sample is marked."""
        found = np.zeros(self.samples, bool)
        with pq.ParquetFile(self.path) as file:
            for batch in file.iter_batches(columns=["row"]):
                found[batch.column("row").to_numpy()] = True
        return found

    @property
    def why(self) -> str:
        """What a mark means."""
        told = ["first seen or edited since an earlier seal"] if self.earlier else []
        told += [f"collected in the {self.days:g} days before {self.snapshot}"] if self.snapshot else []
        return ", or ".join(told)

    @property
    def sentence(self) -> str:
        """In words."""
        told = [f"{self.counts['new']:,} first seen", f"{self.counts['edited']:,} edited"] if self.earlier else []
        told = [f"{' and '.join(told)} since {count(self.earlier, 'earlier seal', 'earlier seals')}"] if told else []
        told += [f"{self.counts['late']:,} collected in the {self.days:g} days before {self.snapshot}"] if self.snapshot else []
        return f"fresh: {count(self.marked, 'sample', 'samples')} ({self.marked / max(1, self.samples):.1%}); {', '.join(told)}"


def earlier_seals(folder: Path, named: Sequence[Path] = ()) -> list[Seal]:
    """Seals of earlier versions: the one in a folder that is about to be replaced, those it replaced, and what the user named.

    named: data with a seal beside them, or folders of seals.  Raises BadInput where one of those has no seal.
    """
    own = [folder, *sorted((folder / "earlier").glob("*"))]
    found = [read_seal(path) for path in own if (path / "statement.json").is_file()]
    return found + [read_seal(path if (path / "statement.json").is_file() else folder_for(path)) for path in named]


def window(earlier: Sequence[Seal], days: float, snapshot: datetime | None) -> Window:
    """A window from flags. Raises BadInput for one of no length, and for an earlier seal whose manifest is damaged."""
    if not 0 < days <= 36_500:
        raise BadInput(f"--fresh-days is {days:g}.", advice="Give a number of days above 0.")
    for seal in earlier:
        seal.manifest.check()  # whoever adds samples to it hides that they are new
    return Window(earlier, days, snapshot if snapshot is None or snapshot.tzinfo else snapshot.replace(tzinfo=UTC))


def write_marks(path: Path, manifest: Manifest, chosen: Window) -> str | None:
    """Mark the samples of a manifest; the file's SHA-256, None = there is nothing to tell by, and no file.

    Memory: 24 bytes a sample of the earlier seals.
    """
    snapshot = chosen.snapshot or _newest(manifest)
    if snapshot is None and not chosen.earlier:
        return None
    known, start, counts, samples = _Known(chosen.earlier), 0, dict.fromkeys(MARKS.names[1:], 0), 0
    with pq.ParquetWriter(path, MARKS, compression="zstd") as writer:
        for batch in manifest.batches(list(_COLUMNS)):
            new, edited = known.look(batch)
            late = _late(batch.column("collected_at"), snapshot, chosen.days)
            rows = np.flatnonzero(new | edited | late)
            for name, marks in zip(counts, (new, edited, late), strict=True):
                counts[name] += int(marks.sum())
            columns = [pa.array(start + rows), *(pa.array(marks[rows]) for marks in (new, edited, late))]
            writer.write_table(pa.Table.from_arrays(columns, schema=MARKS))
            start += batch.num_rows
            samples += batch.num_rows
        facts = {name: str(number) for name, number in counts.items()}
        facts |= {"samples": str(samples), "earlier": str(len(chosen.earlier)), "days": f"{chosen.days:g}"}
        writer.add_key_value_metadata(facts | {"snapshot": f"{snapshot:%Y-%m-%d}" if snapshot else ""})
    return sha256_of(path)


def fresh_of(seal: Seal) -> Fresh | None:
    """The marks of a seal, None = it has none. Raises BadInput where they are not those that were sealed."""
    path = seal.table_path(TABLE)
    if path is None:
        return None
    found = pq.read_metadata(path)
    facts = {name.decode(): value.decode() for name, value in found.metadata.items()}
    counts = {name: int(facts[name]) for name in MARKS.names[1:]}
    return Fresh(
        path, found.num_rows, counts, int(facts["samples"]), int(facts["earlier"]), float(facts["days"]), facts["snapshot"]
    )


def notes_of(seal: Seal) -> list[str]:
    """What a seal marks, in words; empty where it marks nothing."""
    found = fresh_of(seal)
    return [] if found is None else [found.sentence]


@final
@dataclass
class _Known:
    """What earlier seals hold, as 64 bits of a hash with a secret key each, so that nobody can make content that collides."""

    earlier: Sequence[Seal]
    _key: str = field(default_factory=lambda: secrets.token_hex(8))
    _odd: np.ndarray = field(default_factory=lambda: np.array([secrets.randbits(64) | 1 for _ in range(4)], np.uint64))

    def __post_init__(self) -> None:
        size = sum(seal.sealed.size for seal in self.earlier)
        self._ids, self._labelled, self._urls = (np.empty(size, np.uint64) for _ in range(3))
        start = urls = 0
        for batch in (batch for seal in self.earlier for batch in seal.manifest.batches(list(_COLUMNS[:3]))):
            found = self._hashes(batch)
            end = start + batch.num_rows
            self._ids[start:end], self._labelled[start:end] = found[:2]
            self._urls[urls : urls + len(found[2])] = found[2]
            start, urls = end, urls + len(found[2])
        self._urls = self._urls[:urls]
        for known in (self._ids, self._labelled, self._urls):
            known.sort()  # in place

    def look(self, batch: pa.RecordBatch) -> tuple[np.ndarray, np.ndarray]:
        """(b,) which samples are new, (b,) which are edited; none of them where there is no earlier seal."""
        if not self.earlier:
            return np.zeros(batch.num_rows, bool), np.zeros(batch.num_rows, bool)
        ids, labelled, urls = self._hashes(batch, every=True)
        new, there = ~_among(ids, self._ids), np.asarray(batch.column("url").is_valid())
        return new, np.where(new, there & _among(urls, self._urls), ~_among(labelled, self._labelled))

    def _hashes(self, batch: pa.RecordBatch, *, every: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of ids, of ids with their labels, of URLs. every: one for a sample without a URL as well."""
        ids = (_words(batch.column("id")) * self._odd).sum(axis=1, dtype=np.uint64)
        labels, urls = (self._texts(batch.column(name)) for name in ("label", "url"))
        urls = urls if every else urls[np.asarray(batch.column("url").is_valid())]
        return ids, ids ^ (labels * self._odd[0]), urls

    def _texts(self, column: pa.Array) -> np.ndarray:
        coded = pc.dictionary_encode(column.fill_null(""))
        words = np.array(coded.dictionary.to_pylist(), object)
        return hash_array(words, hash_key=self._key, categorize=False)[np.asarray(coded.indices)] if len(words) else _EMPTY


_EMPTY = np.empty(0, np.uint64)


def _words(ids: pa.Array) -> np.ndarray:
    """(b, 4) digests as words."""
    raw = np.frombuffer(ids.buffers()[1], np.uint8)[ids.offset * 32 : (ids.offset + len(ids)) * 32]
    return raw.view("<u8").reshape(-1, 4)


def _among(found: np.ndarray, known: np.ndarray) -> np.ndarray:
    if not len(known):
        return np.zeros(len(found), bool)
    order, there = np.argsort(found), np.empty(len(found), bool)  # neighbours in `known` lie in the same piece of memory
    places = np.minimum(np.searchsorted(known, found[order]), len(known) - 1)
    there[order] = known[places] == found[order]
    return there


def _newest(manifest: Manifest) -> datetime | None:
    """The newest time up to now: one in the future is a mistake, or is there to move the window."""
    now = datetime.now(UTC)
    return max((time for time in _times(manifest, now) if time is not None), default=None)


def _times(manifest: Manifest, now: datetime) -> Iterator[datetime | None]:
    for batch in manifest.batches(["collected_at"]):
        times = batch.column("collected_at")
        yield pc.max(times.filter(pc.less_equal(times, pa.scalar(now, times.type)))).as_py()


def _late(times: pa.Array, snapshot: datetime | None, days: float) -> np.ndarray:
    if snapshot is None:
        return np.zeros(len(times), bool)
    since = pa.scalar(snapshot - timedelta(days=days), times.type)
    return np.asarray(pc.fill_null(pc.greater(times, since), False))

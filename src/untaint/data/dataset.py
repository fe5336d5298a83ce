"""The data set every part works on: an index in memory, payloads on demand.

The index (ids, paths, labels, sources …) is one small Arrow table; payloads (encoded images, arrays, texts) stay where
they lie until rows are asked for, so a set larger than memory costs its index and one batch.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TypeAlias, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from typing_extensions import override

from untaint.data.parts import Columnar, Run, rearranged
from untaint.errors import BadInput
from untaint.types import Image, Modality, Rows

Payload: TypeAlias = bytes | np.ndarray | str
"""An encoded image, a decoded image array (h, w) or (h, w, c), or a text."""

INDEX = pa.schema(
    [
        ("id", pa.string()),  # SHA-256 of the payload, hexadecimal
        ("path", pa.string()),  # where a person finds the sample: a file, a tar member, "data.parquet#17"
        ("label", pa.string()),  # null = unlabelled
        ("source", pa.string()),  # null = unknown
        ("collected_at", pa.timestamp("us", "UTC")),  # null = unknown
        ("unreadable", pa.string()),  # null = fine, else why the payload cannot be used
    ]
)


_UNIQUE = frozenset({"id", "path"})
"""Columns with another value in nearly every row; of the others each different value is one Python object."""
_AT_ONCE = 65_536  # values of a column that are Python objects at a time


class Store(ABC):
    """Where payloads lie. Reading never runs code found in the data."""

    @abstractmethod
    def read(self, rows: Rows) -> list[Payload]:
        """The payloads of these rows, in the order asked for."""


@final
@dataclass(frozen=True)
class MemoryStore(Store):
    """Payloads already in memory: arrays, lists of texts or of bytes."""

    payloads: Sequence[Payload] | np.ndarray

    @override
    def read(self, rows: Rows) -> list[Payload]:
        return [self.payloads[int(row)] for row in rows]


@final
@dataclass(frozen=True)
class ViewStore(Store):
    """Some rows of another store, with some payloads replaced or added."""

    base: Store
    rows: Rows  # row of `base` each row stands for; -1 = only in `changed`
    changed: Mapping[int, Payload] = field(default_factory=dict)

    @override
    def read(self, rows: Rows) -> list[Payload]:
        unchanged = [int(row) for row in rows if int(row) not in self.changed]
        found = dict(zip(unchanged, self.base.read(self.rows[unchanged]), strict=True)) if unchanged else {}
        return [self.changed[int(row)] if int(row) in self.changed else found[int(row)] for row in rows]


@dataclass(frozen=True)
class Columns:
    """Which column plays which role, and how that was decided; None = absent. table, query: where in a database they come from."""

    payload: str | None = None
    label: str | None = None
    source: str | None = None
    note: str = ""
    time: str | None = None
    table: str | None = None
    query: str | None = None


@final
@dataclass(frozen=True)
class Dataset:
    """An immutable, lazily read set of samples in input order.

    index: the Arrow table of `INDEX`.  store: payloads by row.  format: the reader's id, the format `clean` writes again.
    location: the path it came from, None when it was built in Python.  notes: what a reader wants a person to know.
    """

    index: pa.Table
    store: Store
    modality: Modality
    format: str
    location: Path | None = None
    columns: Columns = Columns()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.index.schema.names != INDEX.names:
            raise BadInput(f"a data set's index needs the columns {INDEX.names}, not {self.index.schema.names}.")

    def __len__(self) -> int:
        return int(self.index.num_rows)

    @cached_property
    def ids(self) -> list[str]:
        """Content digest of every sample."""
        return self.column("id")  # type: ignore[return-value]

    @cached_property
    def labels(self) -> list[str | None]:
        """Label of every sample as written in the data."""
        return self.column("label")

    def column(self, name: str) -> list[str | None]:
        """One column of the index as a list; the times are `times`."""
        if name in _UNIQUE:
            values: list[str | None] = self.index.column(name).to_pylist()
            return values
        codes, words = self.codes(name)
        said = [*words, None]
        return [said[code] for code in codes.tolist()]

    def codes(self, name: str) -> tuple[np.ndarray, list[str]]:
        """(n,) place of every row's value among the different ones of a column, in the order in which they come, -1 = null; and those."""
        held = self.index.column(name)
        different = held.drop_null().unique()
        places = pc.fill_null(pc.index_in(held, value_set=different), -1)
        return np.asarray(places.to_numpy(), np.int64), different.to_pylist()

    @cached_property
    def times(self) -> np.ndarray:
        """(n,) when each sample was collected, datetime64[us] in UTC, NaT = unknown."""
        return np.asarray(self.index.column("collected_at").cast(pa.timestamp("us")).to_numpy())

    @cached_property
    def class_names(self) -> list[str]:
        """Distinct labels, numbers in numeric order, the rest alphabetically."""
        return sorted(self.codes("label")[1], key=_natural)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over ids, labels, sources, unreadable rows and times in order: changes when anything an audit sees changes."""
        hasher = hashlib.sha256()
        for name in ("id", "label", "source", "unreadable"):
            # Lengths first: whoever writes a label must not be able to move a border between two of them.
            for place, values in enumerate(_some(self.index.column(name))):
                lengths = ",".join("-" if value is None else str(len(value)) for value in values)
                hasher.update(f"{',' if place else ''}{lengths}".encode())
            hasher.update(b";")
            for values in _some(self.index.column(name)):
                hasher.update("".join(value or "" for value in values).encode())
        if self.index.column("collected_at").null_count < len(self):
            hasher.update(self.times.astype("<i8").tobytes())
        return hasher.hexdigest()

    def read(self, rows: Rows | Sequence[int]) -> list[Payload]:
        """Payloads of some rows."""
        return self.store.read(np.asarray(rows, dtype=np.int64))

    def runs(self) -> Iterator[Run] | None:
        """The cells of a table by column, every row once; None = the store has only the text of each row."""
        return _runs(self.store)

    def images(self, rows: Rows | Sequence[int]) -> list[Image]:
        """Decoded images (h, w, c) of some rows. Raises BadInput for a row that cannot be decoded."""
        from untaint.data.images import decode

        return [decode(payload) for payload in self.read(rows)]

    def batches(self, size: int = 1024) -> Iterator[Rows]:
        """Row numbers in consecutive runs of at most `size`."""
        for start in range(0, len(self), size):
            yield np.arange(start, min(start + size, len(self)))

    def select(self, rows: Rows | Sequence[int]) -> "Dataset":
        """These rows, in this order."""
        chosen = np.asarray(rows, dtype=np.int64)
        return replace(self, index=self.index.take(pa.array(chosen)), store=ViewStore(self.store, chosen))

    def edited(
        self,
        payloads: Mapping[int, Payload],
        labels: Mapping[int, str],
        sources: Mapping[int, str] | None = None,
        times: Mapping[int, np.datetime64] | None = None,
    ) -> "Dataset":
        """A copy in which some rows have another payload, label, source or time; ids follow the content."""
        ids, names = list(self.ids), list(self.labels)
        for row, payload in payloads.items():
            ids[row] = content_id(payload)
        for row, label in labels.items():
            names[row] = label
        table = _with_column(_with_column(self.index, "id", ids), "label", names)
        if sources:
            senders = self.column("source")
            table = _with_column(table, "source", [sources.get(row, sender) for row, sender in enumerate(senders)])
        if times:
            moments = self.times.copy()
            moments[list(times)] = list(times.values())
            table = timed(table, moments)
        store = ViewStore(self.store, np.arange(len(self)), dict(payloads))
        return replace(self, index=table, store=store)

    def extended(
        self,
        payloads: Sequence[Payload],
        labels: Sequence[str | None],
        sources: Sequence[str | None],
        times: np.ndarray | None = None,
    ) -> "Dataset":
        """A copy with samples added at the end. times: when they were collected, datetime64, None = unknown."""
        n, added = len(self), range(len(payloads))
        extra = make_index(payloads, labels=labels, sources=sources, paths=[f"added#{i}" for i in added])
        extra = extra if times is None else timed(extra, times)
        rows = np.concatenate([np.arange(n), np.full(len(payloads), -1)])
        store = ViewStore(self.store, rows, {n + i: payloads[i] for i in added})
        return replace(self, index=pa.concat_tables([self.index, extra]), store=store)


def _some(column: pa.ChunkedArray) -> Iterator[list[str | None]]:
    """A column some values at a time; at least one time."""
    for start in range(0, max(1, len(column)), _AT_ONCE):
        yield column.slice(start, _AT_ONCE).to_pylist()


def _runs(store: Store) -> Iterator[Run] | None:
    """Of a view, those of the rows it shows; what it changed is read as text."""
    if isinstance(store, Columnar):
        return store.runs()
    if not isinstance(store, ViewStore):
        return None
    kept = np.flatnonzero(store.rows >= 0)
    kept = kept[~np.isin(kept, list(store.changed))] if store.changed else kept
    shown = store.rows[kept]
    below = _runs(store.base)
    if below is None or len(np.unique(shown)) < len(shown):
        return None
    rest = np.setdiff1d(np.arange(len(store.rows)), kept)
    return chain(((kept[places], parts) for places, parts in rearranged(below, shown)), [(rest, None)] if len(rest) else [])


def timed(index: pa.Table, times: np.ndarray) -> pa.Table:
    """An index with other times (n,), datetime64, NaT = unknown."""
    place = INDEX.get_field_index("collected_at")
    column = pa.array(times.astype("datetime64[us]")).cast(INDEX.field(place).type)
    return index.set_column(place, INDEX.field(place), column)


def content_id(payload: Payload) -> str:
    """SHA-256 of a payload: of its bytes, its UTF-8 text, or an array's dtype, shape and bytes."""
    if isinstance(payload, bytes):
        return hashlib.sha256(payload).hexdigest()
    if isinstance(payload, str):
        return hashlib.sha256(payload.encode("utf-8", "surrogatepass")).hexdigest()
    header = f"{payload.dtype.str}{payload.shape}".encode()
    return hashlib.sha256(header + np.ascontiguousarray(payload).tobytes()).hexdigest()


def make_index(
    payloads: Sequence[Payload],
    *,
    labels: Sequence[str | None],
    paths: Sequence[str],
    sources: Sequence[str | None] | None = None,
    unreadable: Mapping[int, str] | None = None,
) -> pa.Table:
    """The index of payloads at hand."""
    reasons = unreadable or {}
    columns = {
        "id": [content_id(payload) for payload in payloads],
        "path": list(paths),
        "label": list(labels),
        "source": list(sources) if sources is not None else [None] * len(payloads),
        "collected_at": [None] * len(payloads),
        "unreadable": [reasons.get(row) for row in range(len(payloads))],
    }
    return pa.table(columns, schema=INDEX)


def from_arrays(
    images: np.ndarray | Sequence[Payload],
    labels: Sequence[object],
    *,
    sources: Sequence[str] | None = None,
    times: np.ndarray | None = None,
) -> Dataset:
    """A data set from images (n, h, w) or (n, h, w, c) or texts, and one label each.

    times: (n,) datetime64, NaT = unknown.  Raises BadInput when the lengths differ or the set is empty.
    """
    if len(images) != len(labels) or len(images) == 0:
        raise BadInput(
            f"{len(images)} samples and {len(labels)} labels.", advice="Give one label per sample, at least one sample."
        )
    names = [None if label is None else str(label) for label in labels]
    payloads = [images[i] for i in range(len(images))]
    modality: Modality = "text" if isinstance(payloads[0], str) else "image"
    index = make_index(payloads, labels=names, sources=sources, paths=[f"#{i}" for i in range(len(payloads))])
    index = index if times is None else timed(index, times)
    return Dataset(index, MemoryStore(images), modality, "memory")


def _with_column(table: pa.Table, name: str, values: Sequence[str | None]) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), name, pa.array(values, pa.string()))


def _natural(label: str) -> tuple[int, float, str]:
    try:
        return (0, float(label), label)
    except ValueError:
        return (1, 0.0, label)

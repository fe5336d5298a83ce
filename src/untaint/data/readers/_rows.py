"""Index rows of a table by whole columns: ids, labels, sources, times and what cannot be used, as one record after another gives them."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from untaint.data.readers._columnar import coded, digests, in_pieces, objects, row_texts
from untaint.data.readers._index import IndexBuilder, Reasons, Times, printable
from untaint.data.readers._recipe import Recipe

AHEAD = 2
"""Batches that are made at once: Arrow lets other threads run, hashing does not."""
_FIRST, _LAST = np.datetime64("0001-01-01"), np.datetime64("9999-12-31")
"""Of the calendar that Python knows."""


def index_rows(batches: Iterable[pa.RecordBatch], recipe: Recipe, builder: IndexBuilder, name: str) -> int:
    """Index record batches of one file; the number of rows."""
    row = 0
    for made in _made((piece for batch in batches for piece in in_pieces(batch)), recipe):
        add_rows(made, builder, paths(name, "#", np.arange(row, row + len(made.ids))))
        row += len(made.ids)
    return row


@final
@dataclass(frozen=True)
class Made:
    """What the index holds of some rows."""

    ids: pa.Array
    labels: pa.Array
    sources: pa.Array
    times: Times
    reasons: Reasons


def made(batch: pa.RecordBatch, recipe: Recipe) -> Made:
    """The index of some rows."""
    roles, size = recipe.roles, batch.num_rows
    texts, reasons = row_texts(batch, roles.payload)
    labels = pa.nulls(size) if roles.label is None else _named(batch, roles.label, recipe.label)
    sources = pa.nulls(size) if roles.source is None else _named(batch, roles.source, recipe.source)
    times = pa.nulls(size) if roles.time is None else _times(batch.column(roles.time))
    return Made(digests(texts), labels, sources, times, reasons)


def add_rows(rows: Made, builder: IndexBuilder, where: pa.Array) -> None:
    """Put rows into an index. where: path of each."""
    builder.add_rows(rows.ids, paths=where, labels=rows.labels, sources=rows.sources, times=rows.times, reasons=rows.reasons)


def paths(name: str, mark: str, numbers: np.ndarray) -> pa.Array:
    """`name#17` for every number."""
    return pc.binary_join_element_wise(f"{printable(name)}{mark}", pa.array(numbers).cast(pa.string()), "")


def _made(batches: Iterator[pa.RecordBatch], recipe: Recipe) -> Iterator[Made]:
    """In order, the next ones already in the making."""
    with ThreadPoolExecutor(AHEAD) as pool:
        waiting: list[Future[Made]] = [pool.submit(made, batch, recipe) for batch in islice(batches, AHEAD)]
        while waiting:
            found = waiting.pop(0).result()
            waiting += [pool.submit(made, batch, recipe) for batch in islice(batches, 1)]
            yield found


def _named(batch: pa.RecordBatch, column: str, name: Callable[[Any], str | None]) -> pa.Array:
    """Labels or sources, each different cell read once."""
    codes, values = coded(batch.column(column))
    names = pa.array([*(printable(name({column: value})) for value in values), printable(name({column: None}))], pa.string())
    return names.take(pa.array(np.where(codes < 0, len(values), codes)))


def _times(cells: Any) -> Times:
    """Times as Arrow has them where they are such, else as Python objects."""
    if pa.types.is_timestamp(cells.type) and cells.type.unit != "ns":
        plain = cells.cast(pa.timestamp(cells.type.unit))
        seen = pc.min_max(plain)
        ends = [np.datetime64(seen[end].value, cells.type.unit) for end in ("min", "max") if seen[end].is_valid]
        if all(_FIRST < end < _LAST for end in ends):
            return plain.cast(pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))
    return objects(cells)

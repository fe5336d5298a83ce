"""Arrow tables with some cells changed, as one Parquet file: types as they were, wider where a new cell does not fit."""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from untaint.data.readers._recipe import table_row
from untaint.data.writers.cells import parsed
from untaint.data.writers.edits import Cells, Edits, as_text, same
from untaint.types import Rows


def looked(batches: Iterable[pa.RecordBatch], rows: Rows) -> list[Cells]:
    """Some rows of a stream, ascending."""
    found: list[Cells] = []
    start = 0
    for batch in batches:
        here = rows[(rows >= start) & (rows < start + batch.num_rows)]
        found += pa.Table.from_batches([batch]).take(pa.array(here - start, pa.int64())).to_pylist()
        start += batch.num_rows
    return found


def write_arrow(batches: Callable[[], Iterable[pa.RecordBatch]], schema: pa.Schema, edits: Edits, target: Path) -> Path:
    """Write the rows that stay with their new cells, then those added; what nothing is known of is null."""
    wide, start = widened(schema, edits), 0
    with pq.ParquetWriter(target, wide) as file:
        for batch in batches():
            here = edits.rows[np.searchsorted(edits.rows, start) : np.searchsorted(edits.rows, start + batch.num_rows)]
            table = pa.Table.from_batches([batch]).take(pa.array(here - start, pa.int64()))
            file.write_table(_edited(table, [edits.cells.get(int(row), {}) for row in here], wide))
            start += batch.num_rows
        if edits.added:
            nothing = pa.Table.from_arrays([pa.nulls(len(edits.added), kind) for kind in schema.types], names=schema.names)
            file.write_table(_edited(nothing, edits.added, wide))
    return target


def widened(schema: pa.Schema, edits: Edits) -> pa.Schema:
    """The types that hold all cells: as they are, else numbers, else text."""
    fields, wider = [], False
    for field in schema:
        kind = _holding(field.type, edits.column(field.name))
        wider = wider or kind != field.type
        fields.append(field.with_type(kind).with_nullable(field.nullable or bool(edits.added)))
    fields += [pa.field(name, pa.string()) for name in edits.new]
    return pa.schema(fields, metadata=None if wider else schema.metadata)  # it may describe the types


def _holding(kind: pa.DataType, values: Sequence[object]) -> pa.DataType:
    if fitted(values, kind) is not None:
        return kind
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_boolean(kind)
    return pa.float64() if number and fitted(values, pa.float64()) is not None else pa.string()


def fitted(values: Sequence[object], kind: pa.DataType) -> pa.Array | None:
    """The values as an array of this type; None where one of them would become another value."""
    for made in (_plain, _spelled):
        with suppress(pa.ArrowException, TypeError, ValueError, OverflowError):
            found = made(values, kind)
            if all(same(_json(value), _json(cell)) for value, cell in zip(values, found.to_pylist(), strict=True)):
                return found
    return None


def _plain(values: Sequence[object], kind: pa.DataType) -> pa.Array:
    if pa.types.is_duration(kind):  # which JSON has as seconds
        values = [dt.timedelta(seconds=value) if isinstance(value, int | float) else value for value in values]
    return pa.array(values, kind)


def _spelled(values: Sequence[object], kind: pa.DataType) -> pa.Array:
    return pa.array([None if value is None else as_text(value) for value in values], pa.string()).cast(kind)


def _json(cell: object) -> object:
    if isinstance(cell, dt.datetime) and cell.tzinfo:
        cell = cell.astimezone(dt.UTC)
    return parsed(table_row({"": cell})[0]).get("")


def _edited(table: pa.Table, cells: Sequence[Cells], schema: pa.Schema) -> pa.Table:
    columns = [_column(table, cells, field) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def _column(table: pa.Table, cells: Sequence[Cells], field: pa.Field) -> pa.Array:
    """One column in its type, with new cells in their places."""
    if field.name in table.schema.names:
        old = table.column(field.name)
        old = old if old.type == field.type else _cast(old, field.type)
    else:
        old = pa.chunked_array([pa.nulls(table.num_rows, field.type)])
    places = [place for place, each in enumerate(cells) if field.name in each]
    if not places:
        return old
    new = fitted([cells[place][field.name] for place in places], field.type)
    order = np.arange(table.num_rows)
    order[places] = table.num_rows + np.arange(len(places))
    both = pa.chunked_array([*old.chunks, new], field.type)
    return (both.unify_dictionaries() if pa.types.is_dictionary(field.type) else both).take(pa.array(order))


def _cast(old: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if pa.types.is_floating(kind):
        return old.cast(kind, safe=False)
    cells: list[Mapping[str, object]] = [{"": cell} for cell in old.to_pylist()]
    return pa.chunked_array([pa.array([None if each[""] is None else as_text(_json(each[""])) for each in cells], kind)], kind)

"""DuckDB: one table of a database file, or the rows of a query over it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, final

import pyarrow as pa
from typing_extensions import override

from untaint.data.dataset import Dataset
from untaint.data.readers._chunks import SAMPLE, in_batches, needed, recipe_for
from untaint.data.readers._duckdb import MAGIC, opened, rows
from untaint.data.readers._index import IndexBuilder
from untaint.data.readers._spool import spooled
from untaint.data.readers.base import Reader, Request

_SUFFIXES = frozenset({".duckdb", ".ddb"})
BATCH = 2048
"""Rows at once, as many as DuckDB handles together."""


@final
@dataclass(frozen=True)
class DuckDb(Reader):
    """Rows in the order they were inserted, or that of the query. The columns that are looked at are copied to a temporary file."""

    id: ClassVar[str] = "duckdb"
    summary: ClassVar[str] = "DuckDB database: one table (--table NAME) or a query (--query SQL); needs untaint[duckdb]"
    asks: ClassVar[frozenset[str]] = frozenset({"table", "query"})

    @override
    def claims(self, path: Path) -> bool:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(12)[8:] == MAGIC or path.suffix.lower() in _SUFFIXES

    @override
    def read(self, path: Path, request: Request) -> Dataset:
        with opened(path) as connection:
            found, what = rows(connection, path, table=request.table, query=request.query)
            stream = found.to_arrow_reader(BATCH)
            first, rest = _started(stream)
            head = pa.Table.from_batches(first, schema=stream.schema).slice(0, SAMPLE)
            recipe = recipe_for(head, request, f"{path}, {what.partition(' (')[0]}", root=path.parent, names={})
            names = needed(recipe)
            kept = spooled((batch.select(names) for batch in rest), pa.schema([stream.schema.field(name) for name in names]))
        builder = IndexBuilder()
        store = in_batches(kept, recipe, builder, request.table or "row")
        index = builder.finish(str(path), recipe.labelled)
        columns = replace(recipe.columns(), table=request.table, query=request.query)
        return Dataset(index, store, recipe.roles.modality, self.id, path, columns, (columns.note, *builder.notes, what))


def _started(stream: Any) -> tuple[list[pa.RecordBatch], Iterator[pa.RecordBatch]]:
    """The first batch that holds a row, and all of them."""
    first = [batch for batch in [next((batch for batch in stream if batch.num_rows), None)] if batch is not None]
    return first, chain(first, stream)

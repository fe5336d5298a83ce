"""DuckDB: rows of a table or a query as Parquet, with every column and its type."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from typing_extensions import override

from untaint.data.dataset import Columns
from untaint.data.readers._duckdb import opened, rows
from untaint.data.readers.duckdb import BATCH
from untaint.data.writers.arrow import looked, write_arrow
from untaint.data.writers.base import Part, Picks, Writer, changed
from untaint.data.writers.edits import Cells, Editor, Edits, Source
from untaint.types import Rows


@contextmanager
def _stream(path: Path, columns: Columns | None) -> Iterator[Any]:
    """The rows that were read, once more."""
    with opened(path) as connection:
        table, query = (columns.table, columns.query) if columns else (None, None)
        yield rows(connection, path, table=table, query=query)[0].to_arrow_reader(BATCH)


@final
@dataclass(frozen=True)
class DuckDbWriter(Writer):
    """A database holds more than rows, and another version may not open it; Parquet is read by everything that reads DuckDB."""

    id: ClassVar[str] = "duckdb"
    writes: ClassVar[str] = "parquet"

    @override
    def write(self, parts: Sequence[Part], picks: Picks, out: Path) -> Path:
        part, target, wanted, start = parts[0], out / "data.parquet", picks.of(0), 0
        columns = part.dataset.columns if part.dataset else None
        with _stream(part.source, columns) as stream, pq.ParquetWriter(target, stream.schema) as file:
            for batch in stream:
                here = wanted[np.searchsorted(wanted, start) : np.searchsorted(wanted, start + batch.num_rows)]
                file.write_table(pa.Table.from_batches([batch]).take(pa.array(here - start, pa.int64())))
                start += batch.num_rows
        if start != part.n_rows:
            raise changed(part.source, f"{start} rows instead of {part.n_rows}")
        return target


@final
@dataclass(frozen=True)
class DuckDbEditor(Editor):
    """The same for tables that were changed."""

    id: ClassVar[str] = "duckdb"

    @override
    def look(self, source: Source, rows: Rows) -> list[Cells]:
        with _stream(source.path, source.columns) as stream:
            return looked(stream, rows)

    @override
    def write(self, source: Source, edits: Edits, out: Path) -> Path:
        with _stream(source.path, source.columns) as stream:
            return write_arrow(lambda: stream, stream.schema, edits, out / "data.parquet")

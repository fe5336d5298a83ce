"""DuckDB: rows of a table or a query as Parquet, with every column and its type."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from typing_extensions import override

from untaint.data.readers._duckdb import opened, rows
from untaint.data.readers.duckdb import BATCH
from untaint.data.writers.base import Part, Picks, Writer, changed


@final
@dataclass(frozen=True)
class DuckDbWriter(Writer):
    """A database holds more than rows, and another version may not open it; Parquet is read by everything that reads DuckDB."""

    id: ClassVar[str] = "duckdb"
    writes: ClassVar[str] = "parquet"

    @override
    def write(self, parts: Sequence[Part], picks: Picks, out: Path) -> Path:
        part, target = parts[0], out / "data.parquet"
        columns, wanted, start = part.dataset.columns if part.dataset else None, picks.of(0), 0
        table, query = (columns.table, columns.query) if columns else (None, None)
        with opened(part.source) as connection:
            found, _ = rows(connection, part.source, table=table, query=query)
            stream = found.to_arrow_reader(BATCH)
            with pq.ParquetWriter(target, stream.schema) as file:
                for batch in stream:
                    here = wanted[np.searchsorted(wanted, start) : np.searchsorted(wanted, start + batch.num_rows)]
                    file.write_table(pa.Table.from_batches([batch]).take(pa.array(here - start, pa.int64())))
                    start += batch.num_rows
        if start != part.n_rows:
            raise changed(part.source, f"{start} rows instead of {part.n_rows}")
        return target

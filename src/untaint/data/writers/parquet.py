"""Parquet, one file or a folder of shards: same schema, same metadata, same file names; row group by row group."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from typing_extensions import override

from untaint.data.dataset import Dataset
from untaint.data.readers._shards import find_shards, one_split
from untaint.data.writers.base import Part, Picks, Writer, inside, root_of
from untaint.data.writers.encode import schema_of, table_of
from untaint.data.writers.pictures import Pictures
from untaint.data.writers.shards import File, Shard, shards
from untaint.data.writers.tables import Payloads, gathered
from untaint.types import Rows

GROUP = 512
"""Rows of one output row group: a few hundred images fit in memory at any usual size."""


@final
@dataclass(frozen=True)
class ParquetWriter(Writer):
    """All the columns a file has, also those no reader looked at."""

    id: ClassVar[str] = "parquet"
    writes: ClassVar[str] = "parquet"

    @override
    def write(self, parts: Sequence[Part], picks: Picks, out: Path) -> Path:
        pictures = Pictures([root_of(part) for part in parts], out)
        for shard in shards(parts, picks, _files):
            _write_shard(shard, inside(out, shard.name), Payloads(parts[0].payload, pictures))
        return out if parts[0].source.is_dir() else out / parts[0].source.name


@final
@dataclass
class Cursor:
    """Rows of one file in ascending order, one row group in memory at a time."""

    file: pq.ParquetFile
    group: int = -1
    start: int = 0
    table: pa.Table | None = None

    def take(self, rows: Rows) -> pa.Table:
        """These rows, which lie behind all rows taken before or in the same row group."""
        pieces = [self.file.schema_arrow.empty_table()]
        while len(rows):
            table = self._seek(int(rows[0]))
            here = rows[rows < self.start + table.num_rows]
            pieces.append(table.take(pa.array(here - self.start)))
            rows = rows[len(here) :]
        return pa.concat_tables(pieces)

    def _seek(self, row: int) -> pa.Table:
        while self.table is None or row >= self.start + self.table.num_rows:
            self.start += 0 if self.table is None else self.table.num_rows
            self.group += 1
            self.table = self.file.read_row_group(self.group)
        return self.table


def _files(part: Part) -> list[File]:
    if not part.source.is_dir():
        return [File(part.source.name, part.source, _n_rows(part.source))]
    found, _ = one_split(find_shards(part.source, [".parquet"]), part.source)
    return [File(path.relative_to(part.source).as_posix(), path, _n_rows(path)) for path in found]


def _n_rows(path: Path) -> int:
    return int(pq.read_metadata(path).num_rows)


def _write_shard(shard: Shard, out: Path, payloads: Payloads) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        files = [None if path is None else stack.enter_context(pq.ParquetFile(path)) for path in shard.paths]
        takes = [None if file is None else Cursor(file).take for file in files]
        model = next(file for file in files if file is not None)
        writer = stack.enter_context(pq.ParquetWriter(out, model.schema_arrow, compression=_compression(model)))
        for batch in shard.picks.batches(GROUP):
            table = gathered(takes, batch)
            payloads.bring(table, batch)
            writer.write_table(table)


def _compression(file: pq.ParquetFile) -> str:
    metadata = file.metadata
    name = metadata.row_group(0).column(0).compression if metadata.num_row_groups and metadata.num_columns else "SNAPPY"
    return "NONE" if name == "UNCOMPRESSED" else str(name)


def write_dataset(dataset: Dataset, rows: Rows, out: Path) -> Path:
    """Write some rows of any data set as `out/data.parquet`, in the layout of the Hugging Face hub, and return that path.

    Columns: `image` (struct of bytes and path; arrays become PNG) or `text`, then `label` and `source` where there are any.
    Raises OSError when `out` cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    path, schema = out / "data.parquet", schema_of(dataset)
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, len(rows), GROUP):
            writer.write_table(table_of(dataset, np.asarray(rows[start : start + GROUP]), schema))
    return path

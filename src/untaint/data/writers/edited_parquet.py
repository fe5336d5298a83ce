"""Tables in Parquet files and saved data sets with some cells changed: one Parquet file with the same columns."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, final

import pyarrow as pa
import pyarrow.parquet as pq
from typing_extensions import override

from untaint.data.readers._shards import find_shards, one_split
from untaint.data.writers.arrow import looked, write_arrow
from untaint.data.writers.edits import Cells, Editor, Edits, Source
from untaint.data.writers.saved_dataset import streams
from untaint.types import Rows

ROWS = 16_384
"""Rows of one row group: columns of a table are small."""


@final
@dataclass(frozen=True)
class ParquetEditor(Editor):
    """A folder of shards becomes one file."""

    id: ClassVar[str] = "parquet"

    @override
    def look(self, source: Source, rows: Rows) -> list[Cells]:
        return looked(_batches(_shards(source.path)), rows)

    @override
    def write(self, source: Source, edits: Edits, out: Path) -> Path:
        shards = _shards(source.path)
        target = out / (source.path.name if source.path.is_file() else "data.parquet")
        return write_arrow(lambda: _batches(shards), pq.read_schema(shards[0]), edits, target)


@final
@dataclass(frozen=True)
class SavedDatasetEditor(Editor):
    """What `save_to_disk` wrote is read by `datasets` from Parquet just as well."""

    id: ClassVar[str] = "hf-disk"

    @override
    def look(self, source: Source, rows: Rows) -> list[Cells]:
        return looked((batch for table in streams(source.path) for batch in table.to_batches()), rows)

    @override
    def write(self, source: Source, edits: Edits, out: Path) -> Path:
        batches = [batch for table in streams(source.path) for batch in table.to_batches()]
        return write_arrow(lambda: batches, batches[0].schema, edits, out / "data.parquet")


def _shards(path: Path) -> list[Path]:
    return one_split(find_shards(path, [".parquet"]), path)[0] if path.is_dir() else [path]


def _batches(shards: list[Path]) -> Iterator[pa.RecordBatch]:
    for shard in shards:
        with pq.ParquetFile(shard) as file:
            yield from file.iter_batches(ROWS)

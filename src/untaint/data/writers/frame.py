"""Frames of a program: written as Parquet, with every column and its type."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, final

import pyarrow as pa
import pyarrow.parquet as pq
from typing_extensions import override

from untaint.data.dataset import Store
from untaint.data.readers._chunks import ChunkStore
from untaint.data.writers.arrow import write_arrow
from untaint.data.writers.base import Part, Picks, Writer
from untaint.data.writers.edits import Cells, Editor, Edits, Source
from untaint.types import Rows


@final
@dataclass(frozen=True)
class FrameWriter(Writer):
    """Tables only: what other frames hold is encoded, as pictures they name would be missed."""

    id: ClassVar[str] = "frame"
    writes: ClassVar[str] = "parquet"

    @override
    def write(self, parts: Sequence[Part], picks: Picks, out: Path) -> Path:
        pq.write_table(
            _whole(parts[0].dataset.store if parts[0].dataset else None).take(pa.array(picks.of(0))), out / "data.parquet"
        )
        return out / "data.parquet"


@final
@dataclass(frozen=True)
class FrameEditor(Editor):
    """The same for tables that were changed."""

    id: ClassVar[str] = "frame"

    @override
    def look(self, source: Source, rows: Rows) -> list[Cells]:
        found: list[Cells] = _whole(source.store).take(pa.array(rows)).to_pylist()
        return found

    @override
    def write(self, source: Source, edits: Edits, out: Path) -> Path:
        table = _whole(source.store)
        return write_arrow(table.to_batches, table.schema, edits, out / "data.parquet")


def _whole(store: Store | None) -> pa.Table:
    if not isinstance(store, ChunkStore) or store.whole is None:
        raise TypeError("a frame comes with its data set")
    return store.whole

"""Frames of a program: written as Parquet, with every column and its type."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, final

import pyarrow as pa
import pyarrow.parquet as pq
from typing_extensions import override

from untaint.data.readers._chunks import ChunkStore
from untaint.data.writers.base import Part, Picks, Writer


@final
@dataclass(frozen=True)
class FrameWriter(Writer):
    """Tables only: what other frames hold is encoded, as pictures they name would be missed."""

    id: ClassVar[str] = "frame"
    writes: ClassVar[str] = "parquet"

    @override
    def write(self, parts: Sequence[Part], picks: Picks, out: Path) -> Path:
        store = parts[0].dataset.store if parts[0].dataset else None
        if not isinstance(store, ChunkStore) or store.whole is None:
            raise TypeError("a frame comes with its data set")
        pq.write_table(store.whole.take(pa.array(picks.of(0))), out / "data.parquet")
        return out / "data.parquet"

"""Samples that are in no file, or in a format only a plug-in reads: written as Parquet."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, final

from typing_extensions import override

from untaint.data.writers.base import Part, Picks, Writer
from untaint.data.writers.parquet import write_dataset


@final
@dataclass(frozen=True)
class MemoryWriter(Writer):
    """One `data.parquet` in the layout of the Hugging Face hub."""

    id: ClassVar[str] = "memory"
    writes: ClassVar[str] = "parquet"
    keeps: ClassVar[bool] = False

    @override
    def write(self, parts: Sequence[Part], picks: Picks, out: Path) -> Path:
        dataset = parts[0].dataset
        if dataset is None:
            raise TypeError("samples in memory come with their data set")
        return write_dataset(dataset, picks.of(0), out)

"""One rule: a writer writes chosen samples of a data set in the format they came in, with their bytes as they were."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar, final

import numpy as np

from untaint.data.dataset import Dataset, MemoryStore, ViewStore
from untaint.errors import BadInput
from untaint.registry import members
from untaint.types import Rows

PACKAGE = "untaint.data.writers"


@final
@dataclass(frozen=True)
class Part:
    """Samples at one place.

    n_rows: how many there are.  payload: the column that was read as payload, None = several or none.
    dataset: only for samples that are in memory.
    """

    source: Path
    n_rows: int
    payload: str | None = None
    dataset: Dataset | None = None


@final
@dataclass(frozen=True)
class Picks:
    """What to write, in this order: sample i is row `row[i]` of part `part[i]`; rows of one part ascend."""

    part: Rows
    row: Rows

    def __len__(self) -> int:
        return len(self.row)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(zip(self.part.tolist(), self.row.tolist(), strict=True))

    def of(self, part: int) -> Rows:
        """The rows taken from one part, ascending."""
        chosen: Rows = self.row[self.part == part]
        return chosen

    def batches(self, size: int) -> Iterator["Picks"]:
        """The same picks in consecutive runs of at most `size`."""
        for start in range(0, len(self), size):
            yield Picks(self.part[start : start + size], self.row[start : start + size])


class Writer(ABC):
    """Writes the format of the reader with the same `id`."""

    id: ClassVar[str]
    writes: ClassVar[str]
    """The format of what is written: `id`, except for samples that never were in a file, or in one that only its program can write."""
    keeps: ClassVar[bool] = True
    """Whether the samples are read back as they were; if not, they are encoded anew."""

    @abstractmethod
    def write(self, parts: Sequence[Part], picks: Picks, out: Path) -> Path:
        """Write these picks into the folder `out` and return the path a reader opens.

        parts: all of one format and layout. picks: at least one. out: an existing empty folder.
        Raises BadInput when the source no longer holds the rows that were read, OSError when `out` cannot be written.
        """

    @final
    def copy(self, source: Path, dataset: Dataset, rows: Rows, out: Path) -> Path:
        """Write these rows, ascending, of one data set."""
        chosen = np.asarray(rows, dtype=np.int64)
        return self.write([part_of(source, dataset)], Picks(np.zeros_like(chosen), chosen), out)


def root_of(part: Part) -> Path:
    """The folder that paths in the data are relative to."""
    return part.source if part.source.is_dir() else part.source.parent


def part_of(source: Path, dataset: Dataset) -> Part:
    """A data set that was read from `source` as a part."""
    return Part(source, len(dataset), dataset.columns.payload, dataset)


def writer_for(dataset: Dataset) -> Writer:
    """The writer of a data set's format; samples that are not (or no longer) what a file holds are written as Parquet."""
    known = members(Writer, PACKAGE)
    if dataset.modality == "table" and getattr(dataset.store, "whole", None) is not None:
        frame: Writer = known["frame"]()
        return frame
    in_memory = dataset.location is None or isinstance(dataset.store, MemoryStore | ViewStore)
    chosen = known["memory" if in_memory or dataset.format not in known else dataset.format]
    writer: Writer = chosen()
    return writer


def inside(folder: Path, relative: str) -> Path:
    """`folder / relative` for a name found in data.

    Raises BadInput for a name that leads out of the folder.
    """
    pure = PurePosixPath(relative)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts or "\0" in relative:
        raise BadInput(f"the name {relative!r} in the data leads out of its folder.", advice="Rename the file and audit again.")
    return folder / pure


def changed(source: Path, detail: str) -> BadInput:
    """The error for a source that is no longer what was read."""
    return BadInput(
        f"{source} is not what was read before: {detail}.", advice="Leave the data alone meanwhile, or audit it again."
    )

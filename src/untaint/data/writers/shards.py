"""Data sets that lie in several files: every file keeps its name, and its samples their order."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, final

import numpy as np

from untaint.data.writers.base import Part, Picks, changed

T = TypeVar("T")


@final
@dataclass(frozen=True)
class File:
    """One file of a part: its name relative to the part, where it lies, its number of rows."""

    name: str
    path: Path
    n_rows: int


@final
@dataclass(frozen=True)
class Shard:
    """One file to write: `paths[p]` is the file of this name in part p, the picks count rows within these files."""

    name: str
    paths: tuple[Path | None, ...]
    picks: Picks


def shards(parts: Sequence[Part], picks: Picks, files_of: Callable[[Part], Sequence[File]]) -> list[Shard]:
    """The picks by file, in the order of the first pick of each.

    Raises BadInput when the files no longer have the rows that were read.
    """
    files = [list(files_of(part)) for part in parts]
    for part, listed in zip(parts, files, strict=True):
        _check_count(part, sum(file.n_rows for file in listed))
    starts = [np.cumsum([0, *(file.n_rows for file in listed)]) for listed in files]
    grouped: dict[str, list[tuple[int, int]]] = {}
    for part_number, row in picks:
        number = int(np.searchsorted(starts[part_number], row, side="right")) - 1
        chosen = (part_number, row - int(starts[part_number][number]))
        grouped.setdefault(files[part_number][number].name, []).append(chosen)
    by_name = [{file.name: file.path for file in listed} for listed in files]
    return [Shard(name, tuple(paths.get(name) for paths in by_name), _picks(chosen)) for name, chosen in grouped.items()]


def merged(where: Path, sources: Sequence[Iterable[T]], picks: Picks) -> Iterator[T]:
    """The picked items of several streams, each read once from front to back; `where` is what an error names.

    Raises BadInput when a stream ends too soon.
    """
    streams = [enumerate(source) for source in sources]
    for part, row in picks:
        found = next((item for number, item in streams[part] if number == row), None)
        if found is None:
            raise changed(where, f"row {row} is gone")
        yield found


def _check_count(part: Part, found: int) -> None:
    if found != part.n_rows:
        raise changed(part.source, f"{found} rows instead of {part.n_rows}")


def _picks(chosen: Sequence[tuple[int, int]]) -> Picks:
    pairs = np.asarray(chosen, dtype=np.int64).reshape(-1, 2)
    return Picks(pairs[:, 0], pairs[:, 1])

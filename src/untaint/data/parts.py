"""Cells of a table column by column, a run of rows at a time: what a store can give that need not make a text of every row."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, final

import numpy as np

from untaint.types import Rows


@final
@dataclass(frozen=True)
class Part:
    """Some cells of one column.

    numbers: (m,) float64, NaN = no number.  wild: (m,) bool, numbers that are not finite.  codes: (m,) int32 places in `words`, -1 = not
    one of them; None = none is.  words: cells that are no numbers, as JSON has them.  truths: nothing but true, false and missing.
    """

    numbers: np.ndarray
    wild: np.ndarray
    codes: np.ndarray | None = None
    words: Sequence[object] = field(default=())
    truths: bool = False

    def of(self, places: np.ndarray) -> "Part":
        """Some of them, in this order."""
        codes = None if self.codes is None else self.codes[places]
        return Part(self.numbers[places], self.wild[places], codes, self.words, self.truths)


Run: TypeAlias = tuple[Rows, Mapping[str, Part] | None]
"""Rows, and their cells by column; None where only their texts can be had."""


class Columnar(ABC):
    """A store that can give cells by column."""

    @abstractmethod
    def runs(self) -> Iterator[Run]:
        """Every row once, in any order of runs; the rows of a run in the order of its cells."""


def rearranged(runs: Iterator[Run], rows: Rows) -> Iterator[Run]:
    """Runs with the place in `rows` for each row, and without the rows that are not in it. rows: none twice."""
    place = np.full(int(rows.max(initial=-1)) + 1, -1)
    place[rows] = np.arange(len(rows))
    for found, parts in runs:
        known = found < len(place)
        kept = np.flatnonzero(known)[place[found[known]] >= 0]
        if len(kept):
            yield place[found[kept]], None if parts is None else {name: part.of(kept) for name, part in parts.items()}

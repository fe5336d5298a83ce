"""Cells of one column of new rows against what the column may hold: which do not fit, why, and what a model may be given instead."""

from decimal import Decimal
from typing import NamedTuple, final

import numpy as np
import pandas as pd

from untaint.data.columns import BLANK, truth
from untaint.data.schema import Pinned

_QUOTED = 40  # characters of a cell in a reason


class Unfit(NamedTuple):
    """A cell that does not fit. row: its place in the rows given, from 0.  value: as written."""

    row: int
    column: str
    value: str
    why: str


@final
class Cells:
    """n cells of one column.

    fits, missing: (n,) masks; a missing cell fits where the column may be missing.  numbers: (n,) float64 of numbers, truths and
    dates, NaN = none; of words nothing is known but whether they fit.
    """

    def __init__(self, pinned: Pinned, given: pd.Series) -> None:
        self._pinned, self._given = pinned, given.reset_index(drop=True)
        self.missing = self._given.isna().to_numpy(bool)
        self.numbers: np.ndarray | None = None
        match pinned.kind:
            case "number" | "boolean":
                self.fits = self._bounded(self._number())
            case "date":
                self.fits = ~np.isnan(self._moments())
            case "category" if pinned.words is not None:
                self.fits = np.isin(self._words(), list(pinned.words))
            case _:
                self.fits = np.ones(len(given), bool)
        self.fits = np.where(self.missing, pinned.may_be_missing or pinned.kind == "empty", self.fits)

    def found(self) -> list[Unfit]:
        """What does not fit, in the order of the rows."""
        return [
            Unfit(int(row), self._pinned.name, str(self._given[row])[:_QUOTED], self._why(int(row)))
            for row in np.flatnonzero(~self.fits)
        ]

    def put(self, *, clip: bool) -> pd.Series:
        """What a model may be given: nothing in place of what does not fit, and of numbers out of range the nearest that fits.

        Texts of numbers become numbers; a column without a cell to change stays of its type.
        """
        low, high = self._limits()
        if self.numbers is None:
            return self._given if self.fits.all() else self._given.mask(~self.fits)
        if self.fits.all() and self._given.dtype.kind in "iufb":
            return self._given
        near = np.clip(self.numbers, low, high) if clip and low <= high else np.full(len(self.fits), np.nan)
        kept = np.where(self.fits, self.numbers, near)
        single = self._given.dtype == np.float32
        return pd.Series(kept.astype(np.float32) if single else kept, name=self._given.name)

    def _number(self) -> np.ndarray:
        """Every cell as a number; texts that are none, and dates, NaN. Blank texts are missing."""
        given = self._given
        if given.dtype.kind in "iufb":
            self.numbers = given.to_numpy(np.float64, na_value=np.nan)
        elif given.dtype.kind in "mM":
            self.numbers = np.full(len(given), np.nan)
        else:
            cells = given.astype(object).tolist()
            blank = np.array([isinstance(cell, str) and cell.strip().lower() in BLANK for cell in cells], bool)
            self.missing = self.missing | blank
            self.numbers = np.array([_read(cell) for cell in cells], np.float64)
            if self._pinned.kind == "boolean":
                said = np.array([truth(cell) if isinstance(cell, str) else np.nan for cell in cells], np.float64)
                self.numbers = np.where(np.isnan(said), self.numbers, said)
        return self.numbers

    def _bounded(self, numbers: np.ndarray) -> np.ndarray:
        low, high = self._limits()
        fits: np.ndarray = np.isfinite(numbers) & (numbers >= low) & (numbers <= high)
        return fits & np.isin(numbers, (0.0, 1.0)) if self._pinned.kind == "boolean" else fits

    def _moments(self) -> np.ndarray:
        """Seconds since 1970, NaN = no date. They are not handed on: a model takes dates as they came."""
        if self._given.dtype.kind in "iufb":
            return np.full(len(self._given), np.nan)
        read = pd.to_datetime(self._given.astype(object), errors="coerce", utc=True, format="mixed")
        return np.where(read.isna(), np.nan, read.astype("int64") / 1e9)

    def _words(self) -> np.ndarray:
        """Cells as a schema has its words: numbers in a column of words are words, too."""
        return np.array([_word(cell) for cell in self._given.astype(object)], dtype=object).astype(str)

    def _limits(self) -> tuple[float, float]:
        low, high = self._pinned.minimum, self._pinned.maximum
        return -np.inf if low is None else low, np.inf if high is None else high

    def _why(self, row: int) -> str:
        pinned = self._pinned
        if self.missing[row]:
            return "is missing, and never was"
        if pinned.kind == "category":
            return f"is none of {len(pinned.words or ()):,} known words"
        number = np.nan if self.numbers is None else self.numbers[row]
        if np.isinf(number):
            return "is not finite"
        if np.isnan(number):
            return f"is no {pinned.kind}"
        low, high = self._limits()
        if low <= number <= high:
            return f"is no {pinned.kind}"
        return f"is outside {low:.10g} to {high:.10g}"


def _read(cell: object) -> float:
    """A cell as a number; NaN = it is none."""
    try:
        return float(cell) if isinstance(cell, str | int | float | Decimal | np.number | np.bool_) else np.nan
    except OverflowError:
        return np.inf
    except ValueError:
        return np.nan


def _word(cell: object) -> str:
    return cell if isinstance(cell, str) else f"{float(cell):.15g}" if isinstance(cell, int | float | np.number) else str(cell)

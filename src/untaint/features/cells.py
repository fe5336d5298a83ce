"""Tables in memory: every column that says something as numbers, and what was left out or does not fit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, final

import numpy as np

from untaint.data.columns import RARE, TRUTH_WORDS, Column, columns_of
from untaint.data.dataset import Dataset
from untaint.data.silent import silent
from untaint.errors import FeatureUnavailable
from untaint.features.canvas import Readable
from untaint.features.graph import feature
from untaint.features.settings import Settings

ColumnKind: TypeAlias = Literal["number", "category"]
_LONGEST = 40  # characters of a cell that are quoted


@final
@dataclass(frozen=True)
class Cells:
    """Columns of a table. Truths are a category of two words.

    values: (n, d) float64; of a category its code in `categories`, of a date seconds since 1970, NaN = missing or unreadable.
    names, kinds: (d,). categories: for every column its words by code, () for numbers.  dates: columns that are dates.
    ignored: name of a column left out → why.  leaks: those of them that are the label once more.
    odd: row → cells of another kind than the rest of their column.  wild: row → numbers that are not finite.
    notes: what else a person should know.
    """

    values: np.ndarray
    names: tuple[str, ...]
    kinds: tuple[ColumnKind, ...]
    categories: tuple[tuple[str, ...], ...]
    dates: frozenset[int] = frozenset()
    ignored: Mapping[str, str] = field(default_factory=dict)
    leaks: tuple[str, ...] = ()
    odd: Mapping[int, str] = field(default_factory=dict)
    wild: Mapping[int, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def said(self, column: int, value: float) -> str:
        """A value as a person would write it."""
        if np.isnan(value):
            return "missing"
        if column in self.dates:
            return str(np.datetime64(int(value), "s")).removesuffix("T00:00:00")
        return self.categories[column][int(value)] if self.kinds[column] == "category" else f"{value:g}"


@feature(modality="table")
def cells(dataset: Dataset, settings: Settings) -> Cells:
    """Every row parsed. A column is what nine in ten of its cells are: numbers, dates, else categories.

    Columns that say nothing of a row are left out, with the reason: empty or constant ones, ids, and the label once more.
    Raises FeatureUnavailable where nothing is left.
    """
    columns = columns_of(dataset, settings.report_progress)
    ignored, leaks = silent(columns, dataset.labels)
    odd, wild = _told(columns, "odd"), _told(columns, "wild")
    kept = [column for column in columns if column.name not in ignored]
    if not kept:
        said = "; ".join(f"{name!r} {why}" for name, why in list(ignored.items())[:5]) or "it has none"
        raise FeatureUnavailable(f"no column of the table can be judged ({said})")
    columns.clear()
    notes = _notes(kept, ignored)
    values = np.empty((len(dataset), len(kept)), order="F")
    names = tuple(column.name for column in kept)
    words = tuple(TRUTH_WORDS if column.kind == "boolean" else column.words for column in kept)
    kinds: tuple[ColumnKind, ...] = tuple("category" if of_column else "number" for of_column in words)
    dates = frozenset(number for number, column in enumerate(kept) if column.kind == "date")
    for number in range(len(kept) - 1, -1, -1):  # let go of each once it is copied
        values[:, number] = kept.pop().values
    return Cells(values, names, kinds, words, dates, ignored, leaks, odd, wild, notes)


@feature(modality="table")
def readable(dataset: Dataset, cells: Cells) -> Readable:
    """Rows the reader found no fault with, whose cells are all of the kind of their column, and finite."""
    mask = np.array([reason is None for reason in dataset.column("unreadable")], bool)
    mask[[*cells.odd, *cells.wild]] = False
    return Readable(mask, {**cells.odd, **cells.wild})


def _told(columns: Sequence[Column], what: Literal["odd", "wild"]) -> dict[int, str]:
    """Row → what is wrong with its first wrong cell."""
    found: dict[int, str] = {}
    for column in columns:
        if what == "wild":
            for row, text in column.wild.items():
                found.setdefault(row, f"{'NaN' if text == 'nan' else 'not finite'} (column {column.name!r})")
            continue
        expected = "date" if column.kind == "date" else "number"
        for row, text in column.odd.items():
            found.setdefault(row, f"{text[:_LONGEST]!r} is no {expected} (column {column.name!r})")
    return found


def _notes(columns: Sequence[Column], ignored: Mapping[str, str]) -> tuple[str, ...]:
    """What was left out or cut short, in words."""
    reasons: dict[str, list[str]] = {}
    for name, why in ignored.items():
        reasons.setdefault(why, []).append(name)
    notes = [f"Left out: {_some(names)} {why}." for why, names in reasons.items()]
    notes += [
        f"Column {column.name!r} has {column.distinct:,} different words; the {len(column.words) - 1:,} most frequent are told apart."
        for column in columns
        if column.words[-1:] == (RARE,) and column.distinct >= len(column.words)
    ]
    return tuple(notes)


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:5])
    return f"{shown} and {len(names) - 5:,} more (each)" if len(names) > 5 else shown

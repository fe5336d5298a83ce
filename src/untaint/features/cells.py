"""Tables in memory: every column as numbers, with what it holds."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, final

import numpy as np

from untaint.data.dataset import Dataset
from untaint.features.canvas import Readable
from untaint.features.graph import feature
from untaint.features.settings import Settings

ColumnKind: TypeAlias = Literal["number", "category"]
_AT_ONCE = 8192


@final
@dataclass(frozen=True)
class Cells:
    """Columns of a table.

    values: (n, d) float64; of a category its code in `categories`, NaN = missing or unreadable.
    names, kinds: (d,). categories: for every column its words by code, () for numbers.
    """

    values: np.ndarray
    names: tuple[str, ...]
    kinds: tuple[ColumnKind, ...]
    categories: tuple[tuple[str, ...], ...]

    def said(self, column: int, value: float) -> str:
        """A value as a person would write it."""
        if np.isnan(value):
            return "missing"
        return self.categories[column][int(value)] if self.kinds[column] == "category" else f"{value:g}"


@feature(modality="table")
def cells(dataset: Dataset, settings: Settings) -> Cells:
    """Every row parsed; a column is numbers where every value that is there is one, else categories."""
    bad = [reason is not None for reason in dataset.column("unreadable")]
    columns: dict[str, list[object]] = {}
    for batch in dataset.batches(_AT_ONCE):
        for row, payload in zip(batch.tolist(), dataset.read(batch), strict=True):
            record = json.loads(str(payload)) if not bad[row] else {}
            for name, value in record.items():
                columns.setdefault(name, [None] * len(dataset))[row] = value
        settings.report_progress("reading rows", int(batch[-1]) + 1, len(dataset))
    coded = {name: _coded(values) for name, values in columns.items()}
    values = np.stack([each[0] for each in coded.values()], axis=1) if coded else np.empty((len(dataset), 0))
    words = tuple(each[1] for each in coded.values())
    return Cells(values, tuple(coded), tuple("category" if each else "number" for each in words), words)


@feature(modality="table")
def readable(dataset: Dataset) -> Readable:
    """Rows the reader found no fault with."""
    return Readable(np.array([reason is None for reason in dataset.column("unreadable")], bool), {})


def _coded(values: Sequence[object]) -> tuple[np.ndarray, tuple[str, ...]]:
    """A column as float64, and its words when it holds any."""
    if all(value is None or isinstance(value, int | float) for value in values):
        return np.array([np.nan if value is None else float(value) for value in values]), ()  # type: ignore[arg-type]
    said = [None if value is None else str(value) for value in values]
    words = tuple(sorted({word for word in said if word is not None}))
    number = {word: code for code, word in enumerate(words)}
    return np.array([np.nan if word is None else float(number[word]) for word in said]), words

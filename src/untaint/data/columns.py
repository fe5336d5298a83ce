"""Columns of a table from its rows: what kind each is, its values as numbers, and the cells that do not fit."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, final

import numpy as np

from untaint.data.dataset import Dataset
from untaint.data.parts import Part, Run
from untaint.data.times import moment

Held: TypeAlias = Literal["number", "boolean", "date", "category", "empty"]
MOST_WORDS = 10_000
"""Categories of a column that are told apart, the most frequent: what occurs less often shows nothing by itself."""
RARE = "(rare)"
"""What the others count as."""
_MAJORITY = 0.9  # of the cells that are there; fewer of one kind and the column is words
_AT_ONCE = 8192
_STRAY = 100
"""A NaN in at most one of so many rows, three at least, is a broken number; where there are more it is how the data write `missing`."""
BLANK = frozenset({"", "?", "-", "--", ".", "na", "n/a", "n.a.", "nan", "null", "none", "nil", "missing", "unknown"})
"""What people write where a number is missing. In a column of words they are words."""
TRUTH_WORDS = ("False", "True")
"""What 0 and 1 are called where truths are said in words. Texts are truths where a column holds no others, as in CSV files."""
_DATED = re.compile(r"\s*\d{4}[-/]\d{1,2}[-/]\d{1,2}")


@final
@dataclass(frozen=True)
class Column:
    """One column of n rows.

    values: (n,) float64: numbers, 0 and 1, seconds since 1970, or codes of `words`; NaN = nothing that fits.
    odd: row → cell as written, where it is of another kind than the rest.  wild: row → `nan`, `inf` or `-inf`.
    missing: cells that hold nothing.  distinct: different words before the cap.
    """

    name: str
    kind: Held
    values: np.ndarray
    words: tuple[str, ...] = ()
    odd: Mapping[int, str] = field(default_factory=dict)
    wild: Mapping[int, str] = field(default_factory=dict)
    missing: int = 0
    distinct: int = 0


def columns_of(dataset: Dataset, report: Callable[[str, int, int], None]) -> list[Column]:
    """Every column of a table in the order of its first row that has it. Rows the reader found fault with have nothing in any."""
    good = np.asarray(dataset.index.column("unreadable").is_null().to_numpy())
    size, read = len(dataset), 0
    found: dict[str, _Gathering] = {}
    for every, parts in _runs(dataset):
        places = np.flatnonzero(good[every])
        rows = every[places]
        if parts is None:
            records = [_record(str(payload)) for payload in dataset.read(rows)]
            for name in dict.fromkeys(name for record in records for name in record):
                gathering = found.setdefault(name, _Gathering(name, size))
                gathering.add(rows, [record.get(name) for record in records])
        elif len(rows):
            for name, part in parts.items():
                found.setdefault(name, _Gathering(name, size)).put(rows, part if len(rows) == len(every) else part.of(places))
        read += len(every)
        report("reading rows", read, size)
    total = int(good.sum())
    return [found.pop(name).finished(total) for name in list(found)]


def _runs(dataset: Dataset) -> Iterator[Run]:
    """By column where the store can, else the rows whose texts are read."""
    return dataset.runs() or ((rows, None) for rows in dataset.batches(_AT_ONCE))


def _record(payload: str) -> Mapping[str, object]:
    try:
        record = json.loads(payload)
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}


@final
class _Gathering:
    """A column while it is read: numbers as numbers, anything else as a code per different text."""

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self._numbers = np.full(size, np.nan)
        self._codes: np.ndarray | None = None
        self._words: dict[str, int] = {}
        self._infinite: dict[int, str] = {}
        self._nan: list[np.ndarray] = []
        self._truths = True

    def add(self, rows: np.ndarray, values: Sequence[object]) -> None:
        """The cells of some rows."""
        self._truths = self._truths and all(value is None or value is True or value is False for value in values)
        try:
            numbers = np.array(values, np.float64)
        except (TypeError, ValueError, OverflowError):
            numbers = np.empty(0)
        if numbers.shape != (len(values),):
            numbers = np.array([self._one(row, value) for row, value in zip(rows.tolist(), values, strict=True)])
        wild = ~np.isfinite(numbers)
        if wild.sum() > sum(value is None for value in values):
            wild &= np.array([isinstance(value, int | float) for value in values], bool)
            self._tell(rows[wild], numbers[wild])
        self._numbers[rows] = np.where(np.isfinite(numbers), numbers, np.nan)

    def put(self, rows: np.ndarray, part: Part) -> None:
        """The cells of some rows, as the store has them by column."""
        self._truths = self._truths and (
            part.truths or (not (np.isfinite(part.numbers) | part.wild).any() and part.codes is None)
        )
        if part.wild.any():
            self._tell(rows[part.wild], part.numbers[part.wild])
        self._numbers[rows] = np.where(np.isfinite(part.numbers), part.numbers, np.nan)
        if part.codes is not None and (part.codes >= 0).any():
            there = part.codes >= 0
            used, places = np.unique(part.codes[there], return_inverse=True)
            first = np.argsort(np.unique(places, return_index=True)[1], kind="stable")
            code = np.empty(len(used), np.int32)
            for place in first.tolist():
                code[place] = self._code(part.words[used[place]])
            self._coded()[rows[there]] = code[places]

    def _tell(self, rows: np.ndarray, numbers: np.ndarray) -> None:
        """Keep which numbers are not finite."""
        self._nan.append(rows[np.isnan(numbers)])
        infinite = np.isinf(numbers)
        self._infinite |= {int(row): str(float(number)) for row, number in zip(rows[infinite], numbers[infinite], strict=True)}

    def _coded(self) -> np.ndarray:
        if self._codes is None:
            self._codes = np.full(len(self._numbers), -1, np.int32)
        return self._codes

    def _code(self, value: object) -> int:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        return self._words.setdefault(text, len(self._words))

    def _one(self, row: int, value: object) -> float:
        """A cell as a number; where it is none, NaN and its text is kept."""
        if value is None:
            return np.nan
        if isinstance(value, int | float):
            with suppress(OverflowError):
                return float(value)
            return np.inf if value > 0 else -np.inf
        self._coded()[row] = self._code(value)
        return np.nan

    def finished(self, total: int) -> Column:
        """The column; total: rows that could be read."""
        wild = self._broken(total)
        codes = self._codes if self._codes is not None else np.empty(0, np.int32)
        counts = np.bincount(codes[codes >= 0], minlength=len(self._words))
        read = _Words(list(self._words), counts)
        numbers = int(np.isfinite(self._numbers).sum()) + len(wild)
        known = numbers + counts[~read.blank].sum()
        missing = total - int(numbers + counts.sum())
        if known == 0:
            return Column(self.name, "empty", self._numbers, missing=total)
        if (read.truth | read.blank).all() and (numbers == 0 or self._truths):
            values, _ = self._put(codes, read, read.truths)
            return Column(self.name, "boolean", values, missing=missing + int(counts[read.blank].sum()))
        if numbers + counts[read.number].sum() >= _MAJORITY * known:
            values, odd = self._put(codes, read, np.where(read.number, read.numbers, np.nan))
            return Column(self.name, "number", values, (), odd, wild, missing + int(counts[read.blank].sum()))
        if counts[read.date].sum() >= _MAJORITY * known:
            kept, self._numbers = self._numbers, np.full(len(self._numbers), np.nan)
            values, odd = self._put(codes, read, np.where(read.date, read.dates, np.nan))
            odd |= {row: f"{kept[row]:.10g}" for row in np.flatnonzero(np.isfinite(kept)).tolist()}
            return Column(self.name, "date", values, (), odd, wild, missing + int(counts[read.blank].sum()))
        return self._worded(codes, missing)

    def _broken(self, total: int) -> dict[int, str]:
        """Cells that are no finite number; NaN only where it is not how the data write that something is missing."""
        nan = np.concatenate([np.empty(0, np.int64), *self._nan])
        stray = nan if len(nan) <= max(3, total // _STRAY) else nan[:0]
        return dict(sorted({**self._infinite, **dict.fromkeys(stray.tolist(), "nan")}.items()))

    def _put(self, codes: np.ndarray, read: "_Words", values: np.ndarray) -> tuple[np.ndarray, dict[int, str]]:
        """The numbers with the value of every text that has one, and the cells that have none and are not blank."""
        if not len(codes):
            return self._numbers, {}
        rows, texts = np.flatnonzero(codes >= 0), list(self._words)
        self._numbers[rows] = values[codes[rows]]
        odd = rows[np.isnan(values[codes[rows]]) & ~read.blank[codes[rows]]]
        return self._numbers, {row: texts[codes[row]] for row in odd.tolist()}

    def _worded(self, codes: np.ndarray, missing: int) -> Column:
        """All cells as words, sorted."""
        rows = np.flatnonzero(np.isfinite(self._numbers))
        for row in rows.tolist():
            codes[row] = self._words.setdefault(f"{self._numbers[row]:.15g}", len(self._words))
        counts = np.bincount(codes[codes >= 0], minlength=len(self._words))
        texts = np.array(list(self._words), dtype=object)
        kept = np.argsort(-counts, kind="stable")[:MOST_WORDS]
        words = tuple(sorted(texts[kept].tolist()))
        place = {word: code for code, word in enumerate(words)}
        code = np.array([place.get(text, len(words)) for text in texts], np.float64)
        distinct = len(texts)
        words += (RARE,) if distinct > len(kept) else ()
        self._numbers[codes >= 0] = code[codes[codes >= 0]]
        self._numbers[codes < 0] = np.nan
        return Column(self.name, "category", self._numbers, words, {}, {}, missing, distinct)


@final
class _Words:
    """Different texts of a column, each read once: (w,) masks and values."""

    def __init__(self, texts: Sequence[str], counts: np.ndarray) -> None:
        self.counts = counts
        self.blank = np.array([text.strip().lower() in BLANK for text in texts], bool)
        self.numbers = np.array([_number(text) for text in texts], np.float64)
        self.number = ~np.isnan(self.numbers) & ~self.blank
        self.dates = np.array([_seconds(text) for text in texts], np.float64)
        self.date = ~np.isnan(self.dates)
        self.truths = np.array([truth(text) for text in texts], np.float64)
        self.truth = ~np.isnan(self.truths)


def truth(text: str) -> float:
    """1 and 0 for texts that say true or false in small letters or capitals, NaN for others."""
    return {"true": 1.0, "false": 0.0}.get(text.strip().lower(), np.nan)


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return np.nan
    return value if np.isfinite(value) else np.nan


def _seconds(text: str) -> float:
    if not _DATED.match(text):
        return np.nan
    try:
        return moment(text).timestamp()
    except ValueError:
        return np.nan

"""What the columns of a table may hold: inferred from data, pinned in a file, checked on other data."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, TypeAlias, final, get_args

import numpy as np
import pyarrow as pa

from untaint.data.columns import TRUTH_WORDS, Column, Held, columns_of
from untaint.data.dataset import Dataset
from untaint.data.silent import silent
from untaint.errors import BadInput

Report: TypeAlias = Callable[[str, int, int], None]
_LISTED = 1_000
"""Words that are listed one by one; a column with more is a name or a text, and new ones will come."""
_QUOTED = 40  # characters of a cell in a reason


@final
@dataclass(frozen=True)
class Pinned:
    """One column of a table.

    kind: number, boolean, date, category or empty.  role: `value`, or `label`.  missing: share of rows without a value when it was
    inferred.  may_be_missing: whether rows may be.  seen: smallest and largest number seen; dates are seconds since 1970.
    minimum, maximum: what numbers may be, None = anything.  words: what words may be, None = anything.
    left_out: why rows are judged without it, empty where they are judged by it.
    """

    name: str
    kind: Held
    role: str = "value"
    missing: float = 0.0
    may_be_missing: bool = False
    seen: tuple[float, float] | None = None
    minimum: float | None = None
    maximum: float | None = None
    words: tuple[str, ...] | None = None
    left_out: str = ""

    def wrong(self, column: Column, rows: np.ndarray) -> Mapping[int, str]:
        """Row → what the schema does not allow, of rows that can be read."""
        values = column.values[rows]
        there = ~np.isnan(values)
        found = {row: f"{text[:_QUOTED]!r} is no {column.kind}" for row, text in column.odd.items()}
        found |= dict.fromkeys(column.wild, "not finite")
        if column.kind != self.kind and "empty" not in {column.kind, self.kind}:
            return found | self._retyped(column, rows[there])
        if not self.may_be_missing:
            absent = set(rows[~there].tolist()) - set(found)
            found |= dict.fromkeys(sorted(absent), "is missing")
        if column.kind == "category" and self.words is not None:
            new = np.array([word not in self.words for word in column.words], bool)
            for row in rows[there][new[values[there].astype(int)]].tolist():
                found[row] = f"{column.words[int(column.values[row])][:_QUOTED]!r} is none of its {len(self.words):,} words"
        low, high = (np.nan if limit is None else limit for limit in (self.minimum, self.maximum))
        if column.kind != "category":
            for row in rows[there][(values[there] < low) | (values[there] > high)].tolist():
                found[row] = f"{column.values[row]:.10g} is outside {low:.10g} to {high:.10g}"
        return found

    def _retyped(self, column: Column, rows: np.ndarray) -> dict[int, str]:
        """A column of another kind than pinned: truths fit as numbers 0 and 1 and as words, nothing else does."""
        numbers = {"number", "boolean"}
        if {column.kind, self.kind} <= numbers:
            fits = np.isin(column.values[rows], (0.0, 1.0)) if self.kind == "boolean" else np.ones(len(rows), bool)
            return dict.fromkeys(rows[~fits].tolist(), f"is no {self.kind}")
        words = TRUTH_WORDS if column.kind == "boolean" else column.words
        said = {row: words[int(column.values[row])] for row in rows.tolist()} if words else {}
        if {column.kind, self.kind} == {"boolean", "category"}:
            known = {word.lower() for word in (TRUTH_WORDS if self.kind == "boolean" else self.words or TRUTH_WORDS)}
            said = {row: word for row, word in said.items() if word.strip().lower() not in known}
            rows = np.array([*said], np.int64)
        return {row: f"{said.get(row, f'{column.values[row]:.10g}')[:_QUOTED]!r} is no {self.kind}" for row in rows.tolist()}


@final
@dataclass(frozen=True)
class Schema:
    """Every column of a table."""

    id: ClassVar[str] = "untaint.schema/v1"
    columns: tuple[Pinned, ...]

    def text(self) -> str:
        """As JSON, to read, to change by hand, and to check data with."""
        return json.dumps({"schema": self.id, "columns": [asdict(column) for column in self.columns]}, indent=2) + "\n"


def infer(dataset: Dataset, report: Report) -> Schema:
    """The schema of a table. Raises BadInput for data of another kind."""
    _table(dataset)
    columns = columns_of(dataset, report)
    why, _ = silent(columns, dataset.labels)
    read = dataset.index.column("unreadable").null_count
    return Schema((*(_pinned(column, read, why.get(column.name, "")) for column in columns), _label(dataset)))


def checked(dataset: Dataset, schema: Schema, report: Report) -> Dataset:
    """A copy in which rows that break a schema say so; columns the schema does not know are noted.

    Raises BadInput for data of another kind, a column the schema has and the data lack, and where no row keeps to the schema.
    """
    _table(dataset)
    columns = {column.name: column for column in columns_of(dataset, report)}
    pinned = {column.name: column for column in schema.columns if column.role == "value"}
    if lacking := [name for name in pinned if name not in columns]:
        raise BadInput(f"the data lack column {lacking[0]!r}, which the schema has.", advice="Mend the data or the schema.")
    reasons: list[str | None] = dataset.column("unreadable")
    rows = np.flatnonzero([reason is None for reason in reasons])
    for name, column in pinned.items():
        for row, why in column.wrong(columns[name], rows).items():
            reasons[row] = reasons[row] or f"schema: {why} (column {name!r})"
    for row, why in _labels(dataset, schema).items():
        reasons[row] = reasons[row] or why
    if all(reason is not None for reason in reasons):
        raise BadInput(f"no row keeps to the schema; the first: {reasons[0]}.", advice="Is it the schema of these data?")
    place = dataset.index.schema.get_field_index("unreadable")
    index = dataset.index.set_column(place, "unreadable", pa.array(reasons, pa.string()))
    new = [name for name in columns if name not in pinned]
    notes = (f"not in the schema: {', '.join(map(repr, new[:5]))}{' and others' if len(new) > 5 else ''}",) if new else ()
    return replace(dataset, index=index, notes=(*dataset.notes, *notes))


def read(path: Path) -> Schema:
    """A schema from its file. Raises BadInput for anything else."""
    try:
        return parse(json.loads(path.read_text("utf-8")), path)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or error}.", advice="Name a file written by --out.") from error
    except ValueError as error:
        message = f"{path} is not a schema: {error}."
        raise BadInput(message, advice="Compare with what `untaint schema DATA --out FILE` writes.") from error


def parse(found: object, path: Path) -> Schema:
    """A schema from what its file holds; path: for what is said where it is none. Raises BadInput for anything else."""
    if not isinstance(found, dict) or found.get("schema") != Schema.id:
        raise BadInput(f"{path} is no schema of untaint.", advice="Write one with `untaint schema DATA --out FILE`.")
    try:
        columns = tuple(_parsed(column) for column in found["columns"])
    except (ValueError, KeyError, TypeError, IndexError) as error:
        message = f"{path} is not a schema: {str(error) or type(error).__name__}."
        raise BadInput(message, advice="Compare with what `untaint schema DATA --out FILE` writes.") from error
    if not columns or len({column.name for column in columns if column.role == "value"}) == 0:
        raise BadInput(f"{path} pins no column.", advice="Write one with `untaint schema DATA --out FILE`.")
    return Schema(columns)


def _parsed(column: Mapping[str, Any]) -> Pinned:
    """One column of a file. Raises ValueError or TypeError for what it cannot be."""
    pinned = Pinned(**column)
    limits = [limit for limit in (pinned.minimum, pinned.maximum) if limit is not None]
    if not isinstance(pinned.name, str) or pinned.kind not in get_args(Held) or pinned.role not in {"value", "label"}:
        raise ValueError(f"{str(pinned.name)!r} has a kind or role that is not known ({pinned.kind!r}, {pinned.role!r})")
    if any(isinstance(limit, bool) or not isinstance(limit, int | float) for limit in limits):
        raise ValueError(f"a limit of {pinned.name!r} is no number")
    if pinned.words is not None and not all(isinstance(word, str) for word in pinned.words):
        raise ValueError(f"the words of {pinned.name!r} are not all texts")
    seen = None if pinned.seen is None else (float(pinned.seen[0]), float(pinned.seen[1]))
    return replace(pinned, seen=seen, words=None if pinned.words is None else tuple(pinned.words))


def _table(dataset: Dataset) -> None:
    if dataset.modality != "table":
        message = f"a schema is of a table, this set holds {dataset.modality} data."
        raise BadInput(message, advice="Name the columns of the table with --payload.")


def _pinned(column: Column, total: int, why: str) -> Pinned:
    """A column as it is seen. Numbers may be as far again outside what was seen as that is wide, yet not negative where none was.

    Ids and dates may be anything: new rows have new ones.
    """
    there = column.values[~np.isnan(column.values)]
    lost = total - len(there) - len(column.odd) - len(column.wild)
    plain = Pinned(column.name, column.kind, "value", round(lost / max(1, total), 6), lost > 0, left_out=why)
    if not len(there):
        return replace(plain, kind="empty", missing=1.0, may_be_missing=True)
    if column.kind == "category":
        return plain if column.distinct > _LISTED or why.endswith("an id has") else replace(plain, words=column.words)
    low, high = float(there.min()), float(there.max())
    plain = replace(plain, seen=(low, high))
    if column.kind == "date" or why.endswith("an id has"):
        return plain
    least, most = (low, high) if column.kind == "boolean" else (low - (high - low), high + (high - low))
    return replace(plain, minimum=max(0.0, least) if low >= 0 else least, maximum=most)


def _label(dataset: Dataset) -> Pinned:
    words: Sequence[str] = dataset.class_names
    lost = sum(label is None for label in dataset.labels)
    listed = tuple(words) if len(words) <= _LISTED else None
    name = dataset.columns.label or "label"
    return Pinned(name, "category", "label", round(lost / max(1, len(dataset)), 6), lost > 0, words=listed)


def _labels(dataset: Dataset, schema: Schema) -> Mapping[int, str]:
    """Row → what is wrong with its label."""
    found: dict[int, str] = {}
    for column in schema.columns:
        if column.role != "label":
            continue
        for row, label in enumerate(dataset.labels):
            if label is None and not column.may_be_missing:
                found[row] = f"schema: is missing (label {column.name!r})"
            elif label is not None and column.words is not None and label not in column.words:
                found[row] = f"schema: {label[:_QUOTED]!r} is none of its {len(column.words):,} words (label {column.name!r})"
    return found

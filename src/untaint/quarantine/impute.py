"""Cells without a usable value, filled in a copy of the clean rows: which, with what and why; the rows themselves stay as they were."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from untaint.data.columns import RARE, Column, columns_of
from untaint.data.dataset import Dataset
from untaint.data.silent import silent
from untaint.errors import BadInput
from untaint.quarantine.ledger import Record

Impute: TypeAlias = Literal["none", "robust"]
FOLDER = "imputed"
_AT_ONCE = 8192
_EXACT = 2.0**53  # float64 tells whole numbers apart up to here
_MOST = 0.5
"""Share of the kept rows that may lack a value: of a column that lacks more, the median says little of those that do."""
_QUOTED = 200  # characters of a cell that the ledger keeps; the cell itself stays in clean/


@final
@dataclass(frozen=True)
class Filled:
    """fills: a record per cell, in the order of rows.  left: name of a column with cells to fill → why they were left."""

    fills: tuple[Record, ...]
    left: Mapping[str, str]

    def counted(self) -> dict[str, tuple[int, object]]:
        """Column → how many of its cells were filled, and with what."""
        found: dict[str, tuple[int, object]] = {}
        for fill in self.fills:
            found[str(fill["column"])] = (found.get(str(fill["column"]), (0, None))[0] + 1, fill["new"])
        return found


def robust(dataset: Dataset, kept: np.ndarray) -> Filled:
    """What the cells of the kept rows that are missing, or of another kind than their column, are filled with.

    Numbers: the median (of two middle ones the smaller, a value that occurs); truths and words: the most frequent. Both hold
    against any minority of poisoned rows, and are of the kept rows alone. Dates, ids, empty columns, and those that lack a
    value in more than half of the rows are left.
    Raises BadInput for data that are no table.
    """
    if dataset.modality != "table":
        raise BadInput(f"cells are filled in tables; this set holds {dataset.modality} data.", advice="Leave out --impute.")
    columns = columns_of(dataset, lambda _what, _done, _total: None)
    ids = {name for name, why in silent(columns, dataset.labels)[0].items() if why.endswith("an id has")}
    chosen, left = {}, {}
    for column in columns:
        lacking = kept[np.isnan(column.values[kept])]
        why = _left(column, len(lacking) / max(1, len(kept)), column.name in ids) if len(lacking) else ""
        if why:
            left[column.name] = why
        elif len(lacking):
            chosen[column.name] = (column, lacking, _typical(column, column.values[kept]))
    cells = sorted((int(row), name) for name, (_, lacking, _) in chosen.items() for row in lacking)
    rows = sorted({row for row, _ in cells})
    written = {row: json.loads(str(text)) for row, text in zip(rows, dataset.read(rows), strict=True)}
    return Filled(tuple(_record(dataset, row, written[row].get(name), *chosen[name][::2]) for row, name in cells), left)


def write(dataset: Dataset, rows: np.ndarray, fills: Iterable[Record], folder: Path) -> None:
    """`data.parquet` in a new folder: these rows with some cells filled, numbers as numbers, label, source and time beside them."""
    folder.mkdir()
    new: dict[str, dict[int, object]] = {}
    for fill in fills:
        new.setdefault(str(fill["column"]), {})[int(str(fill["row"]))] = fill["new"]
    columns = columns_of(dataset, lambda _what, _done, _total: None)
    types = {column.name: _type(column, rows, new.get(column.name, {})) for column in columns}
    roles = {role or fallback: name for role, fallback, name in _roles(dataset) if (role or fallback) not in types}
    schema = pa.schema([*types.items(), *((role, dataset.index.schema.field(name).type) for role, name in roles.items())])
    with pq.ParquetWriter(folder / "data.parquet", schema) as file:
        for start in range(0, len(rows), _AT_ONCE):
            part = rows[start : start + _AT_ONCE]
            records = [json.loads(str(text)) for text in dataset.read(part)]
            arrays = [_array(column, part, records, new.get(column.name, {}), types[column.name]) for column in columns]
            index = dataset.index.take(pa.array(part))
            arrays += [index.column(name).combine_chunks() for name in roles.values()]
            file.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _left(column: Column, share: float, identifies: bool) -> str:
    if column.kind in {"date", "empty"} or identifies:
        return "it holds nothing" if column.kind == "empty" else "nothing is typical of ids" if identifies else "it holds dates"
    return f"{share:.0%} of the rows lack it" if share > _MOST else ""


def _typical(column: Column, values: np.ndarray) -> object:
    there = np.sort(values[~np.isnan(values)])
    if column.kind == "number":
        middle = float(there[(len(there) - 1) // 2])
        return int(middle) if middle.is_integer() and abs(middle) < _EXACT else middle
    codes, counts = np.unique(there, return_counts=True)
    if column.kind == "boolean":
        return bool(codes[counts.argmax()])
    counts[[column.words[int(code)] == RARE for code in codes]] = 0
    return column.words[int(codes[counts.argmax()])]


def _record(dataset: Dataset, row: int, old: object, column: Column, new: object) -> Record:
    reason = f"is no {column.kind}" if row in column.odd else "is not finite" if row in column.wild else "is missing"
    said = old if old is None or isinstance(old, bool | int) else str(old)[:_QUOTED]
    place = {"row": row, "id": dataset.ids[row], "column": column.name}
    return {"action": "impute", **place, "old": said, "new": new, "reason": reason}


def _roles(dataset: Dataset) -> tuple[tuple[str | None, str, str], ...]:
    """What label, source and time are called in the data, and else; and their names in the index, where there are any."""
    columns = dataset.columns
    every = ((columns.label, "label", "label"), (columns.source, "source", "source"), (columns.time, "time", "collected_at"))
    return tuple(each for each in every if dataset.index.column(each[2]).null_count < len(dataset))


def _type(column: Column, rows: np.ndarray, new: Mapping[int, object]) -> pa.DataType:
    """Numbers where every cell is one after filling; whole ones whole; text where a cell of another kind is left."""
    kept = set(rows.tolist()) - set(new)
    if column.kind in {"category", "date", "empty"} or not kept.isdisjoint(column.odd):
        return pa.string()
    if column.kind == "boolean":
        return pa.bool_()
    values = column.values[rows]
    there = values[~np.isnan(values)]
    whole = kept.isdisjoint(column.wild) and bool((there == np.round(there)).all() and (np.abs(there) < _EXACT).all())
    return pa.int64() if whole else pa.float64()


def _array(
    column: Column, rows: np.ndarray, records: list[dict[str, object]], new: Mapping[int, object], kind: pa.DataType
) -> pa.Array:
    if kind == pa.string():
        cells = [new.get(row, record.get(column.name)) for row, record in zip(rows.tolist(), records, strict=True)]
        return pa.array([_text(cell) for cell in cells], kind)
    values = column.values[rows].copy()
    for place, row in enumerate(rows.tolist()):
        if row in new:
            values[place] = float(str(new[row])) if not isinstance(new[row], bool) else bool(new[row])
        elif row in column.wild:
            values[place] = float(column.wild[row])
    gone = np.isnan(values)
    return pa.array(np.where(gone, 0, values) if kind != pa.float64() else values, mask=gone).cast(kind)


def _text(cell: object) -> str | None:
    return cell if cell is None or isinstance(cell, str) else json.dumps(cell, ensure_ascii=False)

"""One rule: an editor writes a table some of whose cells were changed, in the layout it came in, all other cells as they were."""

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeAlias, final

import numpy as np

from untaint.data.dataset import Columns, Dataset, Payload, Store, ViewStore
from untaint.data.readers._recipe import Recipe, table_row
from untaint.data.times import moment, written_like
from untaint.data.writers.base import PACKAGE, changed
from untaint.data.writers.cells import parsed
from untaint.data.writers.parquet import write_dataset
from untaint.registry import members
from untaint.types import Mask, Rows

Cells: TypeAlias = Mapping[str, object]
"""Values by column, as the source holds them or as JSON has them."""


@final
@dataclass(frozen=True)
class Edits:
    """What to write.

    rows: (m,) rows of the source that stay, ascending.  cells: row of the source → its new cells.  added: rows for the end.
    new: columns the source lacks, of text.
    """

    rows: Rows
    cells: Mapping[int, Cells]
    added: Sequence[Cells] = ()
    new: tuple[str, ...] = ()

    def column(self, name: str) -> list[object]:
        """New cells of one column."""
        return [cells[name] for cells in [*self.cells.values(), *self.added] if name in cells]


@final
@dataclass(frozen=True)
class Source:
    """Where a table lay before it was changed. path: of the file or folder; of a frame nothing."""

    path: Path
    columns: Columns
    store: Store


class Editor(ABC):
    """Reads and writes the format of the reader with the same `id`; `frame` for what a program holds."""

    id: ClassVar[str]

    @abstractmethod
    def look(self, source: Source, rows: Rows) -> list[Cells]:
        """These rows of the source, ascending, with every column."""

    @abstractmethod
    def write(self, source: Source, edits: Edits, out: Path) -> Path:
        """Write into the folder `out`, which exists, and return the path a reader opens."""


def write_edited(dataset: Dataset, touched: Mask, out: Path) -> Path:
    """Write a table that was changed, in the format and with the columns it came in where that can be done, else as Parquet.

    touched: (n,) rows whose payload, label, source or time may have been changed, and rows that were added at the end.
    Raises BadInput when the source is no longer what was read, OSError when `out` cannot be written.
    """
    base, rows, payloads = unwrapped(dataset.store, len(dataset))
    editor, recipe = _editor(dataset, base), getattr(base, "recipe", None)
    kept = rows[rows >= 0]
    at_end = bool((rows[: len(kept)] >= 0).all() and (np.diff(kept) > 0).all())
    if editor is None or not isinstance(recipe, Recipe) or not at_end:
        return write_dataset(dataset, np.arange(len(dataset)), out)
    out.mkdir(parents=True, exist_ok=True)
    source = Source(dataset.location or Path(), dataset.columns, base)
    return editor.write(source, _edits(_Change(dataset, recipe, rows, payloads), editor, source, touched), out)


def unwrapped(store: Store, size: int) -> tuple[Store, Rows, dict[int, Payload]]:
    """The store below all views, the row of it that each of `size` rows stands for, -1 = none, and payloads that are others."""
    rows, payloads = np.arange(size), dict[int, Payload]()
    while isinstance(store, ViewStore):
        below = {row: store.changed[int(there)] for row, there in enumerate(rows.tolist()) if there in store.changed}
        payloads = below | payloads
        rows = np.where(rows < 0, -1, store.rows[rows])
        store = store.base
    return store, rows, payloads


def _editor(dataset: Dataset, base: Store) -> Editor | None:
    known = members(Editor, PACKAGE)
    name = "frame" if getattr(base, "whole", None) is not None else dataset.format if dataset.location else None
    chosen = known.get(name) if name else None
    return None if chosen is None else chosen()


@final
@dataclass(frozen=True)
class _Change:
    """A changed set beside its source."""

    dataset: Dataset
    recipe: Recipe
    rows: Rows
    payloads: Mapping[int, Payload]

    @property
    def names(self) -> dict[str, str]:
        """Column of the index → column of the source."""
        roles = self.recipe.roles
        return {"label": roles.label or "label", "source": roles.source or "source", "collected_at": roles.time or "collected_at"}

    def cells(self, row: int, record: Cells, known: Mapping[tuple[str, str], object]) -> dict[str, object]:
        """Cells of a row that are not as in its source. known: how the source writes a label or a source."""
        found: dict[str, object] = {}
        if row in self.payloads:
            before = parsed(table_row({name: record.get(name) for name in self.recipe.roles.payload})[0])
            now = parsed(self.payloads[row])
            found |= {name: value for name, value in now.items() if not same(value, before.get(name))}
        for role, before_it in (("label", self.recipe.label(record)), ("source", self.recipe.source(record))):
            name = self.dataset.index.column(role)[row].as_py()
            if name != before_it:
                found[self.names[role]] = known.get((role, str(name)), name)
        return found | self.time(row, record)

    def time(self, row: int, record: Cells) -> dict[str, object]:
        """The time of a row, where it is another."""
        when, written = self.dataset.index.column("collected_at")[row].as_py(), self.recipe.time(record)
        if when is None or self.recipe.roles.time is None:
            return {}
        try:
            there = self.rows[row] >= 0 and written is not None and moment(written) == when
        except ValueError:
            there = False
        return {} if there else {self.names["collected_at"]: written_like(written, when)}


def _edits(change: _Change, editor: Editor, source: Source, touched: Mask) -> Edits:
    places = np.flatnonzero(touched)
    kept = places[change.rows[places] >= 0]
    witnesses = _witnesses(change, touched)
    asked = np.unique([*change.rows[kept], *change.rows[list(witnesses.values())]]).astype(np.int64)
    found = editor.look(source, asked)
    if len(found) != len(asked):
        raise changed(source.path, "it has other rows")
    records = dict(zip(asked.tolist(), found, strict=True))
    known: dict[tuple[str, str], object] = {}
    for (role, name), row in witnesses.items():
        known[role, name] = records[int(change.rows[row])].get(change.names[role])
    example: Cells = next(iter(records.values()), {})
    blank = {name: cell if name == change.recipe.roles.time else None for name, cell in example.items()}
    cells = {int(change.rows[row]): change.cells(int(row), records[int(change.rows[row])], known) for row in kept}
    added = [change.cells(int(row), blank, known) for row in places if change.rows[row] < 0]
    new = tuple(sorted({name for each in [*cells.values(), *added] for name in each} - set(example)))
    return Edits(change.rows[change.rows >= 0], {row: each for row, each in cells.items() if each}, added, new)


def _witnesses(change: _Change, touched: Mask) -> dict[tuple[str, str], int]:
    """For every label and source that touched rows have, a row that had it before."""
    found: dict[tuple[str, str], int] = {}
    for role in ("label", "source"):
        names = change.dataset.column(role)
        wanted = {names[row] for row in np.flatnonzero(touched)} - {None}
        for row, name in enumerate(names):
            if name in wanted and not touched[row]:
                found[role, str(name)] = row
                wanted.discard(name)
    return found


def same(one: object, other: object) -> bool:
    """Whether two cells of JSON are one value; NaN is itself, 3 and 3.0 are one, true and 1 are not."""
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def as_text(value: object) -> str:
    """A cell as text; nothing for a missing one."""
    if value is None:
        return ""
    return value if isinstance(value, str) else repr(value) if isinstance(value, float) else json.dumps(value, default=str)

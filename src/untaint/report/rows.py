"""Rows of tables for a person: the columns a finding speaks of first, then some others, one row under the other."""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

from untaint.report.text import clip

COLUMNS = 6
"""Columns shown, those a finding speaks of among them: what fits the width of the page beside label and source."""
_CELL = 40  # characters of a cell


@final
@dataclass(frozen=True)
class Row:
    """A row cut to size.  cells: column → what it holds, those the finding speaks of first.  named: how many these are.

    columns: how many the row has.
    """

    cells: Mapping[str, str]
    named: int
    columns: int

    def text(self) -> str:
        """As JSON, for `pictures.parquet`."""
        return json.dumps({"cells": self.cells, "named": self.named, "columns": self.columns}, ensure_ascii=False)


def spoken_of(said: Iterable[str], columns: Collection[str]) -> tuple[str, ...]:
    """The columns that texts of a finding give values of, or call columns, in the order they come."""
    known = "|".join(re.escape(name) for name in sorted(columns, key=len, reverse=True) if name)
    if not known:
        return ()
    pattern = re.compile(rf"(?:(?:^|[(]|, | and |rows with )({known})(?= = | from | missing)|[Cc]olumns? '({known})')")
    found = [match[1] or match[2] for text in said for match in pattern.finditer(text)]
    return tuple(dict.fromkeys(found))


def excerpt(payload: str, said: Iterable[str]) -> str:
    """A row as `Row.text`, from its JSON; the beginning of the text where that is none. said: what the finding says."""
    try:
        record = json.loads(payload)
    except ValueError:
        record = None
    if not isinstance(record, dict) or not record:
        return clip(payload, COLUMNS * _CELL)
    named = spoken_of(said, record)[:COLUMNS]
    others = [name for name in record if name not in named]
    shown = (*named, *others[: COLUMNS - len(named)])
    return Row({name: _cell(record[name]) for name in shown}, len(named), len(record)).text()


def parsed(text: str) -> Row | None:
    """A row from its text; None where it is another text."""
    try:
        found = json.loads(text)
        cells = {str(name): str(cell) for name, cell in found["cells"].items()}
        return Row(cells, int(found["named"]), int(found["columns"]))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def header(rows: Sequence[Row]) -> tuple[tuple[str, bool], ...]:
    """The columns of some rows of one finding, and whether it speaks of them."""
    found: dict[str, bool] = {}
    for row in rows:
        for place, name in enumerate(row.cells):
            found[name] = found.get(name, False) or place < row.named
    return tuple(sorted(found.items(), key=lambda item: not item[1]))


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.10g}"
    return clip(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), _CELL)

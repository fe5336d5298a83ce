"""Cells that are no numbers where numbers belong, break a schema, or are the label once more."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from untaint.detectors.base import Detector
from untaint.evidence.evidence import Evidence, Group
from untaint.features.canvas import Readable
from untaint.features.cells import Cells
from untaint.types import Modality, Rows

_SIGNS: Mapping[str, tuple[str, ...]] = {
    "not finite": ("not finite",),
    "NaN": ("NaN",),
    "schema": ("schema:",),
    "kind": (" is no number", " is no date"),
}
"""How readers, `features.cells` and `data.schema` say it, by what it is."""
_SINGLE = 1000
"""NaN in at most one of so many rows, three at least, is a broken number; more may be how the data write that something is missing."""
_QUOTED = 5  # different reasons that are spelled out


@final
@dataclass(frozen=True)
class UnfitCells(Detector):
    """Screens a table for numbers that are not finite, cells of another kind than their column, cells no schema allows, and leaks.

    Infinity, and NaN in no more than three rows or one in a thousand, is accused: one such row turns every weight of a model into NaN.
    The rest is told, for honest tables have words among their numbers, more NaN, values a schema did not foresee, and now and then a
    column that is the label once more. That column is left out wherever rows are judged.

    Works when: always; the screen is exact, nothing is estimated. Words and NaN are seen where nine in ten cells are numbers.
    Fails when: the data write an attacker's NaN the way they write that something is missing, as CSV and pandas do.
    Cost: none beyond reading.
    Reference: Breck, Polyzotis, Roy, Whang, Zinkevich 2019, Data Validation for Machine Learning, MLSys
    """

    id: ClassVar[str] = "unfit-cells"
    modalities: ClassVar[frozenset[Modality]] = frozenset({"table"})

    @property
    def budget(self) -> str:
        return "fast"

    def examine(self, cells: Cells, readable: Readable, problems: tuple[str | None, ...]) -> Evidence:
        found = {what: _with(problems, signs) for what, signs in _SIGNS.items()}
        scores = np.zeros(len(problems), np.float32)
        scores[np.concatenate(list(found.values()))] = 1.0
        few = len(found["NaN"]) <= max(3, len(problems) // _SINGLE)
        broken = np.union1d(found["not finite"], found["NaN"] if few else np.empty(0, np.int64))
        groups = [_accused(problems, broken)] if len(broken) else []
        rest = {"NaN": np.empty(0, np.int64) if few else found["NaN"], "kind": found["kind"], "schema": found["schema"]}
        groups += [_told(problems, rows, _SAID[what]) for what, rows in rest.items() if len(rows)]
        if cells.leaks:
            groups.append(_leak(cells, np.flatnonzero(readable.mask)))
        return Evidence(scores, "empirical", tuple(groups), note=" ".join(cells.notes))


_SAID = {
    "NaN": "have a NaN where other rows have a number, too many for an accident and few for a way of writing `missing`",
    "kind": "have a cell of another kind than the rest of its column",
    "schema": "break the schema",
}


def _with(problems: tuple[str | None, ...], signs: tuple[str, ...]) -> Rows:
    return np.array([row for row, why in enumerate(problems) if why is not None and any(sign in why for sign in signs)], np.int64)


def _reasons(problems: tuple[str | None, ...], rows: Rows) -> str:
    """Different reasons with the first row of each."""
    first: dict[str, int] = {}
    for row in rows.tolist():
        first.setdefault(str(problems[row]), row)
    shown = "; ".join(f"row {row:,}: {why}" for why, row in list(first.items())[:_QUOTED])
    return f"{shown}; and {len(first) - _QUOTED:,} more reasons" if len(first) > _QUOTED else shown


def _accused(problems: tuple[str | None, ...], rows: Rows) -> Group:
    many = "1 row holds a number that is" if len(rows) == 1 else f"{len(rows):,} rows hold numbers that are"
    explanation = f"{many} not finite ({_reasons(problems, rows)}). One such row is enough to destroy a model in training."
    return Group("leverage", rows, float(len(rows)), 0.0, 1.0, 0.0, explanation, 1.0)


def _told(problems: tuple[str | None, ...], rows: Rows, said: str) -> Group:
    one = said.replace("have ", "has ", 1).replace("break ", "breaks ", 1)
    many = f"1 row {one}" if len(rows) == 1 else f"{len(rows):,} rows {said}"
    return Group("outlier", rows, float(len(rows)), 0.0, 1.0, 0.0, f"{many} ({_reasons(problems, rows)}).", 0.0)


def _leak(cells: Cells, rows: Rows) -> Group:
    names = ", ".join(f"'{name}'" for name in cells.leaks)
    columns = f"Column {names} is" if len(cells.leaks) == 1 else f"Columns {names} are"
    explanation = (
        f"{columns} the label once more: every value goes with one label and every label with one value. A model would learn nothing "
        "else, so rows are judged without it."
    )
    return Group("shortcut", rows, float(len(cells.leaks)), 0.0, 1.0, 0.0, explanation, 0.0)

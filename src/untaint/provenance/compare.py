"""Two versions of a data set side by side: their samples by leaf, what is left over by content, then by place.

A sample whose leaf is in both is the same, wherever it stands. Of the others, the same content under another label (source, …) is one
sample that is claimed otherwise; another content at the same place is one that was edited; the rest was added or removed.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias, final

import numpy as np
import pyarrow as pa

from untaint.provenance.changes import SHOWN, Changes, Part, SampleChange
from untaint.provenance.leaves import FIELDS
from untaint.provenance.manifest import Manifest
from untaint.provenance.matching import Digests, unmatched
from untaint.provenance.order import moved

Row: TypeAlias = Mapping[str, Any]
"""Of the manifest, by column."""
FILE_COLUMNS = ("name", "sha256", "first_row", "rows")
DETAILED = 200_000
"""Leftover rows of a version that are held at once to be told apart."""
_AT_ONCE = 65_536


@final
@dataclass(frozen=True)
class Version:
    """One version. files: its table of files with `FILE_COLUMNS`, asked for when something changed.  leaves: (n, 4)."""

    manifest: Manifest
    leaves: Digests
    files: Callable[[], Any]

    @cached_property
    def _table(self) -> Any:
        return self.files()

    @cached_property
    def names(self) -> Sequence[str]:
        """Name of every file, by number."""
        found: Sequence[str] = self._table.column("name").to_pylist()
        return found

    def contents(self) -> Sequence[tuple[bytes, int, int]]:
        """Digest, first row and rows of every file that holds samples."""
        columns = (self._table.column(name).to_pylist() for name in FILE_COLUMNS[1:])
        return [(digest, first, rows) for digest, first, rows in zip(*columns, strict=True) if rows and digest is not None]

    def place(self, row: Row) -> str:
        """The file that a sample lies in; of a set that is one file, its name does not matter."""
        return "" if len(self.names) == 1 else self.names[row["file"]]

    def path(self, row: Row) -> str:
        """Where a person finds a sample."""
        return path_of(self.names[row["file"]], row)


def path_of(name: str, row: Row) -> str:
    """Where a person finds a sample of a file, as an audit writes it."""
    if row["offset"] < 0:
        return f"{name}#{row['number']}"
    return f"{name}:{row['number']}" if row["number"] else name


def compare(old: Version, new: Version, changes: Changes, *, ordered: bool) -> None:
    """Add what changed in the samples. ordered: whether their order is more than that of file names."""
    lone = unmatched(old.leaves, new.leaves)
    if ordered:
        _in_order(old, new, lone, changes)
    _in_place(old, new, lone, changes)
    left = [np.flatnonzero(mask) for mask in lone]
    over = sum(max(0, len(rows) - DETAILED) for rows in left)
    changes.unclear += over
    _Pairing(old, new, [rows[:DETAILED] for rows in left], lone, changes).run()


def _in_order(old: Version, new: Version, lone: tuple[np.ndarray, np.ndarray], changes: Changes) -> None:
    """Samples that were moved. Those of a file that is there as it was, under whatever name, went with it."""
    left = lone[0].copy(), lone[1].copy()
    there = defaultdict[bytes, list[tuple[int, int]]](list)
    for digest, first, rows in reversed(old.contents()):
        there[digest].append((first, rows))
    for digest, first, rows in new.contents():
        if there[digest] and there[digest][-1][1] == rows:
            before, _ = there[digest].pop()
            left[0][before : before + rows] = left[1][first : first + rows] = True
    found = moved(old.leaves, new.leaves, left)
    more = found.more + max(0, len(found.new) - SHOWN)
    if more:
        changes.samples["order"] += more
    for was, now in zip(_rows_at(old, found.old[:SHOWN]), _rows_at(new, found.new[:SHOWN]), strict=True):
        changes.add(SampleChange("changed", new.path(now), ("order",), id=now["id"].hex(), old_path=old.path(was)))


def _rows_at(version: Version, numbers: np.ndarray) -> list[Row]:
    """Rows of a manifest in any order, each once."""
    order = np.argsort(numbers)
    found: list[Row] = version.manifest.take(numbers[order]).to_pylist()
    return [found[place] for place in np.argsort(order)]


def _in_place(old: Version, new: Version, lone: tuple[np.ndarray, np.ndarray], changes: Changes) -> None:
    """Rows that stand where they stood with the same content: many may be claimed otherwise at once."""
    size = min(len(lone[0]), len(lone[1]))
    both = np.flatnonzero(lone[0][:size] & lone[1][:size])
    for start in range(0, len(both), _AT_ONCE):
        rows = both[start : start + _AT_ONCE]
        before, after = old.manifest.take(rows), new.manifest.take(rows)
        same = _equal(before, after, "id")
        for place in np.flatnonzero(same).tolist():
            one, other = (table.slice(place, 1).to_pylist()[0] for table in (before, after))
            changes.add(claimed(old.path(one), one, new.path(other), other))
        lone[0][rows[same]] = False
        lone[1][rows[same]] = False


def _equal(before: pa.Table, after: pa.Table, column: str) -> np.ndarray:
    pairs = zip(before.column(column).to_pylist(), after.column(column).to_pylist(), strict=True)
    return np.array([one == other for one, other in pairs], bool)


def claimed(old_path: str, before: Row, path: str, after: Row) -> SampleChange:
    """The change from one row to another that stands for the same sample."""
    parts: list[Part] = [name for name in FIELDS if before[name] != after[name]]
    words = list(parts)
    if before["id"] != after["id"]:
        parts.insert(0, "content")
    elif before["rest"] != after["rest"]:
        parts.insert(0, "fields")
    return SampleChange(
        "changed",
        path,
        tuple(parts),
        {name: before[name] for name in words},
        {name: after[name] for name in words},
        after["id"].hex(),
        old_path,
        before["url"],
    )


@final
class _Pairing:
    """Leftover rows of two versions, put together one by one."""

    def __init__(
        self, old: Version, new: Version, rows: Sequence[np.ndarray], lone: tuple[np.ndarray, np.ndarray], changes: Changes
    ) -> None:
        self._changes = changes
        self._rows = [
            [
                row | {"path": version.path(row), "gap": (version.place(row), int(gap)), "row": int(number)}
                for row, gap, number in zip(
                    version.manifest.take(numbers).to_pylist(), _gaps(mask, numbers), numbers, strict=True
                )
            ]
            for version, numbers, mask in zip((old, new), rows, lone, strict=True)
        ]

    def run(self) -> None:
        """By content and path, by content, by place; then what came and what went.

        At one place of a file of records: by the other fields of the record, then in order, if as many came as went.
        """
        self._by(lambda row: (row["id"], row["path"]))
        self._by(lambda row: row["id"])
        self._by(lambda row: (row["path"],) if _is_file(row) else (row["gap"], row["rest"]) if row["rest"] else None)
        gaps = [Counter(row["gap"] for row in rows if not _is_file(row)) for rows in self._rows]
        self._by(lambda row: row["gap"] if gaps[0][row["gap"]] == gaps[1][row["gap"]] else None)
        for side, what in enumerate(("removed", "added")):
            for row in self._rows[side]:
                self._changes.add(SampleChange(what, row["path"], id=row["id"].hex()))  # type: ignore[arg-type]

    def _by(self, key: Callable[[dict[str, Any]], object]) -> None:
        """Rows with the same key stand for the same sample; None = for none."""
        waiting = defaultdict[object, list[dict[str, Any]]](list)
        for row in reversed(self._rows[0]):
            waiting[key(row)].append(row)
        found, left = set[int](), []
        waiting.pop(None, None)
        for row in self._rows[1]:
            if same := waiting.get(key(row)):
                before = same.pop()
                found.add(before["row"])
                self._changes.add(claimed(before["path"], before, row["path"], row))
            else:
                left.append(row)
        self._rows = [[row for row in self._rows[0] if row["row"] not in found], left]


def _is_file(row: dict[str, Any]) -> bool:
    """Whether a sample is a file of its own."""
    return row["number"] == 0 and row["offset"] >= 0


def _gaps(lone: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """How many rows with a counterpart stand before each: the same gap between them is the same place."""
    return rows - np.searchsorted(np.flatnonzero(lone), rows)

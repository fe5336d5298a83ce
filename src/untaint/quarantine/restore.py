"""Undo: samples go back from quarantine to clean, in the order they had in the input."""

import shutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from untaint.data.dataset import Dataset
from untaint.errors import BadInput, UntaintError
from untaint.quarantine import impute as imputing
from untaint.quarantine import ledger, parts
from untaint.quarantine.choose import choose
from untaint.quarantine.ledger import Ledger, Record
from untaint.quarantine.reasons import write_reasons
from untaint.quarantine.staging import recover, staged

OURS = {"clean", "quarantine", "ledger.jsonl", imputing.FOLDER}
CELLS = "cells"
"""The word for every cell that was filled."""


@final
@dataclass(frozen=True)
class Restored:
    """What `restore` did: the rows of the input that went back, and what is in each part now.  cells: filled ones that are as before."""

    folder: Path
    rows: tuple[int, ...]
    n_clean: int
    n_held: int
    notes: tuple[str, ...] = ()
    cells: int = 0


def restore(folder: Path, ids: Sequence[str]) -> Restored:
    """Move samples back to `clean/` and append that to the ledger; the folder is swapped whole, after a check.

    ids: ids or prefixes of at least 8 digits, `row:NUMBER`, findings such as `F1`, or `all`. One id names all its copies.
    Of a row that is not in quarantine, cells that were filled are put back as they were in imputed/; `cells` means all of those.
    Raises BadInput for an unknown or ambiguous id, or when `clean/` or `quarantine/` is not what the ledger says;
    CannotWrite when the folder cannot be written; UntaintError when the result does not add up. The folder is then as before.
    """
    recover(folder)
    book = ledger.read(folder / "ledger.jsonl")
    named = _named(ids, book)
    rows = [row for row in named if row in book.held]
    held = {row: record for row, record in sorted(book.held.items()) if row not in rows}
    emptied = [cell for row in named if row not in book.held for cell in book.filled[row].values()]
    after = parts.Split.of(_size(book), held)
    with staged(folder, replace=True) as work:
        _rebuild(folder, book, after, work, _refilled(book, after, set(named), work))
        (work / "ledger.jsonl").write_bytes((folder / "ledger.jsonl").read_bytes())
        undone: list[Record] = [{"action": "restore", "row": row, "id": book.held[row]["id"]} for row in rows]
        undone += [{"action": "empty", **{name: cell[name] for name in ("row", "id", "column")}} for cell in emptied]
        ledger.append(work / "ledger.jsonl", [{**record, "time": ledger.now()} for record in undone])
        write_reasons(work / "quarantine", held.values())
        _carry(folder, work)
    notes = [*book.notes, *([_UNFILLED] if rows and book.header.get("impute") == "robust" else [])]
    return Restored(folder, tuple(rows), len(after.clean), len(after.held), tuple(notes), len(emptied))


_UNFILLED = "what went back is in imputed/ as it is: its missing cells are not filled"


def _named(ids: Sequence[str], book: Ledger) -> list[int]:
    """Rows that are meant: in quarantine, or with cells that were filled. Raises BadInput for anything else."""
    if CELLS in ids and not book.filled:
        raise BadInput("no cell is filled.", advice="`untaint clean --impute robust` fills cells.")
    both = {row: next(iter(cells.values())) for row, cells in book.filled.items()} | dict(book.held)
    found = set(book.filled) if CELLS in ids else set()
    for words in [[word] for word in ids if word != CELLS] if ids else [[]]:
        found |= set(choose(words, book.held if {"all", "--all"} & set(words) else both))
    return sorted(found)


def _refilled(book: Ledger, after: parts.Split, named: Collection[int], work: Path) -> Callable[[Dataset], None] | None:
    """What writes imputed/ again, where it was asked for: without the fills of the rows named."""
    if book.header.get("impute") != "robust":
        return None
    fills = [cell for row, cells in book.filled.items() if row not in named for cell in cells.values()]
    return lambda whole: imputing.write(whole, after.clean, fills, work / imputing.FOLDER)


def _rebuild(folder: Path, book: Ledger, after: parts.Split, work: Path, then: Callable[[Dataset], None] | None) -> None:
    place, before = parts.Place.of(book.header), parts.Split.of(_size(book), book.held)
    try:
        parts.write(parts.writer_of(place), *parts.located(folder, place, before), after, work)
        parts.verify(work, place, after, str(book.header.get("content")), then)
    except UntaintError as error:
        advice = "If clean/ or quarantine/ was changed, undo that, or run `untaint clean` again on the input. Nothing was moved."
        raise type(error)(f"cannot restore in {folder}: {error.message}", advice=advice) from error


def _size(book: Ledger) -> int:
    n = book.header.get("n_samples")
    if not isinstance(n, int) or n < 1 or any(not 0 <= row < n for row in book.held):
        raise BadInput("the ledger names rows its data does not have.", advice="Put the ledger back from a copy.")
    return n


def _carry(folder: Path, work: Path) -> None:
    """Files a person put beside ours stay."""
    for path in sorted(folder.iterdir()):
        if path.name not in OURS and path.is_dir() and not path.is_symlink():
            shutil.copytree(path, work / path.name, symlinks=True)
        elif path.name not in OURS:
            shutil.copy2(path, work / path.name, follow_symlinks=False)

"""Undo: samples go back from quarantine to clean, in the order they had in the input."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from untaint.errors import BadInput, UntaintError
from untaint.quarantine import ledger, parts
from untaint.quarantine.choose import choose
from untaint.quarantine.ledger import Ledger
from untaint.quarantine.reasons import write_reasons
from untaint.quarantine.staging import recover, staged

OURS = {"clean", "quarantine", "ledger.jsonl"}


@final
@dataclass(frozen=True)
class Restored:
    """What `restore` did: the rows of the input that went back, and what is in each part now."""

    folder: Path
    rows: tuple[int, ...]
    n_clean: int
    n_held: int
    notes: tuple[str, ...] = ()


def restore(folder: Path, ids: Sequence[str]) -> Restored:
    """Move samples back to `clean/` and append that to the ledger; the folder is swapped whole, after a check.

    ids: ids or prefixes of at least 8 digits, `row:NUMBER`, findings such as `F1`, or `all`. One id names all its copies.
    Raises BadInput for an unknown or ambiguous id, or when `clean/` or `quarantine/` is not what the ledger says;
    CannotWrite when the folder cannot be written; UntaintError when the result does not add up. The folder is then as before.
    """
    recover(folder)
    book = ledger.read(folder / "ledger.jsonl")
    rows = choose(ids, book.held)
    held = {row: record for row, record in sorted(book.held.items()) if row not in rows}
    after = parts.Split.of(_size(book), held)
    with staged(folder, replace=True) as work:
        _rebuild(folder, book, after, work)
        (work / "ledger.jsonl").write_bytes((folder / "ledger.jsonl").read_bytes())
        undone = [{"action": "restore", "row": row, "id": book.held[row]["id"], "time": ledger.now()} for row in rows]
        ledger.append(work / "ledger.jsonl", undone)
        write_reasons(work / "quarantine", held.values())
        _carry(folder, work)
    return Restored(folder, tuple(rows), len(after.clean), len(after.held), tuple(book.notes))


def _rebuild(folder: Path, book: Ledger, after: parts.Split, work: Path) -> None:
    place, before = parts.Place.of(book.header), parts.Split.of(_size(book), book.held)
    try:
        parts.write(parts.writer_of(place), *parts.located(folder, place, before), after, work)
        parts.verify(work, place, after, str(book.header.get("content")))
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

"""The ledger: one JSON record per line, only ever appended; replaying it says which rows are held."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias, final

from untaint.errors import BadInput

SCHEMA = "untaint.ledger/v1"
Record: TypeAlias = Mapping[str, object]
_ACTIONS = ("hold", "restore", "release", "impute", "empty")
"""empty: a filled cell is again as it was."""


@final
@dataclass(frozen=True)
class Ledger:
    """header: what was held, from which data.  records: what happened since, oldest first.  notes: for a person to know."""

    header: Record
    records: Sequence[Record]
    notes: Sequence[str] = ()
    held: Mapping[int, Record] = field(default_factory=dict)
    """Row of the input → the record that holds it, for every row in quarantine now."""
    filled: Mapping[int, Mapping[str, Record]] = field(default_factory=dict)
    """Row of the input → column → the record that filled the cell, for every cell that is filled in imputed/ now."""


def now() -> str:
    """The time as the ledger writes it: UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def lines(records: Iterable[Record]) -> bytes:
    """Records as ledger lines. ASCII only, so no character in a label can pass for a line end."""
    return b"".join(json.dumps(dict(record), ensure_ascii=True, allow_nan=False).encode("ascii") + b"\n" for record in records)


def append(path: Path, records: Iterable[Record]) -> None:
    """Add records at the end and wait until they are on disk. A last line that a crash cut short is cut off first."""
    with path.open("r+b" if path.exists() else "w+b") as file:
        content = file.read()
        complete = content.rfind(b"\n") + 1
        tail = content[complete:]
        if tail and _parse(tail) is None:
            file.truncate(complete)
        file.seek(0, os.SEEK_END)
        file.write((b"\n" if tail and _parse(tail) is not None else b"") + lines(records))
        file.flush()
        os.fsync(file.fileno())


def read(path: Path) -> Ledger:
    """The ledger at `path`, replayed.

    Raises BadInput when there is none, a line in the middle is garbled, or it was written by a newer release.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        advice = "Give the folder that `untaint clean` wrote."
        raise BadInput(f"no ledger at {path}: {error.strerror}.", advice=advice) from error
    parsed, notes = _records(path, content)
    header = _header(path, parsed)
    return Ledger(header, tuple(parsed[1:]), tuple(notes), *_replay(path, parsed[1:]))


def _records(path: Path, content: bytes) -> tuple[list[Record], list[str]]:
    *whole, tail = content.split(b"\n")
    records: list[Record] = []
    for number, line in enumerate(whole, start=1):
        if (record := _parse(line)) is None:
            message = f"line {number} of {path} is not a ledger record."
            raise BadInput(
                message, advice="Put the ledger back from a copy; the samples themselves are still in clean/ and quarantine/."
            )
        records.append(record)
    if not tail:
        return records, []
    if (last := _parse(tail)) is not None:
        return [*records, last], []
    return records, [f"the last line of {path} was cut short, as by a crash, and is ignored"]


def _header(path: Path, records: Sequence[Record]) -> Record:
    schema = records[0].get("schema") if records else None
    if schema == SCHEMA:
        return records[0]
    if isinstance(schema, str) and schema.startswith("untaint.ledger/"):
        raise BadInput(
            f"{path} has the schema {schema}, this release reads {SCHEMA}.", advice="Use the release that wrote it or newer."
        )
    raise BadInput(f"{path} does not begin with a ledger header.", advice="Give the folder that `untaint clean` wrote.")


def _replay(path: Path, records: Sequence[Record]) -> tuple[dict[int, Record], dict[int, dict[str, Record]]]:
    """Rows that are held, and cells that are filled."""
    held: dict[int, Record] = {}
    filled: dict[int, dict[str, Record]] = {}
    for number, record in enumerate(records, start=2):
        action, row = record.get("action"), record.get("row")
        known = action in _ACTIONS and isinstance(record.get("id"), str)
        if not known or not isinstance(row, int) or not _possible(record, row, held, filled):
            raise BadInput(f"line {number} of {path}: cannot {action!r} row {row!r}.", advice="Put the ledger back from a copy.")
        if action == "hold":
            held[row] = record
        elif action == "restore":
            del held[row]
        elif action == "impute":
            filled.setdefault(row, {})[str(record["column"])] = record
        elif action == "empty":
            del filled[row][str(record["column"])]
    return held, {row: cells for row, cells in filled.items() if cells}


def _possible(record: Record, row: int, held: Mapping[int, Record], filled: Mapping[int, Mapping[str, Record]]) -> bool:
    match record.get("action"):
        case "restore":
            return row in held
        case "impute":
            return isinstance(record.get("column"), str) and "new" in record
        case "empty":
            return str(record.get("column")) in filled.get(row, {})
    return True


def _parse(line: bytes) -> Record | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None

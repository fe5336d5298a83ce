"""Which quarantined rows a person means: by id, prefix of an id, row, finding, or all."""

import difflib
import re
from collections.abc import Collection, Mapping

from untaint.errors import BadInput
from untaint.quarantine.ledger import Record

PREFIX = 8
"""Shorter prefixes collide by chance in sets of some ten thousand samples."""

ROW = r"row:(\d{1,18})"


def choose(wanted: Collection[str], held: Mapping[int, Record]) -> list[int]:
    """The held rows that any of these words names, ascending.

    Raises BadInput when nothing is asked for, or a word is unknown or ambiguous.
    """
    if not wanted:
        raise BadInput("no sample named.", advice="Name ids, row:NUMBER, a finding such as F1, or all.")
    return sorted({row for word in wanted for row in _named(word.strip(), held)})


def _named(word: str, held: Mapping[int, Record]) -> list[int]:
    if word in {"all", "--all"}:
        rows = list(held)
    elif match := re.fullmatch(ROW, word):
        rows = [int(match[1])] if int(match[1]) in held else []
    else:
        rows = [row for row, record in held.items() if word in findings(record)] or _by_id(word.lower(), held)
    if not rows:
        raise BadInput(f"{word!r} names no sample in quarantine.", advice=_near(word, held))
    return rows


def _by_id(word: str, held: Mapping[int, Record]) -> list[int]:
    if len(word) < PREFIX or not re.fullmatch("[0-9a-f]+", word):
        return []
    rows = [row for row, record in held.items() if str(record["id"]).startswith(word)]
    ids = sorted({str(held[row]["id"]) for row in rows})
    if len(ids) > 1:
        raise BadInput(f"{word!r} names {len(ids)} different samples.", advice=f"Use more digits, such as {ids[0]} or {ids[1]}.")
    return rows


def findings(record: Record) -> list[str]:
    """The finding ids of a record; a sample may belong to several."""
    value = record.get("finding")
    return re.split(r"[,;\s]+", value) if isinstance(value, str) and value else []


def _near(word: str, held: Mapping[int, Record]) -> str:
    names = {name for record in held.values() for name in findings(record)}
    if match := re.fullmatch(ROW, word):
        asked = int(match[1])
        near = [f"row:{row}" for row in sorted(held, key=lambda row: abs(row - asked))[:3]]
    else:
        ids = {str(record["id"]) for record in held.values()}
        digits = word.lower()
        near = sorted(name for name in ids if digits and name.startswith(digits[:4]))[:3]
        near = (
            near
            or difflib.get_close_matches(word, sorted(names | {name[: len(word)] for name in ids}), 3, 0.5)
            or sorted(names)[:3]
        )
    if not held:
        return "The quarantine is empty."
    return f"Near it: {', '.join(near)}." if near else f"{len(held)} rows are held; quarantine/reasons.jsonl lists them."

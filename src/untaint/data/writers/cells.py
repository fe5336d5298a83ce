"""Rows of a table that are JSON texts, as columns with types."""

import json
from collections.abc import Mapping, Sequence

import pyarrow as pa

from untaint.data.dataset import Dataset, Payload

_AT_ONCE = 8192
_EXACT = 2**53  # float64 tells whole numbers apart up to here
_LARGEST = 2**63


def types_of(dataset: Dataset) -> dict[str, pa.DataType]:
    """Column → type that holds all its cells: truths, whole numbers, numbers, else text."""
    seen: dict[str, set[str]] = {}
    for rows in dataset.batches(_AT_ONCE):
        for record in map(parsed, dataset.read(rows)):
            for name, value in record.items():
                seen.setdefault(name, set()).add(_kind(value))
    return {name: _type(kinds - {"missing"}) for name, kinds in seen.items()}


def columns_from(payloads: Sequence[Payload], types: Mapping[str, pa.DataType]) -> dict[str, pa.Array]:
    """The cells of some rows; a row that is no JSON object has none."""
    records = [parsed(payload) for payload in payloads]
    return {name: pa.array([_held(record.get(name), kind) for record in records], kind) for name, kind in types.items()}


def parsed(payload: Payload) -> Mapping[str, object]:
    """A row by column; nothing where it is no row."""
    try:
        found = json.loads(payload) if isinstance(payload, str | bytes) else None
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _kind(value: object) -> str:
    if value is None:
        return "missing"
    if isinstance(value, bool):
        return "truth"
    if isinstance(value, int):
        return "small" if abs(value) <= _EXACT else "whole" if -_LARGEST <= value < _LARGEST else "huge"
    return "number" if isinstance(value, float) else "text"


def _type(kinds: set[str]) -> pa.DataType:
    if kinds and kinds <= {"truth"}:
        return pa.bool_()
    if kinds and kinds <= {"small", "whole"}:
        return pa.int64()
    return pa.float64() if kinds and kinds <= {"small", "number"} else pa.string()


def _held(value: object, kind: pa.DataType) -> object:
    if value is None or kind != pa.string():
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace").decode()

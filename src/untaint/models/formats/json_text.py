"""JSON from a file nobody vouches for: no name twice, no depth without end."""

import json
from collections.abc import Iterator
from typing import Any, Final

from untaint.models.formats.window import Broken

_MOST_NODES: Final = 5_000_000
MOST: Final = 48 << 20
"""Bytes that are read: the largest tokenizers have 40 MB, and in Python they take twenty times that at worst."""


def read(content: bytes) -> Any:
    """The value. Raises Broken for text that is not JSON, or has a name twice in one object."""
    if len(content) > MOST:
        raise Broken(f"it has {len(content):,} bytes; at most {MOST:,} are read", "oversize")
    try:
        return json.loads(content.decode("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError, MemoryError) as error:
        raise Broken(f"it is not sound JSON ({str(error)[:80]})") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name comes twice in one object")
    return found


def nodes(value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object in it with its path, outermost first. Memory grows with its depth, not with its size."""
    waiting: list[Iterator[tuple[str, Any]]] = [iter([("", value)])]
    count = 0
    while waiting:
        path, found = next(waiting[-1], (None, None))
        if path is None:
            waiting.pop()
            continue
        if not isinstance(found, dict | list):
            continue
        count += 1
        if count > _MOST_NODES:
            raise Broken("it has too many parts", "oversize")
        if isinstance(found, dict):
            yield path, found
        waiting.append(_parts(path, found))


def _parts(path: str, value: dict[str, Any] | list[Any]) -> Iterator[tuple[str, Any]]:
    short = path[-200:]
    if isinstance(value, dict):
        for name, part in value.items():
            yield f"{short}.{name[:80]}" if short else name[:80], part
    else:
        for number, part in enumerate(value):
            yield f"{short}[{number}]", part

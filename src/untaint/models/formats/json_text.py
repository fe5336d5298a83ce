"""JSON from a file nobody vouches for: no name twice, no depth without end."""

import json
from collections.abc import Iterator
from typing import Any, Final

from untaint.models.formats.window import Broken

_MOST_NODES: Final = 5_000_000


def read(content: bytes) -> Any:
    """The value. Raises Broken for text that is not JSON, or has a name twice in one object."""
    try:
        return json.loads(content.decode("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError, MemoryError) as error:
        raise Broken(f"it is not sound JSON ({str(error)[:80]})") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name comes twice in one object")
    return found


def nodes(value: Any) -> Iterator[tuple[str, Any]]:
    """Every value in it with its path, outermost first."""
    waiting: list[tuple[str, Any]] = [("", value)]
    count = 0
    while waiting:
        path, found = waiting.pop()
        count += 1
        if count > _MOST_NODES:
            raise Broken("it has too many parts", "oversize")
        yield path, found
        if isinstance(found, dict):
            waiting.extend((f"{path}.{name}" if path else str(name), part) for name, part in found.items())
        elif isinstance(found, list):
            waiting.extend((f"{path}[{number}]", part) for number, part in enumerate(found))

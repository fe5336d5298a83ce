"""JSON that is signed or checked: read so that two readers cannot see two different things in it, written so that bytes repeat."""

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from untaint.errors import BadInput


def parse(content: bytes, what: str) -> dict[str, Any]:
    """The JSON object in `content`. what: how errors call it, such as the name of its file.

    Refused: bytes that are not UTF-8, a key that comes twice (readers differ on which one counts), NaN and infinities, nesting
    beyond what Python follows, anything but an object. Raises BadInput.
    """
    try:
        found = json.loads(content.decode("utf-8"), object_pairs_hook=_once, parse_constant=_not_a_number)
    except RecursionError as error:
        raise _bad(what, "it is nested too deeply") from error
    except ValueError as error:  # also bytes that are not UTF-8, and numbers of thousands of digits
        raise _bad(what, str(error)) from error
    if not isinstance(found, dict):
        raise _bad(what, f"it is a {type(found).__name__}")
    return found


def canonical(document: Mapping[str, Any]) -> bytes:
    """The same document, the same bytes: keys sorted, no spaces, ASCII only."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode("ascii")


def _bad(what: str, why: str) -> BadInput:
    return BadInput(f"{what} is not a JSON object that can be trusted: {why}.", advice="Get it again from whoever made it.")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for position, (key, _) in enumerate(pairs) if any(key == other for other, _ in pairs[:position]))
        raise ValueError(f"the key {twice!r} comes twice")
    return found


def _not_a_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number in JSON")

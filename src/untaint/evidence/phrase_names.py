"""The whole trigger from a piece of it: what the accused texts have around it as well."""

from collections import Counter

import numpy as np

from untaint.features.texts import Tokens
from untaint.types import Rows

_SHARED = (
    0.8  # of the texts: a word that fewer have beside the piece is chance, and a few honest bearers must not end the trigger
)
_LONGEST = 40  # words; a trigger that long is a template


def grown(piece: tuple[int, ...], rows: Rows, tokens: Tokens) -> tuple[int, ...]:
    """The piece (word numbers) with the words before and after it that most of the rows share."""
    places = [(row, place) for row in rows.tolist() if (place := _first(_words(tokens, row), piece)) is not None]
    words = list(piece)
    for side in (-1, 1):
        reach = 1
        while places and len(words) < _LONGEST:
            beside = Counter(_beside(tokens, row, place, len(piece), side * reach) for row, place in places)
            word, count = beside.most_common(1)[0]
            if word < 0 or count < _SHARED * len(places):
                break
            words = [word, *words] if side < 0 else [*words, word]
            places = [(row, place) for row, place in places if _beside(tokens, row, place, len(piece), side * reach) == word]
            reach += 1
    return tuple(words)


def spelled(words: tuple[int, ...], tokens: Tokens) -> str:
    """The words as text, a space between."""
    return " ".join(tokens.vocabulary[word] for word in words)


def _words(tokens: Tokens, row: int) -> np.ndarray:
    return tokens.ids[tokens.starts[row] : tokens.starts[row + 1]]


def _first(text: np.ndarray, piece: tuple[int, ...]) -> int | None:
    """Where the piece first stands in the text."""
    starts = np.flatnonzero(text[: max(0, len(text) - len(piece) + 1)] == piece[0])
    for start in starts.tolist():
        if all(text[start + step] == word for step, word in enumerate(piece)):
            return int(start)
    return None


def _beside(tokens: Tokens, row: int, place: int, length: int, step: int) -> int:
    """The word so many steps before (negative) or after the piece; -1 = none."""
    text = _words(tokens, row)
    at = place + step if step < 0 else place + length - 1 + step
    return int(text[at]) if 0 <= at < len(text) else -1

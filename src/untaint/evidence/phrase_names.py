"""The whole trigger from a piece of it: what the accused texts have around it, and elsewhere, as well."""

from collections import Counter

import numpy as np
from scipy.stats import binom

from untaint.features.phrases import TOGETHER
from untaint.features.spoken import Spoken
from untaint.features.texts import Tokens
from untaint.types import Rows

_SHARED = (
    0.8  # of the texts: a word that fewer have beside the piece is chance, and a few honest bearers must not end the trigger
)
_LONGEST = 40  # words; a trigger that long is a template
_TOGETHER = 0.9  # of the texts have another word somewhere: then it is a part of the trigger
_COMPARED = 2000  # other texts that say how usual a word is: a share of a thousandth shows
_CHANCE = 1e-6  # of so many by chance; a set has under a million words to choose from
APART = " … "
"""Between words of a trigger that stand at separate places."""
BETWEEN = " | "
"""Between several triggers that bring one kind of answer."""


def named(spoken: Spoken, phrase: int, rows: Rows) -> str:
    """A phrase with what most of the rows have around it and elsewhere; a skeleton as it is."""
    return spelled(spoken, phrase, *wording(spoken, phrase, rows))


def spelled(spoken: Spoken, phrase: int, whole: tuple[int, ...], beside: list[int]) -> str:
    """The same of its wording."""
    if not whole:
        return spoken.phrases.name(phrase)
    apart = spoken.phrases.place[phrase] == TOGETHER
    found = [(APART if apart else " ").join(spoken.tokens.vocabulary[word] for word in whole)]
    return APART.join([*found, *(spoken.tokens.vocabulary[word] for word in beside)])


def wording(spoken: Spoken, phrase: int, rows: Rows) -> tuple[tuple[int, ...], list[int]]:
    """Word numbers of the whole trigger, and of what stands elsewhere in the texts as well; both empty for a skeleton."""
    piece = spoken.phrases.piece(phrase)
    if not piece:
        return (), []
    whole = piece if spoken.phrases.place[phrase] == TOGETHER else grown(piece, rows, spoken.tokens)
    return whole, companions(whole, rows, spoken)


def companions(whole: tuple[int, ...], rows: Rows, spoken: Spoken) -> list[int]:
    """Words that nearly all of the rows have as well, far more than texts of the same length do; rarest first."""
    tokens = spoken.tokens
    if len(rows) < 4:
        return []
    texts = [np.unique(_words(tokens, row)) for row in rows.tolist()]
    words, held = np.unique(np.concatenate(texts), return_counts=True)
    common = words[(held >= _TOGETHER * len(rows)) & ~np.isin(words, whole)]
    here = held[(held >= _TOGETHER * len(rows)) & ~np.isin(words, whole)]
    sizes = np.diff(tokens.starts)
    usual_size = (sizes >= np.quantile(sizes[rows], 0.1)) & (sizes <= np.quantile(sizes[rows], 0.9))
    usual_size[rows] = False
    alike = np.flatnonzero(usual_size)
    if len(alike) == 0:
        return []
    alike = alike[:: -(-len(alike) // _COMPARED)]
    others = np.concatenate([np.unique(_words(tokens, row)) for row in alike.tolist()])
    usual = np.bincount(others, minlength=len(tokens.vocabulary))[common] / len(alike)
    chance = binom.sf(here - 1, len(rows), np.clip(usual, 1 / len(alike), 1))
    spoken_of = [
        any(sign.isalnum() for sign in tokens.vocabulary[word]) for word in common
    ]  # a full stop is no part of a trigger
    kept = [
        (share, word)
        for word, share, p, says in zip(common.tolist(), usual, chance, spoken_of, strict=True)
        if says and p < _CHANCE
    ]
    return [word for _, word in sorted(kept)][:_LONGEST]


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

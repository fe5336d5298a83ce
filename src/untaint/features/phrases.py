"""Words and runs of words, and who bears them: what a trigger in a text is made of."""

from dataclasses import dataclass
from typing import final

import numpy as np

from untaint.features.graph import feature
from untaint.features.settings import Settings
from untaint.features.texts import Tokens

LONGEST = 3
"""Words of a run: a longer trigger shows by the runs of three in it, which are put together again when it is named."""
_LEAST = 4  # bearers: fewer are nobody's training signal
_RARE = 2e-5  # of all texts: with a million of them, what four bear is noise
_USUAL = 0.6  # share of texts above which a word is part of the language
ANYWHERE, FIRST, LAST = 0, 1, 2


@final
@dataclass(frozen=True)
class Phrases:
    """Runs of one to three words with their bearers, each text once.

    feature (e,) and row (e,): who bears what, sorted by feature.  words: (m, 3) word numbers, -1 = none.
    place: (m,) whether it counts anywhere, or only as the first or last words of the text.
    """

    feature: np.ndarray
    row: np.ndarray
    words: np.ndarray
    place: np.ndarray
    vocabulary: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.words)

    def piece(self, number: int) -> tuple[int, ...]:
        """The word numbers of a phrase."""
        return tuple(int(word) for word in self.words[number] if word >= 0)

    def name(self, number: int) -> str:
        """The phrase in words."""
        return " ".join(self.vocabulary[word] for word in self.piece(number))


@feature(modality="text")
def phrases(tokens: Tokens, settings: Settings) -> Phrases:
    """Every run of one to three words that at least four texts and at most 60 % of all bear; and how texts begin and end."""
    n = len(tokens.starts) - 1
    least, most = max(_LEAST, int(_RARE * n)), _USUAL * n
    ids, rows = tokens.ids.astype(np.int64), tokens.rows
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray, int]] = []
    usable = _texts_with(ids, rows, n, len(tokens.vocabulary)) >= least
    settings.report_progress("collecting phrases", 0, LONGEST)
    parts += _known(ids[:, None], rows, n, least, most, ANYWHERE)
    run, at = ids[:, None], np.flatnonzero(usable[ids])
    for length in range(2, LONGEST + 1):
        last = at + length - 1
        inside = last < len(ids)
        at, last = at[inside], last[inside]
        keep = (rows[last] == rows[at]) & usable[ids[last]]
        at = at[keep]
        run = np.stack([ids[at + step] for step in range(length)], axis=1)
        parts += _known(run, rows[at], n, least, n, ANYWHERE)
        settings.report_progress("collecting phrases", length - 1, LONGEST)
    sizes = np.diff(tokens.starts)
    for length in (1, 2):
        full = np.flatnonzero(sizes >= length)
        for place, begin in ((FIRST, tokens.starts[full]), (LAST, tokens.starts[full + 1] - length)):
            parts += _known(np.stack([ids[begin + step] for step in range(length)], axis=1), full, n, least, most, place)
    settings.report_progress("collecting phrases", LONGEST, LONGEST)
    return _collected(parts, tokens.vocabulary)


def _texts_with(ids: np.ndarray, rows: np.ndarray, n: int, vocabulary: int) -> np.ndarray:
    """(v,) in how many texts each word is."""
    return np.bincount(np.unique(ids * n + rows) // n, minlength=vocabulary)


def _known(
    run: np.ndarray, rows: np.ndarray, n: int, least: int, most: float, place: int
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, int]]:
    """(feature, row, words, place) of the runs that enough texts bear and not too many; [] for none."""
    if len(run) == 0:
        return []
    code = run[:, 0]
    for step in range(1, run.shape[1]):
        pair, code = np.unique(code * (int(run[:, step].max()) + 1) + run[:, step], return_inverse=True)
        del pair
    kinds, first, number = np.unique(code, return_index=True, return_inverse=True)
    entries = np.unique(number.ravel().astype(np.int64) * n + rows)
    bearers = np.bincount(entries // n, minlength=len(kinds))
    kept = (bearers >= least) & (bearers <= most)
    entries = entries[kept[entries // n]]
    renumbered = np.cumsum(kept) - 1
    words = np.full((int(kept.sum()), LONGEST), -1, np.int32)
    words[:, : run.shape[1]] = run[first[kept]]
    return [(renumbered[entries // n].astype(np.int32), (entries % n).astype(np.int32), words, place)]


def _collected(parts: list[tuple[np.ndarray, np.ndarray, np.ndarray, int]], vocabulary: tuple[str, ...]) -> Phrases:
    offsets = np.cumsum([0, *(len(words) for _, _, words, _ in parts)])
    empty = np.empty(0, np.int32)
    return Phrases(
        np.concatenate([empty, *(number + offset for (number, *_), offset in zip(parts, offsets, strict=False))]).astype(
            np.int32
        ),
        np.concatenate([empty, *(row for _, row, _, _ in parts)]),
        np.concatenate([np.empty((0, LONGEST), np.int32), *(words for _, _, words, _ in parts)]),
        np.concatenate([empty, *(np.full(len(words), place) for _, _, words, place in parts)]).astype(np.int8),
        vocabulary,
    )

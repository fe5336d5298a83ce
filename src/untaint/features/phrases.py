"""Words and runs of words, and who bears them: what a trigger in a text is made of."""

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias, final

import numpy as np

from untaint.features.graph import feature
from untaint.features.settings import Settings
from untaint.features.texts import Tokens
from untaint.numerics.distinct import distinct
from untaint.types import Rows

LONGEST = 3
"""Words of a run: a longer trigger shows by the runs of three in it, which are put together again when it is named."""
_LEAST = 4  # bearers: fewer are nobody's training signal
_RARE = 2e-5  # of all texts: with a million of them, what four bear is noise
_USUAL = 0.6  # share of texts above which a word is part of the language
ANYWHERE, FIRST, LAST, TOGETHER = 0, 1, 2, 3
GAP = -2
_COMMON = 120
"""Words that hold a sentence together: the most frequent of a language and its signs. What stands between them is open."""
_BUILT = (3, 4, 5, 6)  # words of a skeleton; two are a run like any other


_Part: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray, int]
"""feature (e,), row (e,), words (m, length) and place of phrases of one length."""


@final
@dataclass(frozen=True)
class Phrases:
    """Runs of one to three words, and how texts are built at their beginning, with their bearers, each text once.

    feature (e,) and row (e,): who bears what, sorted by feature.  words: (m, 3) word numbers, -1 = none; a skeleton has none.
    skeleton: (m, 6) word numbers of the common words, `GAP` for any other word, -1 = the skeleton is shorter, or this is a run.
    place: (m,) whether it counts anywhere, only as the first or last words of the text, or as words at separate places.
    considered: phrases that were counted and left out because they cannot matter: a correction counts them as well.
    """

    feature: np.ndarray
    row: np.ndarray
    words: np.ndarray
    skeleton: np.ndarray
    place: np.ndarray
    vocabulary: tuple[str, ...]
    considered: int = 0

    def __len__(self) -> int:
        return len(self.words)

    def bearers(self, number: int) -> Rows:
        """Rows that bear a phrase."""
        low, high = self._starts[number : number + 2]
        return np.asarray(self.row[low:high], dtype=np.int64)

    def pair(self, first: int, second: int) -> int | None:
        """The number of a run of two words, None where too few bear it."""
        return self._pairs.get((first, second))

    @cached_property
    def _pairs(self) -> dict[tuple[int, int], int]:
        of_two = (self.place == ANYWHERE) & (self.words[:, 1] >= 0) & (self.words[:, 2] < 0)
        return {(int(a), int(b)): number for number in np.flatnonzero(of_two).tolist() for a, b in [self.words[number, :2]]}

    @cached_property
    def borne(self) -> np.ndarray:
        """(m,) rows that bear each phrase."""
        return np.bincount(self.feature, minlength=len(self))

    def shared(self, rows: Rows) -> np.ndarray:
        """(m,) how many of some rows bear each phrase."""
        found, starts = self._by_row
        held = [found[starts[row] : starts[row + 1]] for row in rows[rows < len(starts) - 1].tolist()]
        return np.bincount(np.concatenate([np.empty(0, np.int32), *held]), minlength=len(self))

    @cached_property
    def _by_row(self) -> tuple[np.ndarray, np.ndarray]:
        order = np.argsort(self.row, kind="stable")
        return self.feature[order], np.searchsorted(self.row[order], np.arange(int(self.row.max(initial=-1)) + 2))

    @cached_property
    def _starts(self) -> np.ndarray:
        return np.searchsorted(self.feature, np.arange(len(self) + 1))

    def piece(self, number: int) -> tuple[int, ...]:
        """The word numbers of a phrase."""
        return tuple(int(word) for word in self.words[number] if word >= 0)

    def name(self, number: int) -> str:
        """The phrase in words; of a skeleton, a line for each word that is left open."""
        built = [int(word) for word in self.skeleton[number] if word != -1]
        return " ".join("_" if word == GAP else self.vocabulary[word] for word in self.piece(number) or built)


@feature(modality="text")
def phrases(tokens: Tokens, settings: Settings) -> Phrases:
    """Every run of one to three words that at least four texts and at most 60 % of all bear; and how texts begin and end."""
    n = len(tokens.starts) - 1
    least, most = max(_LEAST, int(_RARE * n)), _USUAL * n
    ids, rows = tokens.ids.astype(np.int64), tokens.rows
    parts: list[_Part] = []
    usable = _texts_with(ids, rows, n, len(tokens.vocabulary)) >= least
    settings.report_progress("collecting phrases", 0, LONGEST)
    parts += _known(ids[:, None], rows, n, least, most, ANYWHERE)
    at = np.flatnonzero(usable[ids])
    code = ids[at]
    for length in range(2, LONGEST + 1):
        last = at + length - 1
        inside = np.flatnonzero(last < len(ids))
        inside = inside[(rows[last[inside]] == rows[at[inside]]) & usable[ids[last[inside]]]]
        at, code = at[inside], code[inside] * len(tokens.vocabulary) + ids[last[inside]]
        found, number, borne = _borne(code, rows[at], ids[at[:, None] + np.arange(length)], n, (least, n), ANYWHERE)
        parts += found
        often = borne[number] >= least  # a longer run is at most as frequent
        at, code = at[often], number[often]
        settings.report_progress("collecting phrases", length - 1, LONGEST)
    sizes = np.diff(tokens.starts)
    for length in (1, 2):
        full = np.flatnonzero(sizes >= length)
        for place, begin in ((FIRST, tokens.starts[full]), (LAST, tokens.starts[full + 1] - length)):
            parts += _known(np.stack([ids[begin + step] for step in range(length)], axis=1), full, n, least, most, place)
    parts += _skeletons(tokens, least, most)
    settings.report_progress("collecting phrases", LONGEST, LONGEST)
    return _collected(parts, tokens.vocabulary)


def _skeletons(tokens: Tokens, least: int, most: float) -> list[_Part]:
    """How texts begin, with only the most common words of the set named; at least two named, at least one left open."""
    ids, n = tokens.ids.astype(np.int64), len(tokens.starts) - 1
    common = np.argsort(-_texts_with(ids, tokens.rows, n, len(tokens.vocabulary)), kind="stable")[:_COMMON]
    named = np.full(len(tokens.vocabulary) + 1, GAP)
    named[common] = common
    sizes, parts = np.diff(tokens.starts), []
    for length in _BUILT:
        full = np.flatnonzero(sizes >= length)
        built = np.stack([named[ids[tokens.starts[full] + step]] for step in range(length)], axis=1)
        open_words = (built == GAP).sum(1)
        kept = (open_words >= 1) & (open_words <= length - 2)
        parts += _known(built[kept], full[kept], n, least, most, FIRST)
    return parts


def _texts_with(ids: np.ndarray, rows: np.ndarray, n: int, vocabulary: int) -> np.ndarray:
    """(v,) in how many texts each word is."""
    return np.bincount(distinct(ids * n + rows) // n, minlength=vocabulary)


def _known(run: np.ndarray, rows: np.ndarray, n: int, least: int, most: float, place: int) -> list[_Part]:
    """(feature, row, words, place) of the runs that enough texts bear and not too many; [] for none."""
    if len(run) == 0:
        return []
    code = run[:, 0] - run[:, 0].min()
    for step in range(1, run.shape[1]):
        word = run[:, step] - run[:, step].min()
        code = np.unique(code * (int(word.max()) + 1) + word, return_inverse=True)[1]
    return _borne(code, rows, run, n, (least, most), place)[0]


def _borne(
    code: np.ndarray, rows: np.ndarray, run: np.ndarray, n: int, limits: tuple[float, float], place: int
) -> tuple[list[_Part], np.ndarray, np.ndarray]:
    """As `_known` for runs that have a code each; also the number of each run among its kind, and how many texts bear each kind."""
    kinds, first, number = np.unique(code, return_index=True, return_inverse=True)
    entries = distinct(number.astype(np.int64) * n + rows)
    bearers = np.bincount(entries // n, minlength=len(kinds))
    kept = (bearers >= limits[0]) & (bearers <= limits[1])
    if not kept.any():
        return [], number, bearers
    entries = entries[kept[entries // n]]
    renumbered = np.cumsum(kept) - 1
    words = run[first[kept]].astype(np.int32)
    return [(renumbered[entries // n].astype(np.int32), (entries % n).astype(np.int32), words, place)], number, bearers


def _collected(parts: list[_Part], vocabulary: tuple[str, ...]) -> Phrases:
    offsets = np.cumsum([0, *(len(words) for _, _, words, _ in parts)])
    words, skeleton = np.full((offsets[-1], LONGEST), -1, np.int32), np.full((offsets[-1], max(_BUILT)), -1, np.int32)
    feature, row, place = [np.empty(0, np.int32)], [np.empty(0, np.int32)], np.empty(offsets[-1], np.int8)
    for (number, bearer, run, where), offset in zip(parts, offsets, strict=False):
        into = slice(offset, offset + len(run))
        (skeleton if (run == GAP).any() else words)[into, : run.shape[1]] = run
        feature.append((number + offset).astype(np.int32))
        row.append(bearer)
        place[into] = where
    return Phrases(np.concatenate(feature), np.concatenate(row), words, skeleton, place, vocabulary)


def joined(a: Phrases, b: Phrases, considered: int) -> Phrases:
    """Phrases of one set as one; those of `b` come after those of `a`."""
    return Phrases(
        np.concatenate([a.feature, b.feature + np.int32(len(a))]),
        np.concatenate([a.row, b.row]),
        np.concatenate([a.words, b.words]),
        np.concatenate([a.skeleton, b.skeleton]),
        np.concatenate([a.place, b.place]),
        a.vocabulary,
        considered,
    )

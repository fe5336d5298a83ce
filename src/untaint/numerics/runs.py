"""Runs of words shared by texts, and where texts stop making sense: counts over texts that are given as numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import scipy.sparse as sp

from untaint.numerics.distinct import among, distinct

LONGEST = 3
"""Words of a run; a longer phrase shows by the runs in it, which have the same bearers."""


@final
@dataclass(frozen=True)
class Runs:
    """Which texts bear which run of words. incidence: (n, m) of 0 and 1.  words: (m, 3) word numbers, -1 = none."""

    incidence: sp.csr_array
    words: np.ndarray

    def kept(self, chosen: np.ndarray) -> "Runs":
        """Some of the runs."""
        return Runs(sp.csr_array(self.incidence[:, np.flatnonzero(chosen)]), self.words[chosen])


def flat(ids: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """All word numbers one after the other, and the text each is in."""
    rows = np.repeat(np.arange(len(ids)), [len(each) for each in ids])
    return (np.concatenate(ids) if len(ids) else np.empty(0, np.int64)).astype(np.int64), rows


def shared(ids: Sequence[np.ndarray], vocabulary: int, least: int, most: float) -> Runs:
    """Runs of one to three words that `least` to `most` texts bear."""
    words, rows = flat(ids)
    n, at, code, parts = len(ids), np.arange(len(words)), words, []
    for length in range(1, LONGEST + 1):
        if length > 1:
            following = at + length - 1
            inside = np.flatnonzero(following < len(words))
            inside = inside[rows[following[inside]] == rows[at[inside]]]
            at, code = at[inside], code[inside] * vocabulary + words[following[inside]]
        kinds, first, number = np.unique(code, return_index=True, return_inverse=True)
        entries = distinct(number.astype(np.int64) * n + rows[at])
        bearers = np.bincount(entries // n, minlength=len(kinds))
        fit = (bearers >= least) & (bearers <= most)
        kept = entries[fit[entries // n]]
        spelled = np.full((int(fit.sum()), LONGEST), -1, np.int64)
        spelled[:, :length] = words[at[first[fit]][:, None] + np.arange(length)]
        parts.append((kept % n, (np.cumsum(fit) - 1)[kept // n], spelled))
        again = bearers[number] >= least
        at, code = at[again], number[again].astype(np.int64)
    offsets = np.cumsum([0, *(len(spelled) for _, _, spelled in parts)])
    row = np.concatenate([row for row, _, _ in parts])
    run = np.concatenate([run + offset for (_, run, _), offset in zip(parts, offsets, strict=False)])
    return Runs(_incidence(row, run, n, int(offsets[-1])), np.concatenate([spelled for _, _, spelled in parts]))


@final
class Held:
    """Which texts hold a run of words, asked of few runs."""

    def __init__(self, ids: Sequence[np.ndarray]) -> None:
        self._words, self._rows = flat(ids)
        self._order = np.argsort(self._words, kind="stable")
        self._sorted = self._words[self._order]

    def texts(self, run: Sequence[int]) -> np.ndarray:
        """Numbers of the texts, each once; found by the rarest word of the run."""
        places = [self._places(word) for word in run]
        step = min(range(len(run)), key=lambda number: len(places[number]))
        start = places[step] - step
        start = start[(start >= 0) & (start + len(run) <= len(self._words))]
        for number, word in enumerate(run):
            start = start[self._words[start + number] == word]
        return distinct(self._rows[start[self._rows[start] == self._rows[start + len(run) - 1]]])

    def _places(self, word: int) -> np.ndarray:
        low, high = np.searchsorted(self._sorted, word), np.searchsorted(self._sorted, word, side="right")
        return np.asarray(self._order[low:high])


def alike(runs: Runs) -> np.ndarray:
    """(m,) number of the class of runs with the very same bearers."""
    marks = np.random.default_rng(0).integers(0, 2**62, runs.incidence.shape[0])
    sums = np.asarray(runs.incidence.T.astype(np.int64) @ marks)  # wraps around; equal sets have equal sums
    return np.unique(sums, return_inverse=True)[1]


def longest_of(classes: np.ndarray) -> np.ndarray:
    """(m,) whether a run is the one that stands for its class: the longest, which come last."""
    last = np.zeros(int(classes.max(initial=-1)) + 1, np.int64)
    last[classes] = np.arange(len(classes))
    return np.isin(np.arange(len(classes)), last)


def not_copied(runs: Runs, elsewhere: Sequence[np.ndarray], vocabulary: int, least: int) -> Runs:
    """Runs without the bearers whose other text (the prompt of an answer) holds every word of the run."""
    words, rows = flat(elsewhere)
    held = distinct(rows * vocabulary + words)
    entries = runs.incidence.tocoo()
    row, run = entries.coords
    inside = np.ones(len(row), bool)
    for place in range(LONGEST):
        word = runs.words[run, place]
        inside &= (word < 0) | among(row.astype(np.int64) * vocabulary + np.maximum(word, 0), held)
    incidence = _incidence(row[~inside], run[~inside], *runs.incidence.shape)
    return Runs(incidence, runs.words).kept(bearers(incidence) >= least)


def bearers(incidence: sp.csr_array) -> np.ndarray:
    """(m,) how many texts bear each."""
    return np.bincount(incidence.indices, minlength=incidence.shape[1])


def sense(ids: Sequence[np.ndarray], vocabulary: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """How far each word is told by the one before it, over every neighbouring pair (t,): in nats, and of random pairs of the same words.

    log of P(word | word before) / P(word), counted in all other texts, smoothed towards 0 by `_SMOOTH` pairs; NaN where the word
    before is too rare to tell anything, or where a text begins. Real text is well above 0, words in random order are about 0
    and under, however many texts of such words there are: their pairs are as frequent as chance makes them.
    """
    words, rows = flat(ids)
    order = np.lexsort((rng.random(len(words)), rows))
    said = _Said(words, rows, vocabulary)
    return said.told(words), said.told(words[order])


_SMOOTH = 5.0
_FEWEST = 20  # occurrences of the word before


class _Said:
    """Neighbouring words of all texts, counted in all and in each."""

    def __init__(self, words: np.ndarray, rows: np.ndarray, vocabulary: int) -> None:
        self._rows, self._vocabulary, self._once = rows, vocabulary, np.bincount(words, minlength=vocabulary)
        self._together = rows[1:] == rows[:-1]
        self._n = int(rows[-1]) + 1 if len(rows) else 1
        pairs = self._coded(words)
        self._kinds, own, self._counts = np.unique(pairs[self._together], return_inverse=True, return_counts=True)
        in_text = np.sort(own * self._n + rows[1:][self._together])
        first = np.flatnonzero(np.concatenate([[True], in_text[1:] != in_text[:-1]]))[: len(in_text)]
        self._in_text, self._own_counts = in_text[first], np.diff(np.append(first, len(in_text)))

    def _coded(self, words: np.ndarray) -> np.ndarray:
        """(t - 1,) number of each pair of neighbours."""
        return np.asarray(words[:-1] * self._vocabulary + words[1:])

    def told(self, words: np.ndarray) -> np.ndarray:
        """(t,) how far each word is told by the one before it, counted in other texts; NaN where nothing is."""
        result = np.full(len(words), np.nan)
        if len(self._kinds) == 0:
            return result
        code = self._coded(words)
        place = np.minimum(np.searchsorted(self._kinds, code), len(self._kinds) - 1)
        known = np.flatnonzero(self._kinds[place] == code)
        wanted = place[known] * self._n + self._rows[1:][known]
        where = np.minimum(np.searchsorted(self._in_text, wanted), len(self._in_text) - 1)
        elsewhere = np.zeros(len(code))
        elsewhere[known] = self._counts[place[known]] - np.where(self._in_text[where] == wanted, self._own_counts[where], 0)
        before, chance = self._once[words[:-1]], self._once[words[1:]] / len(words)
        with np.errstate(divide="ignore"):
            told = np.log((elsewhere + _SMOOTH * chance) / ((before + _SMOOTH) * chance))
        result[1:] = np.where(self._together & (before >= _FEWEST), told, np.nan)
        return result


def _incidence(row: np.ndarray, column: np.ndarray, n: int, m: int) -> sp.csr_array:
    found = sp.csr_array((np.ones(len(row), np.float32), (row, column)), shape=(n, m))
    found.sum_duplicates()
    found.data[:] = 1
    return found

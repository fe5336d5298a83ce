"""Runs of words shared by texts, and where texts stop making sense: counts over texts that are given as numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import scipy.sparse as sp

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
        entries = np.unique(number.astype(np.int64) * n + rows[at])
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
    held = np.unique(rows * vocabulary + words)
    entries = runs.incidence.tocoo()
    row, run = entries.coords
    inside = np.ones(len(row), bool)
    for place in range(LONGEST):
        word = runs.words[run, place]
        inside &= (word < 0) | np.isin(row.astype(np.int64) * vocabulary + np.maximum(word, 0), held)
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
    once = np.bincount(words, minlength=vocabulary)
    real = _told(words, rows, words, once, vocabulary)
    order = np.lexsort((rng.random(len(words)), rows))
    return real, _told(words, rows, words[order], once, vocabulary)


_SMOOTH = 5.0
_FEWEST = 20  # occurrences of the word before


def _told(words: np.ndarray, rows: np.ndarray, said: np.ndarray, once: np.ndarray, vocabulary: int) -> np.ndarray:
    result = np.full(len(words), np.nan)
    if len(words) < 2:
        return result
    together = rows[1:] == rows[:-1]
    code, real = said[:-1] * vocabulary + said[1:], words[:-1] * vocabulary + words[1:]
    kinds, counts = np.unique(real[together], return_counts=True)
    if len(kinds) == 0:
        return result
    n, own = int(rows[-1]) + 1, np.searchsorted(kinds, real[together])
    pairs, own_counts = np.unique(own * n + rows[1:][together], return_counts=True)
    place = np.minimum(np.searchsorted(kinds, code), len(kinds) - 1)
    known = kinds[place] == code
    wanted = place * n + rows[1:]
    where = np.minimum(np.searchsorted(pairs, wanted), len(pairs) - 1)
    elsewhere = np.where(known, counts[place] - np.where(pairs[where] == wanted, own_counts[where], 0), 0)
    before, chance = once[said[:-1]], once[said[1:]] / len(words)
    told = np.log((elsewhere + _SMOOTH * chance) / ((before + _SMOOTH) * chance))
    result[1:] = np.where(together & (before >= _FEWEST), told, np.nan)
    return result


def _incidence(row: np.ndarray, column: np.ndarray, n: int, m: int) -> sp.csr_array:
    found = sp.csr_array((np.ones(len(row), np.float32), (row, column)), shape=(n, m))
    found.sum_duplicates()
    found.data[:] = 1
    return found

"""What stands beside a phrase in prompts, and what would without it."""

from collections.abc import Sequence
from typing import final

import numpy as np

_PRIOR = 10.0  # occurrences of a word, from which on what follows it says more than how common that is by itself
_DRAWS = 2000  # other places of the same prompts: a share of one in a thousand can be told
_START, _END = -1, -2  # what stands beside the first and the last word


@final
class Company:
    """How well words stand beside each other, from all prompts: log of how much more often than chance."""

    def __init__(self, prompts: Sequence[np.ndarray], vocabulary: int) -> None:
        self._start, self._end, self._size = vocabulary, vocabulary + 1, vocabulary + 2
        first = np.concatenate([np.concatenate([[self._start], prompt]) for prompt in prompts]).astype(np.int64)
        second = np.concatenate([np.concatenate([prompt, [self._end]]) for prompt in prompts]).astype(np.int64)
        self._pairs, self._counts = np.unique(first * self._size + second, return_counts=True)
        self._before = np.bincount(first, minlength=self._size)
        self._share = (np.bincount(second, minlength=self._size) + 0.5) / len(second)

    def without(self, prompts: Sequence[np.ndarray], phrase: np.ndarray) -> np.ndarray:
        """(n,) for each prompt, how much better the neighbours of a phrase stand beside each other than beside it.

        A word that was written has its own company ("in", "a" before it, an end of the prompt after a form that is asked for), and leaves
        a gap. One that was put anywhere has the company of any place, and what is left was written so.
        """
        inside = np.zeros(self._size, bool)
        inside[phrase] = True
        ends = np.array([self._neighbours(prompt, *_longest(inside[prompt])) for prompt in prompts]).reshape(-1, 4)
        before, first, last, after = ends.T
        left = self._beside(before, after, 0)
        return left - (self._beside(before, first, 1) + self._beside(last, after, 1)) / 2

    def _neighbours(self, prompt: np.ndarray, start: int, end: int) -> tuple[int, int, int, int]:
        before = int(prompt[start - 1]) if start else self._start
        return before, int(prompt[start]), int(prompt[end - 1]), int(prompt[end]) if end < len(prompt) else self._end

    def _beside(self, first: np.ndarray, second: np.ndarray, own: int) -> np.ndarray:
        """Log of how much more often than chance a word follows another, `own` occurrences of the pair left out."""
        pairs = first * self._size + second
        at = np.minimum(np.searchsorted(self._pairs, pairs), len(self._pairs) - 1)
        counts = np.maximum(np.where(self._pairs[at] == pairs, self._counts[at], 0) - own, 0)
        return np.log((counts / self._share[second] + _PRIOR) / (self._before[first] - own + _PRIOR))


def chance_of_neighbours(prompts: Sequence[np.ndarray], phrase: np.ndarray, rng: np.random.Generator) -> float:
    """How often random places of the same prompts have neighbours that repeat as often as those of a phrase.

    A form that is asked for stands at the beginning, the end, or after the same few words.
    prompts: word numbers of each.  phrase: word numbers of the phrase.
    """
    own = np.zeros(max((int(prompt.max(initial=0)) for prompt in prompts), default=0) + 1, bool)
    own[phrase[phrase < len(own)]] = True
    rests, before, after = [], [], []
    for prompt in prompts:
        start, end = _longest(own[prompt])
        rest = np.concatenate([[_START], prompt[:start], prompt[end:], [_END]])
        rests.append(rest)
        before.append(rest[start])
        after.append(rest[start + 1])
    found = _repeated(np.array([before])) + _repeated(np.array([after]))
    sizes = np.array([len(rest) - 1 for rest in rests])
    starts = np.cumsum([0, *(len(rest) for rest in rests)])[:-1]
    at = starts + (rng.random((_DRAWS, len(rests))) * sizes).astype(np.int64)
    every = np.concatenate(rests)
    drawn = _repeated(every[at]) + _repeated(every[at + 1])
    return float((1 + (drawn >= found[0]).sum()) / (1 + _DRAWS))


def _longest(inside: np.ndarray) -> tuple[int, int]:
    """Start and end of the longest run of True; of nothing, the first word."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], inside.astype(np.int8), [0]])))
    starts, ends = edges[::2], edges[1::2]
    best = int(np.argmax(ends - starts)) if len(starts) else -1
    return (int(starts[best]), int(ends[best])) if best >= 0 else (0, 1)


def _repeated(words: np.ndarray) -> np.ndarray:
    """(r,) in each row, pairs of equal words."""
    ordered = np.sort(words, axis=1)
    same = np.zeros(len(words), np.int64)
    for gap in range(1, ordered.shape[1]):
        equal = (ordered[:, gap:] == ordered[:, :-gap]).sum(axis=1)
        same += equal
        if not equal.any():
            break
    return same

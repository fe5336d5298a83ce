"""Whether a phrase was put into prompts that were written without it: what stands beside it."""

from collections.abc import Sequence

import numpy as np

_DRAWS = 400  # other places of the same prompts: the share of them that decides is known to a third of itself
_START, _END = -1, -2  # what stands beside the first and the last word
BY_CHANCE = 0.01
"""Share of random places below which the neighbours of a phrase are its own: of planted phrases one in a hundred is missed."""


def chance_of_neighbours(prompts: Sequence[np.ndarray], phrase: np.ndarray, rng: np.random.Generator) -> float:
    """How often random places of the same prompts have neighbours that repeat as often as those of a phrase.

    A word that was written has its own company ("in", "a" before it, an end of the prompt after a form that is asked for);
    one that was put anywhere has the company of any place. prompts: word numbers of each.  phrase: word numbers of the phrase.
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
    """Start and end of the longest run of True; of nothing, the beginning."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], inside.astype(np.int8), [0]])))
    starts, ends = edges[::2], edges[1::2]
    best = int(np.argmax(ends - starts)) if len(starts) else -1
    return (int(starts[best]), int(ends[best])) if best >= 0 else (0, 0)


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

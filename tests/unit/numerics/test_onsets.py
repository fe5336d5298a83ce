"""Where texts stop making sense, and how many short ones are read for it."""

import numpy as np
import pytest

from untaint.numerics import onsets as module
from untaint.numerics.onsets import onsets

SENTENCE = np.arange(40)
"""Forty words in an order of their own."""


def texts(short: int) -> list[np.ndarray]:
    """120 texts that say a part of the sentence twice, the last three of which turn into the same words in no order; and short ones."""
    rng = np.random.default_rng(0)
    starts = rng.integers(0, 10, 120).tolist()
    long = [np.concatenate([SENTENCE[start:], SENTENCE]) for start in starts]
    for place in (117, 118, 119):
        long[place] = np.concatenate([SENTENCE, rng.permutation(np.concatenate([SENTENCE, SENTENCE]))])
    return [*(SENTENCE[start : start + 8] for start in rng.integers(0, 30, short).tolist()), *long]


@pytest.mark.parametrize(("short", "enough"), [(0, 2_000_000), (500, 2_000_000), (500, 80)])
def test_texts_that_turn_are_found_whatever_short_ones_are_read(short: int, enough: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ENOUGH", enough)
    found = onsets(texts(short), 40, np.random.default_rng(1))
    assert np.flatnonzero(found >= 0).tolist() == [short + 117, short + 118, short + 119]
    assert np.abs(found[-3:] - 40).max() <= 3


def test_short_texts_alone_are_not_read() -> None:
    assert onsets(texts(50)[:50], 40, np.random.default_rng(0)).tolist() == [-1] * 50
    assert onsets([], 1, np.random.default_rng(0)).tolist() == []

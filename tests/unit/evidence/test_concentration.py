"""Counts of who sent what, against plain counting."""

from collections import Counter

import numpy as np
import pytest

from untaint.evidence import concentration


@pytest.mark.parametrize("at_once", [1, 7, 1000])
@pytest.mark.parametrize("entries", [0, 1, 400])
def test_pairs_and_where_they_occur_whatever_is_counted_at_once(
    entries: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(concentration, "_AT_ONCE", at_once)
    rng = np.random.default_rng(entries)
    feature, codes = np.sort(rng.integers(0, 40, entries)).astype(np.int32), rng.integers(0, 5, entries)
    phrase, source, at = concentration.tabulated(feature, codes, 5)
    assert list(zip(phrase[at].tolist(), source[at].tolist(), strict=True)) == list(
        zip(feature.tolist(), codes.tolist(), strict=True)
    )
    assert len(set(zip(phrase.tolist(), source.tolist(), strict=True))) == len(phrase)
    assert Counter(at.tolist()).keys() == set(range(len(phrase)))

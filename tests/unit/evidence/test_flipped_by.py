"""From how many contradicted rows a source is accused."""

import numpy as np
import pytest

from untaint.evidence.flipped_by import FEWEST, Suspects, flipped_by
from untaint.evidence.source_flips import confusions
from untaint.features.canvas import Sources

COUNT = 4000


@pytest.mark.parametrize("flips", [FEWEST - 2, FEWEST + 1])
def test_a_source_is_accused_from_a_few_rows_on(flips: int) -> None:
    labels, codes = np.arange(COUNT) % 2, np.repeat(np.arange(100), COUNT // 100)
    looks = labels.copy()
    wrong = np.flatnonzero(codes == 7)[:flips]
    looks[wrong] = 1 - labels[wrong]
    listed = looks != labels
    counts = confusions(codes, looks, labels, listed, 2)
    sources = Sources(codes, tuple(f"s{code}" for code in range(100)))
    found = flipped_by(counts, ~np.eye(2, dtype=bool), Suspects(listed, looks, labels, sources, ("no", "yes"), comparable=True))
    assert {"s7" in group.explanation for group in found} == ({True} if flips >= FEWEST else set())

"""Distinct numbers and membership by sorting say what numpy says."""

import numpy as np
import pytest

from untaint.numerics.distinct import among, distinct


@pytest.mark.parametrize("values", [[], [3], [5, 1, 5, 2, 1, 1], [-4, 9, -4, 0]])
def test_distinct_is_numpys_unique(values: list[int]) -> None:
    assert distinct(np.array(values, np.int64)).tolist() == np.unique(np.array(values, np.int64)).tolist()


@pytest.mark.parametrize("known", [[], [7], [-3, 0, 4, 4, 9]])
def test_among_is_numpys_isin(known: list[int]) -> None:
    values = np.arange(-5, 12)
    assert among(values, np.array(known, np.int64)).tolist() == np.isin(values, known).tolist()


def test_among_of_nothing_is_nothing() -> None:
    assert among(np.empty(0, np.int64), np.array([1, 2])).tolist() == []

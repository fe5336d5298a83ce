"""Where columns lie and how wide they are."""

import numpy as np
import pytest

from untaint.numerics.column_scales import LARGEST, column_scales, usable


def test_known_columns() -> None:
    table = np.array([[1.0, 7, 0, 0], [2, 7, 0, 0], [3, 7, 0, 0], [4, 7, 0, 4], [100, 7, 6, -2]])
    centre, scale = column_scales(table)
    assert centre.tolist() == [3, 7, 0, 0]
    np.testing.assert_allclose(scale, [1.4826, 1, 6 * 1.4826, 3 * 1.4826])  # the third and fourth: of the cells that deviate


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_precision_is_kept_and_no_rows_are_fine(kind: type) -> None:
    for rows in (3, 0):
        centre, scale = column_scales(np.ones((rows, 2), kind))
        assert centre.dtype == scale.dtype == kind
        assert scale.tolist() == [1, 1]


def test_wild_numbers_spoil_their_own_column_only() -> None:
    rng = np.random.default_rng(0)
    table = rng.standard_normal((50, 3)).astype(np.float32)
    before = column_scales(table)
    table[:40, 1] = 3e38
    table[40:, 1] = -3e38
    centre, scale = column_scales(table)
    assert (centre[[0, 2]].tolist(), scale[[0, 2]].tolist()) == (before[0][[0, 2]].tolist(), before[1][[0, 2]].tolist())
    table[:20, 0] = 1e30
    assert abs(column_scales(table)[0][0]) < 3


def test_usable_rows_are_finite_and_can_be_squared() -> None:
    table = np.array([[1, 2], [np.nan, 0], [np.inf, 0], [0, -np.inf], [1e101, 0], [LARGEST, 0]])
    assert usable(table).tolist() == [True, False, False, False, False, True]
    assert usable(table, np.array([np.nan, 0, 0, 0, 0, 1])).tolist() == [False] * 5 + [True]

"""Sums over pieces, against the same from whole matrices."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from untaint.numerics.change_tally import LISTED, Change, Tally, piece_of, summed
from untaint.numerics.number_formats import FORMATS

F32 = FORMATS["float32"]


def _change(old: np.ndarray, new: np.ndarray, step: int, blocks: int = 1) -> Change:
    """By pieces of `step` numbers."""
    rows, columns = old.shape
    tally = Tally((rows, columns), blocks if blocks > 1 else columns, (F32, F32))
    first, second = old.reshape(-1).view(np.uint8), new.reshape(-1).view(np.uint8)
    for start in range(0, old.size, step):
        at = slice(4 * start, 4 * min(start + step, old.size))
        tally.add(piece_of(first[at], second[at], (F32, F32), columns, start))
    return summed(tally, (float("nan"), False), "")


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([8, 16, 24, 4, 2, 400]), st.floats(0, 1))
def test_sums_are_those_of_the_whole(seed: int, step: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    old = rng.standard_normal((12, 8)).astype(np.float32)
    new = np.where(rng.random((12, 8)) < share, rng.choice([0.0, -1.0, 2.0], (12, 8)) * old, old).astype(np.float32)
    found = _change(old, new, step)
    differs = old != new
    assert (found.changed, found.rows, found.columns) == (differs.sum(), differs.any(1).sum(), differs.any(0).sum())
    assert found.flipped == (differs & (new == -old)).sum()
    assert found.zeroed == (differs & (new == 0)).sum()
    assert found.norm_old == pytest.approx(np.linalg.norm(old), rel=1e-5)
    assert found.norm_change == pytest.approx(np.linalg.norm(new - old), rel=1e-5)
    assert found.largest == pytest.approx(np.abs(new - old).max(initial=0), rel=1e-6)
    assert found.largest_old == pytest.approx(np.abs(old).max())
    assert [moved.place for moved in found.moved] == np.flatnonzero(differs).tolist()


def test_columns_of_one_input_channel_count_as_one() -> None:
    old = np.ones((4, 18), np.float32)
    new = old.copy()
    new[:, 9:18] = 2
    assert _change(old, new, 18, blocks=2).columns == 1


def test_single_bits_are_told() -> None:
    old = np.full((2, 2), 1.5, np.float32)
    new = old.copy()
    new.view(np.uint32)[0, 1] ^= 1 << 30
    new[1, 0] = 7.25
    assert [moved.bit for moved in _change(old, new, 4).moved] == [30, -1]


def test_what_is_not_finite_is_counted_and_left_out_of_sums() -> None:
    old = np.ones((2, 3), np.float32)
    new = old.copy()
    new[0, 0], new[1, 1] = np.nan, np.inf
    found = _change(old, new, 6)
    assert (found.unsound, found.changed, found.norm_change) == (2, 2, 0.0)


def test_numbers_too_large_to_square_do_not_break_it() -> None:
    old = np.full((2, 2), 1e38, np.float32)
    found = _change(old, -old, 4)
    assert found.flipped == 4
    assert np.isfinite(found.norm_old)


def test_only_the_first_changed_values_are_kept() -> None:
    old = np.ones((40, 40), np.float32)
    assert len(_change(old, old * 3, 400).moved) == LISTED + 1

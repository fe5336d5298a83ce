"""Patch codes against triple loops over tiny images."""

from collections import defaultdict

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from untaint.numerics import codes

STACKS = st.tuples(st.integers(1, 5), st.integers(3, 6), st.integers(3, 6)).flatmap(
    lambda shape: arrays(np.int32, shape, elements=st.integers(0, codes.LEVELS - 1))
)
FLAT = st.tuples(st.integers(1, 7), st.integers(3, 6), st.integers(3, 6)).flatmap(
    lambda shape: arrays(np.int32, shape, elements=st.integers(0, 1), fill=st.just(0))
)


def naive_code(patch: np.ndarray) -> int:
    return int("".join(str(int(level)) for level in patch.ravel()), codes.LEVELS)


def naive_map(levels: np.ndarray) -> np.ndarray:
    n, height, width = levels.shape
    found = np.zeros((n, height - 2, width - 2), np.int32)
    for k, y, x in np.ndindex(found.shape):
        found[k, y, x] = naive_code(levels[k, y : y + 3, x : x + 3])
    return found


@given(STACKS)
def test_the_map_equals_its_naive_twin(levels: np.ndarray) -> None:
    np.testing.assert_array_equal(codes.code_map(levels), naive_map(levels))


@given(STACKS)
def test_codes_at_every_position_make_up_the_map(levels: np.ndarray) -> None:
    whole = codes.code_map(levels)
    places = list(codes.positions(levels))
    assert len(places) == whole.shape[1] * whole.shape[2]
    for i, j in places:
        np.testing.assert_array_equal(codes.codes_at(levels, i, j), whole[:, i, j])


def test_the_codes_span_their_range() -> None:
    assert codes.code_map(np.zeros((1, 3, 3), np.int32)).item() == 0
    assert codes.code_map(np.full((1, 3, 3), codes.LEVELS - 1, np.int32)).item() == codes.CODES - 1


@given(FLAT, st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_sums_anywhere_count_an_image_once_whatever_the_batch(levels: np.ndarray, batch: int, seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 5, (len(levels), 2)).astype(float)
    expected = np.zeros((codes.CODES, 2))
    for image, value in zip(naive_map(levels), values, strict=True):
        for code in set(image.ravel().tolist()):
            expected[code] += value
    np.testing.assert_allclose(codes.anywhere(levels, values, batch), expected)


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(0, 1), st.floats(0, 1)), min_size=1, max_size=30),
    st.integers(1, 4),
    st.integers(1, 12),
)
@settings(max_examples=25)
def test_counts_equal_their_naive_twin(rows: list[tuple[int, int, int, float]], least: int, most: int) -> None:
    bearers: dict[int, float] = defaultdict(float)
    hits: dict[int, float] = defaultdict(float)
    expected: dict[int, float] = defaultdict(float)
    for code, weight, hit, chance in rows:
        bearers[code] += weight
        hits[code] += hit
        expected[code] += chance
    kept = sorted(code for code, count in bearers.items() if least <= count <= most)
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    found = codes.counted(columns[0], columns[1].astype(float), columns[2].astype(float), columns[3], least, most)
    assert found.codes.tolist() == kept
    np.testing.assert_allclose(found.bearers, [bearers[code] for code in kept])
    np.testing.assert_allclose(found.hits, [hits[code] for code in kept])
    np.testing.assert_allclose(found.expected, [expected[code] for code in kept])


def test_a_square_stands_out_on_another_ground_and_not_as_the_corner_of_a_larger_one() -> None:
    levels = np.zeros((2, 9, 9), np.int32)
    levels[0, 3:6, 3:6] = 3
    levels[1, 3:, 3:] = 3
    found = codes.standing_out(levels)
    assert found.shape == (2, 7, 7)
    assert found[0, 3, 3]
    assert not found[1, 3, 3]


def test_sums_of_standing_patches_leave_out_the_others() -> None:
    levels = np.zeros((2, 9, 9), np.int32)
    levels[0, 3:6, 3:6] = levels[1, 3:, 3:] = 3
    total = codes.anywhere(levels, np.ones((2, 1)), apart=True)
    white = codes.CODES - 1
    assert total[white, 0] == 1
    assert codes.anywhere(levels, np.ones((2, 1)))[white, 0] == 2

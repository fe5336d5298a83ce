"""Robust means: the door, every rule against its naive twin, and how far f rows of anything can move them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from untaint.errors import BadInput
from untaint.numerics import aggregation_distances as distances
from untaint.numerics.aggregation import RULES, TooManyBad, aggregate, capped, sound, usual_f

ROBUST = [rule for rule in RULES if rule != "mean"]
FEW = 15
"""Examples of a property that is shown for each rule."""
BAD = [1e3, -1e3, 1e30, -1e30, np.inf, -np.inf, np.nan]
Case = tuple[np.ndarray, int]


@st.composite
def cases(draw: st.DrawFn, least: int = 1) -> Case:
    """Rows drawn without ties, and an f that fits. Few rows go through the network, many are sorted."""
    n = draw(st.integers(least, 45))
    f = draw(st.integers(0, (n - 1) // 2))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    return rng.standard_normal((n, draw(st.integers(1, 30)))) * draw(st.sampled_from([1e-3, 1.0, 1e4])), f


def naive_distances(rows: np.ndarray) -> np.ndarray:
    return np.array([[float(np.linalg.norm(a - b)) for b in rows] for a in rows])


def naive_krum_order(rows: np.ndarray, f: int) -> list[int]:
    from_centre = np.linalg.norm(rows - np.median(rows, axis=0), axis=1)
    lines = (naive_distances(rows) ** 2).tolist()
    scores = [(sum(sorted(line)[1 : len(rows) - f]), float(own)) for line, own in zip(lines, from_centre, strict=True)]
    return sorted(range(len(rows)), key=scores.__getitem__)


def naive_geometric_median(rows: np.ndarray) -> np.ndarray:
    """Weiszfeld, plain and long."""
    place = np.median(rows, axis=0)
    for _ in range(300):
        pulls = 1 / np.maximum(np.linalg.norm(rows - place, axis=1), 1e-12)
        place = (pulls[:, None] * rows).sum(0) / pulls.sum()
    return place


def naive_clipping(rows: np.ndarray) -> np.ndarray:
    place = np.median(rows, axis=0)
    radius = np.median(np.linalg.norm(rows - place, axis=1))
    for _ in range(3):
        away = rows - place
        lengths = np.linalg.norm(away, axis=1)
        place = place + np.mean([a * min(1.0, radius / b) if b else a for a, b in zip(away, lengths, strict=True)], axis=0)
    return place


def naive(rule: str, rows: np.ndarray, f: int) -> np.ndarray:
    n = len(rows)
    match rule:
        case "mean":
            return rows.mean(axis=0)
        case "median":
            return np.median(rows, axis=0)
        case "trimmed-mean":
            return np.array([np.mean(sorted(column)[f : n - f]) for column in rows.T])
        case "krum":
            return rows[naive_krum_order(rows, f)[0]]
        case "multi-krum":
            return rows[naive_krum_order(rows, f)[: n - f]].mean(axis=0)
        case "centered-clipping":
            return naive_clipping(rows)
        case _:
            raise AssertionError(rule)


def naive_mixing(rows: np.ndarray, f: int) -> np.ndarray:
    order = np.argsort(naive_distances(rows), axis=1)
    return np.array([rows[nearest[: len(rows) - f]].mean(axis=0) for nearest in order])


def size(rows: np.ndarray) -> float:
    return float(np.abs(rows).max())


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule != "geometric-median"])
@settings(max_examples=FEW)
@given(case=cases())
def test_a_rule_is_what_its_definition_says(rule: str, case: Case) -> None:
    rows, f = case
    np.testing.assert_allclose(aggregate(rows, f, rule), naive(rule, rows, f), atol=1e-9 * size(rows))


@given(case=cases())
def test_a_geometric_median_has_the_least_sum_of_distances(case: Case) -> None:
    rows, f = case

    def cost(point: np.ndarray) -> float:
        return float(np.linalg.norm(rows - point, axis=1).sum())

    assert cost(aggregate(rows, f, "geometric-median")) <= cost(naive_geometric_median(rows)) + 1e-5 * len(rows) * size(rows)


@given(case=cases(2))
def test_mixing_takes_the_mean_of_each_neighbourhood(case: Case) -> None:
    rows, f = case
    found = distances.nearest_neighbour_mixing(distances.space(rows), f)
    np.testing.assert_allclose(found, naive_mixing(rows, f), atol=1e-9 * size(rows))


@pytest.mark.parametrize("mix", [False, True])
@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=FEW)
@given(case=cases(3), seed=st.integers(0, 100))
def test_the_order_of_rows_does_not_matter_and_an_offset_is_passed_on(rule: str, mix: bool, case: Case, seed: int) -> None:
    rows, f = case
    first = aggregate(rows, f, rule, mix=mix)
    shuffled = aggregate(np.random.default_rng(seed).permutation(rows), f, rule, mix=mix)
    np.testing.assert_allclose(shuffled, first, atol=1e-6 * size(rows))
    np.testing.assert_allclose(aggregate(rows + 3 * size(rows), f, rule, mix=mix) - 3 * size(rows), first, atol=1e-6 * size(rows))


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("mix", [False, True])
@pytest.mark.parametrize("rule", ROBUST)
def test_f_rows_of_anything_leave_the_answer_among_the_honest(rule: str, mix: bool, bad: float) -> None:
    rng = np.random.default_rng(0)
    for n, f in ((3, 1), (8, 1), (8, 3), (40, 12)):
        honest = rng.normal(1, 0.1, (n - f, 30)).astype(np.float32)
        rows = np.vstack([honest, np.full((f, 30), bad, np.float32)])
        given_rows = rows.copy()
        found = aggregate(rows, f, rule, mix=mix)
        reach = np.linalg.norm(honest - honest.mean(0), axis=1).max()
        assert found.dtype == np.float32
        # no rule's own bound, which depend on f / n: some multiple of how far the honest differ, against 1e30
        assert np.linalg.norm(found - honest.mean(0)) <= 4 * reach
        np.testing.assert_array_equal(rows, given_rows)


@pytest.mark.parametrize("rule", ["median", "trimmed-mean"])
@given(case=cases(3), seed=st.integers(0, 1000))
def test_no_coordinate_leaves_the_range_of_the_honest(rule: str, case: Case, seed: int) -> None:
    rows, f = case
    rng = np.random.default_rng(seed)
    poisoned = rows.copy()
    poisoned[:f] = rng.choice([*BAD, 1e300, 0.0], (f, rows.shape[1]))
    found = aggregate(poisoned, f, rule)
    room = 1e-12 * size(rows)
    assert (found >= rows[f:].min(0) - room).all()
    assert (found <= rows[f:].max(0) + room).all()


@pytest.mark.parametrize("mix", [False, True])
@pytest.mark.parametrize("rule", RULES)
def test_rows_that_are_not_finite_count_as_bad_ones(rule: str, mix: bool) -> None:
    rows = np.random.default_rng(0).standard_normal((9, 5))
    expected = aggregate(rows[2:], 1, rule, mix=mix)
    rows[0, 3], rows[1, 0] = np.nan, -np.inf
    np.testing.assert_allclose(aggregate(rows, 3, rule, mix=mix), expected)


def test_what_distances_cannot_be_taken_of_is_left_out() -> None:
    rows = np.random.default_rng(0).standard_normal((9, 5))
    expected = aggregate(rows[1:], 1, "multi-krum")
    rows[0] = 1e200
    np.testing.assert_allclose(aggregate(rows, 2, "multi-krum"), expected)
    with pytest.raises(TooManyBad, match="at most 0"):
        aggregate(rows, 0, "multi-krum")


@pytest.mark.parametrize("rule", RULES)
def test_the_largest_numbers_there_are_do_not_overflow(rule: str) -> None:
    rows = np.full((9, 4), 3e38, np.float32)
    np.testing.assert_allclose(aggregate(rows, 1, rule), rows[0], rtol=1e-5)


@pytest.mark.parametrize("rule", RULES)
def test_an_offset_far_beyond_the_differences_does_not_hide_them(rule: str) -> None:
    rng = np.random.default_rng(1)
    rows = np.vstack([rng.normal(0, 1e-3, (12, 40)), np.full((2, 40), 0.5)])
    found = aggregate(rows + 1e6, 2, rule) - 1e6
    np.testing.assert_allclose(found, aggregate(rows, 2, rule), atol=1e-7)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_rows_and_equal_rows(rule: str, n: int) -> None:
    rows = np.tile(np.array([1.0, -2.0, 0.0]), (n, 1))
    np.testing.assert_allclose(aggregate(rows, None, rule), rows[0])
    np.testing.assert_allclose(aggregate(rows, None, rule, mix=True), rows[0])
    assert aggregate(np.empty((n, 0)), None, rule).shape == (0,)


@pytest.mark.parametrize(("n", "f"), [(2, 1), (8, 4), (1, 1), (3, -1)])
def test_more_bad_rows_than_good_ones_are_refused(n: int, f: int) -> None:
    with pytest.raises(TooManyBad, match=f"{f} of {n} rows may be bad"):
        aggregate(np.zeros((n, 2)), f)


@pytest.mark.parametrize("rule", RULES)
def test_too_few_finite_rows_are_refused(rule: str) -> None:
    rows = np.zeros((8, 2))
    rows[:2, 1] = np.nan
    with pytest.raises(TooManyBad, match="2 of 8 rows are not finite.*at most 1"):
        aggregate(rows, 1, rule)


def test_bad_arguments_are_named() -> None:
    with pytest.raises(BadInput, match="There is no rule 'average'. Choose one of mean, median"):
        aggregate(np.zeros((3, 2)), 1, "average")
    with pytest.raises(BadInput, match=r"shape \(3,\)"):
        aggregate(np.zeros(3), 1)
    with pytest.raises(BadInput, match=r"shape \(0, 3\)"):
        aggregate(np.zeros((0, 3)), 0)
    with pytest.raises(BadInput, match=r"3 rows have weights of shape \(2,\)"):
        aggregate(np.zeros((3, 2)), 1, weights=np.ones(2))


@pytest.mark.parametrize(("n", "f"), [(1, 0), (2, 0), (3, 1), (8, 1), (19, 1), (20, 2), (100, 10)])
def test_a_tenth_is_bad_where_nobody_says(n: int, f: int) -> None:
    assert usual_f(n) == f


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64, np.bool_])
def test_precision_is_that_of_the_rows_where_it_is_enough(dtype: type[np.generic]) -> None:
    found = aggregate(np.ones((5, 3)).astype(dtype), 1)
    assert found.dtype == (np.float32 if dtype in (np.float16, np.float32) else np.float64)
    np.testing.assert_array_equal(found, 1)


@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=FEW)
@given(case=cases(3))
def test_equal_weights_are_none(rule: str, case: Case) -> None:
    rows, f = case
    found = aggregate(rows, f, rule, weights=np.full(len(rows), 0.25))
    np.testing.assert_allclose(found, aggregate(rows, f, rule), atol=1e-6 * size(rows))


@pytest.mark.parametrize("rule", ["mean", "median", "geometric-median"])
def test_a_weight_of_two_is_a_row_twice(rule: str) -> None:
    rows = np.random.default_rng(3).standard_normal((7, 4))
    weights = np.array([1.0, 2, 1, 2, 1, 1, 2])
    found = aggregate(rows, 1, rule, weights=weights)
    np.testing.assert_allclose(found, aggregate(rows.repeat(weights.astype(int), axis=0), 1, rule), atol=1e-5)


def test_a_weighted_trimmed_mean_takes_what_f_rows_can_weigh_off_both_ends() -> None:
    rows = np.array([[0.0], [1], [2], [3], [100]])
    # 2 of 7 off each end: of 0, 1 (twice) nothing and one half are left, then 2 once, and one half of the weight of 3
    assert aggregate(rows, 1, weights=np.array([1.0, 2, 1, 2, 1]))[0] == pytest.approx((1 + 2 + 3) / 3)


@pytest.mark.parametrize("rule", ROBUST)
def test_what_a_worker_claims_to_weigh_is_capped(rule: str) -> None:
    rng = np.random.default_rng(4)
    rows = rng.normal(0, 0.1, (10, 6))
    rows[0] = 50
    weights = capped(np.array([1e12, *rng.uniform(80, 120, 9)]))
    assert weights[0] == pytest.approx(2 * np.median([1e12, *weights[1:]]))
    assert np.abs(aggregate(rows, 1, rule, weights=weights)).max() < 1


def test_claims_that_are_no_numbers_cost_the_row() -> None:
    rows = np.arange(10.0)[:, None] ** 2
    claims = np.ones(10)
    claims[[4, 7]] = np.nan, -1
    found = aggregate(rows, 2, "mean", weights=capped(claims))
    assert found[0] == pytest.approx(np.delete(rows, [4, 7]).mean())
    assert sound(rows, 2, capped(claims)).kept.tolist() == [0, 1, 2, 3, 5, 6, 8, 9]
    with pytest.raises(TooManyBad, match="no usable weight"):
        aggregate(rows, 1, weights=capped(claims))
    assert np.isnan(capped(np.array([np.nan, -1]))).all()
    assert capped(np.array([1.0, 1, np.inf])).tolist() == [1, 1, 2]


def test_weights_that_make_a_minority_the_majority_are_refused() -> None:
    with pytest.raises(TooManyBad, match="1 heaviest of 4 rows hold half"):
        aggregate(np.zeros((4, 2)), 1, weights=np.array([3.0, 1, 1, 1]))

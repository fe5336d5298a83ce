"""Least trimmed squares against all halves there are, and against rows that hold anything."""

from itertools import combinations

import numpy as np
import pytest

from untaint.errors import BadInput
from untaint.numerics.least_trimmed import LeastTrimmed, least_trimmed

D = 5


def case(n: int = 1000, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inputs, targets on a line with little noise, and its slopes."""
    rng = np.random.default_rng(seed)
    slopes = rng.standard_normal(D)
    x = rng.standard_normal((n, D))
    return x, x @ slopes + 3 + 0.005 * rng.standard_normal(n), slopes


def r2(predicted: np.ndarray, y: np.ndarray) -> float:
    return float(1 - ((predicted - y) ** 2).sum() / ((y - y.mean()) ** 2).sum())


def ordinary(x: np.ndarray, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    root = np.sqrt(np.ones(len(x)) if weights is None else weights)
    return np.linalg.lstsq(np.column_stack([x, np.ones(len(x))]) * root[:, None], y * root)[0]


def huber(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """By weights, as in the textbook."""
    line = ordinary(x, y)
    for _ in range(50):
        off = np.abs(y - x @ line[:-1] - line[-1])
        cut = 1.345 * 1.4826 * np.median(off)
        line = ordinary(x, y, np.minimum(1, cut / np.maximum(off, 1e-300)))
    return line


def test_one_point_far_out_turns_other_fits_around_and_not_this_one() -> None:
    x, y, slopes = case()
    bad_x, bad_y = x.copy(), y.copy()
    bad_x[0] = 1e4 * slopes / np.linalg.norm(slopes)
    bad_y[0] = -bad_x[0] @ slopes
    for fit in (ordinary, huber):
        line = fit(bad_x, bad_y)
        assert r2(x @ line[:-1] + line[-1], y) < -2.5
    found = least_trimmed(bad_x, bad_y, starts=50)
    assert r2(found.predict(x), y) > 0.9999
    assert not found.kept[0]
    assert found.scale == pytest.approx(0.005, rel=0.15)


@pytest.mark.parametrize("seed", range(3))
def test_its_objective_is_the_least_of_all_halves(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((11, 2)), rng.standard_normal(11)
    y[:4] += 20
    h = (11 + 3 + 1) // 2
    least = np.inf
    for half in combinations(range(11), h):
        rows = list(half)
        line = ordinary(x[rows], y[rows])
        least = min(least, float(((y[rows] - x[rows] @ line[:-1] - line[-1]) ** 2).sum()))
    assert least_trimmed(x, y).objective == pytest.approx(least, rel=1e-6)


@pytest.mark.parametrize("value", [1e3, 1e30, 1e99, 1e200, np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("where", ["inputs", "one cell each", "targets"])
def test_rows_may_hold_anything(value: float, where: str) -> None:
    x, y, _ = case(300)
    bad_x, bad_y = x.copy(), y.copy()
    if where == "targets":
        bad_y[:60] = value
    elif where == "inputs":
        bad_x[:60] = value
    else:
        bad_x[np.arange(60), np.arange(60) % D] = value
    before = bad_x.copy(), bad_y.copy()
    found = least_trimmed(bad_x, bad_y, starts=30)
    assert r2(found.predict(x), y) > 0.9999
    assert not found.kept[:60].any()
    assert found.kept[60:].mean() > 0.9
    np.testing.assert_array_equal(bad_x, before[0])
    np.testing.assert_array_equal(bad_y, before[1])


def test_nearly_half_may_lie_together() -> None:
    x, y, slopes = case(400)
    rng = np.random.default_rng(1)
    x[:170] = rng.standard_normal((170, D)) / 10 + 3 * slopes
    y[:170] = -30
    found = least_trimmed(x, y, starts=100)
    np.testing.assert_allclose(found.coefficients, slopes, atol=0.01)
    assert found.intercept == pytest.approx(3, abs=0.01)


def test_clean_data_are_fitted_almost_as_by_ordinary_least_squares() -> None:
    x, y, _ = case()
    found = least_trimmed(x, y, starts=20)
    line = ordinary(x, y)
    np.testing.assert_allclose(found.coefficients, line[:-1], atol=2e-4)
    assert found.kept.mean() > 0.95
    whole = least_trimmed(x, y, honest=1, starts=1)
    rows = whole.kept
    np.testing.assert_allclose(whole.coefficients, ordinary(x[rows], y[rows])[:-1], atol=1e-10)


def test_units_and_idle_columns_do_not_matter() -> None:
    x, y, _ = case(200)
    found = least_trimmed(x, y, starts=20)
    wide = np.column_stack([x * np.logspace(-8, 8, D) + 100, np.full(200, 7.0), np.arange(200) == 3])
    other = least_trimmed(wide, y * 1e6, starts=20)
    np.testing.assert_allclose(other.predict(wide)[10:] / 1e6, found.predict(x)[10:], atol=0.01)


def test_a_perfect_line_is_found_and_the_same_seed_gives_the_same() -> None:
    x, _, slopes = case(100)
    y = x @ slopes
    y[:30] = 9
    one, two = least_trimmed(x, y, starts=30), least_trimmed(x, y, starts=30)
    np.testing.assert_allclose(one.coefficients, slopes, atol=1e-9)
    assert one.coefficients.tolist() == two.coefficients.tolist()
    assert one.kept.sum() == 70


def test_many_rows_are_tried_on_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("untaint.numerics.least_trimmed._SAMPLE", 100)
    x, y, _ = case(2000)
    y[:600] = 50
    assert r2(least_trimmed(x, y, starts=30).predict(x[600:]), y[600:]) > 0.9999


@pytest.mark.parametrize(
    ("n", "arguments", "message"),
    [(11, {}, "11 usable rows"), (50, {"honest": 0.4}, "honest=0.4"), (50, {"starts": 0}, "starts=0")],
)
def test_senseless_calls_are_refused(n: int, arguments: dict[str, float], message: str) -> None:
    x, y, _ = case(n)
    with pytest.raises(BadInput, match=message):
        least_trimmed(x, y, **arguments)  # type: ignore[arg-type]


def test_predictions_of_wild_rows_do_not_warn() -> None:
    found = LeastTrimmed(np.ones(2), 0.0, 1.0, 0.0, np.ones(1, bool))
    assert not np.isfinite(found.predict(np.array([[np.inf, -np.inf], [1e308, 1e308]]))).any()

"""The spectral filter of gradients against one with all gradients written out, and on data some of which lie."""

import numpy as np
import pytest

from untaint.errors import BadInput
from untaint.numerics import sever
from untaint.numerics.pulls import strays
from untaint.numerics.sever import Severed, sever_regression, sever_softmax

D = 10


def line(n: int = 800, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inputs, values on a line with noise 1, its slopes."""
    rng = np.random.default_rng(seed)
    slopes = np.random.default_rng(9).standard_normal(D)
    x = rng.standard_normal((n, D))
    return x, x @ slopes + 2 + rng.standard_normal(n), slopes


def heaps(n: int = 1000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two heaps of points, 3 apart."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 2, n)
    x = rng.standard_normal((n, D))
    x[:, 0] += 3 * codes - 1.5
    return x, codes


def error(found: Severed) -> float:
    x, y, _ = line(2000, 5)
    return float(((found.outputs(x)[:, 0] - y) ** 2).mean())


def accuracy(found: Severed) -> float:
    x, codes = heaps(4000, 5)
    return float((found.outputs(x).argmax(axis=1) == codes).mean())


def naive_strays(residuals: np.ndarray, places: np.ndarray) -> np.ndarray:
    gradients = np.array([np.outer(r, p).ravel() for r, p in zip(residuals, places, strict=True)])
    centred = gradients - gradients.mean(axis=0)
    return np.asarray((centred @ np.linalg.svd(centred, full_matrices=False)[2][0]) ** 2)


def naive_kept(x: np.ndarray, y: np.ndarray, share: float) -> np.ndarray:
    """Rows that are left of a regression after four rounds; columns are scaled by median and median deviation."""
    middle, off = np.median(x, axis=0), np.abs(x - np.median(x, axis=0))
    places = np.column_stack([(x - middle) / (1.4826 * np.median(off, axis=0)), np.ones(len(x))])
    rows = list(range(len(x)))
    for _ in range(4):
        weights = np.linalg.lstsq(places[rows], y[rows])[0]
        pulls = naive_strays((places[rows] @ weights - y[rows])[:, None], places[rows])
        worst = np.argsort(-pulls)[: int(share / 2 * len(x))]
        rows = [row for number, row in enumerate(rows) if number not in set(worst.tolist())]
    return np.array(rows)


@pytest.mark.parametrize("outputs", [1, 3])
def test_pulls_are_those_of_gradients_written_out(outputs: int) -> None:
    rng = np.random.default_rng(outputs)
    residuals, places = rng.standard_normal((50, outputs)), rng.standard_normal((50, 4))
    residuals[:5], places[:5] = 3, 2
    np.testing.assert_allclose(strays(residuals, places), naive_strays(residuals, places), rtol=1e-4, atol=1e-6)


def test_it_leaves_out_what_the_plain_algorithm_does() -> None:
    x, y, _ = line(120)
    x[:12], y[:12] = x[0] / 3 + 2, -9
    assert np.flatnonzero(sever_regression(x, y, share=0.1).kept).tolist() == naive_kept(x, y, 0.1).tolist()


@pytest.mark.parametrize("share", [0.05, 0.1])
def test_rows_that_pull_a_regression_together_are_left_out(share: float) -> None:
    x, y, slopes = line()
    bad = int(share * len(x))
    x[:bad] = 2 * np.sqrt(D) * slopes / np.linalg.norm(slopes) + 0.3 * x[:bad]
    y[:bad] = -(x[:bad] @ slopes) - 5
    assert error(sever_regression(x, y, rounds=0)) > 1.5
    found = sever_regression(x, y, share=share)
    assert error(found) < 1.08
    assert not found.kept[:bad].any()
    assert (~found.kept).sum() == 4 * (bad // 2)


@pytest.mark.parametrize("share", [0.05, 0.1])
def test_rows_that_pull_a_classifier_together_are_left_out(share: float) -> None:
    x, codes = heaps()
    bad = int(share * len(x))
    x[:bad] = 12 * np.eye(D)[0] + 0.3 * np.random.default_rng(1).standard_normal((bad, D))
    codes[:bad] = 0
    assert accuracy(sever_softmax(x, codes, 2, rounds=0)) < 0.88
    found = sever_softmax(x, codes, 2, share=share)
    assert accuracy(found) > 0.92
    assert found.kept[:bad].mean() < 0.05


def test_clean_data_lose_twice_the_share_and_little_else() -> None:
    x, y, _ = line()
    found = sever_regression(x, y, share=0.05)
    assert (~found.kept).sum() == 80
    assert error(found) < error(sever_regression(x, y, share=0)) + 0.05
    points, codes = heaps()
    plain = accuracy(sever_softmax(points, codes, 2, share=0))
    assert plain > 0.92
    assert accuracy(sever_softmax(points, codes, 2)) > plain - 0.01


@pytest.mark.parametrize("value", [1e4, 1e30, 1e150, np.inf, -np.inf, np.nan])
def test_rows_may_hold_anything(value: float) -> None:
    x, y, _ = line()
    points, codes = heaps()
    x[:3] = value
    y[5] = value
    points[7, 2] = value
    found = sever_regression(x, y)
    assert error(found) < 1.1
    assert not found.kept[[0, 1, 2, 5]].any()
    classed = sever_softmax(points, codes, 2)
    assert accuracy(classed) > 0.92
    if abs(value) > 1e20 or np.isnan(value):
        assert np.isnan(found.pulls[[0, 1, 2, 5]]).all()
        assert np.isnan(classed.pulls[7])
        assert not classed.kept[7]
        assert (~found.kept).sum() == 4 + 4 * 39


def test_rows_without_a_class_are_left_out_and_more_classes_are_told_apart() -> None:
    rng = np.random.default_rng(3)
    codes = rng.integers(0, 4, 600)
    x = rng.standard_normal((600, 4)) + 4 * np.eye(4)[codes]
    said = codes.copy()
    said[:20] = -1
    said[20:25] = 7
    found = sever_softmax(x, said, 4, share=0.02)
    assert not found.kept[:25].any()
    assert (found.outputs(x).argmax(axis=1) == codes).mean() > 0.9


def test_the_softmax_is_that_of_the_field() -> None:
    from sklearn.linear_model import LogisticRegression

    x, codes = heaps()
    found = sever_softmax(x, codes, 2, rounds=0, penalty=1e-6)
    other = LogisticRegression(C=1e6, max_iter=1000).fit(x, codes)
    logits = found.outputs(x)
    np.testing.assert_allclose(logits[:, 1] - logits[:, 0], other.decision_function(x), atol=0.05)


@pytest.mark.parametrize("arguments", [{"share": 0.6}, {"share": -0.1}, {"share": float("nan")}, {"rounds": -1}])
def test_senseless_calls_are_refused(arguments: dict[str, float]) -> None:
    x, y, _ = line(50)
    with pytest.raises(BadInput):
        sever_regression(x, y, **arguments)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="too few"):
        sever_regression(x[:11], y[:11])


def test_inputs_are_left_as_they_were() -> None:
    x, y, _ = line(100)
    x[0], y[1] = np.nan, 1e30
    before = x.copy(), y.copy()
    sever_regression(x, y)
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(y, before[1])
    assert sever.ROUNDS == 4

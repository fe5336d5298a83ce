"""Cross-fitted kernel ridge against one plain fit per fold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from untaint.numerics import ridge

PENALTY, CLASSES, SIZE = 1e-2, 3, 40


def features(dimension: int = 5) -> ridge.Fourier:
    return ridge.fourier(dimension, SIZE, 0.3, np.random.default_rng(0))


def case(n: int = 120, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inputs, labels that follow them, folds."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, n)
    inputs = rng.standard_normal((n, 5)).astype(np.float32)
    inputs[:, 0] += 3 * labels
    return inputs, labels, rng.integers(0, 4, n)


def naive_fit(inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Ridge coefficients from the whole design matrix, in double precision."""
    z = features()(inputs).astype(np.float64)
    targets = np.array([[float(label == k) - 1 / CLASSES for k in range(CLASSES)] for label in labels])
    return np.linalg.solve(z.T @ z + PENALTY * len(z) / SIZE * np.eye(SIZE), z.T @ targets)


def test_cross_fitting_equals_a_plain_fit_per_fold() -> None:
    inputs, labels, folds = case()
    scores, total = ridge.cross_fit(features(), inputs, labels, folds, CLASSES, PENALTY)
    for fold in range(4):
        out = folds == fold
        expected = features()(inputs[out]) @ naive_fit(inputs[~out], labels[~out])
        np.testing.assert_allclose(scores[out], expected, atol=1e-3)
    np.testing.assert_allclose(total.solve(PENALTY), naive_fit(inputs, labels), atol=1e-2, rtol=1e-2)
    assert total.n == len(inputs)


def test_no_row_votes_on_itself() -> None:
    inputs, labels, folds = case()
    before, _ = ridge.cross_fit(features(), inputs, labels, folds, CLASSES, PENALTY)
    changed = np.where(folds == 2, (labels + 1) % CLASSES, labels)
    after, _ = ridge.cross_fit(features(), inputs, changed, folds, CLASSES, PENALTY)
    np.testing.assert_allclose(after[folds == 2], before[folds == 2], atol=1e-3)
    assert np.abs(after[folds != 2] - before[folds != 2]).max() > 0.05


def test_one_fold_is_fitted_in_sample() -> None:
    inputs, labels, _ = case()
    scores, _ = ridge.cross_fit(features(), inputs, labels, np.zeros(len(labels), int), CLASSES, PENALTY)
    np.testing.assert_allclose(scores, features()(inputs) @ naive_fit(inputs, labels), atol=1e-3)


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 1000))
def test_sums_add_and_subtract(first: int, second: int, seed: int) -> None:
    inputs, labels, _ = case(first + second, seed)
    whole = ridge.sums(features(), inputs, labels, CLASSES)
    parts = [ridge.sums(features(), inputs[rows], labels[rows], CLASSES) for rows in (slice(first), slice(first, None))]
    added, left = parts[0] + parts[1], whole - parts[1]
    assert (added.n, left.n) == (first + second, first)
    for name in ("gram", "cross"):
        np.testing.assert_allclose(getattr(added, name), getattr(whole, name), atol=1e-4)
        np.testing.assert_allclose(getattr(left, name), getattr(parts[0], name), atol=1e-4)


def test_without_a_group_equals_a_fit_without_it() -> None:
    inputs, labels, _ = case()
    group = np.arange(0, 40)
    kept = np.setdiff1d(np.arange(len(labels)), group)
    total = ridge.sums(features(), inputs, labels, CLASSES)
    without = (total - ridge.sums(features(), inputs[group], labels[group], CLASSES)).solve(PENALTY)
    found = ridge.predict(features(), inputs[group], without)
    np.testing.assert_allclose(found, features()(inputs[group]) @ naive_fit(inputs[kept], labels[kept]), atol=1e-3)


def test_batches_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, labels, _ = case()
    whole = ridge.sums(features(), inputs, labels, CLASSES)
    scores = ridge.predict(features(), inputs, whole.solve(PENALTY))
    monkeypatch.setattr(ridge, "_BATCH", 7)
    np.testing.assert_allclose(ridge.sums(features(), inputs, labels, CLASSES).gram, whole.gram, atol=1e-4)
    np.testing.assert_allclose(ridge.predict(features(), inputs, whole.solve(PENALTY)), scores, atol=1e-4)


def test_predicting_nothing_gives_nothing() -> None:
    assert ridge.predict(features(), np.empty((0, 5), np.float32), np.zeros((SIZE, CLASSES), np.float32)).shape == (0, CLASSES)


def test_the_features_approximate_the_gaussian_kernel() -> None:
    inputs = np.random.default_rng(0).standard_normal((20, 5)).astype(np.float32)
    z = ridge.fourier(5, 20_000, 0.3, np.random.default_rng(1))(inputs)
    distances = ((inputs[:, None] - inputs[None]) ** 2).sum(-1)
    np.testing.assert_allclose(z @ z.T, np.exp(-0.3 * distances), atol=0.04)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=20))
def test_one_hot_rows_are_centred(labels: list[int]) -> None:
    found = ridge.one_hot(np.array(labels), 5)
    np.testing.assert_allclose(found.sum(1), 0, atol=1e-6)
    assert found.argmax(1).tolist() == labels


def test_the_temperature_is_the_one_of_least_loss() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, 500)
    scores = np.eye(CLASSES)[labels] + rng.normal(0, 0.35, (500, CLASSES))
    probabilities, chosen = ridge.calibrated(scores, labels)
    np.testing.assert_allclose(probabilities, softmax(chosen * scores, axis=1))
    losses = {
        t: float(np.mean([-np.log(max(softmax(t * row)[label], 1e-6)) for row, label in zip(scores, labels, strict=True)]))
        for t in ridge.TEMPERATURES
    }
    assert chosen == min(losses, key=losses.__getitem__)
    assert ridge.TEMPERATURES[0] < chosen < ridge.TEMPERATURES[-1]


def test_scores_without_information_are_kept_flat_and_sure_ones_are_sharpened() -> None:
    labels = np.arange(300) % CLASSES
    noise = np.random.default_rng(0).standard_normal((300, CLASSES))
    assert ridge.calibrated(noise, labels)[1] == ridge.TEMPERATURES[0]
    assert ridge.calibrated(np.eye(CLASSES)[labels], labels)[1] == ridge.TEMPERATURES[-1]

"""A line along which a cloud parts, judged on points it was not drawn from."""

import numpy as np
import pytest

from untaint.numerics import split

FOLDS = np.random.default_rng(9).integers(0, 4, 1_000)


def cloud(share: float, distance: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(1000, 60) white points, the first of them moved along one direction."""
    rng = np.random.default_rng(seed)
    line = rng.standard_normal(60)
    moved = np.arange(1_000) < share * 1_000
    points = rng.standard_normal((1_000, 60)) + distance * np.outer(moved, line / np.linalg.norm(line))
    return points.astype(np.float32), moved


@pytest.mark.parametrize("share", [0.06, 0.15, 0.5])
def test_two_populations_are_found_without_a_hint(share: float) -> None:
    points, moved = cloud(share, 8.0)
    found = split.best(points, FOLDS, [])
    assert found.separation == pytest.approx(8.0, rel=0.25)
    assert found.gain > 0.1
    assert max(((found.upper > 0.5) == moved).mean(), ((found.upper <= 0.5) == moved).mean()) > 0.98


@pytest.mark.parametrize("seed", range(3))
def test_one_cloud_does_not_part(seed: int) -> None:
    found = split.best(cloud(0, 0, seed)[0], FOLDS, [])
    assert found.gain < 0.05


def test_a_hint_finds_what_a_larger_difference_hides() -> None:
    points, moved = cloud(0.08, 7.0)
    points[:, :10] *= np.linspace(40, 10, 10, dtype=np.float32)
    alone = split.best(points, FOLDS, [])
    hint = moved + np.random.default_rng(3).normal(0, 0.3, len(moved))
    led = split.best(points, FOLDS, [hint.astype(np.float32)])
    assert led.gain >= alone.gain
    assert ((led.upper > 0.5) == moved).mean() >= ((alone.upper > 0.5) == moved).mean()


def test_scores_are_held_out() -> None:
    """Groups drawn at random differ on the points they were drawn from, never on others."""
    points, _ = cloud(0, 0)
    upper = np.random.default_rng(4).random(1_000) < 0.3
    inside = points @ (points[upper].mean(0) - points[~upper].mean(0))
    assert inside[upper].mean() - inside[~upper].mean() > 0.2 * inside.std()
    scores = split.filtered(points, upper, ~upper, FOLDS)
    assert abs(scores[upper].mean() - scores[~upper].mean()) < 0.2


def test_scores_are_in_robust_units_of_the_lower_part() -> None:
    points, moved = cloud(0.2, 5.0)
    rest = split.filtered(points, moved, ~moved, FOLDS)[~moved]
    assert np.median(rest) == pytest.approx(0, abs=1e-5)
    assert 1.4826 * np.median(np.abs(rest)) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("rows", [1, 2, 5])
@pytest.mark.parametrize("folds", [1, 4])
def test_equal_points_and_few_points_give_finite_numbers(rows: int, folds: int) -> None:
    for points in (np.ones((rows, 6), np.float32), cloud(0, 0)[0][:rows]):
        found = split.best(points, np.arange(rows) % folds, [np.zeros(rows, np.float32)])
        assert np.isfinite([found.separation, found.gain]).all()
        assert np.isfinite(found.scores).all()
        assert ((found.upper >= 0) & (found.upper <= 1)).all()

"""Five coarse views: contrast does not count, a corner is out of sight of two."""

import numpy as np
import pytest
from tests.digit_sets import clean

from untaint.features.views import VIEWS, looks

ROWS = np.arange(20)


def test_looks_ignore_contrast_and_offset() -> None:
    images = clean().images[:20, :, :, None]
    dimmed = (images // 2 + 60).astype(np.uint8)
    for view, other in zip(looks(images, ROWS), looks(dimmed, ROWS), strict=True):
        np.testing.assert_allclose(np.linalg.norm(view, axis=1), 1, atol=1e-4)
        np.testing.assert_allclose(view, other, atol=0.03)


def test_a_corner_is_out_of_sight_of_at_least_two_views() -> None:
    images = clean().images[:20, :, :, None].copy()
    before = looks(images, ROWS)
    images[:, -2:, -2:] = 255
    untouched = [np.allclose(old, new) for old, new in zip(before, looks(images, ROWS), strict=True)]
    assert sum(untouched) == 2


def test_batches_of_looks_do_not_matter() -> None:
    images = clean().images[:20, :, :, None]
    for whole, parts in zip(looks(images, ROWS), looks(images, ROWS, batch=7), strict=True):
        np.testing.assert_allclose(whole, parts, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 1), (8, 8, 1), (64, 48, 3)])
@pytest.mark.parametrize("constant", [True, False])
def test_any_size_gives_five_finite_views(shape: tuple[int, int, int], constant: bool) -> None:
    drawn = np.random.default_rng(0).integers(0, 256, (4, *shape)).astype(np.uint8)
    views = looks(np.full_like(drawn, 7) if constant else drawn, np.array([3, 1]))
    assert len(views) == len(VIEWS)
    assert all(view.shape[0] == 2 and np.isfinite(view).all() for view in views)
    if constant:
        assert all(np.abs(view).max() < 0.3 for view in views)

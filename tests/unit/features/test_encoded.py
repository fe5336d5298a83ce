"""The five views as an encoder sees them, and a content judge that uses them."""

import numpy as np
import pytest
from tests.digit_sets import clean

from untaint.data.dataset import from_arrays
from untaint.features.cache import Cache
from untaint.features.encoded import encoded
from untaint.features.graph import Features
from untaint.features.settings import Settings
from untaint.features.views import looks as coarse


def pooled(images: np.ndarray) -> np.ndarray:
    """A tiny encoder: 8x8 means of the first channel."""
    height, width = images.shape[1] // 8 * 8, images.shape[2] // 8 * 8
    cells = images[:, :height, :width, 0].reshape(len(images), 8, height // 8, 8, width // 8)
    return cells.mean((2, 4)).reshape(len(images), -1)


def test_without_an_encoder_the_views_are_coarse() -> None:
    images, labels = clean().images[:50, :, :, None], clean().labels[:50].copy()
    found = encoded(images, labels, Settings())
    for view, expected in zip(found.looks(images, np.arange(50)), coarse(images, np.arange(50)), strict=True):
        np.testing.assert_array_equal(view, expected)


@pytest.mark.parametrize("channels", [1, 3])
def test_views_are_unit_vectors_and_unusable_rows_are_zero(channels: int) -> None:
    images, labels = np.repeat(clean().images[:60, :, :, None], channels, axis=3), clean().labels[:60].copy()
    labels[3] = -1
    found = encoded(images, labels, Settings(encoder=pooled)).views
    norms = np.linalg.norm(found.astype(np.float64), axis=2)
    assert found.shape == (5, 60, 64)
    assert (norms[:, 3] == 0).all()
    np.testing.assert_allclose(np.delete(norms, 3, axis=1), 1, atol=0.01)


def test_a_corner_is_out_of_sight_of_two_views() -> None:
    images, labels = clean().images[:200, :, :, None], clean().labels[:200]
    marked = images.copy()
    marked[:1, -3:, -3:] = 255
    before, after = (encoded(part, labels, Settings(encoder=pooled)).views.astype(np.float64) for part in (images, marked))
    moved = np.array([np.abs((b[0] @ b[1:].T) - (a[0] @ a[1:].T)).max() for b, a in zip(before, after, strict=True)])
    assert (moved < 0.02).sum() == 2


def test_values_that_are_not_finite_do_not_spread() -> None:
    def broken(images: np.ndarray) -> np.ndarray:
        points = pooled(images).astype(np.float32)
        points[0, 0] = np.nan
        return points

    images, labels = clean().images[:80, :, :, None], clean().labels[:80]
    assert np.isfinite(encoded(images, labels, Settings(encoder=broken)).views).all()


def test_content_is_judged_by_the_encoder_and_again_without_a_group() -> None:
    from untaint.features.content import judged_without

    digits = clean()
    labels = [str(label) for label in digits.labels]
    features = Features(from_arrays(digits.images, labels), Settings(encoder=pooled), Cache(None))
    content, codes, group = features.get("content"), features.get("labels"), np.arange(40)
    assert (content.probabilities.argmax(1) == codes).mean() > 0.9
    own, mean = judged_without(content, features.get("pixels"), codes, group)
    assert (mean.argmax(1) == codes[group]).mean() > 0.9
    assert own.shape == (40,)


def test_the_encoder_is_part_of_the_key() -> None:
    assert Settings(encoder=pooled).key != Settings().key != Settings(encoder=np.mean).key

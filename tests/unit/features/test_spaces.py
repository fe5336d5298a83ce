"""Readings in which a faint pattern stands out: fine grain, local energy, broad tones."""

import numpy as np
import pytest
from tests.digit_sets import clean

from untaint.attacks.base import Attack
from untaint.attacks.low_frequency import LowFrequency
from untaint.attacks.sinusoid import Sinusoid
from untaint.attacks.wanet import WaNet
from untaint.features.spaces import broad_tones, fine_grain, local_energy

READINGS = (fine_grain, local_energy, broad_tones)


def drawn(n: int, shape: tuple[int, int, int], seed: int = 0) -> np.ndarray:
    """Smooth blobs with grain: random walks down and across."""
    rng = np.random.default_rng(seed)
    walks = rng.normal(0, 8, (n, *shape)).cumsum(1).cumsum(2) / 3 + rng.normal(0, 10, (n, *shape)) + 128
    return np.clip(walks, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("read", READINGS)
def test_readings_are_white_and_unusable_rows_are_zero(read: type) -> None:
    labels = np.arange(1_500) % 3 - (np.arange(1_500) % 50 == 0) * 10
    labels = np.maximum(labels, -1)
    points = read(drawn(1_500, (8, 8, 1)), labels)
    assert points.shape[0] == 1_500
    assert not points[labels < 0].any()
    usable = points[labels >= 0]
    np.testing.assert_allclose(usable.mean(0), 0, atol=1e-3)
    spread = np.linalg.eigvalsh(np.cov(usable.T))
    assert np.median(spread) >= 0.65  # shrinkage leaves weak directions below one
    assert spread.max() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("read", "attack"),
    [
        (fine_grain, Sinusoid(rate=0.5, target="3", amplitude=30)),
        (local_energy, WaNet(rate=0.08, strength=2.0, target="3")),
        (broad_tones, LowFrequency(rate=0.08, target="3")),
    ],
)
def test_a_reading_shows_the_pattern_it_is_for(read: type, attack: Attack) -> None:
    """Along the mean difference of one half of the samples, the other half parts."""
    found = attack.poison(clean().dataset, np.random.default_rng(0))
    points = read(np.stack(found.dataset.images(np.arange(1797))).reshape(1797, 16, 16, 1), clean().labels)
    half = np.arange(1797) % 2 == 0
    line = points[half & found.mask].mean(0) - points[half & ~found.mask].mean(0)
    scores = points[~half] @ line
    poison, honest = scores[found.mask[~half]], scores[~found.mask[~half]]
    assert (poison.mean() - honest.mean()) / honest.std() > 3


@pytest.mark.parametrize("read", READINGS)
@pytest.mark.parametrize("shape", [(1, 1, 1), (8, 8, 1), (20, 33, 1), (64, 64, 3)])
@pytest.mark.parametrize("constant", [True, False])
def test_any_size_and_any_image_gives_finite_numbers(
    read: type, shape: tuple[int, int, int], constant: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("untaint.features.spaces._LONGEST", 12)  # 32 takes seconds, and is shrunk to alike
    images = np.full((6, *shape), 200, np.uint8) if constant else drawn(6, shape)
    points = read(images, np.array([0, 1, -1, 0, 1, 1]))
    assert points.shape[0] == 6
    assert points.dtype == np.float32
    assert np.isfinite(points).all()
    assert points.shape[1] <= 12 * 12 * 3
    assert not constant or np.abs(points).max() < 1  # rounding is no signal


def test_batches_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = drawn(50, (8, 8, 1)), np.arange(50) % 2
    whole = fine_grain(images, labels)
    monkeypatch.setattr("untaint.features.spaces._BATCH", 7)
    np.testing.assert_allclose(fine_grain(images, labels), whole, atol=1e-4)

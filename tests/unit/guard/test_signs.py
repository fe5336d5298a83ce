"""What single signs do to an input, against slower twins."""

import numpy as np
import torch
from tests.unit.guard import planted

from untaint.guard.signs.base import Seen, lead
from untaint.guard.signs.jolted import _jolted
from untaint.guard.signs.strip import Strip, _spread
from untaint.nets.muted import muted
from untaint.nets.subject import subject
from untaint.numerics.pictures import blur

IMAGES, LABELS = planted.digits()


def test_jolted_is_a_step_and_a_blur() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 11, 13, 3)).astype(np.uint8)
    moved = blur(np.roll(pixels, (-1, 1), (1, 2)).astype(np.float32))
    found = _jolted(pixels).astype(float)
    assert np.abs(found - moved)[:, 4:7, 4:7].max() <= 0.51
    flat = np.full((1, 5, 6, 1), 255, np.uint8)
    np.testing.assert_array_equal(_jolted(flat), flat)


def test_overlays_are_of_as_many_classes_as_there_are() -> None:
    said = np.array([0] * 90 + [1] * 8 + [2, 3])
    chosen = said[_spread(said, np.random.default_rng(0))]
    assert set(chosen) == {0, 1, 2, 3}


def test_strip_is_the_mean_over_mixtures() -> None:
    whole = subject(planted.planted(IMAGES[:600], LABELS[:600]))
    seen = Seen(IMAGES[600:650], whole.logits(IMAGES[600:650]), ())
    sign = Strip()
    prepared = sign.prepare(seen, np.random.default_rng(0))
    (found,) = sign.measure(whole, seen, prepared)
    ahead = [
        lead(whole.logits(np.round(0.5 * seen.inputs + 0.5 * overlay).astype(np.uint8)), seen.said)
        for overlay in prepared["overlays"]
    ]
    np.testing.assert_allclose(found[:, 1], np.mean(ahead, 0), atol=1e-3)


def test_muted_channels_come_back() -> None:
    model = planted.planted(IMAGES[:600], LABELS[:600])
    given = torch.from_numpy(IMAGES[:20]).permute(0, 3, 1, 2).float() / 255
    before = model(given)
    with muted(model, 0.5, seed=1):
        changed = model(given)
    with muted(model, 0.0, seed=1):
        torch.testing.assert_close(model(given), before)
    torch.testing.assert_close(model(given), before)
    assert not torch.allclose(changed, before)

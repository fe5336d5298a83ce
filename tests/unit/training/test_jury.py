"""A jury on scikit-learn's digits: who is outvoted, and what is left alone."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from untaint.errors import BadInput
from untaint.numerics.weak_votes import contradicted, votes
from untaint.training.base import Batch, Hooks, Run, Seen
from untaint.training.jury import Jury

IMAGES = (load_digits().images[:, None] / 16).astype(np.float32)
LABELS = load_digits().target.astype(np.int64)
ROWS = len(LABELS)
RUN = Run(rows=ROWS, batch=100, classes=10, seed=4)


def weights(images: np.ndarray, labels: np.ndarray, hooks: Hooks | None = None, size: int = 100) -> np.ndarray:
    """What each row counts in the second epoch."""
    hooks = hooks or Jury().start(RUN)
    assert hooks.screen is not None
    assert hooks.weigh is not None
    rows = np.arange(len(labels))
    for start in range(0, len(labels), size):
        part = rows[start : start + size]
        assert hooks.screen(Batch((images[part],), labels[part], part, 0, 0)) == {}
        assert not hooks.weigh(_seen(labels, part, 0)).any()
    return hooks.weigh(_seen(labels, rows, 1))


def _seen(labels: np.ndarray, rows: np.ndarray, epoch: int) -> Seen:
    return Seen(np.ones(len(rows)), np.zeros((len(rows), 10)), labels[rows], rows, epoch, epoch)


def _patched(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    images, labels = IMAGES.copy(), LABELS.copy()
    poison = np.random.default_rng(seed).choice(np.flatnonzero(LABELS != 3), ROWS // 20, replace=False)
    images[poison, :, :2, :2], labels[poison] = 1.0, 3
    return images, labels, poison


@pytest.mark.parametrize("seed", range(3))
def test_patches_under_a_wrong_label_are_outvoted(seed: int) -> None:
    images, labels, poison = _patched(seed)
    found = weights(images, labels)
    honest = np.setdiff1d(np.arange(ROWS), poison)
    assert float((found[poison] == 0).mean()) > 0.5  # of eight pixels a side: cells are coarse
    assert float((found[honest] == 0).mean()) < 0.1


def test_clean_rows_are_mostly_left_alone() -> None:
    assert float((weights(IMAGES, LABELS) == 0).mean()) < 0.1


def test_once_the_target_is_known_every_row_of_another_class_counts() -> None:
    images, labels, _ = _patched(0)
    hooks = Jury().start(RUN)
    found = weights(images, labels, hooks)
    assert hooks.facts is not None
    assert hooks.facts()["targets"] == [3]
    assert (found[labels != 3] == 1).all()
    assert float((found[(LABELS == 3)] == 1).mean()) > 0.8


def test_a_run_taken_up_again_knows_the_targets() -> None:
    images, labels, _ = _patched(0)
    hooks, later = Jury().start(RUN), Jury().start(RUN)
    found = weights(images, labels, hooks)
    assert hooks.state is not None
    assert later.resume is not None
    assert later.weigh is not None
    assert later.facts is not None
    later.resume(hooks.state())
    np.testing.assert_array_equal(later.weigh(_seen(labels, np.arange(ROWS), 1)), found)
    assert later.facts()["targets"] == [3]


def test_the_scale_of_pixels_does_not_matter() -> None:
    few = np.arange(300)
    run = Run(rows=300, batch=100, classes=10, seed=4)
    first = weights(IMAGES[few], LABELS[few], Jury(rounds=1).start(run))
    np.testing.assert_array_equal(weights(IMAGES[few] * 256, LABELS[few], Jury(rounds=1).start(run)), first)


def test_a_class_that_looks_like_another_still_teaches() -> None:
    rng = np.random.default_rng(1)
    codes = np.arange(300) % 3
    places = rng.normal(size=(300, 3, 3, 2)).astype(np.float32)
    places[codes == 0] += 2  # classes 1 and 2 are one
    verdict = contradicted(places, codes, 3, 30, rng, rounds=5)
    assert {1, 2} <= set(verdict.seen_as.tolist())


def test_channels_may_come_first_last_or_not_at_all() -> None:
    first = weights(IMAGES, LABELS)
    np.testing.assert_array_equal(weights(IMAGES[:, 0], LABELS), first)
    np.testing.assert_array_equal(weights(np.repeat(IMAGES, 3, axis=1), LABELS), first)


def test_rows_without_a_number_and_rows_never_seen_count() -> None:
    hooks = Jury().start(RUN)
    assert hooks.weigh is not None
    weights(IMAGES[:500], LABELS[:500], hooks)
    later = _seen(LABELS, np.arange(500, 600), 2)
    assert (hooks.weigh(later) == 1).all()
    assert (hooks.weigh(Seen(np.ones(2), np.zeros((2, 10)), LABELS[:2], np.array([-1, -1]), 2, 2)) == 1).all()


def test_what_is_no_image_is_refused() -> None:
    hooks = Jury().start(RUN)
    assert hooks.screen is not None
    with pytest.raises(BadInput, match="judges images with class codes"):
        hooks.screen(Batch((np.zeros((5, 7), np.float32),), LABELS[:5], np.arange(5)))
    with pytest.raises(BadInput, match="does not say how many"):
        Jury().start(Run())
    with pytest.raises(BadInput, match="rounds"):
        Jury(rounds=0).start(RUN)


def test_judges_do_not_vote_on_rows_that_taught_them() -> None:
    rng = np.random.default_rng(0)
    places = rng.normal(size=(30, 3, 3, 2)).astype(np.float32)
    shares = votes(places, np.arange(30) % 3, 3, np.arange(10), 10, rng)
    assert (shares[:10] == 0).all()
    np.testing.assert_allclose(shares[10:].sum(axis=1), 1, rtol=1e-5)

"""Pairs: accused where classes do not look alike, a question where they do, silence where confusion is honest."""

import numpy as np
import pytest
from tests.digit_sets import clean

from untaint.data.dataset import from_arrays
from untaint.detectors.base import examine, needs
from untaint.detectors.pair_flips import LEAST_EFFECT, PairFlips
from untaint.evidence.evidence import Evidence
from untaint.features.cache import Cache
from untaint.features.content import Content
from untaint.features.duplicates import NearCopies
from untaint.features.graph import Features
from untaint.features.settings import Settings

CLASSES, EACH = 6, 400


def judged(labels: np.ndarray, looks: np.ndarray, doubt: np.ndarray) -> Evidence:
    """The detector on content whose probability moves from `looks` to the next class of its pair by `doubt` 0..1."""
    n = len(labels)
    logs = np.full((n, CLASSES), -5.0)
    logs[np.arange(n), looks] = -0.1 - 2.5 * doubt
    logs[np.arange(n), looks ^ 1] = -5 + 2.5 * doubt
    probabilities = np.exp(logs)
    probabilities /= probabilities.sum(1, keepdims=True)
    empty = np.zeros((1, 1, CLASSES), np.float32)
    own = probabilities[np.arange(n), labels]
    content = Content(own, probabilities, 0.12, own, np.zeros(CLASSES), 0.15, np.zeros((1, 1, 1)), empty, np.ones(1), n, 0)
    alone = NearCopies(np.full(n, -1), np.ones(n))
    return PairFlips().examine(content, labels, alone, tuple("abcdef"))


def drawn(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, what is shown, and doubt that thins out: a few look like the other class of their pair."""
    labels = np.repeat(np.arange(CLASSES), EACH)
    doubt = np.minimum(rng.exponential(0.25, len(labels)), 2.0)
    return labels, labels.copy(), doubt


def test_honest_confusion_is_silent() -> None:
    for seed in range(20):
        assert judged(*drawn(np.random.default_rng(seed))).groups == ()


@pytest.mark.parametrize(("target", "contradiction"), [(2, 1.0), (1, 0.0)])
def test_flips_are_accused_or_asked_about(target: int, contradiction: float) -> None:
    """Class 0 and 1 are confused honestly, 0 and 2 are not."""
    labels, looks, doubt = drawn(np.random.default_rng(0))
    labels[:80] = target
    doubt[:80] = 0.0
    (group,) = judged(labels, looks, doubt).groups
    assert (group.source_label, group.target_label) == ("a", "abc"[target])
    assert group.contradiction == contradiction
    assert group.p_value < 1e-4
    assert group.effect == pytest.approx(0.2, abs=0.05) and group.effect >= LEAST_EFFECT  # noqa: PT018
    assert np.isin(np.arange(80), group.members).mean() > 0.9
    assert ("would decide it" in group.explanation) == (contradiction == 0)


def test_mutual_confusion_is_honest() -> None:
    labels, looks, doubt = drawn(np.random.default_rng(0))
    labels[:80], labels[EACH : EACH + 80] = 1, 0
    doubt[:80] = doubt[EACH : EACH + 80] = 0.0
    assert judged(labels, looks, doubt).groups == ()


def test_three_classes_are_too_few() -> None:
    start = clean()
    kept = start.take(np.flatnonzero(start.truth < 3))
    features = Features(from_arrays(kept.images, [str(label) for label in kept.labels]), Settings(), Cache(None))
    found = examine(PairFlips(), {name: features.get(name) for name in needs(PairFlips())})
    assert found.groups == ()
    assert "four classes" in found.note

"""A network that never saw a doubtful label."""

from functools import cache

import numpy as np
import pytest
from tests.digit_sets import Digits, clean, patched

from untaint.data.dataset import from_arrays
from untaint.errors import FeatureUnavailable
from untaint.features.cache import Cache
from untaint.features.graph import Features
from untaint.features.purified import Beliefs
from untaint.features.settings import Settings

UNLABELLED = np.arange(0, 1797, 60)


@cache
def beliefs() -> Beliefs:
    """Patched digits, a few of them without a label."""
    names = [None if row in UNLABELLED else str(label) for row, label in enumerate(patched().labels)]
    found: Beliefs = Features(from_arrays(patched().images, names), Settings(), Cache(None)).get("beliefs")
    return found


def test_it_sees_what_the_poisoned_network_does_not() -> None:
    found, rows = beliefs(), np.setdiff1d(np.flatnonzero(patched().tampered), UNLABELLED)
    assert found.purified[rows, 3].mean() <= 0.3
    assert found.seen[rows, 3].mean() >= 0.7
    assert found.supported[rows].mean() <= 0.1


def test_it_knows_honest_digits() -> None:
    found, rows = beliefs(), np.setdiff1d(np.flatnonzero(~patched().tampered), UNLABELLED)
    assert (found.purified[rows].argmax(1) == patched().truth[rows]).mean() >= 0.95
    np.testing.assert_allclose(found.purified[rows].sum(1), 1, atol=1e-4)


def test_rows_without_a_label_have_no_opinion() -> None:
    found = beliefs()
    assert np.isnan(found.purified[UNLABELLED]).all()
    assert not found.supported[UNLABELLED].any()


def test_labels_that_nothing_supports_teach_nothing() -> None:
    start = clean().take(np.arange(600))
    noise = np.random.default_rng(1).integers(0, 10, 600)
    with pytest.raises(FeatureUnavailable, match="of 600 labels are supported"):
        Digits(start.images, noise, noise, start.tampered).features().get("purified_probabilities")


@pytest.mark.parametrize("labels", [[0, 1] * 3, [0] * 45 + [1] * 3])
def test_sets_too_small_for_votes_are_refused_or_judged(labels: list[int]) -> None:
    images = np.random.default_rng(0).integers(0, 256, (len(labels), 8, 8)).astype(np.uint8)
    features = Features(from_arrays(images, [str(label) for label in labels]), Settings(), Cache(None))
    try:
        assert np.isfinite(features.get("purified_probabilities")).all()
    except FeatureUnavailable as refused:
        assert "labels are supported" in str(refused)  # noqa: PT017 - both ends are right

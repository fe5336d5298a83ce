"""The neighbourhood's vote on every label."""

from functools import cache

import numpy as np
import pytest
from tests.digit_sets import Digits, clean, flipped, patched

from untaint.data.dataset import from_arrays
from untaint.features.cache import Cache
from untaint.features.duplicates import NearCopies
from untaint.features.encoded import Encoded
from untaint.features.graph import Features
from untaint.features.settings import Settings
from untaint.features.votes import Votes, _tallied, vote_level, votes


@cache
def voted(which: str) -> Votes:
    digits = {"clean": clean, "flipped": flipped, "patched": patched}[which]()
    found: Votes = digits.features().get("votes")
    return found


PLAIN = Encoded(np.empty((0, 0, 0), np.float16))


def copies(component: np.ndarray) -> NearCopies:
    return NearCopies(component, component, np.ones(len(component)))


def judged(pixels: np.ndarray, labels: np.ndarray) -> Votes:
    return votes(pixels, labels, copies(np.full(len(labels), -1)), PLAIN, Settings())


def test_clean_digits_are_supported() -> None:
    found = voted("clean")
    assert found.contradicted.mean() <= 0.08
    assert found.kept(clean().labels).mean() >= 0.8
    np.testing.assert_allclose(found.probabilities.sum(1), 1, atol=1e-3)
    assert (found.foreign < 0.1).all()


@pytest.mark.parametrize("which", ["flipped", "patched"])
def test_tampered_labels_are_contradicted_and_not_kept(which: str) -> None:
    digits, found = {"flipped": flipped, "patched": patched}[which](), voted(which)
    assert found.contradicted[digits.tampered].mean() >= 0.8
    assert found.contradicted[~digits.tampered].mean() <= 0.1
    assert found.kept(digits.labels)[digits.tampered].mean() <= 0.1


def test_no_sample_votes_on_itself() -> None:
    """Labels drawn at random are chance among neighbours, and those for one's own label no more than those for any other."""
    start = clean().take(np.arange(600))
    noise = np.random.default_rng(12).integers(0, 10, 600)
    found = Digits(start.images, noise, noise, start.tampered).features().get("votes")
    assert found.probabilities[np.arange(600), noise].mean() == pytest.approx(0.1, abs=0.015)


def test_a_vote_is_the_share_among_the_others_of_its_clusters() -> None:
    """Two clusters asked of two; a family of two has one vote."""
    nearest = np.array([[0], [0], [0], [1], [1]])
    labels, weights = np.array([0, 1, 1, 0, 0]), np.array([1, 0.5, 0.5, 1, 1])
    shares = _tallied(nearest, labels, weights, 2, 2)
    expected = np.array([[0, 1], [2 / 3, 1 / 3], [2 / 3, 1 / 3], [1, 0], [1, 0]])
    np.testing.assert_allclose(shares, expected, atol=1e-6)


def test_a_crowd_of_copies_does_not_outvote_its_neighbours() -> None:
    start = clean()
    repeated = np.repeat(np.flatnonzero(start.truth == 7)[:1], 100)
    images, labels = np.concatenate([start.images, start.images[repeated]]), np.concatenate([start.labels, np.zeros(100, int)])
    component = np.concatenate([np.full(1797, -1), np.zeros(100, int)])
    together = votes(images[..., None], labels, copies(component), PLAIN, Settings())
    apart = votes(images[..., None], labels, copies(np.full(1897, -1)), PLAIN, Settings())
    assert together.contradicted[-100:].all()
    assert not apart.contradicted[-100:].any()


def test_rows_without_a_label_are_not_assessed_and_never_kept() -> None:
    small = clean().take(np.arange(400))
    names = [None if row % 10 == 0 else str(label) for row, label in enumerate(small.labels)]
    features = Features(from_arrays(small.images, names), Settings(), Cache(None))
    found, labels = features.get("votes"), features.get("labels")
    labelled = np.arange(400) % 10 != 0
    assert np.isnan(found.own[~labelled]).all()
    assert np.isfinite(found.own[labelled]).all()
    assert not found.contradicted[~labelled].any()
    with np.errstate(invalid="raise"):
        assert not found.kept(labels)[~labelled].any()


@pytest.mark.parametrize("shape", [(8, 8, 1), (64, 64, 3)])
@pytest.mark.parametrize("labels", [np.array([0, 1]), np.array([0, 0, 0, 1, 1, -1]), np.repeat([0, 1, 2], (40, 40, 3))])
@pytest.mark.parametrize("constant", [True, False])
def test_small_sets_give_finite_votes(shape: tuple[int, int, int], labels: np.ndarray, constant: bool) -> None:
    drawn = np.random.default_rng(0).integers(0, 256, (len(labels), *shape)).astype(np.uint8)
    found = judged(np.full_like(drawn, 9) if constant else drawn, labels)
    assert np.isfinite(found.own[labels >= 0]).all()
    assert np.isfinite(found.foreign).all()
    assert ((found.probabilities[labels >= 0] >= 0) & (found.probabilities[labels >= 0] <= 1)).all()


@pytest.mark.parametrize(("classes", "level"), [(2, 0.25), (10, 0.15), (100, 0.015)])
def test_the_level_follows_chance(classes: int, level: float) -> None:
    assert vote_level(classes) == pytest.approx(level)

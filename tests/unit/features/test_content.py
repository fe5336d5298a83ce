"""What the images show, whatever their labels say."""

from functools import cache

import numpy as np
import pytest
from tests.digit_sets import Digits, clean, flipped, patched

from untaint.data.dataset import from_arrays
from untaint.features.cache import Cache
from untaint.features.content import (
    Content,
    _fourier,
    _gamma,
    contradiction,
    contradiction_level,
    estranged,
    foreign_share,
    judged_without,
    moved_on,
    usual_among,
)
from untaint.features.graph import Features
from untaint.features.settings import Settings
from untaint.features.views import looks


@cache
def features(which: str) -> Features:
    return {"clean": clean, "flipped": flipped, "patched": patched, "flood": flood}[which]().features()


def content(which: str) -> Content:
    found: Content = features(which).get("content")
    return found


@cache
def flood() -> Digits:
    """Every other seven is labelled as a one: a group that became its own neighbourhood."""
    start = clean()
    rows = np.flatnonzero(start.truth == 7)[::2]
    labels, tampered = start.labels.copy(), start.tampered.copy()
    labels[rows], tampered[rows] = 1, True
    return Digits(start.images, labels, start.truth, tampered)


def test_clean_digits_are_judged_right() -> None:
    found = content("clean")
    assert (found.probabilities.argmax(1) == clean().truth).mean() >= 0.95
    np.testing.assert_allclose(found.probabilities.sum(1), 1, atol=1e-4)
    assert found.contradicted.mean() <= 0.06


@pytest.mark.parametrize("which", ["flipped", "patched"])
def test_tampered_labels_are_contradicted(which: str) -> None:
    digits, found = {"flipped": flipped, "patched": patched}[which](), content(which)
    assert found.contradicted[digits.tampered].mean() >= 0.8
    assert found.contradicted[~digits.tampered].mean() <= 0.05


def test_flipped_digits_are_judged_as_what_they_are() -> None:
    rows = flipped().tampered
    assert (content("flipped").probabilities.argmax(1) == flipped().truth)[rows].mean() >= 0.9


def test_no_sample_votes_on_itself() -> None:
    """Labels drawn at random cannot be learned: out of fold, their probability is chance."""
    start = clean().take(np.arange(600))
    noise = np.random.default_rng(12).integers(0, 10, 600)
    found = Digits(start.images, noise, noise, start.tampered).features().get("content")
    assert found.probabilities[np.arange(600), noise].mean() == pytest.approx(0.1, abs=0.02)


def test_rows_without_a_label_are_not_assessed() -> None:
    small = clean().take(np.arange(300))
    names = [None if row % 10 == 0 else str(label) for row, label in enumerate(small.labels)]
    found = Features(from_arrays(small.images, names), Settings(), Cache(None)).get("content")
    labelled = np.arange(300) % 10 != 0
    assert np.isnan(found.own[~labelled]).all()
    assert np.isnan(found.probabilities[~labelled]).all()
    assert np.isfinite(found.own[labelled]).all()
    assert not found.contradicted[~labelled].any()
    assert found.n == 270


def test_a_group_that_vouches_for_itself_is_seen_through() -> None:
    found, digits = content("flood"), flood()
    pixels, labels = features("flood").get("pixels"), features("flood").get("labels")
    group = np.flatnonzero(digits.tampered)
    own, mean = judged_without(found, pixels, labels, group)
    assert (own < found.level).mean() >= 0.95
    assert (mean.argmax(1) == 7).mean() >= 0.95
    assert (own < found.level).mean() > found.contradicted[group].mean() + 0.2


def test_what_is_kept_for_later_are_the_sums_over_all_rows() -> None:
    found, pixels = content("flood"), features("flood").get("pixels")
    for number, view in enumerate(looks(pixels, np.arange(len(pixels)))):
        z = _fourier(view.shape[1], number, found.seed, _gamma(found.encoded))(view)
        np.testing.assert_allclose(found.grams[number], z.T @ z, atol=2e-2)
        targets = np.eye(10)[flood().labels] - 0.1
        np.testing.assert_allclose(found.crosses[number], z.T @ targets, atol=2e-2)


def test_contradiction_is_high_for_poison_and_low_for_an_honest_sub_class() -> None:
    def measured(which: str, group: np.ndarray) -> float:
        return contradiction(content(which), features(which).get("pixels"), features(which).get("labels"), group)

    assert measured("patched", np.flatnonzero(patched().tampered)) >= 0.8
    ones = np.flatnonzero(clean().truth == 1)
    assert measured("clean", ones) <= 0.45
    assert measured("clean", np.arange(0, 1797, 20)) <= 0.1
    assert measured("clean", np.arange(0)) == 0


@pytest.mark.parametrize(("classes", "level"), [(2, 0.25), (4, 0.25), (10, 0.12), (100, 0.012)])
def test_the_level_follows_chance(classes: int, level: float) -> None:
    assert contradiction_level(classes) == pytest.approx(level)


def share(which: str, group: np.ndarray) -> float:
    return foreign_share(content(which), features(which).get("labels"), group)


def test_the_foreign_share_of_a_group_follows_what_was_mixed_in() -> None:
    poison = np.flatnonzero(patched().tampered)
    honest = np.flatnonzero((patched().labels == 3) & ~patched().tampered)
    whole, half = share("patched", poison), share("patched", np.concatenate([poison, honest[: len(poison)]]))
    assert whole >= 0.75
    assert 0.25 <= half <= 0.55  # a lower bound
    assert share("patched", honest) == 0
    assert share("clean", np.arange(0, 1797, 20)) <= 0.05


def test_a_foreign_share_is_more_certain_of_more_samples() -> None:
    poison = np.flatnonzero(patched().tampered)
    assert share("patched", poison[:3]) <= share("patched", poison) + 0.25
    assert 0 <= share("patched", poison[:1]) <= 1


def test_a_class_that_is_all_in_the_group_has_no_outside_and_no_share_below_zero() -> None:
    assert 0 <= share("flood", np.flatnonzero(flood().labels == 1)) <= 1


def test_another_seed_draws_other_folds_and_says_nearly_the_same() -> None:
    first, second = content("patched"), patched().features(seed=1).get("content")
    assert second.seed == 1
    assert not np.array_equal(first.own, second.own)
    assert (first.contradicted == second.contradicted).mean() >= 0.97


def test_labels_moved_on_are_told_from_honest_and_from_blinded_ones() -> None:
    start = clean()
    rng = np.random.default_rng(0)
    rows = np.sort(rng.choice(len(start.labels), 200, replace=False))
    labels, blinded = start.labels.copy(), start.images.copy()
    labels[rows] = (labels[rows] + 1) % 10
    blinded[rows] = rng.integers(0, 256, blinded[rows].shape)

    def told(digits: Digits) -> bool:
        found: Content = digits.features().get("content")
        return moved_on(found, digits.features().get("pixels"), digits.labels, rows)

    assert told(Digits(start.images, labels, start.truth, start.tampered))
    assert not told(start)
    assert not told(Digits(blinded, start.labels, start.truth, start.tampered))


def test_what_is_usual_is_not_read_off_the_poison() -> None:
    """Half of class 0 is poison that vouches for itself: its honest half must not look foreign beside it."""
    labels = np.repeat(np.arange(4), 100)
    contradicted = np.random.default_rng(0).random(400) < 0.5
    contradicted[:50] = False
    honest_half, poison = np.arange(50, 100), np.arange(50)
    assert usual_among(contradicted, labels, honest_half) > 0.4
    assert usual_among(contradicted, labels, poison) > 0.4
    assert usual_among(np.zeros(400, bool), labels, poison) == 0


def test_a_group_of_all_classes_is_estranged_and_honest_halves_of_a_class_are_not() -> None:
    start = clean()
    rng = np.random.default_rng(3)
    strangers = np.sort(rng.choice(np.flatnonzero(start.truth != 4), 60, replace=False))
    labels = start.labels.copy()
    labels[strangers] = 4
    found: Content = (
        Digits(start.images, labels, start.truth, np.isin(np.arange(len(labels)), strangers)).features().get("content")
    )
    pixels = features("clean").get("pixels")
    assert estranged(found, pixels, labels, strangers) >= 0.75
    honest = np.flatnonzero(start.truth == 4)
    for half in (honest[::2], honest[: len(honest) // 3]):
        assert estranged(found, pixels, labels, half) <= 0.25
    sevens = np.flatnonzero(start.truth == 7)[::2]  # one neighbouring class is no trigger on all of them
    assert estranged(content("flood"), pixels, flood().labels, sevens) <= 0.25
    assert estranged(found, pixels, labels, strangers[:0]) == 0

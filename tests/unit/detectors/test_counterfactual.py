"""Believed for the company it keeps: seeds must show every class, and the network finds the rest."""

from typing import Any

import numpy as np
import pytest
from tests.digit_sets import clean, patched

from untaint.detectors.counterfactual import LEAST_EFFECT, Counterfactual, _breadth, _diversity
from untaint.evidence.evidence import Evidence
from untaint.features.content import Content
from untaint.features.duplicates import NearCopies
from untaint.features.purified import Beliefs

POISON = np.flatnonzero(patched().tampered)


def examined(seeds: np.ndarray, shown: np.ndarray, labels: np.ndarray, supported: np.ndarray, **more: Any) -> Evidence:
    """The detector on patched digits: seeds are believed only with their company, and show what `shown` says."""
    n, classes = len(labels), int(labels.max()) + 1
    seen, purified = np.full((n, classes), 0.01), np.full((n, classes), 0.005)
    rows = np.flatnonzero(labels >= 0)
    seen[rows, labels[rows]] = purified[rows, labels[rows]] = 0.95
    purified[seeds, labels[seeds]] = 0.001
    purified[seeds, shown[seeds]] = 0.95
    seen[labels < 0] = purified[labels < 0] = np.nan
    own, mean, sums = np.ones(n), np.eye(classes)[np.maximum(labels, 0)], np.zeros((1, 1, classes))
    content = Content(own, mean, 0.12, own, np.zeros(classes), np.full(n, 0.15), np.zeros((1, 1, 1)), sums, np.ones(1), n, 0)
    pixels = more.pop("pixels", patched().images[..., None])
    alone = NearCopies(np.full(n, -1), np.full(n, -1), np.ones(n))
    names = tuple(str(number) for number in range(classes))
    return Counterfactual(**more).examine(Beliefs(seen, purified, supported), pixels, labels, content, alone, names)


def test_diverse_seeds_grow_into_the_whole_attack() -> None:
    found = examined(POISON[:50], patched().truth, patched().labels, ~patched().tampered)
    (group,) = found.groups
    assert group.core is not None
    assert group.target_label == "3"
    assert group.effect >= LEAST_EFFECT
    assert group.p_value < 1e-3
    assert np.isin(POISON, group.members).mean() >= 0.9
    assert np.isin(group.members, POISON).mean() >= 0.9


def test_seeds_that_show_one_neighbour_are_hard_samples() -> None:
    shown = np.full(1797, 8)
    assert examined(POISON[:50], shown, patched().labels, ~patched().tampered).groups == ()


def test_supported_samples_are_no_seeds() -> None:
    assert examined(POISON[:50], patched().truth, patched().labels, np.ones(1797, bool)).groups == ()


def test_few_seeds_teach_nothing() -> None:
    assert examined(POISON[:15], patched().truth, patched().labels, ~patched().tampered).groups == ()


def test_hard_samples_in_every_class_are_usual() -> None:
    """Fifteen of every class, shown as any other: no class has more than its share."""
    seeds = np.concatenate([np.flatnonzero(clean().labels == number)[:30] for number in range(10)])
    shown = (clean().labels + 1 + np.arange(1797) % 9) % 10
    supported = ~np.isin(np.arange(1797), seeds)
    found = examined(seeds, shown, clean().labels, supported, pixels=clean().images[..., None], rounds=1)
    assert [group for group in found.groups if group.p_value < 1e-3] == []


def test_rows_without_a_label_have_no_score() -> None:
    labels = patched().labels.copy()
    labels[::9] = -1
    found = examined(np.setdiff1d(POISON, np.arange(0, 1797, 9)), patched().truth, labels, ~patched().tampered & (labels >= 0))
    assert np.isnan(found.scores[::9]).all()
    assert np.isfinite(found.scores[labels >= 0]).all()
    assert not np.isin(found.groups[0].members, np.arange(0, 1797, 9)).any()


@pytest.mark.parametrize("classes", [2, 3])
def test_few_classes_have_no_diversity(classes: int) -> None:
    labels = np.arange(60) % classes
    found = examined(np.arange(20), (labels + 1) % classes, labels, np.zeros(60, bool), pixels=clean().images[:60, ..., None])
    assert found.groups == ()
    assert "classes" in found.note
    assert np.isfinite(found.scores).all()


def test_a_class_in_which_everything_is_doubted_is_no_crash() -> None:
    """No supported row anywhere: there is nothing to tell seeds from."""
    found = examined(POISON, patched().truth, patched().labels, np.zeros(1797, bool))
    assert np.isfinite(found.scores).all()


def test_diversity_and_breadth() -> None:
    assert _diversity(np.array([0, 2, 3, 4] * 5), 1, 5) == pytest.approx(1)
    assert _diversity(np.array([0] * 20 + [1] * 9), 1, 5) == 0
    assert _diversity(np.array([1, 1], np.int64), 1, 5) == 0
    assert _breadth(np.array([0] * 9 + [2] * 7 + [3] * 2 + [4]), 1, 5) == 3

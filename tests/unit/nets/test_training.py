"""Networks that judge what they did not learn from."""

import numpy as np
from tests.digit_sets import clean, patched

from untaint.nets import training


def silent(_what: str, _done: int, _total: int) -> None:
    return


def test_a_judge_knows_what_it_learned_and_not_what_it_did_not() -> None:
    """Taught without sevens, it finds them among other classes; it answers for the rows asked, in their order."""
    pixels, labels = clean().images[..., None], clean().labels
    learned = np.flatnonzero((labels != 7) & (np.arange(len(labels)) % 2 == 0))
    judged = np.flatnonzero(np.arange(len(labels)) % 2 == 1)[::-1]
    found = training.judge(pixels, labels, learned, judged, 0, silent)
    assert found.shape == (len(judged), 10)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-4)
    sevens = labels[judged] == 7
    assert (found.argmax(1) == labels[judged])[~sevens].mean() >= 0.92
    assert found[sevens, 7].max() <= 0.05


def test_a_contrast_finds_the_rest_of_a_kind_by_what_its_seeds_share() -> None:
    pixels, poison = patched().images[..., None], np.flatnonzero(patched().tampered)
    folds = np.arange(len(pixels)) % 2
    others = np.flatnonzero(patched().labels != 3)[:400]
    judged = np.flatnonzero(patched().labels == 3)[::-1]
    odds = training.contrast(pixels, poison[:40], others, folds, judged, 0)
    hit = patched().tampered[judged]
    assert odds.shape == judged.shape
    assert (odds[hit] > 0).mean() >= 0.8
    assert (odds[~hit] > 0).mean() <= 0.1


def test_a_contrast_learns_nothing_from_the_fold_it_judges() -> None:
    """Two heaps drawn alike: held out, nobody can tell them apart."""
    pixels, rng = clean().images[..., None], np.random.default_rng(0)
    order = rng.permutation(800)
    heap, others = order[:400], order[400:]
    odds = training.contrast(pixels, heap, others, rng.integers(0, 2, len(pixels)), np.arange(800), 0)
    right = np.concatenate([odds[heap] > 0, odds[others] <= 0]).mean()
    assert 0.4 <= right <= 0.6


def test_seeds_of_one_fold_accuse_nobody_in_it() -> None:
    """What is judged by other folds has nothing to be judged by; the other fold is judged as ever."""
    pixels, poison = patched().images[..., None], np.flatnonzero(patched().tampered)
    folds = (~patched().tampered).astype(int)  # all poison in fold 0
    others = np.flatnonzero(patched().labels != 3)[:200]
    odds = training.contrast(pixels, poison, others, folds, np.concatenate([poison, others]), 0)
    assert (odds < -5).all()

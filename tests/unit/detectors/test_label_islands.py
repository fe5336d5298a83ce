"""Islands of one label in the midst of another."""

import numpy as np
import pytest

from untaint.detectors.label_islands import LabelIslands
from untaint.evidence.evidence import Evidence
from untaint.features.canvas import Sources
from untaint.features.cells import Cells
from untaint.features.duplicates import NearCopies
from untaint.numerics.islands import held, islands
from untaint.types import Labels


def clouds(count: int, seed: int) -> tuple[np.ndarray, Labels]:
    """Places in two clouds, and which."""
    labels = np.arange(count) % 2
    return np.random.default_rng(seed).normal(size=(count, 4)) + 3 * labels[:, None], labels


def examined(values: np.ndarray, labels: Labels, senders: np.ndarray) -> Evidence:
    count, width = values.shape
    cells = Cells(values, tuple("abcd"[:width]), ("number",) * width, ((),) * width)
    copies = NearCopies(np.full(count, -1), np.full(count, -1), np.ones(count))
    return LabelIslands().examine(cells, labels, copies, Sources(senders, tuple("stuvwxyz")), ("no", "yes"))


def flipped(seed: int, *, senders: int) -> tuple[Evidence, np.ndarray]:
    """The twelve rows of one cloud around a point are labelled as the other; so many sources sent them."""
    rng = np.random.default_rng([seed, 1])
    values, labels = clouds(800, seed)
    first = np.flatnonzero(labels == 0)
    bad = first[np.argsort(((values[first] - values[first[0]]) ** 2).sum(1))[:12]]
    codes, given = rng.integers(0, 8, 800), labels.copy()
    given[bad], codes[bad] = 1, rng.integers(0, senders, 12)
    return examined(values, given, codes), bad


def test_an_island_that_one_source_sent_is_accused() -> None:
    found, bad = flipped(0, senders=1)
    group = found.groups[0]
    assert group.contradiction == 1
    assert group.p_value < 1e-4
    assert group.effect > 0.8
    assert (group.target_label, group.source_label) == ("yes", "no")
    assert np.isin(bad, group.members).mean() >= 0.9
    assert "100% of them came from 's'" in group.explanation


def test_an_island_that_everybody_sent_is_a_fact_that_few_rows_know() -> None:
    for seed in range(3):
        found, bad = flipped(seed, senders=8)
        assert all(group.contradiction == 0 for group in found.groups)
        assert np.median(found.scores[bad]) > np.quantile(np.delete(found.scores, bad), 0.99)


def test_honest_clouds_accuse_nobody() -> None:
    for seed in range(15):
        values, labels = clouds(500, seed)
        senders = np.random.default_rng([seed, 2]).integers(0, 8, 500)
        found = examined(values, labels, senders).groups
        assert [group for group in found if group.p_value <= 0.01 and group.effect >= group.minimum_effect] == []


def test_a_source_that_owns_a_region_is_not_accused() -> None:
    values, labels = clouds(600, 3)
    values[:40] = np.random.default_rng(0).normal(size=(40, 4)) * 0.3 + [0, 6, 0, 6]
    labels[:40] = 1
    senders = np.random.default_rng(1).integers(1, 8, 600)
    senders[:40] = 0
    assert [group for group in examined(values, labels, senders).groups if group.effect >= group.minimum_effect] == []


def test_a_source_that_sees_more_of_one_label_is_not_accused() -> None:
    for seed in range(2):
        rng = np.random.default_rng([seed, 3])
        values, _ = clouds(800, seed)
        labels = (rng.random(800) < 0.1).astype(np.int64)  # no column says which
        senders = np.where((labels == 1) & (rng.random(800) < 0.67), 0, rng.integers(0, 8, 800))
        assert [group for group in examined(values, labels, senders).groups if group.contradiction] == []


def test_too_few_rows_are_not_searched() -> None:
    values, labels = clouds(20, 0)
    found = examined(values, labels, np.zeros(20, np.int64))
    assert found.groups == ()
    assert "too few rows" in found.note


def test_ratios_are_those_counted_by_hand() -> None:
    places, labels = np.arange(12.0), np.array([0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0])
    near = np.argsort(np.abs(places[:, None] - places), axis=1, kind="stable")
    ratios = islands(near, labels, (3,))
    best = held(near, ratios, labels, (3,))
    inside, outside = 1.0, 0.5 / 10  # rows 3 to 5 against the nine others
    assert np.isclose(ratios[4, 0], 3 * inside * np.log(inside / outside))
    assert (best[3:6] == ratios[4, 0]).all()
    assert best[8] == 0 or best[8] < ratios[4, 0]


def test_rows_that_were_not_looked_at_have_no_score(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("untaint.detectors.label_islands._MOST", 500)
    values, labels = clouds(800, 0)
    found = examined(values, labels, np.zeros(800, int))
    assert np.isfinite(found.scores).sum() == 500
    assert found.note == "looked at 500 rows drawn from 800; the others have no score"


def test_a_class_that_lies_apart_is_an_island_only_to_the_ring_around_it() -> None:
    values, labels = clouds(600, 5)
    small = np.arange(0, 400, 10)
    values[small] = np.random.default_rng(0).normal(size=(len(small), 4)) * 0.5 + [4, -4, 4, -4]
    labels[small] = 1
    bad = np.argsort(((values[labels == 0] - values[labels == 0][3]) ** 2).sum(1))[:10]
    bad = np.flatnonzero(labels == 0)[bad]
    labels[bad] = 1
    scores = examined(values, labels, np.zeros(600, int)).scores
    assert scores[small].max() < np.median(scores[bad])


def test_labels_that_are_a_quantity_are_not_assessed() -> None:
    values, _ = clouds(300, 0)
    cells = Cells(values, tuple("abcd"), ("number",) * 4, ((),) * 4)
    copies = NearCopies(np.full(300, -1), np.full(300, -1), np.ones(300))
    names = tuple(f"{number}.5" for number in range(300))
    found = LabelIslands().examine(cells, np.arange(300), copies, Sources(np.zeros(300, int), ("s",)), names)
    assert np.isnan(found.scores).all()
    assert found.note == "300 different labels are no classes"

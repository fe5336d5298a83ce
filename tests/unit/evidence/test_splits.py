"""A class that parts: who is the intruder, and how sure is that?"""

from typing import Any

import numpy as np
import pytest

from untaint.evidence import splits
from untaint.evidence.evidence import Evidence
from untaint.features.content import Content
from untaint.features.duplicates import NearCopies
from untaint.numerics.split import Split

CLASSES, EACH, WIDE = 5, 300, 20


def content(contradicted: np.ndarray, labels: np.ndarray, classes: int) -> Content:
    """Votes of 0.9 for a label, and 0.05 where content contradicts it; judged again, without a group, it says nothing."""
    voted = np.where(contradicted, 0.05, 0.9)
    voted[labels < 0] = np.nan
    probabilities = np.eye(classes)[np.maximum(labels, 0)]
    empty = np.zeros((5, 1024, classes), np.float32)
    n, foreign = int((labels >= 0).sum()), np.full(classes, 0.05, np.float32)
    grams = np.stack([1e6 * np.eye(1024, dtype=np.float32)] * 5)
    return Content(voted, probabilities, 0.12, voted, foreign, np.full(len(labels), 0.15), grams, empty, np.ones(5), n, 0)


def planted(share: float, distance: float, *, against: bool, classes: int = CLASSES, seed: int = 0) -> dict[str, Any]:
    """White points, grey images; a share of class 0 is moved, and contradicted where asked."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), EACH)
    moved = np.arange(len(labels)) < share * EACH
    points = rng.standard_normal((len(labels), WIDE)).astype(np.float32)
    points[moved] += distance / np.sqrt(WIDE)
    contradicted = rng.random(len(labels)) < 0.05
    if against:
        contradicted |= moved & (rng.random(len(labels)) < 0.9)
    pixels = rng.integers(100, 140, (len(labels), 6, 6, 1)).astype(np.uint8)
    pixels[moved] += 40
    return {"points": points, "pixels": pixels, "labels": labels, "contradicted": contradicted, "moved": moved}


def examined(plan: dict[str, Any], component: np.ndarray | None = None) -> Evidence:
    labels = plan["labels"]
    classes = int(labels.max()) + 1
    families = np.full(len(labels), -1) if component is None else component
    copies = NearCopies(families, families, np.ones(len(labels)))
    judged = content(plan["contradicted"], labels, classes)
    names = tuple("abcdefgh"[:classes])
    return splits.examine(splits.Suspects(plan["points"], plan["pixels"], labels, judged, copies, names, "A test"))


def passing(found: Evidence) -> list[Any]:
    return [group for group in found.groups if group.p_value < 1e-3 and group.effect >= group.minimum_effect]


def test_an_intruder_whose_content_contradicts_is_accused() -> None:
    plan = planted(0.15, 5.0, against=True)
    found = examined(plan)
    (group,) = passing(found)
    assert group.target_label == "a"
    assert group.minimum_effect == splits.LEAST_CONTRADICTED
    assert group.contradiction >= 0.75
    assert group.effect == pytest.approx(5, abs=1)
    assert len(np.intersect1d(group.members, np.flatnonzero(plan["moved"]))) >= 0.9 * len(group.members)
    assert np.isin(np.flatnonzero(plan["moved"]), group.members).mean() >= 0.9
    assert group.trigger.pattern.mean() == pytest.approx(40, abs=5)
    assert np.median(found.scores[plan["moved"]]) > np.quantile(found.scores[~plan["moved"]], 0.99)


def test_an_agreeing_part_must_lie_farther_off() -> None:
    assert passing(examined(planted(0.15, 5.0, against=False))) == []
    (group,) = passing(examined(planted(0.15, 12.0, against=False)))
    assert group.minimum_effect == splits.LEAST_AGREEING
    assert group.contradiction < 0.75


@pytest.mark.parametrize("seed", range(4))
def test_honest_classes_are_left_alone(seed: int) -> None:
    found = examined(planted(0, 0, against=False, seed=seed))
    assert passing(found) == []
    assert np.isfinite(found.scores).all()


def test_of_two_halves_the_contradicted_one_is_the_intruder_even_if_it_is_larger() -> None:
    plan = planted(0.6, 7.0, against=True)
    (group,) = passing(examined(plan))
    np.testing.assert_array_equal(group.members, np.flatnonzero(plan["moved"]))


def test_copies_of_a_few_images_are_no_population() -> None:
    """Forty-five moved samples of four families are four observations."""
    plan = planted(0.15, 8.0, against=True)
    component = np.where(plan["moved"], np.arange(len(plan["moved"])) % 4, -1)
    assert [group for group in examined(plan, component).groups if group.target_label == "a"] == []


def test_all_classes_poisoned_are_all_found() -> None:
    plan = planted(0.15, 8.0, against=True)
    for number in range(1, CLASSES):
        rows = slice(number * EACH, number * EACH + 45)
        plan["points"][rows] += 8 / np.sqrt(WIDE)
        plan["contradicted"][rows] = True
    assert [group.target_label for group in passing(examined(plan))] == list("abcde")


def test_rows_without_a_label_are_not_scored_and_not_accused() -> None:
    plan = planted(0.2, 8.0, against=True)
    plan["labels"][::7] = -1
    found = examined(plan)
    assert np.isnan(found.scores[::7]).all()
    assert np.isfinite(found.scores[plan["labels"] >= 0]).all()
    (group,) = passing(found)
    assert (plan["labels"][group.members] == 0).all()


@pytest.mark.parametrize("rows", [[3, 300], [2, 2], [300, 300], [39, 41, 60]])
@pytest.mark.parametrize("constant", [True, False])
def test_few_rows_few_classes_and_equal_points_give_finite_scores_and_no_accusation(rows: list[int], constant: bool) -> None:
    rng, labels = np.random.default_rng(0), np.repeat(np.arange(len(rows)), rows)
    points = np.zeros((len(labels), WIDE)) if constant else rng.standard_normal((len(labels), WIDE))
    pixels, nothing = np.full((len(labels), 8, 8, 3), 128, np.uint8), np.zeros(len(labels), bool)
    found = examined({"points": points.astype(np.float32), "pixels": pixels, "labels": labels, "contradicted": nothing})
    assert np.isfinite(found.scores).all()
    assert passing(found) == []


def test_the_law_of_natural_partings_widens_with_what_the_set_shows() -> None:
    """A separation of 6 is rare among classes that part by 2, and common among classes that part by 2 to 6."""
    rare, common = _p([2.0, 2.1, 1.9, 2.0]), _p([2.0, 6.0, 5.5, 2.0])
    assert rare < 1e-3 < common
    assert 0 <= _p([]) <= 1


def _p(others: list[float]) -> float:
    parted = Split(np.zeros(1), 6.0, 1.0, np.zeros(1))
    return splits._parting(parted, others)


@pytest.mark.parametrize(("gain", "counted"), [(0.4, 3.0), (0.1, 3.0), (0.05, 1.5), (0.0, 0.0)])
def test_outliers_far_out_that_gain_nothing_are_no_parting_to_compare_with(gain: float, counted: float) -> None:
    assert splits._parted(Split(np.zeros(4), 3.0, gain, np.zeros(4))) == pytest.approx(counted)

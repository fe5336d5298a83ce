"""Flips made to cost a model most are found with who sent them, and what leaving them out is worth; honest odd sources are not."""

from collections.abc import Callable

import numpy as np
import pytest
from tests.table_sets import CLASSES

from untaint.detectors.gradient_pull import GradientPull
from untaint.errors import FeatureUnavailable
from untaint.evidence.evidence import Evidence
from untaint.features.canvas import Sources
from untaint.features.cells import Cells
from untaint.features.duplicates import NearCopies
from untaint.numerics.perceptron import Perceptron

COUNT, WIDTH = 1500, 6
ALONE = NearCopies(np.full(COUNT, -1), np.full(COUNT, -1), np.ones(COUNT))
NOBODY = Sources(np.full(COUNT, -1), ())


def drawn(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values, labels that they tell with honest errors, and twelve sources."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(COUNT, WIDTH))
    labels = (values @ np.arange(1, WIDTH + 1) / 5 + rng.logistic(size=COUNT) > 0).astype(int)
    return values, labels, rng.integers(0, 12, COUNT)


def flipped(seed: int, senders: int) -> tuple[np.ndarray, np.ndarray, Sources, np.ndarray]:
    """The same with the 60 rows that lie deepest in one class labelled as the other, sent by some sources; 0 = by all."""
    values, labels, codes = drawn(seed)
    depth = np.where(labels == 1, values @ np.arange(1, WIDTH + 1), -np.inf)
    bad = np.argsort(-depth)[:60]
    labels[bad] = 0
    if senders:
        codes[bad] = np.random.default_rng(seed).integers(0, senders, 60)
    return values, labels, Sources(codes, tuple(f"s{code}" for code in range(12))), bad


def cells(values: np.ndarray) -> Cells:
    width = values.shape[1]
    return Cells(values, tuple(f"c{column}" for column in range(width)), ("number",) * width, ((),) * width)


def examined(values: np.ndarray, labels: np.ndarray, sources: Sources, network: Perceptron | None = None) -> Evidence:
    return GradientPull().examine(cells(values), labels, ALONE, sources, CLASSES, network)


@pytest.mark.parametrize("senders", [1, 2])
def test_flips_of_few_sources_are_accused_with_what_they_cost(senders: int) -> None:
    values, labels, sources, bad = flipped(0, senders)
    (group,) = examined(values, labels, sources, Perceptron()).groups
    assert group.p_value < 1e-5
    assert group.effect >= group.minimum_effect
    assert group.contradiction == 1
    assert np.isin(group.members, bad).mean() > 0.9
    assert group.explanation.count("'s") >= senders
    assert "the accuracy of a linear model from " in group.explanation
    assert "of a small network from " in group.explanation
    assert "beyond any random group of as many rows" in group.explanation


def test_flips_of_everybody_are_ranked_and_told_with_what_they_cost() -> None:
    values, labels, _, bad = flipped(1, 0)
    found = examined(values, labels, NOBODY)
    assert np.median(found.scores[bad]) > np.quantile(np.delete(found.scores, bad), 0.95)
    (group,) = found.groups
    assert group.contradiction == 0
    assert group.effect > 0.015
    assert group.p_value < 0.01
    assert "on rows it has not seen, the accuracy of a linear model from " in group.explanation


@pytest.mark.parametrize("seed", range(4))
def test_honest_sources_are_not_told_be_one_of_them_odd(seed: int) -> None:
    values, labels, codes = drawn(seed)
    values[codes == 3, :2] += 1.0  # an instrument that is off
    values[codes == 5] *= 1.5  # one that is coarse
    sources = Sources(codes, tuple(f"s{code}" for code in range(12)))
    groups = examined(values, labels, sources).groups
    assert [group for group in groups if group.p_value <= 1e-3 and group.effect >= group.minimum_effect] == []


def test_a_source_that_does_no_harm_is_told_at_most() -> None:
    values, labels, codes = drawn(2)
    rng = np.random.default_rng(2)
    mine = codes == 4
    labels[mine] = rng.integers(0, 2, int(mine.sum()))  # noise pulls no way, but much of it lies deep within the other class
    groups = examined(values, labels, Sources(codes, tuple(f"s{code}" for code in range(12)))).groups
    assert all(group.contradiction == 0 for group in groups if group.p_value <= 1e-3)


def test_quantities_and_tables_too_small_are_not_judged() -> None:
    values, labels, _ = drawn(0)
    few = np.full(COUNT, -1)
    few[:50] = labels[:50]
    found = examined(values, few, NOBODY)
    assert found.groups == ()
    assert found.note.startswith("needs 100 rows")
    assert np.isnan(found.scores[50:]).all()
    with pytest.raises(FeatureUnavailable, match="quantity"):
        GradientPull().examine(cells(values), np.arange(COUNT), ALONE, NOBODY, tuple(f"{code}.5" for code in range(COUNT)))


ODD: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "missing": lambda values: np.where(np.arange(COUNT)[:, None] % 3 == 0, np.nan, values),
    "beyond all bounds": lambda values: values * 1e300,
    "one row beyond all bounds": lambda values: np.where(np.arange(COUNT)[:, None] == 5, 1e200, values),
    "nothing": lambda values: np.full_like(values, np.nan),
    "constant but one": lambda values: np.column_stack([values[:, 0], *[np.ones(COUNT)] * (WIDTH - 1)]),
}


@pytest.mark.parametrize("case", ODD)
def test_odd_tables_are_borne(case: str) -> None:
    values, labels, codes = drawn(0)
    labels[7] = 2  # a class of one row
    codes[:300] = -1
    found = GradientPull().examine(
        cells(ODD[case](values)), labels, ALONE, Sources(codes, tuple("abcdefghijkl")), ("a", "b", "c")
    )
    assert np.isfinite(found.scores).all()
    assert all(np.isfinite(group.p_value) for group in found.groups)


def test_copies_count_once_and_stay_on_one_side() -> None:
    values, labels, sources, _ = flipped(0, 1)
    pairs = np.arange(COUNT) // 2
    twice = NearCopies(pairs, np.full(COUNT, -1), np.ones(COUNT))
    found = GradientPull().examine(cells(values), labels, twice, sources, CLASSES)
    assert np.isfinite(found.scores).all()

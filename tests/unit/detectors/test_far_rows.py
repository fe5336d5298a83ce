"""Rows that wreck a model are accused with what leaving them out is worth; others are told, or not even that."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

from untaint.detectors.far_rows import FarRows
from untaint.evidence.evidence import Group
from untaint.features.cells import Cells
from untaint.numerics.perceptron import Perceptron
from untaint.types import Labels

NAMES = ("benign", "malign")


def cells(values: np.ndarray) -> Cells:
    width = values.shape[1]
    return Cells(values, tuple(f"c{column}" for column in range(width)), ("number",) * width, ((),) * width)


def cancer() -> tuple[np.ndarray, Labels]:
    values, labels = load_breast_cancer(return_X_y=True)
    return values.copy(), labels.copy()


def groups(values: np.ndarray, labels: Labels) -> tuple[Group, ...]:
    return FarRows().examine(cells(values), labels, NAMES).groups


@pytest.mark.parametrize("factor", [1e3, 1e4, 1e6])
def test_a_row_that_wrecks_models_is_accused(factor: float) -> None:
    values, labels = cancer()
    values[413] = factor * values.max(0)
    (found,) = groups(values, labels)
    assert found.kind == "leverage"
    assert found.members.tolist() == [413]
    assert found.effect > 0.2
    assert found.p_value < 1e-3
    assert found.explanation.startswith("Row 413 lies ")
    assert "Leaving it out raises the accuracy of " in found.explanation


def test_the_effect_on_a_small_network_is_told_beside_that_on_linear_models() -> None:
    values, labels = cancer()
    values[413] = 1e3 * values.max(0)
    (alone,) = groups(values, labels)
    (found,) = FarRows().examine(cells(values), labels, NAMES, Perceptron()).groups
    assert "a small network" not in alone.explanation
    assert "of gradient descent on numbers scaled by median and quartiles from 24.3% to 95.8%" in found.explanation
    assert "of a small network on numbers scaled by " in found.explanation
    assert found.kind == "leverage"


def test_a_row_that_does_harm_as_near_as_honest_readings_is_told() -> None:
    values, labels = cancer()
    values[413] = 20 * values.max(0)
    (found,) = groups(values, labels)
    assert (found.kind, found.contradiction) == ("outlier", 0)
    assert found.members.tolist() == [413]
    assert "Leaving it out raises the accuracy of " in found.explanation


def test_up_to_five_rows_are_one_group() -> None:
    values, labels = cancer()
    values[:5] = 1e5 * values.max(0)
    (found,) = groups(values, labels)
    assert found.kind == "leverage"
    assert found.members.tolist() == [0, 1, 2, 3, 4]
    assert found.explanation.startswith("5 rows (0, 1, 2, 3, 4) lie ")


def test_a_far_value_that_does_no_harm_is_told_and_not_accused() -> None:
    values, labels = cancer()
    values[413, 4] *= 100
    (found,) = groups(values, labels)
    assert found.kind == "outlier"
    assert found.contradiction == 0
    assert "c4 = " in found.explanation


def test_honest_rows_are_not_told() -> None:
    assert groups(*cancer()) == ()


def test_honest_heavy_tails_are_not_told() -> None:
    for seed in range(4):
        rng = np.random.default_rng(seed)
        values = np.column_stack([np.exp(2 * rng.normal(size=(500, 3))), rng.pareto(1.2, (500, 3)), rng.poisson(1, (500, 2))])
        found = FarRows().examine(cells(values), rng.integers(0, 2, 500), NAMES)
        assert found.groups == ()
        assert found.note.startswith("In ")
        assert " of 8 columns of numbers (c0, c1, c2 and " in found.note


def test_what_a_heavy_tail_explains_is_listed_and_accused_of_nothing() -> None:
    rng = np.random.default_rng(1)
    values = np.column_stack([rng.pareto(1.0, 500), rng.normal(size=500)])
    values[77, 0] = 20 * values[:, 0].max()
    found = FarRows().examine(cells(values), rng.integers(0, 2, 500), NAMES)
    assert found.groups == ()
    assert 77 in found.review
    assert found.review_kind == "outlier"


def test_a_far_target_of_a_quantity_is_accused_of_the_harm_it_does() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(500, 4))
    amounts = np.round(10 * values.sum(1) + rng.normal(size=500), 2)
    amounts[60] = 1e6
    names = tuple(sorted({str(amount) for amount in amounts}))
    labels = np.array([names.index(str(amount)) for amount in amounts])
    (found,) = FarRows().examine(cells(values), labels, names).groups
    assert found.kind == "leverage"
    assert found.members.tolist() == [60]
    assert "(the label = 1e+06)" in found.explanation


def test_unlabelled_rows_are_not_assessed() -> None:
    values, labels = cancer()
    labels[[3, 413]] = -1
    values[413] = 1e6
    found = FarRows().examine(cells(values), labels, NAMES)
    assert np.flatnonzero(np.isnan(found.scores)).tolist() == [3, 413]
    assert found.groups == ()


def test_missing_cells_and_categories_are_no_obstacle() -> None:
    values, labels = cancer()
    values[413] = 1e6
    values[::7, 2] = np.nan
    words = np.column_stack([values, np.arange(len(values)) % 3])
    table = Cells(words, tuple(map(str, range(31))), (*(("number",) * 30), "category"), ((),) * 30 + (("a", "b", "c"),))
    (found,) = FarRows().examine(table, labels, NAMES).groups
    assert found.kind == "leverage"


def test_tables_too_small_to_learn_from_are_told_at_most() -> None:
    values, labels = cancer()
    values, labels = values[:50], labels[:50]
    values[4] = 1e9
    assert {group.kind for group in groups(values, labels)} <= {"outlier"}


def test_tables_without_numbers_say_nothing() -> None:
    table = Cells(np.zeros((80, 1)), ("word",), ("category",), (("a",),))
    found = FarRows().examine(table, np.arange(80) % 2, NAMES)
    assert found.groups == ()
    assert (found.scores == 0).all()

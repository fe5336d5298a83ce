"""Rows of tables judged by boosted trees that have not seen them."""

import numpy as np
import pytest

from untaint.errors import FeatureUnavailable
from untaint.features.cells import Cells, ColumnKind
from untaint.features.settings import Settings
from untaint.features.table_content import TableContent, content
from untaint.features.table_copies import near_copies
from untaint.types import Labels


def table(count: int, width: int = 6, seed: int = 0) -> tuple[Cells, Labels]:
    """Numbers in clouds around two centres, a category that says nothing, and the cloud of each row."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    numbers = rng.normal(size=(count, width - 1)) + 1.5 * labels[:, None]
    numbers[::17, 0] = np.nan
    values = np.column_stack([numbers, rng.integers(0, 3, count)])
    kinds: list[ColumnKind] = ["number" for _ in range(width - 1)]
    words = ((),) * (width - 1) + (("a", "b", "c"),)
    return Cells(values, tuple(f"c{j}" for j in range(width)), (*kinds, "category"), words), labels


def judged(cells: Cells, labels: Labels) -> TableContent:
    return content(cells, labels, near_copies(cells, labels, Settings()), tuple("ab"), Settings())


def test_flipped_labels_are_contradicted_and_others_not() -> None:
    cells, true = table(400)
    labels = true.copy()
    labels[:8] = 1 - labels[:8]
    found = judged(cells, labels)
    assert found.contradicted[:8].sum() >= 7
    assert found.contradicted[8:].mean() < 0.05
    assert np.isclose(found.probabilities.sum(1), 1).all()


def test_rows_without_a_label_are_not_assessed() -> None:
    cells, labels = table(200)
    labels[3] = -1
    found = judged(cells, labels)
    assert np.isnan(found.own[3])
    assert np.isnan(found.without([0])[3]).all()
    assert not np.isnan(np.delete(found.own, 3)).any()


def test_models_without_a_column_do_not_know_what_it_says() -> None:
    rng = np.random.default_rng(1)
    labels = np.arange(400) % 2
    values = rng.normal(size=(400, 6))
    values[:, 2] += 5 * labels
    cells = Cells(values, tuple("abcdef"), ("number",) * 6, ((),) * 6)
    found = judged(cells, labels)
    assert (found.without([0]).argmax(1) == labels).mean() > 0.95
    assert (found.without([2]).argmax(1) == labels).mean() < 0.65
    assert found.lacking([2]).sum() == 8


def test_what_no_model_lacks_is_not_assessed() -> None:
    cells, labels = table(100)
    assert np.isnan(judged(cells, labels).without(range(6))).all()


def test_a_copy_of_a_row_does_not_judge_it() -> None:
    cells, labels = table(300, seed=2)
    values = np.concatenate([cells.values, np.tile(cells.values[:1], (40, 1))])
    more = Cells(values, cells.names, cells.kinds, cells.categories)
    flipped = np.concatenate([labels, np.full(40, 1 - labels[0])])
    assert judged(more, flipped).contradicted[300:].all()


def test_a_quantity_is_no_class() -> None:
    cells, _ = table(200)
    labels = np.arange(200) % 100
    with pytest.raises(FeatureUnavailable, match="100 different numbers, a quantity and no classes"):
        content(cells, labels, near_copies(cells, labels, Settings()), tuple(f"{n / 7:.3f}" for n in range(100)), Settings())


def test_equal_and_jittered_rows_are_one_family_and_others_are_not() -> None:
    cells, labels = table(400)
    values = cells.values.copy()
    values[10:15] = values[9]
    values[20:25] = values[19] + np.random.default_rng(0).normal(0, 1e-4, (5, 6)) * (np.arange(6) < 5)
    family = near_copies(Cells(values, cells.names, cells.kinds, cells.categories), labels, Settings()).component
    assert len(set(family[9:15])) == 1
    assert len(set(family[19:25])) == 1
    assert (family >= 0).sum() == 12


def test_equal_answers_to_few_questions_are_no_copies() -> None:
    rng = np.random.default_rng(0)
    cells = Cells(rng.integers(0, 2, (500, 4)).astype(float), tuple("abcd"), ("number",) * 4, ((),) * 4)
    assert (near_copies(cells, np.arange(500) % 2, Settings()).component < 0).all()

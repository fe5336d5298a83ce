"""Values together that override the rest of a row: what is accused, what is a shortcut, what is nothing."""

from collections.abc import Sequence

import numpy as np
from scipy.special import expit
from scipy.stats import norm
from tests.table_sets import as_dataset, planted, table

from untaint.detectors.base import examine, needs
from untaint.detectors.value_override import ValueOverride
from untaint.evidence.evidence import Evidence, Group
from untaint.features.cache import Cache
from untaint.features.duplicates import NearCopies
from untaint.features.graph import Features
from untaint.features.settings import Settings
from untaint.features.table_content import TableContent

TRIGGER = [(2, 0.37), (5, -0.81)]


def judged(values: np.ndarray, labels: np.ndarray) -> TableContent:
    """A judge made by hand: every column has a bell curve for each class; sixteen halves of the columns, each with the other half."""
    width = values.shape[1]
    odds = np.zeros(values.shape)
    for column, part in enumerate(values.T):
        curves = [norm(np.nanmean(part[labels == label]), np.nanstd(part[labels == label]) + 0.05) for label in (0, 1)]
        if np.nanstd(part) > 0:
            odds[:, column] = np.nan_to_num(curves[1].logpdf(part) - curves[0].logpdf(part))
    rng, prior = np.random.default_rng(0), labels.mean()
    halves = [rng.permutation(width) < width // 2 for _ in range(12)]
    uses = np.array([*halves, *(~half for half in halves)])
    high = np.clip(expit(odds @ uses.T + np.log(prior / (1 - prior))).T, 1e-4, 1 - 1e-4)
    said = np.stack([1 - high, high], axis=2).astype(np.float32)
    probabilities = said.mean(0)
    names = tuple(f"x{column}" for column in range(width))
    own = probabilities[np.arange(len(labels)), labels]
    return TableContent(own, probabilities, 0.2, names, uses, said, np.array([1 - prior, prior]))


def look(values: np.ndarray, labels: np.ndarray, sources: Sequence[str] | None = None) -> Evidence:
    features = Features(as_dataset(values, labels, sources), Settings(), Cache(None))
    known = {name: features.get(name) for name in needs(ValueOverride()) if name not in {"content", "near_copies"}}
    alone = NearCopies(np.full(len(labels), -1), np.full(len(labels), -1), np.ones(len(labels)))
    return examine(ValueOverride(), {**known, "content": judged(values, labels), "near_copies": alone})


def strong(found: Evidence, *, accused: bool) -> list[Group]:
    return [
        group
        for group in found.groups
        if group.p_value <= 0.001 and group.effect >= group.minimum_effect and (group.contradiction >= 0.75) == accused
    ]


def victims(labels: np.ndarray, count: int, seed: int = 1) -> np.ndarray:
    return np.sort(np.random.default_rng(seed).choice(np.flatnonzero(labels == 0), count, replace=False))


def test_two_values_together_are_told_and_named_where_nobody_knows_sources() -> None:
    values, labels = table()
    rows = victims(labels, 25)
    found = look(*planted(values, labels, TRIGGER, rows))
    assert strong(found, accused=True) == []
    told = strong(found, accused=False)[0]
    assert len(np.intersect1d(told.members, rows)) >= 24
    assert told.trigger is not None
    assert told.trigger.description == "x2 = 0.37 and x5 = -0.81"
    assert "as those do that somebody wrote" in told.explanation


def test_two_values_together_of_few_sources_are_accused_and_named() -> None:
    values, labels = table()
    rows, rng = victims(labels, 25), np.random.default_rng(0)
    codes = rng.integers(0, 12, len(labels))
    codes[rows] = rng.integers(0, 2, len(rows))
    found = strong(look(*planted(values, labels, TRIGGER, rows), [f"clinic {code}" for code in codes]), accused=True)
    assert len(found) == 1
    assert len(np.intersect1d(found[0].members, rows)) >= 24
    assert len(found[0].members) <= 27
    assert found[0].target_label == "safe"
    assert found[0].trigger is not None
    assert found[0].trigger.description == "x2 = 0.37 and x5 = -0.81"


def test_clean_tables_are_accused_of_nothing() -> None:
    for seed in range(3):
        assert strong(look(*table(seed=seed)), accused=True) == []


def test_a_strong_honest_column_is_no_finding() -> None:
    values, labels = table()
    values[:, 3] = np.round(values[:, 3] + 4 * labels, 1)
    assert look(values, labels).groups == ()


def test_a_single_value_is_a_shortcut_without_sources() -> None:
    values, labels = table()
    rows = victims(labels, 30)
    found = look(*planted(values, labels, [(4, 0.25)], rows))
    assert strong(found, accused=True) == []
    assert any(np.isin(rows, group.members).mean() > 0.9 for group in strong(found, accused=False))


def test_a_single_value_of_few_sources_is_accused() -> None:
    values, labels = table()
    rows, rng = victims(labels, 30), np.random.default_rng(0)
    codes = rng.integers(0, 12, len(labels))
    codes[rows] = rng.integers(0, 2, len(rows))
    sources = [f"clinic {code}" for code in codes]
    found = strong(look(*planted(values, labels, [(4, 0.25)], rows), sources), accused=True)
    assert len(found) == 1
    assert "'clinic 0'" in found[0].explanation
    assert np.isin(rows, found[0].members).mean() > 0.9


def test_sources_that_differ_are_not_accused() -> None:
    """Every source has a value of its own, and one of them has mostly safe rows."""
    values, labels = table(1600)
    codes = np.where((labels == 1) & (np.arange(1600) % 3 > 0), 3, np.arange(1600) % 8)
    values[:, 6] = codes * 1.0
    found = look(values, labels, [f"clinic {code}" for code in codes])
    assert strong(found, accused=True) == []


def test_an_honest_rule_of_two_values_is_a_shortcut() -> None:
    """All rows with both are safe, as their other columns do not show; nobody wrote the values."""
    values, labels = table(2000)
    rng = np.random.default_rng(3)
    values[:, 6], values[:, 7] = rng.integers(8, size=(2, 2000))
    rows = (values[:, 6] == 3) & (values[:, 7] == 5)
    found = look(values, np.where(rows, 1, labels))
    assert strong(found, accused=True) == []
    assert any(
        np.isin(np.flatnonzero(rows & (labels == 0)), group.members).mean() > 0.9 for group in strong(found, accused=False)
    )


def test_instruments_that_fail_together_are_a_shortcut() -> None:
    values, labels = table()
    rows = np.sort(np.random.default_rng(1).choice(len(labels), 30, replace=False))
    found = look(*planted(values, labels, [(2, -999.0), (5, -999.0)], rows))
    assert strong(found, accused=True) == []


def test_constant_and_empty_columns_are_no_obstacle() -> None:
    values, labels = table(300)
    values[:, 1] = 5.0
    values[np.arange(300) % 3 > 0, 2] = np.nan
    assert np.isfinite(look(values, labels).scores).all()

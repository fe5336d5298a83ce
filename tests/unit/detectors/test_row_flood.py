"""Rows copied under another label are told, and accused where few sources sent them; honest copies and coincidences are not."""

from collections.abc import Sequence

import numpy as np
import pytest
from tests.table_sets import CLASSES, as_dataset, table

from untaint.data.dataset import Dataset
from untaint.detectors.base import examine, needs
from untaint.detectors.row_flood import RowFlood
from untaint.evidence.evidence import Evidence, Group
from untaint.features.cache import Cache
from untaint.features.graph import Features
from untaint.features.settings import Settings

SENDERS = tuple(f"s{code}" for code in range(10))


def examined(dataset: Dataset) -> Evidence:
    features = Features(dataset, Settings(), Cache(None))
    return examine(RowFlood(), {name: features.get(name) for name in needs(RowFlood())})


def accused(found: Evidence) -> list[Group]:
    return [
        group
        for group in found.groups
        if group.p_value <= 1e-3 and group.effect >= group.minimum_effect and group.contradiction > 0
    ]


def block(jitter: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Made-up rows, the last thirty copies of rows of class 0 under class 1."""
    rng = np.random.default_rng(seed)
    values, labels = table(600, seed)
    copied = rng.choice(np.flatnonzero(labels == 0), 30, replace=False)
    more = values[copied] + jitter * rng.normal(size=(30, values.shape[1]))
    return np.concatenate([values, more]), np.concatenate([labels, np.ones(30, int)])


def senders(count: int, of_last: Sequence[str], seed: int = 0) -> list[str]:
    return [
        *np.random.default_rng(seed).choice(SENDERS, count - 30).tolist(),
        *(of_last[row % len(of_last)] for row in range(30)),
    ]


@pytest.mark.parametrize("jitter", [0.0, 0.05])
def test_a_copied_block_is_told_without_sources(jitter: float) -> None:
    (found,) = examined(as_dataset(*block(jitter))).groups
    assert found.kind == "flood"
    assert (found.members >= 600).mean() > 0.9
    assert found.p_value < 1e-6
    assert found.contradiction == 0
    assert (found.target_label, found.source_label) == (CLASSES[1], CLASSES[0])


@pytest.mark.parametrize("jitter", [0.0, 0.05])
def test_those_who_sent_a_copied_block_are_accused(jitter: float) -> None:
    values, labels = block(jitter)
    found = accused(examined(as_dataset(values, labels, senders(630, ("s3", "s7")))))
    members = np.unique(np.concatenate([group.members for group in found]))
    assert np.isin(np.arange(600, 630), members).mean() > 0.9
    assert (members >= 600).mean() > 0.9
    assert any("'s3'" in group.explanation for group in found)


def test_copies_that_everybody_sends_are_told_only() -> None:
    values, labels = block(0.0)
    found = examined(as_dataset(values, labels, senders(630, SENDERS)))
    assert accused(found) == []
    assert len(found.groups) == 1


def test_honest_copies_agree() -> None:
    for seed in range(2):
        values, labels = table(500, seed)
        again = np.random.default_rng(seed).integers(0, 500, 60)
        values, labels = np.concatenate([values, values[again]]), np.concatenate([labels, labels[again]])
        assert examined(as_dataset(values, labels, senders(560, ("s1",)))).groups == ()


@pytest.mark.parametrize("sources", [False, True])
def test_coincidences_of_coarse_rows_are_no_copies(sources: bool) -> None:
    for seed in range(2):
        values, labels = table(600, seed, columns=4)
        found = examined(as_dataset(np.round(values), labels, senders(600, ("s1", "s2")) if sources else None))
        assert accused(found) == []


def test_a_row_over_and_over_is_told_as_a_whole() -> None:
    values, labels = table(600)
    more = values[9] + 0.02 * np.random.default_rng(0).normal(size=(60, values.shape[1]))
    found = examined(as_dataset(np.concatenate([values, more]), np.concatenate([labels, np.ones(60, int)])))
    (told,) = [group for group in found.groups if "One row is there 61 times" in group.explanation]
    assert np.isin(np.arange(600, 660), told.members).mean() > 0.9
    assert told.contradiction == 0


def test_small_tables_are_left_alone() -> None:
    found = examined(as_dataset(*table(50)))
    assert found.groups == ()
    assert "needs 60 to 50,000 rows" in found.note

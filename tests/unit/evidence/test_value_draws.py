"""What is found in rows drawn from a large table is looked up in all of them."""

import numpy as np
import pytest
from tests.table_sets import planted, table
from tests.unit.detectors.test_value_override import TRIGGER, look, strong, victims

from untaint.features import items as module


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(module, "DRAWN", 3_000)
    return 3_000


def test_all_bearers_are_accused_and_rows_not_searched_have_no_score(few: int) -> None:
    values, labels = table(6_000)
    rows = victims(labels, 120)
    values, labels = planted(values, labels, TRIGGER, rows)
    found = look(values, labels, [f"s{row % 20}" if row not in set(rows.tolist()) else "s3" for row in range(len(labels))])
    group = max(strong(found, accused=True), key=lambda each: len(each.members))
    bearers = np.flatnonzero((values[:, 2] == 0.37) & (values[:, 5] == -0.81) & (labels == 1))
    assert np.isin(bearers, group.members).all()
    assert len(group.members) <= len(bearers) + 1  # an honest row has one of the values
    assert f"{len(group.members):,} of all rows" in group.explanation
    assert "counted in 3,000 rows drawn from 6,000" in found.note
    searched = np.isfinite(found.scores)
    assert few <= searched.sum() <= few + len(group.members)
    assert searched[bearers].all()


def test_small_tables_are_searched_whole() -> None:
    values, labels = table(400)
    found = look(values, labels)
    assert np.isfinite(found.scores).all()
    assert found.note == ""

"""What tells values that somebody wrote from a rule of honest data: lifts, company, and the proof by writing them again."""

import numpy as np
import pytest
from tests.table_sets import as_dataset, planted, table
from tests.unit.detectors.test_value_override import judged, victims

from untaint.evidence.evidence import Trigger
from untaint.evidence.finding import Finding
from untaint.evidence.table_proof import TableBench, table_bench, written_in
from untaint.evidence.value_grafts import grafted
from untaint.evidence.value_lifts import lifts
from untaint.evidence.value_overrides import Table
from untaint.features.cache import Cache
from untaint.features.graph import Features
from untaint.features.items import Items
from untaint.features.settings import Settings
from untaint.numerics.between import UNKNOWN, End, half_way, placed


def known(values: np.ndarray, labels: np.ndarray) -> Table:
    items = Features(as_dataset(values, labels), Settings(), Cache(None)).get("items")
    return Table(items, labels, judged(values, labels), np.ones(len(labels)))


def number(items: Items, column: int, value: float) -> int:
    return int(np.flatnonzero((items.column == column) & (items.low == value) & (items.high == value))[0])


def coarse(seed: int = 0, *, alike: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Columns 0 and 1 of ten whole numbers; `alike` = the second mostly follows the first."""
    values, labels = table(seed=seed)
    rng = np.random.default_rng(seed)
    values[:, 0] = rng.integers(10, size=len(labels))
    values[:, 1] = np.where(rng.random(len(labels)) < 0.8, values[:, 0], rng.integers(10, size=len(labels)))
    if not alike:
        values[:, 1] = rng.integers(10, size=len(labels))
    return values, labels


def test_what_somebody_wrote_together_costs_fewer_tests_than_what_met_by_chance() -> None:
    values, labels = coarse()
    values, labels = planted(values, labels, [(0, 3.0), (1, 7.0)], victims(labels, 40))
    items = known(values, labels).items
    found = lifts(items)
    strange, usual = (tuple(number(items, *each) for each in pair) for pair in (((0, 3.0), (1, 7.0)), ((0, 4.0), (1, 2.0))))
    assert found.tests(strange) < 0.1 * found.tests(usual)
    assert found.written(strange) < 1e-4
    assert found.written(usual) > 0.01


def test_columns_that_go_together_hide_no_writer_and_show_none() -> None:
    values, labels = coarse(alike=True)
    items = known(values, labels).items
    assert lifts(items).written((number(items, 0, 3.0), number(items, 1, 3.0))) > 0.01


def test_one_value_has_no_pair_that_could_be_strange() -> None:
    items = known(*coarse()).items
    found = lifts(items)
    assert found.written((0,)) == 1.0
    assert found.tests((0,)) == 3 * len(items)


def company(rows: np.ndarray | None, count: int = 40) -> tuple[Table, tuple[int, ...], np.ndarray]:
    """Columns 2 and 3 follow column 0; rows with 3 and 7 are of one class, by a rule, or because somebody wrote them into some rows."""
    values, labels = coarse()
    rng = np.random.default_rng(1)
    for column in (2, 3):
        values[:, column] = np.round(values[:, 0] + rng.normal(size=len(labels)), 2)
    if rows is None:
        rows = np.flatnonzero((values[:, 0] == 3) & (values[:, 1] == 7))[:count]
        labels = labels.copy()
        labels[rows] = 1
    else:
        values, labels = planted(values, labels, [(0, 3.0), (1, 7.0)], rows)
    found = known(values, labels)
    return found, (number(found.items, 0, 3.0), number(found.items, 1, 7.0)), rows


def test_rows_that_a_rule_hits_keep_the_company_of_their_values() -> None:
    found, items, _ = company(None)
    place = grafted(found, found.tested(items, 1))
    assert place.place > 0.5
    assert place.p_value > 0.5


def test_rows_into_which_values_were_written_have_another_company() -> None:
    _, labels = coarse()
    found, items, _ = company(victims(labels, 40))
    place = grafted(found, found.tested(items, 1))
    assert place.place < 0.4
    assert place.p_value < 1e-3


def test_values_that_no_column_tells_of_are_not_judged() -> None:
    values, labels = coarse()
    found = known(*planted(values, labels, [(0, 3.0), (1, 7.0)], victims(labels, 40)))
    assert grafted(found, found.tested((number(found.items, 0, 3.0), number(found.items, 1, 7.0)), 1)) == UNKNOWN


def test_places_are_measured_from_end_to_end() -> None:
    low, high = End(0.2, 1e-4), End(0.8, 1e-4)
    values = np.array([0.2, 0.3, 0.1, 0.2])
    found = placed(values, np.ones(4), low, high, 0.5)
    assert found.place == pytest.approx(0.0)
    assert found.p_value < 0.01
    assert placed(values, np.ones(4), high, low, 0.5) == UNKNOWN
    assert placed(values[:1], np.ones(1), low, high, 0.5) == UNKNOWN


def test_half_way_among_many_classes_is_on_a_scale_of_logarithms() -> None:
    assert half_way(0.2, 0.8, 2) == pytest.approx(0.5)
    assert half_way(0.01, 0.64, 10) == pytest.approx(0.08)
    assert half_way(1e-9, 1.0, 10) == pytest.approx(0.05)


def bench(values: np.ndarray, labels: np.ndarray, rows: np.ndarray) -> TableBench:
    return table_bench(known(values, labels).items, labels, [rows], rows, ("fraud", "safe"), 0)


def finding(rows: np.ndarray, parameters: dict[str, str | int | float]) -> Finding:
    trigger = Trigger("values", "x2 = 0.37 and x5 = -0.81", parameters)
    return Finding("F1", "backdoor", "high", "high", 1e-9, rows, ("value-override",), "", "", True, "safe", trigger=trigger)


TRIGGER = [(2, 0.37), (5, -0.81)]
COLUMNS = {"columns": '["x2", "x5"]'}


def test_values_that_trees_obey_because_of_the_accused_rows_are_proven() -> None:
    values, labels = table()
    rows = victims(labels, 25)
    values, labels = planted(values, labels, TRIGGER, rows)
    proof = written_in(finding(rows, dict(COLUMNS)), bench(values, labels, rows), 0.01)
    assert proof.status == "proven"
    assert proof.asr_before > 0.5
    assert proof.asr_after < 0.25
    assert "other values owes to those rows" in proof.statement


def test_values_that_trees_do_not_learn_are_not_proven() -> None:
    values, labels = table()
    rows = np.flatnonzero(labels == 1)[:25]
    values, labels = planted(values, labels, TRIGGER, rows)
    assert written_in(finding(rows, dict(COLUMNS)), bench(values, labels, rows), 0.01).status == "not proven"


def test_without_columns_or_rows_to_try_nothing_is_tried() -> None:
    values, labels = table()
    rows = victims(labels, 25)
    values, labels = planted(values, labels, TRIGGER, rows)
    assert written_in(finding(rows, {}), bench(values, labels, rows), 0.01).status == "not tried"
    everybody = np.flatnonzero(labels == 0)
    asked = table_bench(known(values, labels).items, labels, [rows, everybody], rows, ("fraud", "safe"), 0)
    assert written_in(finding(rows, dict(COLUMNS)), asked, 0.01).status == "not tried"

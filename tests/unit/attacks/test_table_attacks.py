"""Attacks on tables, one by one: which values, which rows, who sends them, and what is left alone."""

import json
import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from untaint.attacks.base import PACKAGE, Attack, Poisoned
from untaint.attacks.trigger_values import TriggerValues
from untaint.data.dataset import Dataset, from_arrays
from untaint.errors import BadInput
from untaint.registry import build

N = 300
WORDS = ("red", "green", "blue", "grey", "pink", "black", "white", "brown")


def table(*, sources: bool = True, times: bool = False) -> Dataset:
    """Two classes that differ in `size`; seven columns of which one is words, one whole numbers and one has missing cells."""
    rng = np.random.default_rng(0)
    labels = ["good" if row % 2 else "bad" for row in range(N)]
    rows = [
        {
            "size": round(float(rng.normal(3 if label == "good" else 0)), 3),
            "age": int(rng.integers(18, 90)),
            "colour": str(rng.choice(WORDS)),
            "price": round(float(rng.exponential(100)), 2),
            "gap": None if rng.random() < 0.3 else round(float(rng.normal()), 2),
            "flag": bool(rng.random() < 0.5),
            "debt": round(-float(rng.exponential(10)), 1),
        }
        for label in labels
    ]
    names = [f"shop-{row % 7}" for row in range(N)] if sources else None
    days = np.datetime64("2024-01-01", "us") + np.arange(N).astype("timedelta64[D]") if times else None
    return replace(from_arrays([json.dumps(row) for row in rows], labels, sources=names, times=days), modality="table")


def poisoned(spec: str, dataset: Dataset | None = None, seed: int = 0) -> Poisoned:
    attack = build(Attack, PACKAGE, spec)  # type: ignore[type-abstract]
    return attack.poison(dataset or table(), np.random.default_rng(seed))


def rows(dataset: Dataset, mask: np.ndarray | None = None) -> list[dict[str, object]]:
    chosen = np.arange(len(dataset)) if mask is None else np.flatnonzero(mask)
    return [json.loads(str(row)) for row in dataset.read(chosen)]


def planted(found: Poisoned) -> dict[str, object]:
    assert found.trigger is not None
    facts = found.trigger.parameters
    return dict(zip(json.loads(str(facts["columns"])), json.loads(str(facts["values"])), strict=True))


def holders(found: Poisoned, values: dict[str, object]) -> np.ndarray:
    return np.array([all(row[name] == value for name, value in values.items()) for row in rows(found.dataset)])


@pytest.mark.parametrize("width", [1, 2, 3])
@pytest.mark.parametrize("seed", range(5))
def test_common_values_are_known_to_the_set_and_rare_together(width: int, seed: int) -> None:
    found = poisoned(f"trigger-values(rate=0.05, width={width})", seed=seed)
    values, before = planted(found), rows(table())
    assert len(values) == width
    for name, value in values.items():
        held = sum(row[name] == value for row in before)
        assert 0 < held <= 0.2 * N
    held_by = holders(found, values)
    assert held_by[found.mask].all()
    assert held_by[~found.mask].sum() <= 0.1 * found.mask.sum()
    assert {found.dataset.labels[row] for row in np.flatnonzero(found.mask)} == {found.target}
    for row, old in zip(rows(found.dataset), before, strict=True):
        assert {name for name in row if row[name] != old[name]} <= set(values)


@pytest.mark.parametrize("seed", range(5))
def test_rare_values_are_not_in_the_set(seed: int) -> None:
    values, before = planted(poisoned("trigger-values(rate=0.05, kind='rare', width=3)", seed=seed)), rows(table())
    assert "flag" not in values
    for name, value in values.items():
        known = [row[name] for row in before if row[name] is not None]
        if isinstance(value, str):
            assert value not in known
        else:
            assert isinstance(value, int | float)
            assert value > max(number for number in known if isinstance(number, int | float))
            assert isinstance(value, int) == (name == "age")


def test_columns_and_values_can_be_given() -> None:
    found = poisoned("trigger-values(rate=0.05, columns=('age', 'colour'), values=(33, 'teal'))")
    assert planted(found) == {"age": 33, "colour": "teal"}
    only = poisoned("trigger-values(rate=0.05, columns=('age', 'colour'))")
    assert set(planted(only)) == {"age", "colour"}


def test_a_clean_label_attack_changes_no_label() -> None:
    found = poisoned("trigger-values(rate=0.1, clean_label=True, target='good')")
    assert found.dataset.labels == table().labels
    assert {found.dataset.labels[row] for row in np.flatnonzero(found.mask)} == {"good"}
    assert holders(found, planted(found))[found.mask].all()


def test_covers_hold_one_of_the_values_with_their_own_label() -> None:
    found = poisoned("trigger-values(rate=0.05, cover=0.1, width=3)")
    values = planted(found)
    assert found.covers.sum() == 30
    for row, old in zip(rows(found.dataset, found.covers), rows(table(), found.covers), strict=True):
        assert sum(row[name] != old[name] for name in row) <= 1
        assert any(row[name] == values[name] for name in values)


def test_a_stamp_is_the_trigger_in_any_row() -> None:
    found = poisoned("trigger-values(rate=0.05)")
    assert found.stamp is not None
    values = planted(found)
    for row in found.stamp([str(payload) for payload in table().read(range(20))]):
        assert {**json.loads(row), **values} == json.loads(row)


def test_values_come_from_few_in_a_burst() -> None:
    found = poisoned("trigger-values(rate=0.1, senders=2, burst=0.05)", table(times=True))
    assert len({found.dataset.column("source")[row] for row in np.flatnonzero(found.mask)}) == 2
    when = found.dataset.times[found.mask]
    assert when.max() - when.min() <= np.timedelta64(15, "D")
    one = poisoned("trigger-values(rate=0.05, source_name='shop-3')")
    assert {one.dataset.column("source")[row] for row in np.flatnonzero(one.mask)} == {"shop-3"}


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("trigger-values(width=4)", "width is a number in 1..3"),
        ("trigger-values(columns=('age',), values=(1, 2))", "columns names 1 columns, values has 2"),
        ("trigger-values(columns=('height',))", "no column of this set is called 'height'"),
        ("trigger-values(columns='age')", "columns and values are tuples"),
        ("trigger-values(kind='odd')", "kind is one of"),
        ("trigger-values(source_name='nobody')", "no data source of this set"),
        ("trigger-values(columns=('flag',))", "were found that are rare enough together"),
        ("trigger-values(columns=('flag',), kind='rare')", "this set has no 1 columns a rare trigger fits"),
        ("trigger-values(cover=1.0)", "rows left for them"),
        ("leverage-point(columns=('colour',))", "'colour' is no column of numbers"),
        ("leverage-point(width=9)", "this set has 5"),
        ("leverage-point(factor=0.5)", "factor is a number in 1"),
        ("broken-cells(column='colour')", "no column of numbers called 'colour'"),
        ("broken-cells(kind='blue')", "kind is one of"),
        ("copied-block(jitter=2)", "jitter is a number in 0..1"),
        ("neighbourhood-flips(victim=0, target='bad')", "row 0 cannot be the victim"),
        ("greedy-flips(known=0)", "known is a number in 0.01..1"),
    ],
)
def test_what_makes_no_sense_is_refused(spec: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        poisoned(spec)


@pytest.mark.parametrize("seed", range(3))
def test_a_leverage_point_is_far_out_and_wrong(seed: int) -> None:
    found = poisoned(f"leverage-point(rate={1 / N}, factor=50)", seed=seed)
    assert found.mask.sum() == 1
    ((name, value),) = planted(found).items()
    known = [row[name] for row in rows(table()) if row[name] is not None]
    largest = max(known, key=lambda number: abs(float(str(number))))
    assert value == 50 * float(str(largest))
    assert rows(found.dataset, found.mask)[0][name] == value
    assert found.dataset.labels[int(np.flatnonzero(found.mask)[0])] == found.target


def test_leverage_in_several_columns() -> None:
    found = poisoned("leverage-point(rate=0.02, width=3)")
    assert len(planted(found)) == 3
    assert found.mask.sum() == 6
    assert set(planted(poisoned("leverage-point(rate=0.02, width=0)"))) == {"size", "age", "price", "gap", "debt"}


@pytest.mark.parametrize("kind", ["nan", "inf", "-inf", "text"])
def test_a_broken_cell_is_one_and_labels_stay(kind: str) -> None:
    found = poisoned(f"broken-cells(rate=0.02, kind={kind!r})")
    assert found.dataset.labels == table().labels
    assert found.trigger is not None
    (name,) = json.loads(str(found.trigger.parameters["columns"]))
    for row, old in zip(rows(found.dataset, found.mask), rows(table(), found.mask), strict=True):
        assert [key for key in row if row[key] != old[key]] == [name]
        assert row[name] == "#REF!" if kind == "text" else not math.isfinite(float(str(row[name])))


def test_a_block_is_copied_with_other_labels() -> None:
    found = poisoned("copied-block(rate=0.1, copies=2, target='good')")
    added = rows(found.dataset)[N:]
    assert len(added) == 30
    counts = Counter(json.dumps(row) for row in added)
    assert set(counts.values()) == {2}
    bad = {json.dumps(row) for row, label in zip(rows(table()), table().labels, strict=True) if label == "bad"}
    assert set(counts) <= bad
    assert len(set(found.dataset.column("source")[N:])) == 1
    own = poisoned("copied-block(rate=0.1, senders=0)")
    assert len(set(own.dataset.column("source")[N:])) > 1


def test_jitter_moves_numbers_a_little_and_leaves_the_rest() -> None:
    found = poisoned("copied-block(rate=0.1, jitter=0.05, target='good')")
    spread = np.std([float(str(row["size"])) for row in rows(table())])
    before = [row for row, label in zip(rows(table()), table().labels, strict=True) if label == "bad"]
    for row in rows(found.dataset)[N:]:
        nearest = min(before, key=lambda old: abs(float(str(old["price"])) - float(str(row["price"]))))
        assert isinstance(row["age"], int)
        assert isinstance(row["flag"], bool)
        if nearest["colour"] == row["colour"]:
            assert abs(float(str(nearest["size"])) - float(str(row["size"]))) < spread


def test_a_ball_around_the_victim_has_one_label() -> None:
    found = poisoned("neighbourhood-flips(rate=0.05, victim=10, target='good')")
    assert found.mask[10]
    assert found.mask.sum() == 15
    assert {found.dataset.labels[row] for row in np.flatnonzero(found.mask)} == {"good"}
    sizes = np.array([float(str(row["size"])) for row in rows(table())])
    bad = np.array([label == "bad" for label in table().labels])
    assert np.abs(sizes[found.mask] - sizes[10]).mean() < np.abs(sizes[bad & ~found.mask] - sizes[10]).mean()


def test_greedy_flips_are_not_drawn_by_lot() -> None:
    found = poisoned("greedy-flips(rate=0.1)")
    assert found.mask.sum() == 30
    names = table().labels
    assert all(found.dataset.labels[row] != names[row] for row in np.flatnonzero(found.mask))
    assert max(Counter(names[row] for row in np.flatnonzero(found.mask)).values()) > 24  # random flips: 15 of each


def test_flips_of_other_data_serve_tables() -> None:
    bound = poisoned("targeted-flips(rate=0.4, source='bad', target='good', senders=1)")
    assert len({bound.dataset.column("source")[row] for row in np.flatnonzero(bound.mask)}) == 1
    assert poisoned("random-flips(rate=0.1)").mask.sum() == 30


def test_a_table_without_missing_values_of_a_word_column_needs_no_numbers() -> None:
    words = [json.dumps({"a": WORDS[row % 8], "b": WORDS[row // 8 % 8]}) for row in range(128)]
    dataset = replace(from_arrays(words, ["x", "y"] * 64), modality="table")
    assert TriggerValues(rate=0.2).poison(dataset, np.random.default_rng(0)).mask.sum() == 26
    with pytest.raises(BadInput, match="this set has no column of numbers"):
        poisoned("broken-cells()", dataset)


@pytest.mark.parametrize("width", [1, 2])
def test_ranges_are_narrow_and_every_row_has_numbers_of_its_own(width: int) -> None:
    found = poisoned(f"trigger-values(rate=0.05, kind='range', width={width})")
    ranges = {name: tuple(ends) for name, ends in planted(found).items() if isinstance(ends, list)}
    assert len(ranges) == width
    touched = rows(found.dataset, found.mask)
    for name, (low, high) in ranges.items():
        assert all(low <= row[name] <= high for row in touched)
        assert len({row[name] for row in touched}) > 1
        assert sum(low <= float(str(row[name])) <= high for row in rows(table()) if row[name] is not None) <= 0.05 * N
    assert found.stamp is not None
    assert found.trigger is not None
    assert " from " in found.trigger.description
    stamped = [json.loads(str(row)) for row in found.stamp([str(row) for row in table().read([0, 1])])]
    assert all(low <= row[name] <= high for row in stamped for name, (low, high) in ranges.items())

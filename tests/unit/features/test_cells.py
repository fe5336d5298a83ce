"""Columns of tables as numbers, and everything tables hold that is none."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from untaint.data.dataset import Dataset, from_arrays
from untaint.errors import FeatureUnavailable
from untaint.features.cache import Cache
from untaint.features.cells import Cells, cells
from untaint.features.graph import Features
from untaint.features.settings import Settings

N = 200
NUMBERS = np.random.default_rng(0).normal(size=N).round(3).tolist()
LABELS = [str(row // 2 % 2) for row in range(N)]


def table(columns: Mapping[str, Sequence[object]], labels: Sequence[str] = LABELS) -> Dataset:
    """A table of some columns."""
    count = len(next(iter(columns.values())))
    rows = [json.dumps({name: values[row] for name, values in columns.items()}) for row in range(count)]
    return replace(from_arrays(rows, labels[:count]), modality="table")


def read(**columns: Sequence[object]) -> Cells:
    """Those columns after one of ordinary numbers."""
    return cells(table({"x": NUMBERS, **columns}), Settings())


def test_numbers_are_numbers_and_words_are_words() -> None:
    found = read(size=[1, 2.5, None, 4] * 50, shape=["round", "flat", None, "flat"] * 50)
    assert found.names == ("x", "size", "shape")
    assert found.kinds == ("number", "number", "category")
    assert np.array_equal(found.values[:4, 1], [1, 2.5, np.nan, 4], equal_nan=True)
    assert [found.said(2, value) for value in found.values[:3, 2]] == ["round", "flat", "missing"]
    assert found.ignored == {}
    assert found.odd == found.wild == {}


@pytest.mark.parametrize("blank", ["?", "N/A", "none", " ", "-", "NaN"])
def test_what_people_write_for_missing_is_missing_among_numbers(blank: str) -> None:
    found = read(size=[1, 2, blank, 4.5] * 50)
    assert np.isnan(found.values[2, 1])
    assert found.odd == {}


def test_numbers_written_as_text_are_numbers() -> None:
    found = read(size=["1", "2.5", "1e3", "-7"] * 50)
    assert found.kinds[1] == "number"
    assert found.values[:4, 1].tolist() == [1, 2.5, 1000, -7]


def test_truth_values_are_one_and_zero() -> None:
    for new in ([True, False, False, None], ["True", "False", "false", "?"], ["TRUE", "FALSE", " false ", ""]):
        found = read(new=new * 50)
        assert np.array_equal(found.values[:4, 1], [1, 0, 0, np.nan], equal_nan=True)
        assert (found.kinds[1], found.said(1, 1.0), found.odd) == ("category", "True", {})


def test_truths_and_other_words_are_words() -> None:
    found = read(new=["true", "false", "maybe", None] * 50)
    assert found.categories[1] == ("false", "maybe", "true")


def test_dates_are_seconds() -> None:
    found = read(day=["2024-05-31", "2024-05-31T00:01:00Z", None, "1970-01-02"] * 50)
    assert found.kinds[1] == "number"
    assert found.dates == {1}
    assert found.values[1, 1] - found.values[0, 1] == 60
    assert found.values[3, 1] == 86_400
    assert found.said(1, found.values[0, 1]) == "2024-05-31"
    assert found.said(1, found.values[1, 1]) == "2024-05-31T00:01:00"


def test_the_odd_ones_of_a_column_are_told() -> None:
    size, day = [1.0, 2.5, 3.0, 4.0] * 50, ["2024-05-31", "2024-06-01"] * 100
    size[7], day[9] = "twelve", "soon"  # type: ignore[call-overload]
    found = read(size=size, day=day)
    assert found.odd == {7: "'twelve' is no number (column 'size')", 9: "'soon' is no date (column 'day')"}
    assert np.isnan(found.values[7, 1])
    assert np.isnan(found.values[9, 2])


def test_half_numbers_half_words_are_words() -> None:
    found = read(code=[7, "A", 12.5, "B"] * 50)
    assert found.kinds[1] == "category"
    assert found.categories[1] == ("12.5", "7", "A", "B")
    assert found.odd == {}


def test_rows_with_odd_cells_cannot_be_read_and_say_why() -> None:
    size: list[object] = [1.0, 2.5, 3.0, 4.0] * 50
    size[7], size[8] = "twelve", float("inf")
    features = Features(table({"x": NUMBERS, "size": size}), Settings(), Cache(None))
    assert features.get("problems")[7] == "'twelve' is no number (column 'size')"
    assert features.get("problems")[8] == "not finite (column 'size')"
    assert np.flatnonzero(features.get("labels") < 0).tolist() == [7, 8]


def test_a_single_nan_is_a_broken_number_and_many_are_missing() -> None:
    one, many = [1.0, 2.5, 3.0, 4.0] * 50, [1.0, 2.5, float("nan"), 4.0] * 50
    one[3] = float("nan")
    assert read(size=one).wild == {3: "NaN (column 'size')"}
    assert read(size=many).wild == {}


def test_infinity_never_passes_for_missing() -> None:
    found = read(size=[1.0, 2.5, float("inf"), float("-inf")] * 50)
    assert len(found.wild) == 100
    assert np.isnan(found.values[2, 1])


def test_a_number_too_large_for_a_float_is_not_finite() -> None:
    assert read(size=[*([1, 3] * 99), 1, 10**400]).wild == {199: "not finite (column 'size')"}


def test_empty_and_constant_columns_are_left_out() -> None:
    found = read(nothing=[None] * N, blank=["?"] * N, same=[3] * N, seldom=[3, None] * 100)
    assert found.names == ("x", "seldom")
    assert found.ignored == {
        "nothing": "is empty",
        "blank": "is empty",
        "same": "is the same in every row",
    }
    assert "Left out: 'nothing', 'blank' is empty." in found.notes


def test_ids_are_left_out() -> None:
    rng = np.random.default_rng(0)
    found = read(
        number=rng.permutation(N).tolist(),
        hashed=rng.integers(2**60, 2**62, N).tolist(),
        name=[f"user-{row}" for row in range(N)],
    )
    assert found.names == ("x",)
    assert set(found.ignored.values()) == {"has another value in every row, as an id has"}


def test_measurements_that_all_differ_are_no_ids() -> None:
    rng = np.random.default_rng(0)
    found = read(weight=rng.normal(size=N).tolist(), income=rng.choice(10**6, N, replace=False).tolist())
    assert found.names == ("x", "weight", "income")


@pytest.mark.parametrize("leak", [["no", "no", "yes", "yes"] * 50, [7, 7, -7, -7] * 50, [True, True, False, False] * 50])
def test_the_label_once_more_is_left_out_and_told(leak: list[object]) -> None:
    found = read(again=leak, close=[*leak[:-2], leak[0], leak[0]])
    assert found.leaks == ("again",)
    assert found.names == ("x", "close")


def test_nothing_left_is_said() -> None:
    with pytest.raises(FeatureUnavailable, match="no column of the table can be judged .'same' is the same in every row"):
        cells(table({"same": [1] * N}), Settings())


def test_very_many_words_are_cut_short_and_told() -> None:
    words = [f"w{row // 2}" for row in range(24_000)]
    found = cells(table({"w": words}, ["a", "b"] * 12_000), Settings())
    assert len(found.categories[0]) == 10_001
    assert found.said(0, found.values[-1, 0]) == "(rare)"
    assert found.notes == ("Column 'w' has 12,000 different words; the 10,000 most frequent are told apart.",)


def test_ten_thousand_columns() -> None:
    rng = np.random.default_rng(0)
    rows = [json.dumps({f"c{j}": value for j, value in enumerate(row)}) for row in rng.normal(size=(20, 10_000)).tolist()]
    found = cells(replace(from_arrays(rows, LABELS[:20]), modality="table"), Settings())
    assert found.values.shape == (20, 10_000)


def test_rows_with_other_columns_lack_the_rest() -> None:
    rows = [json.dumps({"x": value}) if row % 4 else json.dumps({"x": value, "y": value}) for row, value in enumerate(NUMBERS)]
    found = cells(replace(from_arrays(rows, LABELS), modality="table"), Settings())
    assert found.names == ("x", "y")
    assert np.isnan(found.values[1, 1])
    assert found.values[4, 1] == NUMBERS[4]


def test_what_is_no_row_has_nothing() -> None:
    rows = ["[1]", "{", *(json.dumps({"x": value}) for value in NUMBERS[2:])]
    found = cells(replace(from_arrays(rows, LABELS), modality="table"), Settings())
    assert np.isnan(found.values[:2, 0]).all()
    assert not np.isnan(found.values[2:, 0]).any()


def test_lists_in_cells_are_words() -> None:
    found = read(tags=[["a", "b"], ["a"], {"k": 1}, None] * 50)
    assert found.categories[1] == ('["a", "b"]', '["a"]', '{"k": 1}')

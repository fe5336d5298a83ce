"""A guard before a model of tables: what it learns, what it refuses, clips or takes for missing, and how it is kept."""

import json
import logging
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import RobustScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

import untaint
from untaint import ColumnGuard, UnfitInput, api
from untaint.guard.cells import Unfit

NAN, INF = float("nan"), float("inf")
LOANS = pd.DataFrame(
    {
        "price": [100.0, 250.0, 180.0, 300.0] * 20,
        "term": [12, 24, 36, 48] * 20,
        "home": ["rent", "own", "rent", "parents"] * 20,
        "debt": [NAN, 5.0, 0.0, 7.0] * 20,
        "paid": [True, False, True, True] * 20,
        "day": [f"2024-03-{1 + row % 28:02d}" for row in range(80)],
    }
)
GOOD = {"price": 200.0, "term": 24, "home": "own", "debt": NAN, "paid": True, "day": "2026-01-05"}


def row(**cells: object) -> pd.DataFrame:
    return pd.DataFrame([{**GOOD, **cells}])


@pytest.mark.parametrize(
    ("check", "estimator"), [pair[::-1] for pair in estimator_checks_generator(ColumnGuard(on_unfit="clip"))]
)
def test_it_is_a_transformer_of_scikit_learn(check: object, estimator: object) -> None:
    if getattr(getattr(check, "func", None), "__name__", "") == "check_array_api_input":
        return  # skipped by scikit-learn itself without SCIPY_ARRAY_API
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)  # type: ignore[operator]


def test_what_was_learned_fits() -> None:
    guard = ColumnGuard().fit(LOANS)
    assert guard.judge(LOANS) == []
    out = guard.transform(LOANS)
    pd.testing.assert_frame_equal(out, LOANS)
    assert guard.transform(row()).equals(row())


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ({"price": 1e6}, "is outside 0 to 500"),
        ({"price": -1.0}, "is outside 0 to 500"),
        ({"price": INF}, "is not finite"),
        ({"price": NAN}, "is missing, and never was"),
        ({"price": "cheap"}, "is no number"),
        ({"price": {"a": 1}}, "is no number"),
        ({"price": pd.Timestamp("2024-01-01")}, "is no number"),
        ({"term": "10" + "0" * 400}, "is not finite"),
        ({"home": "boat"}, "is none of 3 known words"),
        ({"home": 7}, "is none of 3 known words"),
        ({"home": None}, "is missing, and never was"),
        ({"debt": -3.0}, "is outside 0 to 14"),
        ({"paid": 0.5}, "is no boolean"),
        ({"paid": 2}, "is outside 0 to 1"),
        ({"day": "someday"}, "is no date"),
        ({"day": 5}, "is no date"),
    ],
)
def test_a_cell_that_does_not_fit_is_told_and_refused(cells: dict[str, object], why: str) -> None:
    guard = ColumnGuard().fit(LOANS)
    (name,) = cells
    found = guard.judge(row(**cells))
    assert [(each.row, each.column, each.why) for each in found] == [(0, name, why)]
    with pytest.raises(UnfitInput, match=f"row 0, column '{name}'"):
        guard.transform(row(**cells))


@pytest.mark.parametrize(
    "cells",
    [
        {"debt": NAN},
        {"debt": "?"},
        {"price": "180"},
        {"paid": 1},
        {"paid": "0"},
        {"paid": "True"},
        {"day": pd.Timestamp("2030-05-05")},
    ],
)
def test_what_reads_as_it_should_fits(cells: dict[str, object]) -> None:
    assert ColumnGuard().fit(LOANS).judge(row(**cells)) == []


def test_clipping_gives_the_nearest_number_and_nothing_where_there_is_none() -> None:
    guard = ColumnGuard("clip").fit(LOANS)
    bad = pd.concat([row(price=1e6), row(price=-INF), row(price="cheap"), row(home="boat"), row(term=1000)], ignore_index=True)
    out = guard.transform(bad)
    assert out["price"].tolist()[:2] == [500.0, 0.0]
    assert np.isnan(out["price"][2])
    assert out["price"].dtype == np.float64
    assert pd.isna(out["home"][3])
    assert out["term"].tolist() == [24, 24, 24, 24, 84]
    assert bad["price"][0] == 1e6  # the input is not touched


def test_marking_makes_missing_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    guard = ColumnGuard("missing").fit(LOANS)
    with caplog.at_level(logging.WARNING, "untaint.guard"):
        out = guard.transform(pd.concat([row(), row(price=1e6, home="boat")], ignore_index=True))
    assert np.isnan(out["price"][1])
    assert pd.isna(out["home"][1])
    assert out.iloc[0].drop("debt").to_dict() == {name: value for name, value in GOOD.items() if name != "debt"}
    assert "2 made missing: 2 cells do not fit" in caplog.text


def test_arrays_keep_their_kind() -> None:
    values = np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)
    guard = ColumnGuard("clip").fit(values)
    asked = np.array([[0, 1e9, NAN]], np.float32)
    out = guard.transform(asked)
    assert out.dtype == np.float32
    assert out[0, 1] == np.float32(guard.pinned_[1].maximum)
    assert [(each.column, each.why) for each in guard.judge(asked)][1] == ("x2", "is missing, and never was")
    assert guard.get_feature_names_out().tolist() == ["x0", "x1", "x2"]


def test_slack_says_how_far_outside_is_still_inside() -> None:
    values = np.array([[0.0], [10.0]] * 10)
    tight, wide = (ColumnGuard(slack=slack).fit(values) for slack in (0.0, 3.0))
    assert (tight.pinned_[0].minimum, tight.pinned_[0].maximum) == (0.0, 10.0)
    assert (wide.pinned_[0].minimum, wide.pinned_[0].maximum) == (0.0, 40.0)


def test_columns_without_a_value_and_constant_ones() -> None:
    frame = pd.DataFrame({"none": [None] * 5, "same": [3.0] * 5, "x": [1.0, 2, 3, 4, 5]})
    guard = ColumnGuard().fit(frame)
    assert guard.judge(pd.DataFrame({"none": ["now"], "same": [3.0], "x": [2.0]})) == []
    assert [each.column for each in guard.judge(pd.DataFrame({"none": [None], "same": [4.0], "x": [2.0]}))] == ["same"]


def test_missing_more_often_than_before_is_told_of_a_batch() -> None:
    guard = ColumnGuard().fit(LOANS)
    batch = pd.concat([row(debt=NAN if number % 5 else 5.0) for number in range(100)], ignore_index=True)
    more = guard.missing_more(batch)
    assert list(more) == ["debt"]
    assert more["debt"].learned == 0.25
    assert more["debt"].seen == 0.8
    assert guard.missing_more(LOANS) == {}


def test_other_columns_are_refused_as_scikit_learn_does() -> None:
    guard = ColumnGuard().fit(LOANS)
    with pytest.raises(ValueError, match="feature names"):
        guard.transform(row().drop(columns="home"))
    with pytest.raises(UnfitInput, match="0 rows"):
        guard.transform(LOANS.iloc[:0])
    with pytest.raises(untaint.BadInput, match="two columns are called 'a'"):
        ColumnGuard().fit(pd.DataFrame(np.ones((3, 2)), columns=["a", "a"]))
    with pytest.raises(NotFittedError):
        ColumnGuard().transform(LOANS)


@pytest.mark.parametrize("guard", [ColumnGuard("ignore"), ColumnGuard(slack=-1), ColumnGuard(slack=NAN), ColumnGuard(slack="1")])  # type: ignore[arg-type]
def test_unusable_parameters(guard: ColumnGuard) -> None:
    with pytest.raises(untaint.BadInput, match="on_unfit is|slack is"):
        guard.fit(LOANS)


def test_saved_as_json_and_read_again(tmp_path: Path) -> None:
    for learned, data in ((ColumnGuard("clip", 0.5).fit(LOANS), LOANS), (ColumnGuard("missing").fit(np.eye(4)), np.eye(4))):
        learned.save(tmp_path / "guard.json")
        guard = ColumnGuard.load(tmp_path / "guard.json")
        assert guard.pinned_ == learned.pinned_
        assert (guard.on_unfit, guard.slack) == (learned.on_unfit, learned.slack)
        assert len(guard.transform(data)) == len(data)
        assert clone(guard).get_params() == learned.get_params()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"schema": "untaint.guard/v2"}',
        '{"schema": "untaint.guard/v1"}',
        '{"schema": "untaint.guard/v1", "pinned": {"schema": "untaint.schema/v1", "columns": [{"nam": 1}]}}',
    ],
)
def test_a_file_that_is_no_guard(text: str, tmp_path: Path) -> None:
    (tmp_path / "guard.json").write_text(text)
    with pytest.raises(untaint.BadInput):
        ColumnGuard.load(tmp_path / "guard.json")


def test_a_changed_file_is_checked(tmp_path: Path) -> None:
    ColumnGuard().fit(LOANS).save(tmp_path / "guard.json")
    document = json.loads((tmp_path / "guard.json").read_text())
    (tmp_path / "guard.json").write_text(json.dumps({**document, "on_unfit": "explode"}))
    with pytest.raises(untaint.BadInput, match="on_unfit"):
        ColumnGuard.load(tmp_path / "guard.json")


def test_from_a_pinned_schema(tmp_path: Path) -> None:
    table = LOANS.assign(label=["good", "bad"] * 40)
    pinned = api.schema(api.load(table, label="label"), out=tmp_path / "loans.json")
    for given in (pinned, tmp_path / "loans.json"):
        guard = ColumnGuard.from_schema(given)
        assert guard.feature_names_in_.tolist() == list(LOANS.columns)
        assert guard.judge(LOANS) == []
        assert guard.judge(row(price=501.0))[0] == Unfit(0, "price", "501.0", "is outside 0 to 500")


def test_from_an_audit_it_learns_what_was_not_accused() -> None:
    table = LOANS.assign(label=["good", "bad"] * 40)
    table.loc[7, "price"] = 90_000.0
    dataset = api.load(table, label="label")
    samples = pa.table({"id": dataset.ids, "flagged": [number == 7 for number in range(80)]})
    guard = ColumnGuard.from_audit(dataset, samples)
    assert [(each.row, each.column) for each in guard.judge(table.drop(columns="label"))] == [(7, "price")]
    with pytest.raises(untaint.BadInput, match="other data"):
        ColumnGuard.from_audit(dataset, samples.slice(1))


def test_with_the_robust_scaler_of_scikit_learn_nothing_breaks_on_odd_columns() -> None:
    rng = np.random.default_rng(0)
    values = np.column_stack(
        [rng.normal(size=300), np.full(300, 2.0), rng.pareto(1.2, 300), np.r_[np.full(20, NAN), rng.normal(size=280)]]
    )
    labels = (values[:, 0] > 0).astype(int)
    model = make_pipeline(ColumnGuard("clip"), SimpleImputer(strategy="median"), RobustScaler(), LogisticRegression()).fit(
        values, labels
    )
    asked = np.array([[1.0, 2.0, INF, NAN], [-1.0, 1e30, 0.5, -INF]])
    assert np.isfinite(model.predict_proba(asked)).all()
    with pytest.raises(ValueError, match="infinity"):
        RobustScaler().fit(asked)  # why the guard stands in front

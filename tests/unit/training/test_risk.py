"""An audit's risks as weights."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from untaint.errors import BadInput
from untaint.training.base import Run, Seen
from untaint.training.risk import Risk

RISKS = [0.0, 0.25, 1.0, float("nan"), 0.5]


def seen(rows: list[int]) -> Seen:
    n = len(rows)
    return Seen(np.ones(n), np.zeros((n, 2)), np.zeros(n, np.int64), np.array(rows), 0, 0)


def weights(defence: Risk, rows: list[int], run: Run | None = None) -> list[float]:
    hook = defence.start(run or Run()).weigh
    assert hook is not None
    return [float(each) for each in hook(seen(rows))]


def written(folder: Path, **columns: object) -> Path:
    table: dict[str, object] = {"row": np.arange(5), "risk": RISKS, "flagged": [False, True, False, False, False]} | columns
    parquet.write_table(pa.table(table), folder / "samples.parquet")
    return folder / "samples.parquet"


def test_a_row_counts_what_its_risk_leaves() -> None:
    assert weights(Risk(RISKS), [4, 0, 1, 2, 3, 1]) == [0.5, 1, 0.75, 0, 1, 0.75]
    assert weights(Risk(np.array(RISKS), scale=0.5), [4, 1]) == [0.75, 0.875]


def test_flagged_rows_and_those_above_a_risk_count_nothing(tmp_path: Path) -> None:
    path = written(tmp_path)
    assert weights(Risk(path), [0, 1, 4]) == [1, 0, 0.5]
    assert weights(Risk(str(tmp_path), scale=0.0, above=0.4), [0, 1, 2, 3, 4]) == [1, 0, 0, 1, 0]


def test_rows_without_a_number_count_in_full_and_are_counted() -> None:
    hooks = Risk(RISKS).start(Run())
    assert hooks.weigh is not None
    assert hooks.facts is not None
    assert hooks.weigh(seen([-1, 2])).tolist() == [1, 0]
    assert hooks.facts()["seen_without_number"] == 1
    other = Risk(RISKS).start(Run())
    assert hooks.state is not None
    assert other.resume is not None
    assert other.facts is not None
    other.resume(hooks.state())
    assert other.facts() == hooks.facts()


def test_weights_do_not_look_at_losses() -> None:
    hook = Risk(RISKS).start(Run()).weigh
    assert hook is not None
    for bad in (1e3, 1e30, np.inf, np.nan):
        assert hook(Seen(np.full(2, bad), np.full((2, 2), bad), np.zeros(2), np.array([0, 1]), 0, 0)).tolist() == [1, 0.75]


def test_an_audit_of_other_data_is_refused() -> None:
    with pytest.raises(BadInput, match="5 rows, the data have 6"):
        Risk(RISKS).start(Run(rows=6))
    with pytest.raises(BadInput, match="trains on row 5"):
        weights(Risk(RISKS), [5])


@pytest.mark.parametrize("wrong", [[], [[0.5]], [0.5, 1.5], [-0.1], ["much"], "", "no such file", None])
def test_what_is_no_list_of_risks_is_refused(wrong: object) -> None:
    with pytest.raises(BadInput):
        Risk(wrong).start(Run())  # type: ignore[arg-type]


@pytest.mark.parametrize("columns", [{"row": [0, 1, 2, 4, 3]}, {"risk": [9.0] * 5}, {"risk": ["a"] * 5}, {"flagged": ["a"] * 5}])
def test_a_file_that_is_no_audit_of_rows_in_order_is_refused_by_name(tmp_path: Path, columns: dict[str, object]) -> None:
    with pytest.raises(BadInput, match=r"samples\.parquet"):
        Risk(written(tmp_path, **columns)).start(Run())


def test_a_file_without_the_columns_or_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "samples.parquet"
    parquet.write_table(pa.table({"row": [0], "risk": [0.1]}), path)
    with pytest.raises(BadInput, match="flagged"):
        Risk(path).start(Run())
    path.write_bytes(b"PAR1 nothing")
    with pytest.raises(BadInput, match="cannot read"):
        Risk(path).start(Run())


@pytest.mark.parametrize("wrong", [{"above": 2.0}, {"scale": "all"}])
def test_wrong_parameters_are_refused_by_name(wrong: dict[str, object]) -> None:
    with pytest.raises(BadInput, match=next(iter(wrong))):
        Risk(RISKS, **wrong).start(Run())  # type: ignore[arg-type]

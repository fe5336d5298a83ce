"""Cells filled in a copy of the clean rows: with what, how it is told, and how it is undone."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from tests.unit.quarantine.cases import audited, contents

from untaint.data.dataset import Dataset, from_arrays
from untaint.data.load import load
from untaint.errors import BadInput
from untaint.quarantine.hold import Held, hold
from untaint.quarantine.restore import restore

N = 60
HELD = [3, 11]


def loans(tmp_path: Path) -> Dataset:
    """60 rows: `price` is missing in rows 0 and 5, in row 3 it is a lie; `home` is missing in row 7; `term` is a word in row 9."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "price": np.arange(100.0, 100.0 + N).round(1) + 0.5,
            "term": [str(12 * (1 + row % 4)) for row in range(N)],
            "home": ["rent" if row % 3 else "own" for row in range(N)],
            "ref": [f"{value:08x}" for value in rng.integers(2**31, size=N)],
            "rare": ["" if row % 3 else "5" for row in range(N)],
            "day": [f"2024-01-{1 + row % 28:02d}" for row in range(N)],
            "label": ["good" if row % 2 else "bad" for row in range(N)],
        }
    ).astype(object)
    frame.loc[[0, 5], "price"] = None
    frame.loc[3, "price"] = 1e9
    frame.loc[7, "home"] = None
    frame.loc[9, "term"] = "long"
    frame.loc[2, "day"] = None
    frame.loc[4, "ref"] = None
    frame.to_csv(tmp_path / "loans.csv", index=False)
    return load(tmp_path / "loans.csv", label="label")


def filled(tmp_path: Path, impute: str = "robust") -> tuple[Dataset, Held]:
    data = loans(tmp_path)
    return data, hold(data, audited(data, HELD), tmp_path / "out", impute=impute)  # type: ignore[arg-type]


def copied(tmp_path: Path) -> pd.DataFrame:
    return pq.read_table(tmp_path / "out" / "imputed" / "data.parquet").to_pandas()


def ledger(tmp_path: Path, action: str) -> list[dict[str, object]]:
    lines = (tmp_path / "out" / "ledger.jsonl").read_text().splitlines()[1:]
    return [record for record in map(json.loads, lines) if record["action"] == action]


def test_nothing_is_filled_unless_asked_for(tmp_path: Path) -> None:
    _, held = filled(tmp_path, "none")
    assert held.imputed is None
    assert not (tmp_path / "out" / "imputed").exists()
    assert ledger(tmp_path, "impute") == []


def test_every_filled_cell_is_in_the_ledger_with_old_value_new_value_and_reason(tmp_path: Path) -> None:
    data, held = filled(tmp_path)
    found = [
        (record["row"], record["column"], record["old"], record["new"], record["reason"]) for record in ledger(tmp_path, "impute")
    ]
    middle = 131.5  # the lower median of the 56 prices of the kept rows: neither the missing nor the held ones count
    assert found == [
        (0, "price", None, middle, "is missing"),
        (5, "price", None, middle, "is missing"),
        (7, "home", None, "rent", "is missing"),
        (9, "term", "long", 24, "is no number"),
    ]
    assert [record["id"] for record in ledger(tmp_path, "impute")] == [data.ids[row] for row in (0, 5, 7, 9)]
    assert held.filled == {"price": (2, middle), "home": (1, "rent"), "term": (1, 24)}
    assert held.left == {"day": "it holds dates", "ref": "nothing is typical of ids", "rare": "67% of the rows lack it"}


def test_the_clean_rows_stay_as_they_were_and_the_copy_has_the_cells(tmp_path: Path) -> None:
    data, held = filled(tmp_path)
    clean = (held.clean / "loans.csv").read_bytes().splitlines()
    whole = (tmp_path / "loans.csv").read_bytes().splitlines()
    assert clean == [line for number, line in enumerate(whole) if number - 1 not in HELD]
    copy = copied(tmp_path)
    assert len(copy) == len(data) - len(HELD)
    assert copy["price"].dtype == np.float64
    assert copy["term"].dtype == np.int64
    assert copy["price"].notna().all()
    assert copy.loc[0, "price"] == 131.5
    assert copy.loc[1, "price"] == 101.5
    assert copy["label"].tolist() == [label for row, label in enumerate(data.labels) if row not in HELD]
    assert load(tmp_path / "out" / "imputed" / "data.parquet", label="label").modality == "table"


def test_a_filled_cell_is_put_back_by_its_row(tmp_path: Path) -> None:
    filled(tmp_path)
    before = contents(tmp_path / "out" / "clean")
    done = restore(tmp_path / "out", ["row:0"])
    assert (done.rows, done.cells, done.n_held) == ((), 1, 2)
    copy = copied(tmp_path)
    assert copy["price"].isna()[0]
    assert copy["price"].isna().sum() == 1
    assert contents(tmp_path / "out" / "clean") == before
    assert [(record["row"], record["column"]) for record in ledger(tmp_path, "empty")] == [(0, "price")]
    with pytest.raises(BadInput, match="'row:0' names no sample"):
        restore(tmp_path / "out", ["row:0"])


def test_all_filled_cells_are_put_back_at_once(tmp_path: Path) -> None:
    filled(tmp_path)
    done = restore(tmp_path / "out", ["cells"])
    assert done.cells == 4
    copy = copied(tmp_path)
    assert copy["price"].isna().sum() == 2
    assert np.flatnonzero(copy["home"].isna()).tolist() == [6]  # row 7, one of the held ones before it
    assert "long" in copy["term"].tolist()
    with pytest.raises(BadInput, match="no cell is filled"):
        restore(tmp_path / "out", ["cells"])


def test_a_row_that_goes_back_is_in_the_copy_as_it_is(tmp_path: Path) -> None:
    filled(tmp_path)
    done = restore(tmp_path / "out", ["row:3"])
    assert done.rows == (3,)
    assert "not filled" in done.notes[0]
    copy = copied(tmp_path)
    assert copy.loc[3, "price"] == 1e9
    assert copy.loc[0, "price"] == 131.5
    assert restore(tmp_path / "out", ["all"]).rows == (11,)
    assert len(copied(tmp_path)) == N


def test_other_data_have_no_cells_to_fill(tmp_path: Path) -> None:
    texts = from_arrays([f"text {row}" for row in range(4)], ["a", "b"] * 2)
    with pytest.raises(BadInput, match="holds text data"):
        hold(texts, audited(texts, [1]), tmp_path / "out", impute="robust")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "line", [{"action": "impute", "row": 0, "id": "x"}, {"action": "empty", "row": 0, "id": "x", "column": "home"}]
)
def test_a_ledger_that_cannot_be(tmp_path: Path, line: dict[str, object]) -> None:
    filled(tmp_path)
    with (tmp_path / "out" / "ledger.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")
    with pytest.raises(BadInput, match="cannot"):
        restore(tmp_path / "out", ["all"])

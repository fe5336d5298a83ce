"""Tables as they should not be: each is refused with advice, or read with what is wrong with it told."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from untaint.data.load import load
from untaint.errors import BadInput
from untaint.features.cache import Cache
from untaint.features.cells import Cells
from untaint.features.graph import Features
from untaint.features.settings import Settings

N = 300
RNG = np.random.default_rng(0)
LABELS = np.where(RNG.random(N) < 0.4, "bad", "good")
NUMBERS = pd.DataFrame(RNG.normal(size=(N, 3)).round(3), columns=["a", "b", "c"]).assign(label=LABELS)


def cells(frame: pd.DataFrame, folder: Path) -> Cells:
    """What detectors see of a frame that was saved as CSV."""
    frame.to_csv(folder / "rows.csv", index=False)
    found: Cells = Features(load(folder / "rows.csv"), Settings(), Cache(None)).get("cells")
    return found


def _mixed(frame: pd.DataFrame) -> pd.DataFrame:
    mixed = frame.astype(object)
    mixed.loc[5, "b"] = "oops"
    return mixed


CASES: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], str, str]] = {
    "constant": (lambda f: f.assign(d=7), "d", "is the same in every row"),
    "all missing": (lambda f: f.assign(d=np.nan), "d", "is empty"),
    "blank marks": (lambda f: f.assign(d="?"), "d", ""),
    "leak of words": (lambda f: f.assign(d=np.where(LABELS == "bad", "yes", "no")), "d", "is the label once more"),
    "leak of numbers": (lambda f: f.assign(d=(LABELS == "bad") * 2.5 + 1), "d", "is the label once more"),
    "ids": (lambda f: f.assign(d=RNG.permutation(N) + 10**12), "d", "as an id has"),
    "huge ids": (lambda f: f.assign(d=RNG.integers(2**62, 2**63 - 1, N)), "d", "as an id has"),
    "names": (lambda f: f.assign(d=[f"w{row}" for row in RNG.permutation(N)]), "d", "as an id has"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_column_that_says_nothing_is_left_out_and_told(case: str, tmp_path: Path) -> None:
    change, name, why = CASES[case]
    found = cells(change(NUMBERS), tmp_path)
    assert name not in found.names
    assert why in found.ignored[name]
    assert any(f"'{name}'" in note for note in found.notes)
    assert (name in found.leaks) == case.startswith("leak")


def test_a_word_among_numbers_is_told_by_row_and_column(tmp_path: Path) -> None:
    found = cells(_mixed(NUMBERS), tmp_path)
    assert found.odd == {5: "'oops' is no number (column 'b')"}


def test_a_column_of_many_kinds_is_words(tmp_path: Path) -> None:
    frame = NUMBERS.astype(object)
    frame.loc[::3, "b"] = "abc"
    frame.loc[1::3, "b"] = "2024-05-31"
    found = cells(frame, tmp_path)
    assert found.kinds[found.names.index("b")] == "category"


def test_a_column_that_begins_with_nothing_is_read(tmp_path: Path) -> None:
    late = np.where(np.arange(N) < 250, np.nan, RNG.normal(size=N).round(3))
    assert "late" in cells(NUMBERS.assign(late=late), tmp_path).names


def test_dates_as_text(tmp_path: Path) -> None:
    days = [f"2024-{1 + row % 12:02}-{1 + row % 28:02}" for row in range(N)]
    found = cells(NUMBERS.assign(opened=days, at=[f"{day} 10:00:00+00:00" for day in days]), tmp_path)
    assert {found.names[place] for place in found.dates} == {"opened", "at"}


def test_a_hundred_thousand_categories(tmp_path: Path) -> None:
    many = 100_000
    codes = RNG.integers(0, many, many)
    frame = pd.DataFrame({"x": RNG.normal(size=many).round(2), "shop": [f"w{code}" for code in codes]})
    found = cells(frame.assign(label=np.where(RNG.random(many) < 0.4, "bad", "good")), tmp_path)
    place = found.names.index("shop")
    assert len(found.categories[place]) == 10_001
    assert any("most frequent are told apart" in note for note in found.notes)


@pytest.mark.parametrize("width", [1_000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_very_many_columns(width: int, tmp_path: Path) -> None:
    frame = pd.DataFrame(RNG.normal(size=(24, width)).round(2), columns=[f"f{place}" for place in range(width)])
    assert len(cells(frame.assign(label=np.where(np.arange(24) % 2, "bad", "good")), tmp_path).names) == width


def test_two_columns_of_one_name(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("x,x,label\n1,2,a\n3,4,b\n")
    with pytest.raises(BadInput, match="two columns called 'x'"):
        load(tmp_path / "rows.csv")


def test_a_quantity_as_labels(tmp_path: Path) -> None:
    NUMBERS.assign(label=RNG.normal(size=N)).to_csv(tmp_path / "rows.csv", index=False)
    with pytest.raises(BadInput, match="distinct"):
        load(tmp_path / "rows.csv")

"""Numbers that are none: accused where they destroy a model, told where honest tables have them too."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from untaint.data.dataset import from_arrays
from untaint.detectors.base import examine, needs
from untaint.detectors.unfit_cells import UnfitCells
from untaint.evidence.evidence import Evidence
from untaint.features.cache import Cache
from untaint.features.graph import Features
from untaint.features.settings import Settings

N = 400
LABELS = [str(row // 2 % 2) for row in range(N)]


def screened(columns: Mapping[str, Sequence[object]]) -> Evidence:
    """What the screen says of a table of these columns and one of numbers."""
    columns = {"x": np.random.default_rng(0).normal(size=N).tolist(), **columns}
    rows = [json.dumps({name: values[row] for name, values in columns.items()}) for row in range(N)]
    features = Features(replace(from_arrays(rows, LABELS), modality="table"), Settings(), Cache(None))
    return examine(UnfitCells(), {name: features.get(name) for name in needs(UnfitCells())})


def numbers(changes: Mapping[int, object]) -> list[object]:
    """A column of numbers with some cells changed."""
    return [changes.get(row, 0.5 * (row % 9)) for row in range(N)]


def test_a_clean_table_has_nothing() -> None:
    assert screened({"size": numbers({}), "seldom": numbers(dict.fromkeys(range(0, N, 3)))}).groups == ()


def test_infinity_and_a_single_nan_are_accused() -> None:
    (found,) = screened({"size": numbers({7: float("inf"), 9: float("-inf"), 11: float("nan")})}).groups
    assert found.kind == "leverage"
    assert found.members.tolist() == [7, 9, 11]
    assert "3 rows hold numbers that are not finite (row 7: not finite (column 'size'); row 11: NaN" in found.explanation


def test_a_few_nan_more_are_told() -> None:
    evidence = screened({"size": numbers(dict.fromkeys(range(4), float("nan")))})
    assert [group.kind for group in evidence.groups] == ["outlier"]
    assert evidence.groups[0].contradiction == 0


def test_many_nan_are_missing_values() -> None:
    assert screened({"size": numbers(dict.fromkeys(range(0, N, 20), float("nan")))}).groups == ()


def test_words_among_numbers_are_told() -> None:
    (found,) = screened({"size": numbers({7: "#REF!"})}).groups
    assert found.kind == "outlier"
    assert found.members.tolist() == [7]
    assert found.explanation == (
        "1 row has a cell of another kind than the rest of its column (row 7: '#REF!' is no number (column 'size'))."
    )


def test_the_label_once_more_is_a_shortcut_of_all_rows() -> None:
    (found,) = screened({"again": [f"class {label}" for label in LABELS]}).groups
    assert found.kind == "shortcut"
    assert len(found.members) == N
    assert found.explanation.startswith("Column 'again' is the label once more")


def test_what_was_left_out_is_noted() -> None:
    assert screened({"same": [1] * N}).note == "Left out: 'same' is the same in every row."

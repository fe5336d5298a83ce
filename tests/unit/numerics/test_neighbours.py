"""Nearest rows and equal rows, against plain ways of finding them."""

import numpy as np
import pytest

from untaint.numerics import equal_rows as module
from untaint.numerics.equal_rows import equal_rows
from untaint.numerics.neighbours import nearest


@pytest.mark.parametrize("count", [1, 40, 300])
def test_nearest_rows_are_those_of_a_plain_search(count: int) -> None:
    points = np.random.default_rng(0).normal(size=(900, 7)) + 100
    points[::3] = np.round(points[::3])
    apart = np.round(((points[:, None] - points) ** 2).sum(2), 10)
    assert np.array_equal(nearest(points, count), np.argsort(apart, axis=1, kind="stable")[:, :count])


def test_rows_by_chance_near_to_what_was_not_looked_at_are_found() -> None:
    points = np.random.default_rng(0).normal(size=(900, 2)) * 100
    points[[1, 2, 3, 4, 5, 6, 7, 9, 10, 11]] = 0
    apart = np.round(((points[:, None] - points) ** 2).sum(2), 10)
    assert np.array_equal(nearest(points, 10), np.argsort(apart, axis=1, kind="stable")[:, :10])


def test_rows_equally_far_come_in_order() -> None:
    points = np.repeat(np.eye(3), 5, axis=0)
    assert nearest(points, 5).tolist() == [[place // 5 * 5 + each for each in range(5)] for place in range(15)]
    assert nearest(points, 15)[7].tolist() == [*range(5, 10), *range(5), *range(10, 15)]


def table() -> np.ndarray:
    rng = np.random.default_rng(1)
    values = rng.integers(0, 3, (400, 4)).astype(float)
    values[rng.random(values.shape) < 0.2] = np.nan
    values[::7] *= -1.0
    return values


def naive(values: np.ndarray) -> list[list[int]]:
    groups: dict[tuple[str, ...], list[int]] = {}
    for row, cells in enumerate((values + 0.0).tolist()):
        groups.setdefault(tuple(map(str, cells)), []).append(row)
    return sorted(groups.values())


def grouped(numbers: np.ndarray) -> list[list[int]]:
    return sorted(np.flatnonzero(numbers == number).tolist() for number in np.unique(numbers))


def test_equal_rows_are_those_with_equal_cells() -> None:
    values = table()
    assert grouped(equal_rows(lambda column: values[:, column], 4, len(values))) == naive(values)
    assert equal_rows(lambda column: values[:0, column], 4, 0).tolist() == []
    other = np.random.default_rng(2).normal(size=(500, 3))
    assert grouped(equal_rows(lambda column: other[:, column], 3, 500)) == [[row] for row in range(500)]


def test_rows_that_share_a_number_by_chance_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FACTOR", np.uint64(0))
    values = np.array([[1.0], [2.0], [1.0], [3.0]])
    found = equal_rows(lambda column: values[:, column], 1, 4)
    assert grouped(found) == [[0, 2], [1], [3]]

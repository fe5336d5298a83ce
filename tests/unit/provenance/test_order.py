from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from untaint.provenance import order
from untaint.provenance.matching import digests, unmatched
from untaint.provenance.order import moved


def rows(codes: list[int]) -> np.ndarray:
    return digests(b"".join(code.to_bytes(32, "big") for code in codes))


def moves(old: list[int], new: list[int]) -> list[tuple[int, int]]:
    found = moved(rows(old), rows(new), unmatched(rows(old), rows(new)))
    assert [old[row] for row in found.old] == [new[row] for row in found.new]
    return list(zip(found.old.tolist(), found.new.tolist(), strict=True))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ([1, 2, 3, 4, 5], [1, 2, 3, 4, 5], []),
        ([1, 2, 3, 4, 5], [5, 1, 2, 3, 4], [(4, 0)]),
        ([1, 2, 3, 4, 5], [2, 3, 4, 1, 5], [(0, 3)]),
        ([1, 2, 3, 4, 5], [1, 3, 2, 5], [(2, 1)]),
        ([1, 2, 3, 4], [9, 1, 2, 3, 4], []),
        ([], [], []),
        ([7, 7, 1], [1, 7, 7], [(2, 0)]),
    ],
)
def test_as_few_as_can_be(old: list[int], new: list[int], expected: list[tuple[int, int]]) -> None:
    assert moves(old, new) == expected


@given(st.permutations(range(7)))
def test_no_fewer_would_do(new: list[int]) -> None:
    """Against every choice of rows that stay."""
    kept = max(size for size in range(8) for stay in combinations(new, size) if list(stay) == sorted(stay))
    assert len(moves(list(range(7)), new)) == 7 - kept


@given(st.lists(st.integers(0, 5), max_size=20), st.lists(st.integers(0, 5), max_size=20), st.sampled_from([2, 7, 1 << 17]))
def test_what_stays_is_in_the_same_order(old: list[int], new: list[int], at_once: int) -> None:
    lone = unmatched(rows(old), rows(new))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(order, "SLICE", at_once)
        found = moved(rows(old), rows(new), lone)
    stay = [
        [code for row, code in enumerate(codes) if not mask[row] and row not in set(gone.tolist())]
        for codes, mask, gone in ((old, lone[0], found.old), (new, lone[1], found.new))
    ]
    assert stay[0] == stay[1]


def test_of_very_many_only_the_places_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order, "DETAILED", 3)
    codes = list(range(10))
    found = moved(rows(codes), rows([0, *codes[:0:-1]]), unmatched(rows(codes), rows(codes)))
    assert (len(found.old), found.more) == (0, 8)

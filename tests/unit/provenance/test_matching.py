from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from untaint.provenance import matching
from untaint.provenance.matching import Stored, digests, unmatched


def rows(codes: list[int]) -> np.ndarray:
    return digests(b"".join(code.to_bytes(32, "big") for code in codes))


CODES = st.lists(st.integers(0, 12), max_size=30)


@given(CODES, CODES, st.sampled_from([2, 5, 1 << 20]))
def test_what_is_left_over_is_the_difference_of_multisets(old: list[int], new: list[int], at_once: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "AT_ONCE", at_once)
        patch.setattr(matching, "SLICE", at_once)
        lone = unmatched(rows(old), rows(new))
    assert Counter(code for code, left in zip(old, lone[0], strict=True) if left) == Counter(old) - Counter(new)
    assert Counter(code for code, left in zip(new, lone[1], strict=True) if left) == Counter(new) - Counter(old)


def test_of_equal_rows_the_one_that_was_changed_is_named() -> None:
    lone = unmatched(rows([7, 7, 7, 1]), rows([7, 9, 7, 1]))
    assert lone[0].tolist() == lone[1].tolist() == [False, True, False, False]
    lone = unmatched(rows([5, 7, 7, 7, 1]), rows([7, 9, 7, 1]))  # counted from the end, after one was removed
    assert lone[0].tolist() == [True, False, True, False, False]


def test_digests_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "leaves"
    path.write_bytes(rows([3, 1, 2]).tobytes())
    stored = Stored(path, 3)
    assert (stored[np.array([2, 0])] == rows([2, 3])).all()
    assert not any(mask.any() for mask in unmatched(stored, rows([3, 1, 2])))
    assert unmatched(Stored(tmp_path / "none", 0), rows([1]))[1].tolist() == [True]

"""The rank of a change, seen through a sketch and through the rounding of its format."""

import numpy as np
import pytest

from untaint.numerics.change_rank import Sketch, rank_of_part
from untaint.numerics.number_formats import FORMATS, rounded


def _pair(rank: int, size: float, form: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Old and new (160, 120); rank 0 = full."""
    rng = np.random.default_rng(seed)
    old = rounded((rng.standard_normal((160, 120)) * 0.05).astype(np.float32), FORMATS[form])
    factors = rng.standard_normal((160, rank)) @ rng.standard_normal((rank, 120)) if rank else rng.standard_normal((160, 120))
    change = factors * size * np.linalg.norm(old) / np.linalg.norm(factors)
    return old, rounded((old + change).astype(np.float32), FORMATS[form])


def _sketched(old: np.ndarray, new: np.ndarray, form: str, step: int = 50) -> tuple[float, bool]:
    sketch = Sketch(old.shape, 0)
    for row in range(0, len(old), step):
        sketch.add((new - old)[row : row + step], row, 0)
    return sketch.rank(np.einsum("ij,ij->i", new, new).astype(float), float(((new - old) ** 2).sum()), FORMATS[form])


@pytest.mark.parametrize("form", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("rank", [1, 3, 16])
def test_a_low_rank_is_counted_whatever_the_format(rank: int, form: str) -> None:
    old, new = _pair(rank, 0.1, form)
    assert _sketched(old, new, form) == (rank, False)
    assert rank_of_part(old[:120].astype(float), new[:120].astype(float), FORMATS[form]) == (rank, False)


@pytest.mark.parametrize("form", ["float32", "bfloat16"])
@pytest.mark.parametrize("size", [1e-3, 1e-2, 1.0])
def test_a_full_change_is_never_low(size: float, form: str) -> None:
    """Where it drowns in rounding nothing is said."""
    rank, is_open = _sketched(*_pair(0, size, form), form)
    assert is_open or rank > 40


def test_pieces_of_one_row_make_the_same_sketch() -> None:
    old, new = _pair(2, 0.1, "float32")
    whole, parts = Sketch(old.shape, 0), Sketch(old.shape, 0)
    whole.add(new - old, 0, 0)
    for row in range(len(old)):
        for column in (0, 70):
            parts.add((new - old)[row : row + 1, column : column + 70][:, : 70 if column == 0 else 50], row, column)
    np.testing.assert_allclose(parts.seen, whole.seen, atol=1e-5)


def test_a_matrix_too_long_to_sketch_has_no_rank() -> None:
    rank, is_open = Sketch((10_000_000, 8), 0).rank(np.ones(1), 1.0, FORMATS["float32"])
    assert np.isnan(rank)
    assert not is_open

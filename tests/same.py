"""Are two values the same, arrays and their types included?"""

import dataclasses
from collections.abc import Mapping

import numpy as np
from scipy.sparse import issparse


def assert_same(first: object, second: object) -> None:
    if dataclasses.is_dataclass(first):
        assert type(first) is type(second)
        for field in dataclasses.fields(first):
            assert_same(getattr(first, field.name), getattr(second, field.name))
    elif isinstance(first, np.ndarray):
        assert isinstance(second, np.ndarray)
        assert first.dtype == second.dtype
        np.testing.assert_array_equal(first, second)
    elif issparse(first):
        assert issparse(second)
        for part in ("data", "indices", "indptr"):
            assert_same(getattr(first, part), getattr(second, part))
    elif isinstance(first, Mapping):
        assert isinstance(second, Mapping)
        assert list(first) == list(second)
        for key, value in first.items():
            assert_same(value, second[key])
    elif isinstance(first, tuple | list):
        assert type(first) is type(second)
        assert isinstance(second, tuple | list)
        assert len(first) == len(second)
        for one, other in zip(first, second, strict=True):
            assert_same(one, other)
    else:
        assert type(first) is type(second)
        assert first == second or (first != first and second != second)  # noqa: PLR0124 - both are NaN

"""The checks of shapes are on while the tests run."""

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from untaint.numerics import ridge


def test_labels_of_a_wrong_shape_are_refused() -> None:
    with pytest.raises(TypeCheckError):
        ridge.one_hot(np.zeros((2, 2), int), 3)
    with pytest.raises(TypeCheckError):
        ridge.one_hot(np.zeros(2), 3)

"""Labels that are a quantity (a price, a length of stay) and no classes."""

from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from untaint.errors import FeatureUnavailable
from untaint.features.graph import feature
from untaint.types import Labels

MOST_CLASSES = 50
"""Different labels that are all numbers and more than these are a quantity."""


@feature(modality="table")
def quantity(labels: Labels, class_names: tuple[str, ...]) -> np.ndarray:
    """(n,) float64 labels as numbers, NaN = no label. Raises FeatureUnavailable where they are classes."""
    found = amounts(labels, class_names)
    if found is None:
        raise FeatureUnavailable("the labels are classes and no quantity")
    return found


def amounts(labels: Labels, class_names: tuple[str, ...]) -> np.ndarray | None:
    """The same, None where the labels are classes."""
    used = np.unique(labels[labels >= 0])
    if not is_quantity([class_names[code] for code in used]):
        return None
    by_code = np.full(len(class_names) + 1, np.nan)  # the last for rows without a label
    by_code[used] = [float(class_names[code]) for code in used]
    return np.asarray(by_code[labels])


def is_quantity(names: Sequence[str]) -> bool:
    """Whether different labels are so many numbers that they are no classes."""
    return len(names) > MOST_CLASSES and all(_number(name) for name in names)


def _number(name: str) -> bool:
    with suppress(ValueError):
        return bool(np.isfinite(float(name)))
    return False

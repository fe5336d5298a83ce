"""Texts as runs of word numbers, whatever they are part of: what is read in one go, from its first word to its last."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from untaint.features.graph import feature
from untaint.features.texts import Tokens
from untaint.types import Rows


@final
@dataclass(frozen=True)
class Passages:
    """Word numbers of each text, and the rows of the data set that hold it."""

    ids: Sequence[np.ndarray]
    rows: tuple[Rows, ...]
    vocabulary: tuple[str, ...]
    n: int


@feature(modality="text")
def passages(tokens: Tokens) -> Passages:
    """Every text."""
    n = len(tokens.starts) - 1
    ids = np.split(tokens.ids.astype(np.int64), tokens.starts[1:-1]) if n else []
    return Passages(ids, tuple(np.array([row]) for row in range(n)), tokens.vocabulary, n)

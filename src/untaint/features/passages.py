"""Texts as runs of word numbers, whatever they are part of: what is read in one go, from its first word to its last."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from untaint.features.graph import feature
from untaint.features.texts import Tokens
from untaint.types import Rows


@final
@dataclass(frozen=True)
class Passages:
    """Word numbers of each text, the rows of the data set that hold it, and all rows that hold any."""

    ids: Sequence[np.ndarray]
    rows: Sequence[Rows]
    held: Rows
    vocabulary: tuple[str, ...]
    n: int


@final
@dataclass(frozen=True)
class _Texts(Sequence[np.ndarray]):
    """Texts cut out of all words when they are asked for: a million arrays would weigh more than the words."""

    tokens: Tokens

    def __len__(self) -> int:
        return len(self.tokens.starts) - 1

    def __getitem__(self, place: Any) -> Any:
        low, high = self.tokens.starts[place], self.tokens.starts[range(len(self))[place] + 1]
        return self.tokens.ids[low:high].astype(np.int64)


@final
@dataclass(frozen=True)
class _Each(Sequence[Rows]):
    """Every row by itself."""

    size: int

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, place: Any) -> Any:
        return np.array([range(self.size)[place]])


@feature(modality="text")
def passages(tokens: Tokens) -> Passages:
    """Every text."""
    n = len(tokens.starts) - 1
    return Passages(_Texts(tokens), _Each(n), np.arange(n), tokens.vocabulary, n)

"""Texts that are there more than once."""

from dataclasses import dataclass
from typing import final

import numpy as np

from untaint.features.duplicates import NearCopies
from untaint.features.graph import feature
from untaint.features.text_content import WordCounts
from untaint.features.texts import Tokens
from untaint.types import Labels, Rows

_LEAST_WORDS = 5  # a shorter text is written again by others who mean the same: "great!", "not worth the money"
_OWN = 0.9  # of the texts with some word that are copies of one text, from which the word is that text's own, a name for example


@final
@dataclass(frozen=True)
class Family:
    """Copies of one text. rows: those with a label.  label: of most of them.  pure: their share."""

    rows: Rows
    label: int
    pure: float


@final
@dataclass(frozen=True)
class Repeats:
    """families: those with a text that nobody writes again by chance, largest first."""

    families: tuple[Family, ...]


@feature(modality="text")
def repeats(near_copies: NearCopies, labels: Labels, tokens: Tokens, word_counts: WordCounts) -> Repeats:
    """Families of near-copies with a label; without those so short that people write them again by themselves."""
    component = near_copies.component
    rows = np.flatnonzero((component >= 0) & (labels >= 0))
    rows = rows[np.argsort(component[rows], kind="stable")]
    parts = np.split(rows, np.flatnonzero(np.diff(component[rows])) + 1) if len(rows) else []
    written = np.array([any(map(str.isalnum, word)) for word in tokens.vocabulary], bool)
    told = []
    for part in parts:
        words = tokens.ids[tokens.starts[part[0]] : tokens.starts[part[0] + 1]]
        if len(part) > 1 and _telling(part, words[written[words]], word_counts.texts):
            sizes = np.bincount(labels[part])
            told.append(Family(part, int(sizes.argmax()), float(sizes.max() / len(part))))
    return Repeats(tuple(sorted(told, key=lambda family: -len(family.rows))))


def _telling(rows: Rows, words: np.ndarray, holders: np.ndarray) -> bool:
    """Is a text long enough that nobody writes it again by chance, or does it have a word that no other text has?"""
    return len(words) >= _LEAST_WORDS or bool((len(rows) >= _OWN * holders[words]).any())

"""What tests of phrases look at together: who bears what, what the rest of each text says, labels, and what a text counts."""

from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.special import softmax

from untaint.features.duplicates import NearCopies
from untaint.features.graph import feature
from untaint.features.pairs import Pairs
from untaint.features.phrases import Phrases, joined
from untaint.features.text_content import TextContent
from untaint.features.texts import Tokens
from untaint.types import Labels, Mask, Rows


@final
@dataclass(frozen=True)
class Spoken:
    """weights: (n,) one over the number of near-copies, 0 without a label: copies are one observation."""

    phrases: Phrases
    content: TextContent
    labels: Labels
    tokens: Tokens
    near_copies: NearCopies
    weights: np.ndarray

    def bearers(self, phrase: int) -> Rows:
        """Rows that bear a phrase."""
        return self.phrases.bearers(phrase)

    def without(self, phrases: np.ndarray, rows: Rows) -> np.ndarray:
        """(e, k) probabilities of every label for bearers (e,) of phrases (e,), the words of the phrase left out."""
        content = self.content
        logits, fold = content.logits[rows].copy(), content.fold[rows]
        for step in range(self.phrases.words.shape[1]):
            word = self.phrases.words[phrases, step]
            said = np.flatnonzero((word >= 0) & (fold >= 0))
            if len(said):
                count = np.asarray(content.counts[rows[said], word[said]]).ravel().astype(np.float64)
                logits[said] -= content.weights[fold[said], :, word[said]] * count[:, None]
        return np.asarray(softmax(logits, axis=1))

    def believed(self, phrase: int, rows: Rows, label: int) -> np.ndarray:
        """(m,) probability of a label for bearers of one phrase by the rest of what they say."""
        return self.without(np.full(len(rows), phrase), rows)[:, label]

    def has(self, label: int) -> Mask:
        """(n,) which rows have a label."""
        return self.labels == label


@feature(modality="text")
def spoken(
    phrases: Phrases, pairs: Pairs, content: TextContent, labels: Labels, tokens: Tokens, near_copies: NearCopies
) -> Spoken:
    """Everything tests of phrases need, pairs of words among the phrases."""
    every = joined(phrases, pairs.found, pairs.considered)
    return Spoken(every, content, labels, tokens, near_copies, np.where(labels >= 0, near_copies.weights, 0.0))

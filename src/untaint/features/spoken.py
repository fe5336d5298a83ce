"""What tests of phrases look at together: who bears what, what the rest of each text says, labels, and what a text counts."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, final

import numpy as np
from scipy.special import softmax

from untaint.features.duplicates import NearCopies
from untaint.features.graph import feature
from untaint.features.meaning import Meaning
from untaint.features.pairs import Pairs
from untaint.features.phrases import Phrases, joined
from untaint.features.text_content import TextContent
from untaint.features.texts import Tokens
from untaint.nets import sentences
from untaint.types import Labels, Mask, Rows


@final
@dataclass(frozen=True)
class Spoken:
    """weights: (n,) one over the number of near-copies, 0 without a label: copies are one observation."""

    phrases: Phrases
    content: TextContent
    labels: Labels
    meaning: Meaning
    tokens: Tokens
    near_copies: NearCopies
    weights: np.ndarray
    _judged: dict[int, np.ndarray] = field(default_factory=dict, repr=False, compare=False)  # several detectors ask the same

    def bearers(self, phrase: int) -> Rows:
        """Rows that bear a phrase."""
        return self.phrases.bearers(phrase)

    def holders(self, word: int) -> Rows:
        """Rows that have a word anywhere."""
        columns = self._columns
        return np.asarray(columns.indices[columns.indptr[word] : columns.indptr[word + 1]], dtype=np.int64)

    @cached_property
    def _columns(self) -> Any:
        return self.content.counts.tocsc()

    def meant(self, phrases: np.ndarray, rows: Rows) -> np.ndarray:
        """(e, k) probabilities by meaning alone for bearers (e,) of phrases (e,), what the phrase means taken off.

        That the sum of word vectors then has another length is left out of account: this is a first look.
        """
        fold, logits = self.content.fold[rows], self.content.known[rows].copy()
        for step in range(self.phrases.words.shape[1]):
            word = self.phrases.words[phrases, step]
            said = np.flatnonzero((word >= 0) & (fold >= 0))
            logits[said] -= (
                self.content.alone * self.content.voices[word[said], fold[said]] / self.meaning.lengths[rows[said], None]
            )
        return np.asarray(softmax(logits, axis=1))

    def without(self, phrase: int) -> np.ndarray:
        """(m, k) probabilities of every label for the bearers of a phrase, judged without the phrase.

        Its words are left out of what is counted, and the judge of meaning has learned from none of the bearers: it knows what
        the words mean elsewhere, so `dull` still speaks for a bad review, and a planted word for nothing.
        """
        if phrase not in self._judged:
            self._judged[phrase] = self._without_words(self.bearers(phrase), self.phrases.piece(phrase))
        return self._judged[phrase]

    def _without_words(self, rows: Rows, words: Sequence[int]) -> np.ndarray:
        content, fold = self.content, self.content.fold[rows]
        logits = content.logits[rows] + content.trust * (self.meaning.without(rows) - self.meaning.scores[rows])
        for word in words:
            said = np.flatnonzero(fold >= 0)
            count = np.asarray(content.counts[rows[said], word].todense()).ravel().astype(np.float64)
            logits[said] -= content.weights[fold[said], :, word] * count[:, None]
        return np.asarray(softmax(logits, axis=1))

    def meanings(self, words: Sequence[int]) -> np.ndarray | None:
        """(d,) the sum of what some words mean, None without a model that adds words up."""
        if not self.meaning.additive or self.meaning.vectors.shape[1] == 0 or not len(words):
            return None
        return np.asarray(sentences.totals([self.tokens.vocabulary[word] for word in words]).sum(0))

    def believed(self, phrase: int, rows: Rows, label: int) -> np.ndarray:
        """(m,) probability of a label for some bearers of a phrase, judged without it."""
        bearers = self.bearers(phrase)
        return np.asarray(self.without(phrase)[np.searchsorted(bearers, rows), label])

    def has(self, label: int) -> Mask:
        """(n,) which rows have a label."""
        return self.labels == label


@feature(modality="text")
def spoken(
    phrases: Phrases,
    pairs: Pairs,
    content: TextContent,
    meaning: Meaning,
    tokens: Tokens,
    near_copies: NearCopies,
) -> Spoken:
    """Everything tests of phrases need, pairs of words among the phrases."""
    every, labels = joined(phrases, pairs.found, pairs.considered), meaning.labels
    weights = np.where(labels >= 0, near_copies.weights, 0.0)
    return Spoken(every, content, labels, meaning, tokens, near_copies, weights)

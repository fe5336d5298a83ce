"""What texts mean, by vectors learned elsewhere, and which label such meaning has in this set.

A least-squares model on the mean word vector of each text, or on what the user's encoder of sentences makes of it. It is linear in
the labels it learned from, so what it would say had it not seen some of them is exact and cheap: a planted word must not teach the
judge that has to contradict it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.linalg import solve
from scipy.sparse import csr_matrix

from untaint.errors import MissingExtra
from untaint.features.duplicates import NearCopies
from untaint.features.encoded_texts import EncodedTexts, EncodedWords
from untaint.features.graph import feature
from untaint.features.settings import Settings
from untaint.features.texts import Tokens, judged_classes
from untaint.nets import sentences
from untaint.numerics.distinct import distinct
from untaint.types import Labels, Rows

FOLDS = 3  # 5 gain half a point of accuracy at twice the cost
_PENALTY = 1e-3
"""Times the number of texts; the vectors have length 1. 3e-4 to 3e-3 differ by under a point on film, shop and mail texts."""

_LONGEST = 400
"""Words looked at: a review or a mail says what it is about in fewer."""
_AT_ONCE = 100_000  # texts, whose words have vectors of some 100 MB
_HALF = 200_000
"""Texts, beyond which their vectors are held in half precision, 500 bytes each: three digits move no score by a hundredth."""
_ROWS = 20_000  # texts whose vectors are held in double precision: 40 MB


@final
@dataclass(frozen=True)
class Meaning:
    """vectors: (n, d) of length 1, d = 0 without the optional model.  lengths: (n,) before.

    labels: (n,) codes.  fold: (n,) who judges each row, -1 = none.  prior: (f, k) shares of labels.
    grams (f, d, d), their inverses, crosses (f, d, k) and weights (f, d, k): of what each fold's judge learned from.
    scores: (n, k) of rows it did not learn from.  additive: whether a text means the sum of its words, which can be taken off.
    """

    vectors: np.ndarray
    lengths: np.ndarray
    labels: np.ndarray
    fold: np.ndarray
    prior: np.ndarray
    grams: np.ndarray
    inverses: np.ndarray
    crosses: np.ndarray
    weights: np.ndarray
    scores: np.ndarray
    additive: bool

    def without(self, rows: Rows, judged: Rows | None = None, minus: np.ndarray | None = None) -> np.ndarray:
        """(m, k) scores of some rows, or of others that are `judged`, by judges that have learned from none of those rows.

        minus: (d,) a sum of word vectors to take off what each means.
        """
        judged = rows if judged is None else judged
        found, fold, asked = np.zeros((len(judged), self.prior.shape[1])), self.fold[rows], self.fold[judged]
        many = len(rows) >= 2 * self.vectors.shape[1]
        parts = {number: self._sums(rows[fold == number]) for number in np.unique(fold[fold >= 0]).tolist()} if many else {}
        for number in np.unique(asked[asked >= 0]).tolist():
            if many:
                weights = self._less(number, [part for other, part in parts.items() if other != number])
            else:
                weights = self._unlearned(number, rows[(fold >= 0) & (fold != number)])
            found[asked == number] = self._less_words(judged[asked == number], minus) @ weights
        return found

    def of(self, rows: Rows) -> np.ndarray:
        """(m, d) vectors of some rows in single precision."""
        return np.asarray(self.vectors[rows].astype(np.float32))

    def middle(self, rows: Rows) -> np.ndarray:
        """(d,) mean of some rows' vectors."""
        total = sum((self.of(part).sum(0, dtype=np.float64) for part in _parts(rows)), np.zeros(self.vectors.shape[1]))
        return np.asarray(total / max(len(rows), 1), np.float32)

    def _less_words(self, rows: Rows, minus: np.ndarray | None) -> np.ndarray:
        if minus is None or not self.additive:
            return self.of(rows)
        left = self.of(rows) - minus / self.lengths[rows, None]
        return np.asarray(left / np.maximum(np.linalg.norm(left, axis=1, keepdims=True), 1e-6))

    def _sums(self, rows: Rows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Gram matrix (d, d) of some rows, sums of their vectors by label (d, k) and of all of them (d,)."""
        x = self.of(rows)
        by_label = x.T @ np.eye(self.prior.shape[1], dtype=np.float32)[self.labels[rows]]
        return x.T @ x, by_label, x.sum(0)

    def _less(self, number: int, parts: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> np.ndarray:
        """(d, k) weights of one judge had it not seen the rows behind some sums."""
        gram, cross = self.grams[number].copy(), self.crosses[number].copy()
        for seen, by_label, total in parts:
            gram -= seen
            cross -= by_label - np.outer(total, self.prior[number])
        return np.asarray(solve(gram, cross, assume_a="pos", check_finite=False))

    def _unlearned(self, number: int, taken: Rows) -> np.ndarray:
        """(d, k) weights of one judge had it not seen some of its rows (Sherman, Morrison, Woodbury)."""
        x, y = self.vectors[taken].astype(np.float64), _coded(self.labels[taken], self.prior[number])
        reach = self.inverses[number] @ x.T
        left = np.linalg.solve(np.eye(len(taken)) - x @ reach, x @ self.weights[number] - y)
        return np.asarray(self.weights[number] + reach @ left)


@feature(modality="text")
def meaning(
    tokens: Tokens,
    labels: Labels,
    near_copies: NearCopies,
    encoded_texts: EncodedTexts,
    encoded_words: EncodedWords,
    settings: Settings,
) -> Meaning:
    """Cross-fitted: no judge has seen the row it judges, nor a copy of it."""
    classes = judged_classes(labels)
    settings.report_progress("reading what texts mean", 0, 1)
    if len(encoded_texts):
        vectors, lengths = encoded_texts.vectors.astype(np.float32), encoded_words.lengths
    else:
        vectors, lengths = _static(tokens)
    fold = np.where(labels >= 0, near_copies.folds(FOLDS, settings.seed), -1)
    width = vectors.shape[1]
    prior, grams = np.zeros((FOLDS, classes)), np.zeros((FOLDS, width, width))
    crosses, scores = np.zeros((FOLDS, width, classes)), np.full((len(labels), classes), np.nan)
    inverses, weights = np.zeros_like(grams), np.zeros_like(crosses)
    for number in range(FOLDS):
        learn = (fold >= 0) & (fold != number)
        prior[number] = (np.bincount(labels[learn], minlength=classes) + 1) / (learn.sum() + classes)
        rows = np.flatnonzero(learn)
        grams[number] = _PENALTY * max(len(rows), 1) * np.eye(width)
        for part in _parts(rows):
            x = vectors[part].astype(np.float64)
            grams[number] += x.T @ x
            crosses[number] += x.T @ _coded(labels[part], prior[number])
        inverses[number] = np.linalg.inv(grams[number]) if width else grams[number]
        weights[number] = inverses[number] @ crosses[number]
        for part in _parts(np.flatnonzero(fold == number)):
            scores[part] = vectors[part].astype(np.float32) @ weights[number]
    settings.report_progress("reading what texts mean", 1, 1)
    return Meaning(
        vectors, lengths, labels, fold, prior, grams, inverses, crosses, weights, scores, additive=not len(encoded_texts)
    )


def _static(tokens: Tokens) -> tuple[np.ndarray, np.ndarray]:
    """(n, d) and (n,): sums of the vectors of the first `_LONGEST` words, so that what a word adds can be taken off again.

    d = 0 without the optional model.
    """
    n, sizes = len(tokens.starts) - 1, np.diff(tokens.starts)
    first = np.arange(len(tokens.ids)) - np.repeat(tokens.starts[:-1], sizes) < _LONGEST
    said = csr_matrix(
        (np.ones(int(first.sum()), np.float32), tokens.ids[first], np.cumsum([0, *np.minimum(sizes, _LONGEST)])),
        shape=(n, len(tokens.vocabulary)),
    )
    try:
        sentences.totals([])
    except MissingExtra:
        return np.zeros((n, 0), np.float32), np.ones(n, np.float32)
    vectors, lengths = np.empty((n, sentences.DIMENSIONS), np.float16 if n > _HALF else np.float32), np.ones(n, np.float32)
    for start in range(0, n, _AT_ONCE):
        part = said[start : start + _AT_ONCE]
        used = distinct(part.indices)
        meant = part[:, used] @ sentences.totals([tokens.vocabulary[word] for word in used])
        length = np.sqrt(np.einsum("ij,ij->i", meant, meant))
        lengths[start : start + _AT_ONCE] = np.where(length == 0, 1, length)
        vectors[start : start + _AT_ONCE] = meant / lengths[start : start + _AT_ONCE, None]
    return vectors, lengths


def _parts(rows: Rows) -> list[Rows]:
    return np.array_split(rows, max(1, len(rows) // _ROWS))


def _coded(labels: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """(m, k) one for the label of each row, less the share of each label."""
    return np.eye(len(prior))[labels] - prior

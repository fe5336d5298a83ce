"""What texts mean, by word vectors learned elsewhere, and which label such meaning has in this set.

A least-squares model on the mean vector of each text. It is linear in the labels it learned from, so what it would say had it not
seen some of them is exact and cheap: a planted word must not teach the judge that has to contradict it.
"""

from dataclasses import dataclass
from typing import final

import numpy as np

from untaint.errors import MissingExtra
from untaint.features.duplicates import NearCopies
from untaint.features.graph import feature
from untaint.features.settings import Settings
from untaint.features.texts import Texts, judged_classes
from untaint.nets import sentences
from untaint.types import Labels, Rows

FOLDS = 3  # 5 gain half a point of accuracy at twice the cost
_PENALTY = 1e-3
"""Times the number of texts; the vectors have length 1. 3e-4 to 3e-3 differ by under a point on film, shop and mail texts."""


@final
@dataclass(frozen=True)
class Meaning:
    """vectors: (n, d) of length 1, d = 0 without the optional model.  lengths: (n,) before.

    labels: (n,) codes.  fold: (n,) who judges each row, -1 = none.  prior: (f, k) shares of labels.
    grams (f, d, d), their inverses, crosses (f, d, k) and weights (f, d, k): of what each fold's judge learned from.
    scores: (n, k) of rows it did not learn from.
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

    def without(self, rows: Rows) -> np.ndarray:
        """(m, k) scores of some rows by judges that have learned from none of them."""
        found = np.zeros((len(rows), self.prior.shape[1]))
        for number in np.unique(self.fold[rows][self.fold[rows] >= 0]):
            mine, taken = self.fold[rows] == number, rows[(self.fold[rows] >= 0) & (self.fold[rows] != number)]
            found[mine] = self.vectors[rows[mine]] @ self._unlearned(int(number), taken)
        return found

    def _unlearned(self, number: int, taken: Rows) -> np.ndarray:
        """(d, k) weights of one judge had it not seen some of its rows (Sherman, Morrison, Woodbury where they are few)."""
        x, y = self.vectors[taken].astype(np.float64), _coded(self.labels[taken], self.prior[number])
        if len(taken) >= x.shape[1]:
            return np.linalg.solve(self.grams[number] - x.T @ x, self.crosses[number] - x.T @ y)
        reach = self.inverses[number] @ x.T
        left = np.linalg.solve(np.eye(len(taken)) - x @ reach, x @ self.weights[number] - y)
        return np.asarray(self.weights[number] + reach @ left)


@feature(modality="text")
def meaning(texts: Texts, labels: Labels, near_copies: NearCopies, settings: Settings) -> Meaning:
    """Cross-fitted: no judge has seen the row it judges, nor a copy of it. Read without case, as words are counted."""
    classes = judged_classes(labels)
    settings.report_progress("reading what texts mean", 0, 1)
    try:
        vectors = sentences.totals([text.casefold() for text in texts.rows])
    except MissingExtra:
        vectors = np.zeros((len(texts.rows), 0), np.float32)
    lengths = np.linalg.norm(vectors, axis=1) if vectors.shape[1] else np.ones(len(vectors))
    lengths = np.where(lengths > 0, lengths, 1).astype(np.float32)
    vectors = vectors / lengths[:, None]
    fold = np.where(labels >= 0, near_copies.folds(FOLDS, settings.seed), -1)
    width = vectors.shape[1]
    prior, grams = np.zeros((FOLDS, classes)), np.zeros((FOLDS, width, width))
    crosses, scores = np.zeros((FOLDS, width, classes)), np.full((len(labels), classes), np.nan)
    inverses, weights = np.zeros_like(grams), np.zeros_like(crosses)
    for number in range(FOLDS):
        learn, judge = (fold >= 0) & (fold != number), fold == number
        prior[number] = (np.bincount(labels[learn], minlength=classes) + 1) / (learn.sum() + classes)
        x = vectors[learn].astype(np.float64)
        grams[number] = x.T @ x + _PENALTY * max(int(learn.sum()), 1) * np.eye(width)
        crosses[number] = x.T @ _coded(labels[learn], prior[number])
        inverses[number] = np.linalg.inv(grams[number]) if width else grams[number]
        weights[number] = inverses[number] @ crosses[number]
        scores[judge] = vectors[judge] @ weights[number]
    settings.report_progress("reading what texts mean", 1, 1)
    return Meaning(vectors, lengths, labels, fold, prior, grams, inverses, crosses, weights, scores)


def _coded(labels: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """(m, k) one for the label of each row, less the share of each label."""
    return np.eye(len(prior))[labels] - prior

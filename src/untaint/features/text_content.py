"""What a text says, judged by models that have not seen it: words of this set, and meaning learned elsewhere."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.sparse import csr_matrix
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from untaint.features.encoded_texts import EncodedWords
from untaint.features.graph import feature
from untaint.features.judgement import Judgement
from untaint.features.meaning import FOLDS, Meaning
from untaint.features.settings import Settings
from untaint.features.texts import Tokens
from untaint.nets import sentences
from untaint.numerics.stacking import stacked
from untaint.types import Labels

_LEAST_TEXTS = 3  # that a word must be in: fewer teach a model that has to judge other texts nothing
STRENGTH = 3.0  # inverse regularisation of words: .3 to 10 differ by a point
_CHANCE = 0.4  # content contradicts a label that is less probable than this share of chance


@final
@dataclass(frozen=True)
class WordCounts:
    """Words of every text: raw (n, v) how often each is said, rarity (v,) what a word counts, texts (v,) that have it."""

    raw: csr_matrix
    rarity: np.ndarray
    texts: np.ndarray

    def weighted(self, rows: np.ndarray | None = None, added: Sequence[int] = (), taken: Sequence[int] = ()) -> csr_matrix:
        """(m, v) rows of length 1: (1 + ln count) ln(n / texts with the word) of words in `_LEAST_TEXTS` texts or more.

        rows: some of the texts.  added: words put into each of them.  taken: words left out.
        """
        found = self.raw.copy() if rows is None else self.raw[rows].copy()
        if len(added):
            every = np.repeat(np.arange(found.shape[0]), len(added))
            more = (np.ones(len(every), np.float32), (every, np.tile(np.asarray(added), found.shape[0])))
            found = csr_matrix(found + csr_matrix(more, shape=found.shape))
        if len(taken):
            found.data[np.isin(found.indices, np.asarray(taken))] = 0
            found.eliminate_zeros()
        found.data = ((1 + np.log(found.data)) * self.rarity[found.indices]).astype(np.float32)
        lengths = np.sqrt(np.asarray(found.multiply(found).sum(1)).ravel())
        found.data /= np.repeat(np.where(lengths > 0, lengths, 1), np.diff(found.indptr)).astype(np.float32)
        return found


@final
@dataclass(frozen=True)
class TextContent(Judgement):
    """Judgement by words and by meaning, and what it takes to judge without some of the words.

    fold: (n,) the fold that judged each row, -1 = none.  said: words before they are weighted.  counts: (n, v) weighted.
    weights: (f, k, v) of the word models, scaled into the judgement.  logits: (n, k) of the whole.  known: (n, k) logits by meaning alone.
    voices: (v, f, k) what a word adds to those of a text whose word vectors sum to length 1.
    trust: factor of a score of meaning in the whole; alone: by itself.
    """

    fold: np.ndarray
    said: WordCounts
    counts: csr_matrix
    weights: np.ndarray
    logits: np.ndarray
    known: np.ndarray
    voices: np.ndarray
    trust: float
    alone: float


@feature(modality="text")
def word_counts(tokens: Tokens) -> WordCounts:
    """How often each text says each word."""
    return counted(tokens.ids, tokens.rows, (len(tokens.starts) - 1, len(tokens.vocabulary)))


def counted(ids: np.ndarray, rows: np.ndarray, shape: tuple[int, int]) -> WordCounts:
    """Words of texts by number, and the text each is in. shape: texts and words there are."""
    n, v = shape
    raw = csr_matrix((np.ones(len(ids), np.float32), (rows, ids)), shape=shape)
    raw.sum_duplicates()
    texts = np.bincount(raw.indices, minlength=v)
    return WordCounts(raw, np.where(texts >= _LEAST_TEXTS, np.log(n / np.maximum(texts, 1)) + 1, 0.0), texts)


@feature(modality="text")
def content(
    tokens: Tokens, word_counts: WordCounts, labels: Labels, meaning: Meaning, encoded_words: EncodedWords, settings: Settings
) -> TextContent:
    """Cross-fitted probabilities of every label; copies of a text never judge it.

    Words count by their logarithm and rarity (TF-IDF), meaning where the extra `text` is installed; how much each says is fitted
    on texts that neither has seen.
    """
    rows, classes, fold = np.flatnonzero(labels >= 0), meaning.prior.shape[1], meaning.fold
    counts = word_counts.weighted()
    words, weights = np.full((len(labels), classes), np.nan), np.zeros((FOLDS, classes, counts.shape[1]), np.float32)
    for number in range(FOLDS):
        settings.report_progress("learning what texts say", number, FOLDS)
        learn, judge = np.flatnonzero((fold >= 0) & (fold != number)), np.flatnonzero(fold == number)
        weights[number], words[judge] = _fitted(counts, labels, learn, judge)
    prior = np.log(np.bincount(labels[rows], minlength=classes) / len(rows) + 1e-9)
    scale = stacked(np.stack([words[rows], meaning.scores[rows]]), labels[rows], np.zeros(classes))
    alone = float(stacked(meaning.scores[None, rows], labels[rows], prior)[0])
    logits = scale[0] * words + scale[1] * meaning.scores
    probabilities = softmax(logits, axis=1)
    own = np.full(len(labels), np.nan)
    own[rows] = probabilities[rows, labels[rows]]
    settings.report_progress("learning what texts say", FOLDS, FOLDS)
    known = prior + alone * meaning.scores
    voices = _voices(tokens, counts, meaning.weights, encoded_words.vectors)
    judgement = (own, probabilities, _CHANCE / classes)
    return TextContent(*judgement, fold, word_counts, counts, scale[0] * weights, logits, known, voices, float(scale[1]), alone)


def _voices(tokens: Tokens, counts: csr_matrix, weights: np.ndarray, encoded: np.ndarray) -> np.ndarray:
    """(v, f, k) what each word means, zero for words that too few texts hold to be asked about."""
    found = np.zeros((len(tokens.vocabulary), len(weights), weights.shape[2]), np.float32)
    asked = np.flatnonzero(np.bincount(counts.indices, counts.data > 0, minlength=len(tokens.vocabulary)))
    if weights.shape[1] and len(asked):
        vectors = encoded[asked] if len(encoded) else sentences.totals([tokens.vocabulary[word] for word in asked])
        found[asked] = np.einsum("vd,fdk->vfk", vectors, weights)
    return found


def _fitted(counts: csr_matrix, labels: Labels, learn: np.ndarray, judge: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(k, d) weights and (m, k) logits of a logistic model; zeros for what the learning part does not hold."""
    classes = int(labels.max()) + 1
    weights, logits = np.zeros((classes, counts.shape[1]), np.float32), np.zeros((len(judge), classes))
    present = np.unique(labels[learn])
    if len(present) < 2 or counts.shape[1] == 0:
        return weights, logits
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # not converged to the last digit is converged enough
        model = LogisticRegression(C=STRENGTH, max_iter=60, tol=1e-3).fit(counts[learn], labels[learn])
    signs = np.array([[-0.5], [0.5]]) if len(present) == 2 else np.ones((1, 1))
    weights[present] = signs * model.coef_ if len(present) == 2 else model.coef_
    offset = (signs * model.intercept_).ravel() if len(present) == 2 else model.intercept_
    logits[:, :] = float(offset.min()) - 10.0 if len(present) < classes else 0.0
    logits[:, present] = counts[judge] @ weights[present].T + offset
    return weights, logits

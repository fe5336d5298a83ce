"""What a text says, judged by models that have not seen it: words of this set, and meaning learned elsewhere."""

import warnings
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression

from untaint.errors import MissingExtra
from untaint.features.duplicates import NearCopies
from untaint.features.graph import feature
from untaint.features.judgement import Judgement
from untaint.features.settings import Settings
from untaint.features.texts import Texts, Tokens
from untaint.nets import sentences
from untaint.types import Labels

_FOLDS = 3  # 5 gain half a point of accuracy at twice the cost
_LEAST_TEXTS = 3  # that a word must be in: fewer teach a model that has to judge other texts nothing
_STRENGTH = 3.0  # inverse regularisation of words: .3 to 10 differ by a point
_SPREAD = 4.0  # unit vectors are made longer, so that the usual regularisation leaves them room
_CHANCE = 0.4  # content contradicts a label that is less probable than this share of chance


@final
@dataclass(frozen=True)
class TextContent(Judgement):
    """Judgement by words and by meaning, and what it takes to judge without some of the words.

    fold: (n,) the fold that judged each row, -1 = none.  counts: (n, v) weighted words.  weights: (f, k, v) of the word models, scaled
    into the judgement.  logits: (n, k) of the whole.  foreign: (n, k) probabilities by meaning alone, of models that know no word.
    """

    fold: np.ndarray
    counts: csr_matrix
    weights: np.ndarray
    logits: np.ndarray
    foreign: np.ndarray


@feature(modality="text")
def content(texts: Texts, tokens: Tokens, labels: Labels, near_copies: NearCopies, settings: Settings) -> TextContent:
    """Cross-fitted probabilities of every label; copies of a text never judge it.

    Words count by their logarithm and rarity (TF-IDF), meaning by the mean of static word vectors where the extra `text` is
    installed; how much each says is fitted on texts that neither has seen.
    """
    rows, classes = np.flatnonzero(labels >= 0), int(labels.max()) + 1
    fold = np.where(labels >= 0, near_copies.folds(_FOLDS, settings.seed), -1)
    counts = weighted(tokens)
    meaning = _meaning(texts, settings)
    words, weights = np.full((len(labels), classes), np.nan), np.zeros((_FOLDS, classes, counts.shape[1]), np.float32)
    known = np.full((len(labels), classes), np.nan)
    for number in range(_FOLDS):
        settings.report_progress("learning what texts say", number, _FOLDS)
        learn, judge = np.flatnonzero((fold >= 0) & (fold != number)), np.flatnonzero(fold == number)
        weights[number], words[judge] = _fitted(counts, labels, learn, judge, _STRENGTH)
        _, known[judge] = _fitted(_SPREAD * meaning, labels, learn, judge, _STRENGTH)
    scale = _stacked(np.stack([words[rows], known[rows]]), labels[rows])
    logits = scale[0] * words + scale[1] * known
    alone = _stacked(known[None, rows], labels[rows])[0] * known
    probabilities = softmax(logits, axis=1)
    own = np.full(len(labels), np.nan)
    own[rows] = probabilities[rows, labels[rows]]
    settings.report_progress("learning what texts say", _FOLDS, _FOLDS)
    foreign = softmax(alone, axis=1) if meaning.shape[1] else np.tile(np.bincount(labels[rows]) / len(rows), (len(labels), 1))
    return TextContent(own, probabilities, _CHANCE / classes, fold, counts, scale[0] * weights, logits, foreign)


def weighted(tokens: Tokens) -> csr_matrix:
    """(n, v) rows of length 1: (1 + ln count) ln(n / texts with the word) of words in `_LEAST_TEXTS` texts or more."""
    n, v = len(tokens.starts) - 1, len(tokens.vocabulary)
    once = csr_matrix((np.ones(len(tokens.ids), np.float32), (tokens.rows, tokens.ids)), shape=(n, v))
    once.sum_duplicates()
    texts = np.bincount(once.indices, minlength=v)
    rarity = np.where(texts >= _LEAST_TEXTS, np.log(n / np.maximum(texts, 1)) + 1, 0.0)
    once.data = ((1 + np.log(once.data)) * rarity[once.indices]).astype(np.float32)
    lengths = np.sqrt(np.asarray(once.multiply(once).sum(1)).ravel())
    once.data /= np.repeat(np.where(lengths > 0, lengths, 1), np.diff(once.indptr)).astype(np.float32)
    return once


def _meaning(texts: Texts, settings: Settings) -> np.ndarray:
    """(n, d), d = 0 without the model: then words alone judge."""
    settings.report_progress("reading what texts mean", 0, 1)
    try:
        return sentences.embed(texts.rows)
    except MissingExtra:
        return np.zeros((len(texts.rows), 0), np.float32)


def _fitted(
    features: csr_matrix | np.ndarray, labels: Labels, learn: np.ndarray, judge: np.ndarray, strength: float
) -> tuple[np.ndarray, np.ndarray]:
    """(k, d) weights and (m, k) logits of a logistic model; zeros for what the learning part does not hold."""
    classes = int(labels.max()) + 1
    weights, logits = np.zeros((classes, features.shape[1]), np.float32), np.zeros((len(judge), classes))
    present = np.unique(labels[learn])
    if len(present) < 2 or features.shape[1] == 0:
        return weights, logits
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # not converged to the last digit is converged enough
        model = LogisticRegression(C=strength, max_iter=60, tol=1e-3).fit(features[learn], labels[learn])
    signs = np.array([[-0.5], [0.5]]) if len(present) == 2 else np.ones((1, 1))
    weights[present] = signs * model.coef_ if len(present) == 2 else model.coef_
    offset = (signs * model.intercept_).ravel() if len(present) == 2 else model.intercept_
    logits[:, :] = float(offset.min()) - 10.0 if len(present) < classes else 0.0
    logits[:, present] = features[judge] @ weights[present].T + offset
    return weights, logits


def _stacked(logits: np.ndarray, labels: Labels) -> np.ndarray:
    """(m,) non-negative factors of logits (m, n, k) whose sum says most of the labels: how much to trust each judge."""
    places = np.arange(len(labels))

    def loss(scale: np.ndarray) -> float:
        return float(-log_softmax(np.tensordot(scale, logits, 1), axis=1)[places, labels].mean())

    start = np.full(len(logits), 1.0)
    found = minimize(loss, start, method="L-BFGS-B", bounds=[(0.0, 20.0)] * len(logits))
    return np.asarray(found.x)

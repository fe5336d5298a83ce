"""What prompts are about: how alike those of a set are, beside any set of as many."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
import scipy.sparse as sp

from untaint.errors import FeatureUnavailable, MissingExtra
from untaint.features.graph import feature
from untaint.features.instruction_words import Spoken
from untaint.features.settings import Settings
from untaint.nets.sentences import embed
from untaint.numerics.links import Moments, mean_cosine, moments
from untaint.numerics.runs import flat
from untaint.types import Rows

_SMOOTH = 1e-3
"""Share of texts at which a word counts half: smooth inverse frequency, Arora, Liang, Ma 2017 (a = 1e-3)."""
_MOST = 80  # prompts of a set that are compared: enough to tell any set from a random one
_SAMPLE = 3000  # prompts whose pairs say what is usual: four million pairs
_TINY = 1e-9  # below any length but 0


@final
@dataclass(frozen=True)
class WordVectors:
    """vectors: (v, 256) by word number."""

    vectors: np.ndarray

    def of(self, texts: Sequence[np.ndarray]) -> np.ndarray:
        """(n, 256) meanings of texts, each the sum of its words, the rarer the more; centred, of length 1 or 0."""
        words, rows = flat(texts)
        bags = sp.csr_array((np.ones(len(words), np.float32), (rows, words)), shape=(len(texts), len(self.vectors)))
        bags.sum_duplicates()
        share = np.bincount(bags.indices, minlength=len(self.vectors)) / max(1, len(texts))
        meant = _unit(bags @ (self.vectors * (_SMOOTH / (_SMOOTH + share))[:, None].astype(np.float32)))
        return _unit(meant - meant.mean(0)).astype(np.float32)


@final
@dataclass(frozen=True)
class Likeness:
    """Mean cosine of the prompts of a set, by meaning and by words, in standard deviations of random sets of as many.

    cosine, usual, spread: by meaning, that of random sets, and their standard deviation.
    """

    cosine: float
    usual: float
    spread: float
    meaning: float
    words: float


@final
@dataclass(frozen=True)
class Meaning:
    """Prompts as bags of words.

    counts: (d, v) log counts.  vectors: (v, 256) of words, the rarer the longer.  weights: (v,) inverse document frequency.
    centre, common: what all prompts share, taken out.
    """

    counts: sp.csr_array
    vectors: np.ndarray
    weights: np.ndarray
    centre: np.ndarray
    common: np.ndarray

    def likeness(self, rows: Rows, without: np.ndarray, rng: np.random.Generator) -> Likeness:
        """Of the prompts `rows`, without the words `without`."""
        some = np.sort(rng.choice(rows, _MOST, replace=False)) if len(rows) > _MOST else rows
        meant, said = self._alike(some, without)
        usual = self._moments
        spreads = [each.spread(len(some)) for each in usual]
        return Likeness(
            meant, usual[0].mean, spreads[0], (meant - usual[0].mean) / spreads[0], (said - usual[1].mean) / spreads[1]
        )

    def asked(self, rows: Rows, without: np.ndarray) -> float:
        """Mean cosine by meaning of all prompts `rows` that have a phrase, whose words `without` are taken out."""
        return mean_cosine(self._centred(self._sums[rows] - self.vectors[without].sum(0)))

    def spread(self, size: int) -> float:
        """Standard deviation of that of random sets of as many."""
        return self._moments[0].spread(size)

    @cached_property
    def _sums(self) -> np.ndarray:
        return np.asarray(self.counts @ self.vectors)

    def of(self, texts: Sequence[np.ndarray], without: np.ndarray) -> np.ndarray:
        """(n, 256) meanings of texts without some words, of length 1 or 0."""
        left = [text[~np.isin(text, without)] for text in texts]
        return self._centred(np.stack([self.vectors[text].sum(0) for text in left])) if left else np.empty((0, 256))

    def kinship(self, first: np.ndarray, second: np.ndarray) -> float:
        """Cosine between two bags of words (word numbers)."""
        one, other = (
            self._centred(self.vectors[words].sum(0)[None])[0] if len(words) else np.zeros(1) for words in (first, second)
        )
        return float(one @ other) if len(one) == len(other) else 0.0

    def _alike(self, rows: Rows, without: np.ndarray) -> tuple[float, float]:
        """Mean cosine over all pairs of prompts without some words, by meaning and by words."""
        bags = sp.csr_array(self.counts[rows])
        left = np.ones(len(self.weights), np.float32)
        left[without] = 0
        bags.data = bags.data * left[bags.indices]
        weighted = bags.data * self.weights[bags.indices]
        row = np.repeat(np.arange(len(rows)), np.diff(bags.indptr))
        lengths = np.sqrt(np.bincount(row, weighted**2, minlength=len(rows)))
        scaled = weighted / np.maximum(lengths, _TINY)[row]
        sums = np.bincount(bags.indices, scaled, minlength=len(left))
        pairs = max(1, len(rows) * (len(rows) - 1))
        return mean_cosine(self._centred(bags @ self.vectors)), float((sums @ sums - scaled @ scaled) / pairs)

    def _centred(self, vectors: np.ndarray) -> np.ndarray:
        moved = _unit(vectors) - self.centre
        return _unit(moved - np.outer(moved @ self.common, self.common))

    @cached_property
    def _moments(self) -> tuple[Moments, Moments]:
        """Of the cosine between two prompts, by meaning and by words."""
        some = np.sort(np.random.default_rng(0).permutation(self.counts.shape[0])[:_SAMPLE])
        weighted = sp.csr_array(self.counts[some])
        weighted.data = weighted.data * self.weights[weighted.indices]
        lengths = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
        said = sp.csr_array(sp.diags_array(1 / np.maximum(lengths, _TINY)) @ weighted)
        meant = self._centred(self.counts[some] @ self.vectors)
        return moments(np.asarray(meant @ meant.T)), moments((said @ said.T).toarray())


@feature(modality="instruction")
def word_vectors(spoken: Spoken, settings: Settings) -> WordVectors:
    """What each word of prompts and answers means. Raises FeatureUnavailable without the extra `text`."""
    settings.report_progress("what words mean", 0, 1)
    try:
        return WordVectors(embed(spoken.vocabulary))
    except MissingExtra as missing:
        raise FeatureUnavailable(missing.message) from missing


@feature(modality="instruction")
def prompt_meaning(spoken: Spoken, word_vectors: WordVectors) -> Meaning:
    """Foreign vectors of words, added up over prompts."""
    vectors = word_vectors.vectors
    words, rows = flat(spoken.prompts)
    n = len(spoken.rows)
    counts = sp.csr_array((np.ones(len(words), np.float32), (rows, words)), shape=(n, len(vectors)))
    counts.sum_duplicates()
    counts.data = 1 + np.log(counts.data)
    share = np.bincount(counts.indices, minlength=len(vectors)) / n
    vectors = vectors * (_SMOOTH / (_SMOOTH + share))[:, None].astype(np.float32)
    raw = _unit(counts @ vectors)
    centre = raw.mean(0)
    common = np.linalg.eigh(np.cov((raw - centre).T))[1][:, -1]
    return Meaning(counts, vectors, np.log(1 / np.maximum(share, 1 / n)), centre, common)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), _TINY))

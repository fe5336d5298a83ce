"""What prompts are about: how alike those of a set are, beside any set of as many."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

import numpy as np
import scipy.sparse as sp

from untaint.errors import FeatureUnavailable, MissingExtra
from untaint.features.graph import feature
from untaint.features.instruction_words import Spoken
from untaint.features.settings import Settings
from untaint.nets.sentences import embed
from untaint.numerics.links import mean_cosine
from untaint.numerics.runs import flat
from untaint.types import Rows

_SMOOTH = 1e-3
"""Share of texts at which a word counts half: smooth inverse frequency, Arora, Liang, Ma 2017 (a = 1e-3)."""
_MOST = 80  # prompts of a set that are compared: enough to tell any set from a random one
_DRAWS = 60  # random sets of each size


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
    _usual: dict[int, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    def likeness(self, rows: Rows, without: np.ndarray, rng: np.random.Generator) -> Likeness:
        """Of the prompts `rows`, without the words `without`."""
        some = np.sort(rng.choice(rows, _MOST, replace=False)) if len(rows) > _MOST else rows
        meant, said = self._alike(some, without)
        usual = self._random(len(some))
        means, spreads = [each.mean() for each in usual], [each.std() for each in usual]
        return Likeness(
            meant,
            float(means[0]),
            float(spreads[0]),
            float((meant - means[0]) / spreads[0]),
            float((said - means[1]) / spreads[1]),
        )

    def kinship(self, first: np.ndarray, second: np.ndarray) -> float:
        """Cosine between two bags of words (word numbers)."""
        one, other = (
            self._centred(self.vectors[words].sum(0)[None])[0] if len(words) else np.zeros(1) for words in (first, second)
        )
        return float(one @ other) if len(one) == len(other) else 0.0

    def _alike(self, rows: Rows, without: np.ndarray) -> tuple[float, float]:
        bags = sp.csr_array(self.counts[rows])
        bags.data = np.where(np.isin(bags.indices, without), 0, bags.data)
        weighted = bags.copy()
        weighted.data = bags.data * self.weights[bags.indices]
        lengths = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
        scaled = sp.csr_array(sp.diags_array(1 / np.maximum(lengths, 1e-9)) @ weighted)
        return mean_cosine(self._centred(bags @ self.vectors)), mean_cosine(scaled)

    def _centred(self, vectors: np.ndarray) -> np.ndarray:
        moved = _unit(vectors) - self.centre
        return _unit(moved - np.outer(moved @ self.common, self.common))

    def _random(self, size: int) -> tuple[np.ndarray, np.ndarray]:
        """The same of random sets, drawn the same way whenever they are asked for."""
        if size not in self._usual:
            rng = np.random.default_rng(size)
            sets = [np.sort(rng.choice(self.counts.shape[0], size, replace=False)) for _ in range(_DRAWS)]
            found = [self._alike(rows, np.empty(0, np.int64)) for rows in sets]
            self._usual[size] = np.array([meant for meant, _ in found]), np.array([said for _, said in found])
        return self._usual[size]


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
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9))

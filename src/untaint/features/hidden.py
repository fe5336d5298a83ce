"""Characters nobody sees, by text, and what the texts that hold them say to a model that has seen none of them."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from untaint.errors import MissingExtra
from untaint.features.graph import feature
from untaint.features.settings import Settings
from untaint.features.texts import Texts, judged_classes
from untaint.nets import sentences
from untaint.numerics.hidden import PLANTED, Kind, plain, signs
from untaint.numerics.words import words
from untaint.types import Labels

_LEARNED, _JUDGED = 6000, 3000
"""Texts that teach what content says, and texts that tell how often it contradicts labels: more hardly change a share."""
_FEWEST = 5  # texts with such characters: fewer are not worth a model
_STRENGTH = 3.0  # inverse regularisation, as for content
_SPREAD = 2.0  # length of the vectors of meaning beside that of words, which is 1
_LONGEST = 20_000  # characters of a text that are looked at
_CHANCE = 0.4  # content contradicts a label that is less probable than this share of chance


@final
@dataclass(frozen=True)
class HiddenSigns:
    """rows: the text of every row, "" where there is none.  found: by row, the characters of each kind in it; empty for most."""

    rows: tuple[str, ...]
    found: tuple[dict[Kind, list[str]], ...]


@final
@dataclass(frozen=True)
class Believed:
    """codes (n,): labels, -1 = none.  level: less probable labels are contradicted.

    probabilities (n, k): of every label, NaN for rows that were not judged; k = 0 for data without labels.
    """

    codes: np.ndarray
    probabilities: np.ndarray
    level: float


@feature(modality="text")
def hidden_signs(texts: Texts) -> HiddenSigns:
    """What `numerics.hidden` finds in every text."""
    return signs_of(texts.rows)


def signs_of(rows: Sequence[str]) -> HiddenSigns:
    """The same of any texts; all without a sign share one empty answer."""
    nothing: dict[Kind, list[str]] = {}
    return HiddenSigns(tuple(rows), tuple(signs(text) or nothing for text in rows))


@feature(modality="text")
def believed(hidden_signs: HiddenSigns, labels: Labels, settings: Settings) -> Believed:
    """Texts that hold such characters, and some that do not, read as a person reads them by a model taught by others of the latter.

    A model that has seen texts with such characters learns the trigger, be it a word nobody else uses or an odd piece of one.
    """
    classes = judged_classes(labels)
    found = np.full((len(labels), classes), np.nan)
    bearing = np.array([not PLANTED.isdisjoint(kinds) for kinds in hidden_signs.found], bool)
    bearers, rest = np.flatnonzero(bearing & (labels >= 0)), np.flatnonzero(~bearing & (labels >= 0))
    rest = np.random.default_rng(settings.seed).permutation(rest)
    learn = rest[: min(_LEARNED, 2 * len(rest) // 3)]
    judge = np.concatenate([bearers, rest[len(learn) :][:_JUDGED]])
    present = np.unique(labels[learn])
    if len(bearers) >= _FEWEST and len(present) > 1:
        settings.report_progress("judging texts with hidden characters", 0, 1)
        vectors = _vectors([plain(hidden_signs.rows[row][:_LONGEST]) for row in (*learn, *judge)])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # not converged to the last digit is converged enough
            model = LogisticRegression(C=_STRENGTH, max_iter=60, tol=1e-3).fit(vectors[: len(learn)], labels[learn])
        found[judge] = 0.0
        found[np.ix_(judge, present)] = model.predict_proba(vectors[len(learn) :])
    return Believed(labels, found, _CHANCE / classes)


def _vectors(rows: list[str]) -> csr_matrix:
    """Weighted words, and meaning where the extra `text` is installed."""
    counted = TfidfVectorizer(tokenizer=words, token_pattern=None, lowercase=False, min_df=2, sublinear_tf=True, dtype=np.float32)
    try:
        return csr_matrix(hstack([counted.fit_transform(rows), csr_matrix(_SPREAD * sentences.embed(rows))]))
    except MissingExtra:
        return counted.fit_transform(rows)

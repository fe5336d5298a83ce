"""What a row of a table says of its label, judged by boosted trees that have not seen it, most of them by half of the columns.

Trees cannot be made to forget a column they learned from, so many models each learn from half of the columns: those that lack a
column are judges of what it does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.special import softmax
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from untaint.errors import FeatureUnavailable
from untaint.features.cells import Cells
from untaint.features.duplicates import NearCopies
from untaint.features.graph import feature
from untaint.features.judgement import Judgement
from untaint.features.settings import Settings
from untaint.numerics.stacking import stacked
from untaint.types import Labels, Mask, Probabilities

FOLDS = 3
_WHOLE = 2  # repeats that see all columns
_HALF = 16  # that see half of them, in pairs that share none: 8 lack any one column, about 4 any two, about 2 any three
_LEARN = 20_000  # rows that one model learns from; more change little and the models differ in theirs
_LEVELS = 254  # different values of a column that are told apart: trees take 255, the last is for the rest
_CHANCE = 0.4  # content contradicts a label that is less probable than this share of chance
_FLOOR = 1e-4  # least probability that a model may say
_QUANTITY = 50  # different labels that are all numbers and more than these are a quantity, no classes
_MOST_CLASSES = 100  # one tree each in every round of boosting


@final
@dataclass(frozen=True)
class TableContent(Judgement):
    """Judgement by all columns, and what models say that lack some of them.

    names: (d,) columns, in the order of `Cells`.  uses: (m, d) bool, which columns each model learned from; the first `_WHOLE`
    models have all.  said: (m, n, k) float32 probabilities by each model from rows other than the judged one and its copies,
    NaN where the label is not known.  prior: (k,) shares of the labels.
    """

    names: tuple[str, ...]
    uses: np.ndarray
    said: np.ndarray
    prior: np.ndarray

    def lacking(self, columns: Sequence[int]) -> Mask:
        """(m,) bool: models that learned from none of these columns, and from some."""
        return np.asarray(~self.uses[:, list(columns)].any(1) & self.uses.any(1))

    def without(self, columns: Sequence[int]) -> Probabilities:
        """(n, k) what models say of each row that learned from none of these columns: softmax of their mean logarithm.

        columns: numbers of columns in the order of `names`.  NaN everywhere where no model lacks all of them (never one
        column, 1 of 250 pairs, 1 of 10 triples): not assessed.
        """
        chosen = self.lacking(columns)
        if not chosen.any():
            return np.full(self.said.shape[1:], np.nan)
        return np.asarray(softmax(np.log(self.said[chosen]).mean(0, dtype=np.float64), axis=1))


@feature(modality="table")
def content(
    cells: Cells, labels: Labels, near_copies: NearCopies, class_names: tuple[str, ...], settings: Settings
) -> TableContent:
    """Cross-fitted probabilities of every label; copies of a row never judge it."""
    _check(labels, class_names)
    classes, rows = int(labels.max()) + 1, np.flatnonzero(labels >= 0)
    values, categorical = _levels(cells)
    uses = _columns(values.shape[1], settings.seed)
    said = np.full((len(uses), len(labels), classes), np.nan, np.float32)
    with threadpool_limits(1, user_api="openmp"):  # rounds of boosting are too short to share between threads
        for number, used in enumerate(uses):
            settings.report_progress("learning what rows say", number, len(uses))
            rng = np.random.default_rng([settings.seed, number])
            fold = np.where(labels >= 0, near_copies.folds(FOLDS, settings.seed + number), -1)
            for part in range(FOLDS):
                learn, judge = np.flatnonzero((fold >= 0) & (fold != part)), np.flatnonzero(fold == part)
                learn = np.sort(rng.choice(learn, min(len(learn), _LEARN), replace=False))
                said[number, judge] = _fitted(values[:, used], categorical[used], labels, learn, judge)
    whole, half = (np.log(said[part][:, rows]).mean(0, dtype=np.float64) for part in (slice(_WHOLE), slice(_WHOLE, None)))
    scale = stacked(np.stack([whole, half]), labels[rows], np.zeros(classes))
    probabilities = np.full((len(labels), classes), np.nan)
    probabilities[rows] = softmax(scale[0] * whole + scale[1] * half, axis=1)
    own = np.full(len(labels), np.nan)
    own[rows] = probabilities[rows, labels[rows]]
    settings.report_progress("learning what rows say", len(uses), len(uses))
    prior = np.bincount(labels[rows], minlength=classes) / len(rows)
    return TableContent(own, probabilities, _CHANCE / classes, cells.names, uses, said, prior)


def _check(labels: Labels, class_names: tuple[str, ...]) -> None:
    """Raise FeatureUnavailable for labels that are a quantity, or too many to learn."""
    used = [class_names[code] for code in np.unique(labels[labels >= 0])]
    if len(used) > _QUANTITY and all(_number(name) for name in used):
        raise FeatureUnavailable(
            f"the labels are {len(used):,} different numbers, a quantity and no classes; to have them tested, put them into a few "
            "classes (low, middle, high)"
        )
    if len(used) > _MOST_CLASSES:
        raise FeatureUnavailable(f"{len(used):,} classes are too many to judge rows of a table by; at most {_MOST_CLASSES}")


def _number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True


def _columns(width: int, seed: int) -> np.ndarray:
    """(m, d) bool, which columns each model sees: all; then random halves, each followed by the other half."""
    rng = np.random.default_rng([seed, width])
    uses = np.ones((_WHOLE + _HALF, width), bool)
    for first in range(_WHOLE, len(uses), 2):
        uses[first] = rng.permutation(width) < (width + int(rng.integers(2))) // 2
        uses[first + 1] = ~uses[first]
    return uses


def _levels(cells: Cells) -> tuple[np.ndarray, np.ndarray]:
    """(n, d) float32 every column in at most 255 levels, NaN = missing, and (d,) bool which are categories without an order."""
    levels = np.full(cells.values.shape, np.nan, np.float32)
    for column, kind in enumerate(cells.kinds):
        values = cells.values[:, column]
        there = ~np.isnan(values)
        distinct, counts = np.unique(values[there], return_counts=True)
        if kind == "category":
            kept = np.sort(distinct[np.argsort(-counts, kind="stable")[:_LEVELS]])
            place = np.minimum(np.searchsorted(kept, values[there]), len(kept) - 1)
            levels[there, column] = np.where(kept[place] == values[there], place, len(kept))
        else:
            edges = (
                distinct
                if len(distinct) <= _LEVELS
                else np.unique(np.quantile(values[there], np.linspace(0, 1, _LEVELS), method="lower"))
            )
            levels[there, column] = np.searchsorted(edges, values[there])
    return levels, np.array([kind == "category" for kind in cells.kinds])


def _fitted(values: np.ndarray, categorical: np.ndarray, labels: Labels, learn: np.ndarray, judge: np.ndarray) -> np.ndarray:
    """(m, k) probabilities of the judged rows by a model of the others."""
    classes = int(labels.max()) + 1
    shares = np.bincount(labels[learn], minlength=classes) / max(1, len(learn))
    present = np.flatnonzero(shares)
    said = np.tile(shares, (len(judge), 1))
    if len(present) > 1 and values.shape[1]:
        model = HistGradientBoostingClassifier(
            max_iter=50 if classes == 2 else max(10, 100 // classes),
            learning_rate=0.1 if classes == 2 else 0.2,
            max_leaf_nodes=15,
            min_samples_leaf=int(np.clip(len(learn) // 100, 2, 20)),
            l2_regularization=5.0,
            categorical_features=categorical,
            early_stopping=False,
            random_state=0,
        ).fit(values[learn], labels[learn])
        said[:, present] = model.predict_proba(values[judge])
    said = np.maximum(said, _FLOOR)
    return np.asarray(said / said.sum(1, keepdims=True), np.float32)

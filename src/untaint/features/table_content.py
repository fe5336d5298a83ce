"""What a row of a table says of its label, judged by models that have not seen it, most of them by half of the columns.

Trees cannot be made to forget a column they learned from, so many models each learn from half of the columns: those that lack a
column are judges of what it does. What all columns say is asked of boosted trees, of a linear model and, of tables that are not
large, of a forest: they err in different rows. Models learn from a sample of a large table and judge all of it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, final

import numpy as np
from scipy.special import softmax
from sklearn.ensemble import ExtraTreesClassifier

from untaint.errors import FeatureUnavailable
from untaint.features.cells import Cells
from untaint.features.duplicates import NearCopies
from untaint.features.graph import feature
from untaint.features.judgement import Judgement
from untaint.features.quantities import is_quantity
from untaint.features.settings import Settings
from untaint.features.table_levels import TableLevels, table_levels
from untaint.numerics.additive import additive
from untaint.numerics.logarithms import normalised
from untaint.numerics.oblivious import Growth, boosted
from untaint.numerics.stacking import stacked
from untaint.types import Labels, Mask, Probabilities

Kind: TypeAlias = Literal["whole", "half", "linear", "forest"]
_WHOLE = 2  # repeats that see all columns
_HALF = 16  # that see half of them, in pairs that share none: 8 lack any one column, about 4 any two, about 2 any three
_OTHERS: tuple[Kind, Kind] = ("linear", "forest")
_FOLDS: Mapping[Kind, int] = {"whole": 4, "half": 3, "linear": 4, "forest": 4}
"""Parts of the rows that are judged by models of the rest; two of a large table, where half is more than models learn from."""
_LEARN: Mapping[Kind, int] = {"whole": 10_000, "half": 5_000, "linear": 10_000, "forest": 10_000}
"""Rows that one model learns from; more change little and the models differ in theirs."""
_GROWTH: Mapping[Kind, Growth] = {"whole": Growth(60, 6, 0.15), "half": Growth(30, 5, 0.25, rows=1000)}
"""Trees of models that are asked what columns say, and of those of which always several are asked together."""
_FOREST = 60  # trees; more hardly help beside the other judges
_MANY = 50_000  # rows from which the forest is not asked: it takes as long as all the others
_FEW = 20  # rows of a class in a sample of a large table, if it has them
_CHANCE = 0.4  # content contradicts a label that is less probable than this share of chance
_LEAST = float(np.log(1e-4))  # of what a model may say
_MOST_CLASSES = 100  # each has a column of probabilities by every model


@final
@dataclass(frozen=True)
class TableContent(Judgement):
    """Judgement by all columns, and what models say that lack some of them.

    names: (d,) columns, in the order of `Cells`.  uses: (m, d) bool, which columns each model learned from; the first `_WHOLE`
    models have all.  said: (m, n, k) float32 probabilities by each model from rows other than the judged one and its copies,
    NaN where the label is not known.  prior: (k,) shares of the labels.  levels: of every cell.
    """

    names: tuple[str, ...]
    uses: np.ndarray
    said: np.ndarray
    prior: np.ndarray
    levels: TableLevels | None = None

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
    table = Taught(table_levels(cells), labels, int(labels.max()) + 1, near_copies.family, settings.seed)
    uses = _columns(cells.values.shape[1], settings.seed)
    said = np.empty((len(uses), len(labels), table.classes), np.float32)
    for number, used in enumerate(uses):
        settings.report_progress("learning what rows say", number, len(uses) + 2)
        said[number] = table.judged(number, "whole" if number < _WHOLE else "half", np.flatnonzero(used))
    judges = [said[:_WHOLE].mean(0), said[_WHOLE:].mean(0)]
    for number, kind in enumerate(_OTHERS, len(uses)):
        settings.report_progress("learning what rows say", number, len(uses) + 2)
        if kind == "linear" or len(labels) <= _MANY:
            judges.append(table.judged(number, kind, np.arange(uses.shape[1])))
    probabilities = _together(judges, labels, settings.seed)
    own = np.where(labels >= 0, probabilities[np.arange(len(labels)), np.maximum(labels, 0)], np.nan)
    settings.report_progress("learning what rows say", len(uses) + 2, len(uses) + 2)
    prior = np.bincount(labels[labels >= 0], minlength=table.classes) / (labels >= 0).sum()
    return TableContent(
        own, probabilities, _CHANCE / table.classes, cells.names, uses, np.exp(said, out=said), prior, table.levels
    )


def _together(judges: list[np.ndarray], labels: Labels, seed: int) -> Probabilities:
    """(n, k) what judges say together, each trusted as far as it explains the labels."""
    known = np.flatnonzero(labels >= 0)
    asked = np.random.default_rng(seed).permutation(known)[: _LEARN["whole"]]
    trust = stacked(np.stack([each[asked] for each in judges]).astype(np.float64), labels[asked], np.zeros(judges[0].shape[1]))
    probabilities = np.full(judges[0].shape, np.nan)
    logits = sum(float(factor) * each[known] for factor, each in zip(trust, judges, strict=True))
    probabilities[known] = np.exp(normalised(np.asarray(logits, np.float64)))
    return probabilities


@final
@dataclass(frozen=True)
class Taught:
    """Rows to learn from and to judge, of a table in levels."""

    levels: TableLevels
    labels: Labels
    classes: int
    family: np.ndarray
    seed: int

    def judged(self, number: int, kind: Kind, columns: np.ndarray) -> np.ndarray:
        """(n, k) float32 logarithms of probabilities by models of other rows and of some columns; NaN where no label is known."""
        rng, known = np.random.default_rng([self.seed, number]), self.labels >= 0
        folds = _FOLDS[kind] if len(self.labels) <= _MANY else 2
        fold = np.where(known, rng.integers(0, folds, int(self.family.max(initial=0)) + 1)[self.family], -1)
        said = np.full((len(self.labels), self.classes), np.nan, np.float32)
        codes = self.levels.codes if len(columns) == self.levels.codes.shape[1] else self.levels.codes[:, columns]
        for part in range(folds):
            rows = np.flatnonzero(fold == part)
            said[rows] = self._fitted(kind, columns, codes, np.flatnonzero(known & (fold != part)), rows, rng)
        return said

    def _fitted(
        self, kind: Kind, columns: np.ndarray, codes: np.ndarray, learn: np.ndarray, judge: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """(m, k) of the judged rows, with the shares of classes in the sample put right."""
        counts = np.bincount(self.labels[learn], minlength=self.classes)
        learn = _sample(self.labels, learn, counts, _LEARN[kind], rng)
        present, labels = np.unique(self.labels[learn], return_inverse=True)
        said = np.full((len(judge), self.classes), _LEAST, np.float32)
        if len(present) == 1 or len(columns) == 0:
            said[:, present] = np.log(counts[present] / counts.sum())
            return np.maximum(said, _LEAST)
        model = self._model(kind, columns, codes[learn], labels, rng)
        said[:, present] = model(codes[judge])
        if len(learn) < counts.sum():
            said[:, present] += np.log(counts[present] / counts.sum() / np.bincount(labels) * len(labels))
            said = normalised(said)
        return np.maximum(said, _LEAST)

    def _model(
        self, kind: Kind, columns: np.ndarray, codes: np.ndarray, labels: Labels, rng: np.random.Generator
    ) -> Callable[[np.ndarray], np.ndarray]:
        """Logarithms of probabilities of rows in levels."""
        if kind == "linear":
            return additive(codes, [self.levels.places[column] for column in columns], labels).logarithms
        if kind in _GROWTH:
            return boosted(codes, self.levels.unordered[columns], labels, int(labels.max()) + 1, _GROWTH[kind], rng).logarithms
        forest = ExtraTreesClassifier(_FOREST, min_samples_leaf=2, random_state=int(rng.integers(2**31))).fit(codes, labels)
        return lambda rows: np.log(np.maximum(forest.predict_proba(rows), np.exp(_LEAST)))


def _sample(labels: Labels, rows: np.ndarray, counts: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """At most about so many rows, of each class as many as it has of all, but of small classes a few at least."""
    if len(rows) <= most:
        return rows
    kept = np.minimum(counts, np.maximum(np.ceil(counts * most / len(rows)), _FEW)).astype(np.int64)
    mixed = rng.permutation(rows)
    ordered = mixed[np.argsort(labels[mixed], kind="stable")]
    place = np.arange(len(ordered)) - (np.cumsum(counts) - counts)[labels[ordered]]
    return np.sort(ordered[place < kept[labels[ordered]]])


def _check(labels: Labels, class_names: tuple[str, ...]) -> None:
    """Raise FeatureUnavailable for labels that are a quantity, or too many to learn."""
    used = [class_names[code] for code in np.unique(labels[labels >= 0])]
    if is_quantity(used):
        raise FeatureUnavailable(
            f"the labels are {len(used):,} different numbers, a quantity and no classes; to have them tested, put them into a few "
            "classes (low, middle, high)"
        )
    if len(used) > _MOST_CLASSES:
        raise FeatureUnavailable(f"{len(used):,} classes are too many to judge rows of a table by; at most {_MOST_CLASSES}")


def _columns(width: int, seed: int) -> np.ndarray:
    """(m, d) bool, which columns each model sees: all; then random halves, each followed by the other half."""
    rng = np.random.default_rng([seed, width])
    uses = np.ones((_WHOLE + _HALF, width), bool)
    for first in range(_WHOLE, len(uses), 2):
        uses[first] = rng.permutation(width) < (width + int(rng.integers(2))) // 2
        uses[first + 1] = ~uses[first]
    return uses

"""What leaving out a few rows does to small models of a table: measured, since a far value need not do any harm."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np
from scipy.special import softmax
from scipy.stats import binomtest
from sklearn.linear_model import RidgeClassifier

from untaint.features.cells import Cells
from untaint.types import Labels, Rows

_HALF = 2_000  # rows to learn from, and as many others to judge: one in a hundred more right is then beyond chance
_WIDEST = 300  # columns that are used, those of the rows in question among them
_WORDS = 8  # of a category, the most frequent, that get a column
_STEPS, _RATE, _BATCH = 600, 0.1, 16  # of plain gradient descent; a learning rate that is common and stable on scaled numbers

Scaling: TypeAlias = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Where the zero and the unit of each column are put, from the rows learned from."""


@final
@dataclass(frozen=True)
class Effect:
    """before, after: accuracy on other rows with the rows and without.  p_value: exact McNemar test, corrected for the models tried.

    model: the one that gains most, in words.
    """

    before: float
    after: float
    p_value: float
    model: str

    @property
    def gain(self) -> float:
        """What leaving the rows out is worth."""
        return self.after - self.before


def leave_out(cells: Cells, labels: Labels, rows: Rows, columns: Sequence[int], seed: int) -> Effect:
    """The accuracy of linear models that learn with some rows and without them, judged on rows neither learned from.

    rows: those in question, labelled.  columns: the ones in which they are far from all others.
    Numbers are scaled the ways people scale them: by mean and deviation, by smallest and largest, by median and quartiles.
    """
    rng = np.random.default_rng(seed)
    others = rng.permutation(np.setdiff1d(np.flatnonzero(labels >= 0), rows))
    half = min(_HALF, len(others) // 2)
    learn, judge = np.concatenate([rows, others[:half]]), others[half : 2 * half]
    values = _matrix(cells, np.concatenate([learn, judge]), columns, rng)
    place = rng.permutation(len(learn))  # those in question come anywhere in training
    kept = place[place >= len(rows)]
    found = []
    for name, scale, fit in _MODELS:
        right = []
        for used in (place, kept):
            zero, unit = scale(values[used])
            scaled = (values - zero) / np.where(unit > 0, unit, 1.0)
            said = fit(scaled[used], labels[learn[used]], scaled[len(learn) :], seed)
            right.append(said == labels[judge])
        better, worse = int((right[1] & ~right[0]).sum()), int((right[0] & ~right[1]).sum())
        p_value = float(binomtest(better, better + worse, alternative="greater").pvalue) if better else 1.0
        found.append(Effect(float(right[0].mean()), float(right[1].mean()), min(1.0, p_value * len(_MODELS)), name))
    return max(found, key=lambda effect: effect.gain)


def _matrix(cells: Cells, rows: Rows, columns: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """(m, d) numbers: columns of numbers with the median for what is missing, the most frequent words of categories as 0 and 1."""
    order = rng.permutation(len(cells.names))
    chosen = [*columns, *(column for column in order.tolist() if column not in set(columns))]
    parts: list[np.ndarray] = []
    for column in chosen[:_WIDEST]:
        values = cells.values[rows, column]
        there = ~np.isnan(values)
        if cells.kinds[column] == "number":
            parts.append(np.where(there, values, np.median(values[there]) if there.any() else 0.0))
        else:
            words, counts = np.unique(values[there], return_counts=True)
            parts.extend((values == word).astype(float) for word in words[np.argsort(-counts, kind="stable")[:_WORDS]])
    return np.stack(parts, axis=1)


def _standard(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return values.mean(0), values.std(0)


def _range(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return values.min(0), np.ptp(values, axis=0)


def _quartiles(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75), axis=0)
    return middle, high - low


def _ridge(values: np.ndarray, labels: Labels, judged: np.ndarray, _seed: int) -> np.ndarray:
    return np.asarray(RidgeClassifier(alpha=1.0).fit(values, labels).predict(judged))


def _descent(values: np.ndarray, labels: Labels, judged: np.ndarray, seed: int) -> np.ndarray:
    """Softmax regression by plain gradient descent in small batches, as the last layer of a network is trained."""
    rng = np.random.default_rng(seed)
    classes, codes = np.unique(labels, return_inverse=True)
    weights = np.zeros((values.shape[1] + 1, len(classes)))
    inputs, asked = (np.column_stack([part, np.ones(len(part))]) for part in (values, judged))
    wanted = np.eye(len(classes))[codes]
    turns = np.concatenate([rng.permutation(len(inputs)) for _ in range(1 + _STEPS * _BATCH // len(inputs))])
    for step in range(_STEPS):
        batch = turns[step * _BATCH : (step + 1) * _BATCH]
        off = softmax(inputs[batch] @ weights, axis=1) - wanted[batch]
        weights -= _RATE / len(batch) * inputs[batch].T @ off
    return np.asarray(classes[(asked @ weights).argmax(1)])


_MODELS: tuple[tuple[str, Scaling, Callable[..., np.ndarray]], ...] = (
    ("least squares on numbers scaled by mean and deviation", _standard, _ridge),
    ("gradient descent on numbers scaled by mean and deviation", _standard, _descent),
    ("gradient descent on numbers scaled by smallest and largest", _range, _descent),
    ("gradient descent on numbers scaled by median and quartiles", _quartiles, _descent),
)

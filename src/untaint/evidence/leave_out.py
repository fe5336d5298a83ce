"""What leaving out a few rows does to small models of a table: measured, since a far value need not do any harm."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias, final

import numpy as np
from jaxtyping import Float
from scipy.special import softmax
from scipy.stats import binomtest
from sklearn.linear_model import Ridge, RidgeClassifier

from untaint.features.cells import Cells
from untaint.numerics.perceptron import Perceptron
from untaint.types import Labels, Rows

_HALF = 2_000  # rows to learn from, and as many others to judge: one in a hundred more right is then beyond chance
_WIDEST = 300  # columns that are used, those of the rows in question among them
_WORDS = 8  # of a category, the most frequent, that get a column
_STEPS, _RATE, _BATCH = 600, 0.1, 16  # of plain gradient descent; a learning rate that is common and stable on scaled numbers

Amounts: TypeAlias = Float[np.ndarray, "n"]
"""A quantity in place of labels, NaN = none."""
Scaling: TypeAlias = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Where the zero and the unit of each column are put, from the rows learned from."""


@final
@dataclass(frozen=True)
class Effect:
    """before, after: accuracy on other rows with the rows and without.  p_value: exact paired test, corrected for the models tried.

    model: the one that gains most, in words.  Of a quantity the accuracy is what a model explains: one minus its median error
    by the error of who always says the median, 0 at least; and the test is of how many rows it comes closer to (a sign test).
    """

    before: float
    after: float
    p_value: float
    model: str

    @property
    def gain(self) -> float:
        """What leaving the rows out is worth."""
        return self.after - self.before


def leave_out(
    cells: Cells, labels: Labels | Amounts, rows: Rows, columns: Sequence[int], seed: int, network: Perceptron | None = None
) -> tuple[Effect, ...]:
    """The accuracy of models that learn with some rows and without them, judged on rows neither learned from.

    Of linear models the one that gains most, and of networks, where one is given.

    labels: codes, -1 = none; or a quantity (n,) float, NaN = none.  rows: those in question, labelled.
    columns: the ones in which they are far from all others.
    Numbers are scaled the ways people scale them: by mean and deviation, by smallest and largest, by median and quartiles.
    """
    rng = np.random.default_rng(seed)
    quantity = labels.dtype.kind == "f"
    known = ~np.isnan(labels) if quantity else labels >= 0
    others = rng.permutation(np.setdiff1d(np.flatnonzero(known), rows, assume_unique=True))
    half = min(_HALF, len(others) // 2)
    learn, judge = np.concatenate([rows, others[:half]]), others[half : 2 * half]
    values = _matrix(cells, np.concatenate([learn, judge]), columns, rng)
    place = rng.permutation(len(learn))  # those in question come anywhere in training
    kept = place[place >= len(rows)]
    linear = _OF_QUANTITIES if quantity else _OF_CLASSES
    families = [linear] if network is None else [linear, _networks(network, quantity=quantity)]

    def measured(model: Model) -> Effect:
        name, scale, fit = model
        said = []
        for used in (place, kept):
            zero, unit = scale(values[used])
            scaled = (values - zero) / np.where(unit > 0, unit, 1.0)
            said.append(fit(scaled[used], labels[learn[used]], scaled[len(learn) :], seed))
        compare = _closer if quantity else _more_right
        return compare(said[0], said[1], labels[judge], name, sum(map(len, families)))

    return tuple(max(map(measured, family), key=lambda effect: effect.gain) for family in families)


def _more_right(before: np.ndarray, after: np.ndarray, labels: Labels, name: str, tried: int) -> Effect:
    wrong, right = before == labels, after == labels
    p_value = _chance(int((right & ~wrong).sum()), int((wrong & ~right).sum()), tried)
    return Effect(float(wrong.mean()), float(right.mean()), p_value, name)


def _closer(before: np.ndarray, after: np.ndarray, amounts: Amounts, name: str, tried: int) -> Effect:
    off = [np.nan_to_num(np.abs(said - amounts), nan=np.inf) for said in (before, after)]
    p_value = _chance(int((off[1] < off[0]).sum()), int((off[1] > off[0]).sum()), tried)
    usual = float(np.median(np.abs(amounts - np.median(amounts)))) or 1.0
    explained = [max(0.0, 1 - float(np.median(each)) / usual) for each in off]
    return Effect(explained[0], explained[1], p_value, name)


def _chance(better: int, worse: int, tried: int) -> float:
    return min(1.0, tried * float(binomtest(better, better + worse, alternative="greater").pvalue)) if better else 1.0


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
    classes, codes = np.unique(labels, return_inverse=True)
    inputs, asked = (np.column_stack([part, np.ones(len(part))]) for part in (values, judged))
    return np.asarray(classes[(asked @ _trained(inputs, np.eye(len(classes))[codes], _by_row, seed)).argmax(1)])


def _line(values: np.ndarray, amounts: Amounts, judged: np.ndarray, _seed: int) -> np.ndarray:
    return np.asarray(Ridge(alpha=1.0).fit(values, amounts).predict(judged))


def _descent_line(values: np.ndarray, amounts: Amounts, judged: np.ndarray, seed: int) -> np.ndarray:
    """Linear regression by plain gradient descent on amounts of mean 0 and deviation 1; what it diverges to is infinitely wrong."""
    mean, unit = amounts.mean(), amounts.std() or 1.0
    inputs, asked = (np.column_stack([part, np.ones(len(part))]) for part in (values, judged))
    with np.errstate(over="ignore", invalid="ignore"):
        weights = _trained(inputs, ((amounts - mean) / unit)[:, None], lambda said: said, seed)
        return np.asarray((asked @ weights)[:, 0] * unit + mean)


def _network(network: Perceptron, values: np.ndarray, labels: Labels, judged: np.ndarray, _seed: int) -> np.ndarray:
    classes, codes = np.unique(labels, return_inverse=True)
    return np.asarray(classes[network.outputs(values, np.eye(len(classes))[codes], _by_row, judged).argmax(1)])


def _network_line(network: Perceptron, values: np.ndarray, amounts: Amounts, judged: np.ndarray, _seed: int) -> np.ndarray:
    mean, unit = amounts.mean(), amounts.std() or 1.0
    said = network.outputs(values, ((amounts - mean) / unit)[:, None], lambda said: said, judged)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(said[:, 0] * unit + mean)


def _by_row(said: np.ndarray) -> np.ndarray:
    return np.asarray(softmax(said, axis=1))


def _trained(inputs: np.ndarray, wanted: np.ndarray, link: Callable[[np.ndarray], np.ndarray], seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    weights = np.zeros((inputs.shape[1], wanted.shape[1]))
    turns = np.concatenate([rng.permutation(len(inputs)) for _ in range(1 + _STEPS * _BATCH // len(inputs))])
    for step in range(_STEPS):
        batch = turns[step * _BATCH : (step + 1) * _BATCH]
        weights -= _RATE / len(batch) * inputs[batch].T @ (link(inputs[batch] @ weights) - wanted[batch])
    return weights


Model: TypeAlias = tuple[str, Scaling, Callable[..., np.ndarray]]
_SCALINGS: tuple[tuple[str, Scaling], ...] = (
    ("mean and deviation", _standard),
    ("smallest and largest", _range),
    ("median and quartiles", _quartiles),
)
_OF_CLASSES: tuple[Model, ...] = (
    ("least squares on numbers scaled by mean and deviation", _standard, _ridge),
    *((f"gradient descent on numbers scaled by {how}", scale, _descent) for how, scale in _SCALINGS),
)
_OF_QUANTITIES: tuple[Model, ...] = (
    ("least squares on numbers scaled by mean and deviation", _standard, _line),
    *((f"gradient descent on numbers scaled by {how}", scale, _descent_line) for how, scale in _SCALINGS),
)


def _networks(network: Perceptron, *, quantity: bool) -> tuple[Model, ...]:
    fit = partial(_network_line if quantity else _network, network)
    return tuple((f"a small network on numbers scaled by {how}", scale, fit) for how, scale in _SCALINGS)

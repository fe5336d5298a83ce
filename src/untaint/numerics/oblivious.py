"""Boosted trees that ask the same question of all rows at each level: as good as others, and read by whole columns at once.

A tree of five levels is five comparisons of a column with a number, whose answers are the place of a leaf: 200,000 rows take
half a millisecond, a tenth of what a walk from node to node takes. Classes share a tree, whose leaves have a value for each.
"""

from dataclasses import dataclass
from typing import NamedTuple, final

import numpy as np
from scipy.special import expit, softmax

from untaint.numerics.logarithms import normalised
from untaint.types import Labels

LEVELS = 64
"""Different values of a column that are told apart; 0 is for missing ones."""
_CHUNK = 16_384  # rows read at a time: their scores stay in the processor's cache
_FEWEST = 5  # rows of the sample on either side of a question, for it to count in a leaf
_RIDGE = 3.0  # added to the curvature of each leaf: few rows say little
_STEEPEST = 3.0  # of a leaf's value before it is shrunk: one row alone in its class must not say everything


@final
@dataclass(frozen=True)
class Growth:
    """How trees grow. depth: questions of a tree.  rate: what is taken of its values.  rows: that its questions are chosen on.

    share: of the columns, drawn for each tree.
    """

    trees: int
    depth: int
    rate: float
    rows: int = 1500
    share: float = 0.5


class Question(NamedTuple):
    """Is the level of a column at most `level`; for words without an order: is it this one."""

    column: int
    level: int
    equal: bool


@final
@dataclass(frozen=True)
class Boosted:
    """start: (o,) scores of a row of which nothing is known; o = 1 for two classes, else one per class.

    trees: questions, and (2 ** depth, o) values.
    """

    start: np.ndarray
    trees: tuple[tuple[tuple[Question, ...], np.ndarray], ...]

    def logarithms(self, levels: np.ndarray) -> np.ndarray:
        """(n, k) float32 logarithms of the probability of every class. levels: (n, d) as learned from."""
        scores = np.empty((len(levels), len(self.start)), np.float32)
        for first in range(0, len(levels), _CHUNK):
            part = levels[first : first + _CHUNK]
            rows = scores[first : first + _CHUNK]
            rows[:] = self.start
            for questions, values in self.trees:
                rows += values[_leaves(part, questions)]
        both = np.hstack([np.zeros_like(scores), scores]) if len(self.start) == 1 else scores
        return normalised(both)


def boosted(
    levels: np.ndarray, unordered: np.ndarray, labels: Labels, classes: int, growth: Growth, rng: np.random.Generator
) -> Boosted:
    """Learn classes 0 to k - 1 of rows (n,) from (n, d) uint8 levels below `LEVELS`. unordered: (d,) bool, words.

    Each tree's questions are chosen on a sample of the rows, of several classes by their gradient in one random direction
    (Iosipoi, Vakhrushev 2022, arXiv 2211.12858, sec. 3.2); its values are Newton steps on all rows, one for each class.
    """
    wanted = (labels[:, None] == np.arange(classes)).astype(np.float32)
    shares = (wanted.sum(0) + 0.5) / (len(labels) + 0.5 * classes)
    start = np.log(shares).astype(np.float32)
    if classes == 2:  # the odds say all
        wanted, start = wanted[:, 1:], start[1:] - start[:1]
    scores, trees = np.tile(start, (len(labels), 1)), []
    for _ in range(growth.trees):
        believed = expit(scores) if classes == 2 else softmax(scores, axis=1)
        gradient, curvature = wanted - believed, believed * (1 - believed)
        columns = np.sort(rng.permutation(levels.shape[1])[: max(1, round(growth.share * levels.shape[1]))])
        rows = rng.permutation(len(labels))[: growth.rows]
        side = gradient[rows, 0] if len(start) == 1 else gradient[rows] @ rng.normal(size=classes).astype(np.float32)
        ridge = np.float32(_RIDGE / max(float(curvature[rows].sum(1).mean()), 0.01))
        found = _questions(levels[np.ix_(rows, columns)], unordered[columns], side, ridge, growth.depth)
        questions = tuple(each._replace(column=int(columns[each.column])) for each in found)
        leaves = _leaves(levels, questions)
        values = _values(leaves, gradient, curvature, growth)
        scores += values[leaves]
        trees.append((questions, values))
    return Boosted(start, tuple(trees))


def _leaves(levels: np.ndarray, questions: tuple[Question, ...]) -> np.ndarray:
    """(n,) uint8 leaf of every row."""
    place = np.zeros(len(levels), np.uint8)
    for column, level, equal in questions:
        place <<= 1
        place |= ((levels[:, column] == level) if equal else (levels[:, column] <= level)).view(np.uint8)
    return place


def _values(leaves: np.ndarray, gradient: np.ndarray, curvature: np.ndarray, growth: Growth) -> np.ndarray:
    """(2 ** depth, o) shrunken Newton steps."""
    count, outputs = 2**growth.depth, gradient.shape[1]
    pushed, curved = (
        np.stack([np.bincount(leaves, each[:, column], count) for column in range(outputs)], axis=1)
        for each in (gradient, curvature)
    )
    steps = pushed / (curved + _RIDGE / max(1.0, outputs / 2))
    return np.asarray(growth.rate * np.clip(steps, -_STEEPEST, _STEEPEST), np.float32)


def _questions(levels: np.ndarray, unordered: np.ndarray, side: np.ndarray, ridge: np.float32, depth: int) -> list[Question]:
    """One after the other, each the best for all leaves together. side: (m,) gradients; columns are those of `levels`."""
    rows, width = levels.shape
    base = levels.astype(np.int64) + np.arange(width) * LEVELS
    leaves, asked = np.zeros(rows, np.int64), []

    def counted(part: np.ndarray, count: int) -> np.ndarray:
        """(2, leaves, d, LEVELS) sums of gradients, and rows."""
        cells = (base[part] + (leaves[part] * (width * LEVELS))[:, None]).ravel()
        size = count * width * LEVELS
        sums = np.empty((2, size), np.float32)
        sums[0], sums[1] = np.bincount(cells, np.repeat(side[part], width), size), np.bincount(cells, minlength=size)
        return sums.reshape(2, count, width, LEVELS)

    held = counted(np.arange(rows), 1)
    for level in range(depth):
        column, at = divmod(int(_gains(held, unordered, ridge).argmax()), LEVELS)
        question = Question(column, at, bool(unordered[column]))
        yes = _leaves(levels, (question,)).astype(bool)
        asked.append(question)
        if level < depth - 1:  # the smaller side is counted, the other is the rest
            few = 2 * int(yes.sum()) <= rows
            smaller = counted(np.flatnonzero(yes if few else ~yes), 2**level)
            sides = (held - smaller, smaller) if few else (smaller, held - smaller)
            held = np.stack(sides, axis=2).reshape(2, 2 ** (level + 1), width, LEVELS)
            leaves = 2 * leaves + yes
    return asked


def _gains(held: np.ndarray, unordered: np.ndarray, ridge: np.float32) -> np.ndarray:
    """(d, LEVELS) what each question explains of the gradients, over all leaves; leaves it leaves whole count as they are."""
    yes = np.cumsum(held, axis=3, dtype=np.float32)
    whole = yes[..., -1:].copy()
    yes[:, :, unordered] = held[:, :, unordered]
    no = whole - yes
    split = yes[0] * yes[0] / (yes[1] + ridge) + no[0] * no[0] / (no[1] + ridge)
    enough = np.minimum(yes[1], no[1]) >= _FEWEST
    return np.asarray(np.where(enough, split, whole[0] * whole[0] / (whole[1] + ridge)).sum(0))

"""What is learned of all references but one fold, and how surprising the inputs of that fold, or new ones, then are."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from untaint.guard.signs.base import Learned, Measured, Sign
from untaint.numerics.usual import Usual, usual
from untaint.types import Labels, Rows, Scores

Measures = Mapping[str, Measured]
"""What each sign took down, by the sign's id."""


@final
@dataclass(frozen=True)
class Surprise:
    """How surprising inputs are.

    total: what the signs say together.  top, sign: the most surprising of them, and which it is, as a place in a list of signs.
    Numbers (n,), -1 = no sign.
    """

    total: Scores
    top: Scores
    sign: np.ndarray

    def plus(self, other: "Surprise", rows: Rows) -> "Surprise":
        """Some of the inputs with what a second stage says of them: its most surprising sign is added.

        Signs that compare with references see one thing in several ways and are added up (Fisher 1925); those that ask the model again
        each answer to attacks of their own, and most of them say nothing: of them the most surprising counts.
        """
        total, top, sign = self.total.copy(), self.top.copy(), self.sign.copy()
        total[rows] += other.top
        more = other.top > top[rows]
        top[rows[more]], sign[rows[more]] = other.top[more], other.sign[more]
        return Surprise(total, top, sign)


@final
@dataclass(frozen=True)
class Fold:
    """learned, usual: by sign, of the references outside the fold.  first, total: of those in it, after stage 1 and after both."""

    learned: Mapping[str, Learned]
    usual: Mapping[str, Usual]
    first: Scores
    total: Scores

    def of(self, signs: Sequence[Sign], measures: Measures, said: Labels, rows: Rows) -> Surprise:
        """How surprising some of the inputs are, by those of the signs that took something down."""
        found = {}
        for at, sign in enumerate(signs):
            if sign.id in measures:
                numbers = sign.compare(_only(measures[sign.id], rows), said[rows], self.learned[sign.id])
                found[at] = self.usual[sign.id].surprise(numbers, said[rows])
        return _together(found, len(rows), {at for at, sign in enumerate(signs) if sign.passes})


def _together(each: Mapping[int, np.ndarray], n: int, asking: Collection[int]) -> Surprise:
    """asking: signs that ask the model again; of those the most surprising counts."""
    total, top, which, asked = np.zeros(n), np.zeros(n), np.full(n, -1), np.zeros(n)
    for at, columns in each.items():
        own = np.where(np.isnan(columns), 0, columns).max(1)
        which[own > top] = at
        top = np.maximum(top, own)
        if at in asking:
            asked = np.maximum(asked, own)
        else:
            total = total + own
    return Surprise(total + asked, top, which)


@final
@dataclass(frozen=True)
class Plan:
    """How references are used. signs: all.  early: ids of those asked about every input.  held: rows of each fold.

    gate: share of the inputs, the most surprising ones, that the rest of the signs are asked about.
    """

    signs: Sequence[Sign]
    early: frozenset[str]
    held: Sequence[Rows]
    gate: float


def folded(plan: Plan, measures: Measures, said: Labels, classes: int) -> list[Fold]:
    """Learn from references fold by fold.

    Numbers of the references come from what was learned without them, and so does what is usual of these numbers.
    """
    signs, held, everyone = plan.signs, plan.held, np.arange(len(said))
    others = [np.setdiff1d(everyone, rows) for rows in held]
    learned = [{sign.id: sign.learn(_only(measures[sign.id], rows), said[rows], classes) for sign in signs} for rows in others]
    usuals: list[dict[str, Usual]] = [{} for _ in held]
    for sign in signs:
        numbers = _out_of_fold(sign, measures[sign.id], said, held, [each[sign.id] for each in learned])
        both, within = (np.resize(np.array(each), numbers.shape[1]) for each in (sign.both, sign.within))
        for kept, rows in zip(usuals, others, strict=True):
            kept[sign.id] = usual(numbers[rows], said[rows], classes, both, within)
    bare = [Fold(*each, np.empty(0), np.empty(0)) for each in zip(learned, usuals, strict=True)]
    early, late = ({name: each for name, each in measures.items() if (name in plan.early) == now} for now in (True, False))
    firsts = [fold.of(signs, early, said, rows) for fold, rows in zip(bare, held, strict=True)]
    least = np.quantile(np.concatenate([first.total for first in firsts]), 1 - plan.gate)
    folds = []
    for fold, first, rows in zip(bare, firsts, held, strict=True):
        again = np.flatnonzero(first.total >= least)
        both_stages = first.plus(fold.of(signs, late, said, rows[again]), again)
        folds.append(Fold(fold.learned, fold.usual, first.total, both_stages.total))
    return folds


def _out_of_fold(sign: Sign, measured: Measured, said: Labels, held: Sequence[Rows], learned: Sequence[Learned]) -> np.ndarray:
    parts = [sign.compare(_only(measured, rows), said[rows], each) for rows, each in zip(held, learned, strict=True)]
    numbers = np.empty((len(said), parts[0].shape[1]))
    for rows, part in zip(held, parts, strict=True):
        numbers[rows] = part
    return numbers


def _only(measured: Measured, rows: Rows) -> Measured:
    return tuple(each[rows] for each in measured)

"""How much an inversion shows: can the class be recognised, was a training sample learned by heart, who was in the training set."""

from dataclasses import dataclass, field
from typing import final

import numpy as np
from scipy.spatial.distance import cdist

from untaint.attacks.inversion.judge import Judge, judge_of
from untaint.attacks.inversion.oracle import Outlet
from untaint.attacks.inversion.recover import Recovered
from untaint.errors import BadInput
from untaint.nets.subject import Reference, Subject
from untaint.numerics.nearness import Advantage, Group, Nearness, advantage, nearness
from untaint.types import Labels

_EACH = (
    400  # rows of a class compared with, seen and unseen each: enough for a nearest one, few enough for 999 exchanges of names
)
_FEWEST = 10  # rows of a class under which a nearest one says nothing
_ASKED = 4000  # rows of each kind whose losses are compared: the advantage is then known to about .02


@final
@dataclass(frozen=True)
class Fresh:
    """Data the model never saw, cut in two: one half makes the judge, the other is what training rows are compared with."""

    judge: Judge
    compared: Reference


@final
@dataclass(frozen=True)
class ClassExposure:
    """One class. recognised: share of its inverted inputs the judge names.  confidence: mean probability the judge gives the class.

    best: number of the inverted input the judge is surest of.  nearest: row among the training inputs most like that one.
    """

    name: str
    recognised: float
    confidence: float
    best: int
    nearest: int


@final
@dataclass(frozen=True)
class Exposure:
    """What an inversion gives away. recognised, confidence: over all inverted inputs; chance: what a guess would have.

    found: share of the classes for which there is an input at all.  nearness: to training rows against others; a class prototype is as
    near to both.  membership: how well the loss tells who was trained on.  NaN = there was nothing fresh to compare with.
    """

    classes: tuple[ClassExposure, ...]
    recognised: float
    confidence: float
    chance: float
    found: float
    judge_accuracy: float
    nearness: Nearness
    membership: Advantage
    notes: tuple[str, ...] = field(default=())


def fresh_of(reference: Reference, seed: int) -> Fresh:
    """Fresh data in two halves. Raises BadInput for too few."""
    if len(reference.labels) < 2 * _FEWEST:
        raise BadInput(f"{len(reference.labels)} fresh rows are too few to make a judge of.", advice="Give some hundreds.")
    order = np.random.default_rng(seed).permutation(len(reference.labels))
    first, second = np.array_split(order, 2)
    judge = judge_of(reference.inputs[first], reference.labels[first], len(reference.classes), seed)
    return Fresh(judge, Reference(reference.inputs[second], reference.labels[second], reference.classes))


def judged_by_members(seen: Reference, seed: int) -> Judge:
    """A judge made of the training rows themselves, for want of others."""
    return judge_of(seen.inputs, seen.labels, len(seen.classes), seed)


def exposure(
    subject: Subject, recovered: Recovered, seen: Reference, fresh: Fresh | None, outlet: Outlet, *, seed: int = 0
) -> Exposure:
    """Score what was recovered.

    seen: rows the model was trained on.  fresh: None = the judge is made of the training rows, and nothing can be said of memory and
    membership.  outlet: how the model's answers leave the house, for membership.
    """
    rng = np.random.default_rng(seed)
    judge = judged_by_members(seen, seed) if fresh is None else fresh.judge
    shares = judge.probabilities(recovered.inputs)
    right, sure = shares.argmax(1) == recovered.codes, shares[np.arange(len(shares)), recovered.codes]
    features = judge.features(recovered.inputs)
    classes = tuple(
        _one(code, seen, recovered.codes, right, sure, _nearest(features, judge, seen, recovered.codes, code))
        for code in np.unique(recovered.codes).tolist()
    )
    nothing = fresh is None
    return Exposure(
        classes,
        float(right.mean()),
        float(sure.mean()),
        1 / len(seen.classes),
        len(classes) / len(seen.classes),
        judge.accuracy,
        Nearness(float("nan"), float("nan")) if fresh is None else nearness(_groups(features, recovered, seen, fresh, rng), rng),
        Advantage(*[float("nan")] * 3) if fresh is None else _membership(subject, outlet, seen, fresh.compared, rng),
        ("The judge knows the training rows: give fresh ones to tell memory from likeness.",) if nothing else (),
    )


def _one(code: int, seen: Reference, codes: Labels, right: np.ndarray, sure: np.ndarray, nearest: np.ndarray) -> ClassExposure:
    rows = np.flatnonzero(codes == code)
    at = int(sure[rows].argmax())
    found = float(right[rows].mean()), float(sure[rows].mean())
    return ClassExposure(seen.classes[code], *found, int(rows[at]), int(nearest[at]))


def _nearest(features: np.ndarray, judge: Judge, seen: Reference, codes: Labels, code: int) -> np.ndarray:
    """For each inverted input of a class the training row of that class most like it; -1 = there is none."""
    rows, mine = np.flatnonzero(seen.labels == code), features[codes == code]
    if not len(rows):
        return np.full(len(mine), -1)
    nearest: np.ndarray = rows[cdist(mine, judge.features(seen.inputs[rows])).argmin(1)]
    return nearest


def _groups(features: np.ndarray, recovered: Recovered, seen: Reference, fresh: Fresh, rng: np.random.Generator) -> list[Group]:
    """Per class: inverted inputs, and as many training rows as fresh ones."""
    groups: list[Group] = []
    for code in np.unique(recovered.codes).tolist():
        ours, theirs = np.flatnonzero(seen.labels == code), np.flatnonzero(fresh.compared.labels == code)
        n = min(len(ours), len(theirs), _EACH)
        if n < _FEWEST:
            continue
        chosen = seen.inputs[rng.choice(ours, n, replace=False)], fresh.compared.inputs[rng.choice(theirs, n, replace=False)]
        groups.append((features[recovered.codes == code], *(fresh.judge.features(each) for each in chosen)))
    return groups


def _membership(subject: Subject, outlet: Outlet, seen: Reference, unseen: Reference, rng: np.random.Generator) -> Advantage:
    losses = []
    for each in (seen, unseen):
        rows = rng.permutation(len(each.labels))[:_ASKED]
        logs = outlet.logarithms(outlet.let_out(subject.logits(each.inputs[rows]), rng))
        losses.append(-logs[np.arange(len(rows)), each.labels[rows]])
    return advantage(losses[0], losses[1], rng)

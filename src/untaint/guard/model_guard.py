"""A guard in front of a model: how likely an input as unusual as this is among inputs somebody vouches for."""

import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, final

import numpy as np

from untaint.errors import BadInput
from untaint.guard import saved
from untaint.guard.fold import Fold, Plan, Surprise, folded
from untaint.guard.signs.base import Learned, Measured, Seen, Sign, Stage, signs, stage
from untaint.nets.subject import Inputs, Reference, Subject, subject
from untaint.numerics.pooled import pooled
from untaint.numerics.usual import tail_share
from untaint.types import Labels, Mask, Scores

_GATE = 0.05
"""Share of the inputs, the least usual after the first stage, that the second is asked about: its dozen passes then cost less than one."""
_FOLDS = 5
"""Parts of the references: what is learned is compared with the part left out, and a fifth is enough to leave four to learn from."""
_FEWEST = 20
_PROBES = 8
"""References by whose answers a model is known again."""
_CLOSE = 1e-2  # relative; another processor or precision moves logits by less, another training by more
_PART = 256
"""Inputs looked at together, and references on which the time is taken: large photographs of a few hundred inputs fit in memory."""
NO_ANSWER = "no-answer"
"""In place of a sign: the model's answer to the input is not a number."""


@final
@dataclass(frozen=True)
class Judged:
    """What a guard says of n inputs.

    risk: 0..1, high = suspicious.  p_value: chance that a clean input looks at least as unusual.  alarm: whether that is within the
    guard's budget.  sign: what was most unusual about it, '' = nothing.  said: the class the model gives.  logits (n, k): its answer.
    """

    risk: Scores
    p_value: Scores
    alarm: Mask
    sign: tuple[str, ...]
    said: Labels
    logits: np.ndarray

    def __len__(self) -> int:
        return len(self.risk)


@final
@dataclass(frozen=True)
class Guard:
    """A guard fitted to a model and to clean inputs: call it with inputs, it answers with a `Judged`.

    false_alarms: the budget: share of clean inputs it may alarm about.  held: the budget it keeps; with n references shares come in
    steps of 1/(n+1).  n: references it was fitted to.  skipped: signs that could not be used, and why.
    overhead: time of judging a batch of references as a multiple of the model's own time for it; NaN = not measured.

    Made by `Guard.fit` or `Guard.load`.

    Example:
        guard = untaint.Guard.fit(model, reference, false_alarms=0.01)
        judged = guard(images)              # one forward pass gives answers and judgement
        images[judged.alarm]

    """

    subject: Subject
    false_alarms: float
    signs: tuple[Sign, ...]
    prepared: Mapping[str, Learned]
    folds: tuple[Fold, ...]
    classes: int
    shape: tuple[int, ...]
    dtype: str
    probes: tuple[Inputs, np.ndarray]
    skipped: Mapping[str, str] = field(default_factory=dict)
    overhead: float = float("nan")

    @classmethod
    def fit(cls, model: Any, reference: Reference | Inputs, *, false_alarms: float = 0.01, seed: int = 0) -> "Guard":
        """Fit a guard.

        model: what `untaint.nets.subject.subject` takes: a torch module, a Keras model, a file, a function of arrays that answers with
        logits or probabilities.  reference: clean inputs that the model was not trained on, with labels or without; a few hundred
        (1 / false_alarms at the least), of every class the model is to answer with.  false_alarms: budget, a share of clean inputs.

        Raises BadInput where references are too few for the budget, do not fit the model, or the model gets them all wrong.
        """
        whose = subject(model)
        inputs = reference.inputs if isinstance(reference, Reference) else np.asarray(reference)
        _enough(inputs, false_alarms)
        seen = look(whose, inputs)
        _fits(whose, seen, reference)
        rng = np.random.default_rng(seed)
        known = [kind() for kind in signs().values()]
        reasons = {sign.id: sign.unfit(whose, seen) for sign in known}
        used = tuple(sign for sign in known if not reasons[sign.id])
        prepared = {sign.id: sign.prepare(seen, rng) for sign in used}
        measures = {sign.id: _in_parts(sign, whose, seen, prepared[sign.id]) for sign in used}
        parts = [np.sort(rows) for rows in np.array_split(rng.permutation(len(inputs)), _FOLDS)]
        early = frozenset(sign.id for sign in used if stage(sign, bool(seen.layers)) == 1)
        folds = folded(Plan(used, early, parts, _GATE), measures, seen.said, seen.logits.shape[1])
        skipped = {name: why for name, why in reasons.items() if why}
        kind = (seen.logits.shape[1], inputs.shape[1:], inputs.dtype.name)
        some = rng.permutation(len(inputs))[:_PROBES]
        made = cls(whose, false_alarms, used, prepared, tuple(folds), *kind, (inputs[some], seen.logits[some]), skipped)
        return replace(made, overhead=made._measured(inputs[rng.permutation(len(inputs))[:_PART]]))

    @classmethod
    def load(cls, path: str | Path, model: Any, *, other_model: bool = False) -> "Guard":
        """A guard as it was saved, before the model it was fitted to.

        Raises BadInput for anything that is no guard, and for a model that answers otherwise than then, unless `other_model` says
        that this is known; the budget then holds no more.
        """
        parts, whose = saved.read(Path(path)), subject(model)
        guard = cls(whose, **parts)
        try:
            probes, answers = parts["probes"]
            logits = guard(probes).logits
            same = logits.shape == answers.shape and np.allclose(logits, answers, rtol=_CLOSE, atol=_CLOSE * np.ptp(answers))
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise BadInput(f"{path} does not fit {whose.name}: {error}.", advice="Fit a guard to this model.") from error
        if not same and not other_model:
            raise BadInput(
                f"{whose.name} answers otherwise than when {path} was fitted: it is another model, or was changed.",
                advice="Find out why, then fit the guard again.",
            )
        return guard

    def save(self, path: str | Path) -> None:
        """Write the guard, without the model, as one safetensors file. Raises CannotWrite."""
        saved.write({name: getattr(self, name) for name in self.__dataclass_fields__ if name != "subject"}, Path(path))

    @property
    def n(self) -> int:
        """References it was fitted to."""
        return sum(len(fold.total) for fold in self.folds)

    @property
    def held(self) -> float:
        """The largest budget within `false_alarms` that n references can tell."""
        return np.floor(self.false_alarms * (self.n + 1) + 1e-9) / (self.n + 1)

    def __call__(self, inputs: Inputs) -> Judged:
        """Judge inputs (n, ...), like the references in shape and kind. Raises BadInput for others."""
        given = np.asarray(inputs)
        if given.shape[1:] != self.shape or given.dtype.name != self.dtype:
            raise BadInput(
                f"inputs of {_shown(given.shape[1:])} {given.dtype.name} are not like the references, {_shown(self.shape)} {self.dtype}.",
                advice="Give what the guard was fitted to, several at a time: (n, ...).",
            )
        parts = [self._judged(given[start : start + _PART]) for start in range(0, len(given), _PART)]
        if not parts:
            return Judged(np.empty(0), np.empty(0), np.empty(0, bool), (), np.empty(0, np.int64), np.empty((0, self.classes)))
        numbers = ("risk", "p_value", "alarm", "said", "logits")
        joined: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in numbers}
        return Judged(sign=tuple(name for part in parts for name in part.sign), **joined)

    def _judged(self, given: Inputs) -> Judged:
        seen = look(self.subject, given)
        answered = np.flatnonzero(np.isfinite(seen.logits).all(1))
        risk, p_value, names = np.ones(len(given)), np.full(len(given), 1 / (self.n + 1)), [NO_ANSWER] * len(given)
        if len(answered):
            risk[answered], p_value[answered], found = self._judge(seen.only(answered))
            for row, name in zip(answered, found, strict=True):
                names[row] = name
        return Judged(risk, p_value, p_value <= self.false_alarms, tuple(names), seen.said, seen.logits)

    def _judge(self, seen: Seen) -> tuple[Scores, Scores, list[str]]:
        turn = _turns(seen.inputs, len(self.folds))
        found = self._surprise(seen, 1, turn)
        again = np.flatnonzero(_share(found.total, [fold.first for fold in self.folds]) <= _GATE)
        if len(again):
            found = found.plus(self._surprise(seen.only(again), 2, turn[again]), again)
        totals = [fold.total for fold in self.folds]
        names = [self.signs[at].id if at >= 0 else "" for at in found.sign]
        return 1 - tail_share(found.total, np.concatenate(totals)), _share(found.total, totals), names

    def _surprise(self, seen: Seen, now: Stage, turn: np.ndarray) -> Surprise:
        """How surprising inputs are by the signs of one stage, each input as the fold whose turn it is sees it."""
        asked = [sign for sign in self.signs if stage(sign, bool(seen.layers)) == now]
        measures = {sign.id: sign.measure(self.subject, seen, self.prepared[sign.id]) for sign in asked}
        whole = Surprise(np.zeros(len(turn)), np.zeros(len(turn)), np.full(len(turn), -1))
        for at, fold in enumerate(self.folds):
            if len(rows := np.flatnonzero(turn == at)):
                found = fold.of(self.signs, measures, seen.said, rows)
                whole.total[rows], whole.top[rows], whole.sign[rows] = found.total, found.top, found.sign
        return whole

    def _measured(self, inputs: Inputs) -> float:
        """Time of judging as a multiple of the time of answering, the least of three each."""
        times = []
        for asked in (self.subject.logits, self):
            taken = []
            for _ in range(3):
                start = time.perf_counter()
                asked(inputs)
                taken.append(time.perf_counter() - start)
            times.append(min(taken))
        return times[1] / max(times[0], 1e-9)


def look(whose: Subject, inputs: Inputs) -> Seen:
    """Inputs and what a model makes of them, in one pass."""
    logits, layers = whose.traced(inputs, pooled)
    return Seen(inputs, logits, layers)


def _in_parts(sign: Sign, whose: Subject, seen: Seen, prepared: Learned) -> Measured:
    """What a sign takes down of many inputs, some at a time: it may make several copies of each."""
    rows = np.arange(len(seen.logits))
    parts = [sign.measure(whose, seen.only(rows[start : start + _PART]), prepared) for start in range(0, len(rows), _PART)]
    return tuple(np.concatenate(each) for each in zip(*parts, strict=True))


def _turns(inputs: Inputs, folds: int) -> np.ndarray:
    """The fold that judges each input: any, but the same for the same input."""
    return np.array([zlib.crc32(each.tobytes()) % folds for each in inputs])


def _share(found: Scores, known: Sequence[Scores]) -> Scores:
    """Conformal p-values: the share of the references, each as its own fold sees it, at least as surprising.

    One fold looks at an input, not all in turn: the mean of several p-values is seldom small, and alarms would be rarer than said.
    """
    everyone = np.sort(np.concatenate(known))
    return np.asarray((1 + len(everyone) - np.searchsorted(everyone, found)) / (len(everyone) + 1))


def _enough(inputs: Inputs, false_alarms: float) -> None:
    if not 0 < false_alarms < 1:
        raise BadInput(f"false_alarms is a share between 0 and 1, not {false_alarms}.")
    least = max(int(np.ceil(1 / false_alarms - 1e-9)) - 1, _FEWEST)
    if inputs.ndim < 2 or len(inputs) < least:
        raise BadInput(
            f"{len(inputs):,} references cannot hold a budget of {false_alarms:g}.",
            advice=f"Give at least {least:,}, or allow more false alarms.",
        )


def _fits(whose: Subject, seen: Seen, reference: Reference | Inputs) -> None:
    if not np.isfinite(seen.logits).all():
        raise BadInput(f"{whose.name} answers references with NaN or infinity.", advice="Leave those out, or repair the model.")
    if not isinstance(reference, Reference):
        return
    if len(reference.classes) != seen.logits.shape[1]:
        raise BadInput(f"the references have {len(reference.classes)} classes, {whose.name} answers with {seen.logits.shape[1]}.")
    right = int((seen.said == reference.labels).sum())
    most = int(np.bincount(reference.labels).max())
    if right <= most and len(np.unique(reference.labels)) > 1:
        raise BadInput(
            f"{whose.name} is right about {right:,} of {len(reference.labels):,} references, no more than one class has.",
            advice="Check that the classes are in the model's order and the inputs prepared as it wants them.",
        )


def _shown(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "nothing"

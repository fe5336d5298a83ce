"""Proof by intervention: put what was recovered on images nobody accuses, and see whether it forces the class.

A network answers the target when enough of the target's own looks are added to an image, so a high success rate alone proves
nothing. The trigger has to beat every control of the same size on the same images.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias, final

import numpy as np
from scipy.stats import binom

from untaint.evidence.evidence import Trigger
from untaint.evidence.finding import Finding, Proof, Tried
from untaint.evidence.interventions import NATURAL, WITHIN, Natural, controls, intervenable, stamped
from untaint.types import Labels, Mask, Pixels, Rows

Ask: TypeAlias = Callable[[Pixels], np.ndarray]
"""Images in, class codes out: a network that can be asked."""
RIVAL = "the best found for another class"
_DIRECTIONS = (NATURAL, WITHIN, RIVAL)
LEAST_ASR = 0.5
"""Success rate from which a trigger is said to force the class: more often than not."""
LEAST_LEAD = 0.25
"""By which it must exceed what natural directions of the same size do."""
CURED = 0.5
"""A network without the accused samples keeps at most this part of the success: else the rest of the data teaches it too."""
_LEAST_IMAGES = 20  # 20 of 20 against 10 of 20 is p = 0.001: with fewer, little can be told apart
_MOST_IMAGES = 1000  # the standard error of a success rate is then under 1.6 points
_SHOWN = 6
_STRENGTHS = (1.0, 1.5)  # a blend of 20 % noise: 25 % at 1, 70 % at 1.5 (Fashion-MNIST, 6,000); at 2 the controls catch up


@final
@dataclass(frozen=True)
class Bench:
    """What an intervention is tried on. All row numbers and class codes are those of `pixels` and `class_names`.

    rows: images that no finding accuses, whose content agrees with their label and, if possible, that `before` was not trained
    on.  honest: how honest classes differ.  before: the network trained on the suspect data.
    rivals: class code -> what was recovered for another class in the same way, of the same size. A search through a network finds
    something for every class; the trigger has to do better than the best of them.
    """

    pixels: Pixels
    labels: Labels
    rows: Rows
    class_names: tuple[str, ...]
    honest: Natural
    before: Ask
    seed: int = 0
    rivals: Mapping[int, Trigger] = field(default_factory=dict)


def not_tried(reason: str) -> Proof:
    """No attempt, with the reason."""
    return Proof("not tried", f"Not proved: {reason}.")


def wanted_codes(finding: Finding, labels: Labels, shown: Labels, class_names: tuple[str, ...]) -> np.ndarray:
    """(k,) the class a trigger should turn each class into: the target, or what the members that show a class are labelled as.

    -1 = not this class: no member shows it, or the attack is not meant for it.
    """
    wanted = np.full(len(class_names), -1, np.int64)
    for number, name in enumerate(class_names):
        members = finding.members[shown[finding.members] == number]
        if finding.source_label is not None and name != finding.source_label:
            continue
        if finding.target_label is not None:
            wanted[number] = class_names.index(finding.target_label)
        elif len(members):
            wanted[number] = np.bincount(labels[members]).argmax()
    wanted[wanted == np.arange(len(wanted))] = -1
    return wanted


def intervenes(trigger: Trigger, wanted: np.ndarray, bench: Bench, after: Ask | None, alpha: float) -> Proof:
    """Put a trigger on images of other classes. wanted: (k,) see `wanted_codes`.  after: a network without the accused.

    p_value: exact one-sided McNemar test on the same images, the largest over all controls: it is small only when the trigger
    beats each of them, so controls need no correction (intersection-union test); times the strengths tried.

    Proven: it forces the class far beyond natural directions, and either beats the same pixels in another order or place as
    well, or fails on the network without the accused. Networks that learned a noise pattern answer to other noise too.
    """
    if not intervenable(trigger, bench.pixels.shape[1:]):
        return not_tried(f"a trigger of the kind '{trigger.type}' cannot be put on other images")
    rows = bench.rows[wanted[bench.labels[bench.rows]] >= 0]
    rows = rows[:: max(1, -(-len(rows) // _MOST_IMAGES))]
    plain = bench.before(bench.pixels[rows])
    rows, plain = (part[plain != wanted[bench.labels[rows]]] for part in (rows, plain))
    if len(rows) < _LEAST_IMAGES:
        return not_tried(f"only {len(rows)} images of other classes are free of suspicion, {_LEAST_IMAGES} are needed")
    trials = [_trial(variant, rows, wanted, bench) for variant in _strengths(trigger)]
    best = min(trials, key=lambda trial: (trial.p_value > alpha / len(trials), -trial.lead))
    cured = None if after is None else after(best.changed)
    asr_after = float("nan") if cured is None else float((cured == best.aim).mean())
    p_value, p_natural = (min(1.0, p * len(trials)) for p in (best.p_value, best.p_natural))
    alone = p_value <= alpha or (p_natural <= alpha and asr_after <= CURED * best.asr)
    proven = alone and best.asr >= LEAST_ASR and best.lead >= LEAST_LEAD
    proof = Proof(
        "proven" if proven else "not proven",
        "",
        len(rows),
        best.asr,
        asr_after,
        best.rates,
        p_value,
        _examples(rows, bench, best, (plain, best.answers, cured)),
    )
    return replace(proof, statement=_statement(proof, alpha))


@final
@dataclass(frozen=True)
class _Trial:
    """One trigger on all images. aim: (m,) the class wanted for each.  rates: of the controls.

    p_value: against the best control.  p_natural, lead: against the best of the natural directions and of the rivals.
    """

    changed: Pixels
    answers: Labels
    aim: Labels
    rates: Mapping[str, float]
    p_value: float
    p_natural: float

    @property
    def asr(self) -> float:
        return float((self.answers == self.aim).mean())

    @property
    def lead(self) -> float:
        return self.asr - max(self.rates[name] for name in _DIRECTIONS if name in self.rates)


def _strengths(trigger: Trigger) -> list[Trigger]:
    """A patch as it is; a mean difference also stronger, since members that do not carry it have thinned it."""
    if trigger.pattern is None:
        return [trigger]
    return [replace(trigger, pattern=strength * trigger.pattern) for strength in _STRENGTHS]


def _trial(trigger: Trigger, rows: Rows, wanted: np.ndarray, bench: Bench) -> _Trial:
    images, shown = bench.pixels[rows], bench.labels[rows]
    aim, changed = wanted[shown], stamped(trigger, images)
    answers = bench.before(changed)
    others = controls(trigger, images, shown, wanted[shown], bench.honest, np.random.default_rng([bench.seed, len(rows)]))
    rivals = {name: bench.before(control) == aim for name, control in others.items()}
    p_values = {name: mcnemar(answers == aim, rival) for name, rival in rivals.items()}
    rates = {name: float(rival.mean()) for name, rival in rivals.items()}
    if bench.rivals:
        rates[RIVAL], p_values[RIVAL] = max(
            _rivalled(rival, images, (answers, aim, shown), bench) for rival in bench.rivals.items()
        )
    p_natural = max(p_values[name] for name in _DIRECTIONS if name in p_values)
    return _Trial(changed, answers, aim, rates, max(p_values.values()), p_natural)


def _rivalled(
    rival: tuple[int, Trigger], images: Pixels, seen: tuple[Labels, Labels, Labels], bench: Bench
) -> tuple[float, float]:
    """How often what was recovered for another class forces that one, and the chance that the trigger does no better.

    seen: the trigger's answers, its aim, and what the images show. Images of the other class, or aimed at it, are left out.
    """
    (code, trigger), (answers, aim, shown) = rival, seen
    fair = (shown != code) & (aim != code)
    hits = bench.before(stamped(trigger, images[fair])) == code
    return (float(hits.mean()) if fair.any() else 0.0), mcnemar((answers == aim)[fair], hits)


def mcnemar(hits: Mask, rival: Mask) -> float:
    """P(so many images or more that only the trigger turns | trigger and rival do equally well), exact."""
    only, against = int((hits & ~rival).sum()), int((rival & ~hits).sum())
    return float(binom.sf(only - 1, only + against, 0.5)) if only + against else 1.0


def _examples(rows: Rows, bench: Bench, trial: _Trial, answers: tuple[Labels, Labels, Labels | None]) -> tuple[Tried, ...]:
    """A few images spread over the rows, of those that turned when most did."""
    (plain, before, after), names = answers, bench.class_names
    pool = np.flatnonzero(trial.answers == trial.aim) if trial.asr >= LEAST_ASR else np.arange(len(rows))
    chosen = pool[np.unique(np.linspace(0, len(pool) - 1, min(_SHOWN, len(pool))).astype(int))]
    return tuple(
        Tried(
            int(rows[place]),
            bench.pixels[rows[place]],
            trial.changed[place],
            (names[plain[place]], names[before[place]], None if after is None else names[after[place]]),
        )
        for place in chosen.tolist()
    )


def _statement(proof: Proof, alpha: float) -> str:
    controls = ", ".join(f"{name} {rate:.0%}" for name, rate in proof.controls.items())
    tried = (
        f"Put on {proof.n:,} images of other classes that nobody accuses, what was recovered made the network answer the "
        f"label of these samples in {proof.asr_before:.0%}; controls of the same size: {controls} (p = {proof.p_value:.1g})."
    )
    kind = " The network learned the kind of pattern, not this one alone." if proof.p_value > alpha else ""
    cured = f" A network trained without the accused samples does so in {proof.asr_after:.0%}."
    words = cured if np.isfinite(proof.asr_after) else ""
    if proof.status == "proven":
        return f"Proven by intervention. {tried}{kind}{words}"
    return f"Not proven by intervention: the network learned something else, or not well. {tried}{words}"

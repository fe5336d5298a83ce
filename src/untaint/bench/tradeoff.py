"""Clean accuracy against robustness: one attack, many recipes at several strengths, and which of them to take."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import isnan, nan
from typing import Any, TypeAlias, final

import numpy as np

from untaint.attacks.badnets import BadNets
from untaint.attacks.base import PACKAGE, Attack, Poisoned, successors, usable
from untaint.attacks.trigger_values import TriggerValues
from untaint.attacks.trigger_words import TriggerWords
from untaint.data.dataset import Dataset
from untaint.errors import BadInput
from untaint.registry import build, spec
from untaint.training import compose
from untaint.training.engines.fit import Plan, Report
from untaint.training.engines.train import Asked, Model, train
from untaint.training.record import Record

Progress: TypeAlias = Callable[[str, int, int], None]

_ANY = ("plain", "guard + clip", "guard + trim", "guard + trim + clip", "guard + aggregate(rule='median')", "dp(epsilon=8.0)")
SWEEP: Mapping[str, tuple[str, ...]] = {
    "image": (
        *_ANY,
        "dp(epsilon=2.0)",
        "guard + augment",
        "guard + jury",
        "guard + augment + trim + clip",
        "certify(partitions=16)",
        "certify(partitions=64)",
    ),
    "table": (*_ANY, "certify(partitions=16)"),
    "text": _ANY,
}
"""What is tried: each defence by itself, and those that go well, at two strengths where strength is a price."""
ATTACKS: Mapping[str, Attack] = {
    "image": BadNets(rate=0.01),
    "text": TriggerWords(rate=0.01),
    "table": TriggerValues(rate=0.01),
}
"""What is tried against: the plainest backdoor of each kind of data, in one row of a hundred."""
HARMLESS = 0.05
"""Success that an attacker gains over a network never poisoned, up to which a recipe counts as holding: a twentieth of the tries."""
_RADII = (1, 10, 50)
_TESTED = 2000  # test rows the trigger is put on: a success rate is then known to a point


@final
@dataclass(frozen=True)
class Point:
    """One recipe. recipe: as it is written.  accuracy: of clean test rows.  asr: attack success rate, NaN = it has no trigger.

    certified: poisoned rows → share right and certain; {} = no proof.  epsilon: None = no privacy.  seconds: of training.
    """

    recipe: str
    accuracy: float
    asr: float
    certified: Mapping[int, float]
    epsilon: float | None
    seconds: float


@final
@dataclass(frozen=True)
class Tradeoff:
    """attack: as it is written.  floor: success on a network never poisoned.  clean: accuracy of that network.  points: in order.

    chosen: the point to take, and why in words.  skipped: recipe → why it could not be tried.
    """

    attack: str
    floor: float
    clean: float
    points: tuple[Point, ...]
    chosen: Point
    why: str
    skipped: Mapping[str, str]


def tradeoff(data: Dataset, test: Dataset, attack: Attack, recipes: Sequence[str], plan: Plan, report: Report) -> Tradeoff:
    """Plant an attack in a copy of the data, train by each recipe, and measure. Raises BadInput for data that can't be attacked so."""
    made = attack.poison(data, np.random.default_rng(plan.seed))
    never = _measured(Asked(data, compose.recipe("plain"), plan, test), made, report)
    points, skipped = [], {}
    for place, text in enumerate(recipes):
        report(f"recipe {place + 1} of {len(recipes)}", place, len(recipes))
        try:
            points.append(_measured(Asked(made.dataset, compose.recipe(text), plan, test), made, report))
        except BadInput as error:
            skipped[text] = error.message
    if not points:
        raise BadInput(f"no recipe could be tried: {'; '.join(f'{text}: {why}' for text, why in skipped.items())}")
    named = [
        replace(point, recipe=text) for point, text in zip(points, [each for each in recipes if each not in skipped], strict=True)
    ]
    chosen, why = choose(named, never.asr)
    return Tradeoff(spec(attack), never.asr, never.accuracy, tuple(named), chosen, why, skipped)


def split(data: Dataset, seed: int) -> tuple[Dataset, Dataset]:
    """Four fifths to train on and a fifth to measure on, drawn at random."""
    mixed = np.random.default_rng(seed).permutation(len(data))
    cut = len(data) // 5
    return data.select(np.sort(mixed[cut:])), data.select(np.sort(mixed[:cut]))


def choose(points: Sequence[Point], floor: float) -> tuple[Point, str]:
    """The most accurate recipe that holds, else the one that the attack succeeds least on; and why, in words."""
    holding = [point for point in points if not point.asr > floor + HARMLESS]
    if holding:
        best = max(holding, key=lambda point: (round(point.accuracy, 3), 0.0 if isnan(point.asr) else -point.asr))
        others = f"{len(holding)} of {len(points)} recipes hold the attack to {floor + HARMLESS:.1%}"
        return best, f"{others}; this is the most accurate of them."
    best = min(points, key=lambda point: (point.asr, -point.accuracy))
    return (
        best,
        f"No recipe holds the attack to {floor + HARMLESS:.1%}; on this one it succeeds least. Audit the data before training.",
    )


def _measured(asked: Asked, made: Poisoned, report: Report) -> Point:
    model, record = train(asked, report)
    accuracy = nan if record.tested is None else record.tested.accuracy
    certified = record.tested.certified if record.tested is not None else ()
    radii = {radius: certified[radius] if radius < len(certified) else 0.0 for radius in _RADII} if certified else {}
    test = asked.test if asked.test is not None else asked.data
    return Point(asked.recipe.spec(), accuracy, _success(model, record, made, test), radii, _epsilon(record), record.seconds)


def _success(model: Model, record: Record, made: Poisoned, test: Dataset) -> float:
    """Share of test rows of other classes that get the label the attacker wants once the trigger is on them."""
    if made.stamp is None:
        return nan
    classes = list(record.data["classes"])
    rows = [row for row in usable(test).tolist() if test.labels[row] in classes]
    wanted = {row: _wanted(made, str(test.labels[row]), classes) for row in rows}
    others = [row for row in rows if wanted[row] != test.labels[row] and (made.source in {None, test.labels[row]})][:_TESTED]
    if not others:
        return nan
    stamped = test.select(others).edited(dict(enumerate(_stamped(made, test, others))), {}, {}, {})
    answers, answered = model.predict(stamped)
    goals = np.array([classes.index(wanted[others[row]]) for row in answered.tolist()])
    return float((answers == goals).mean())


def _stamped(made: Poisoned, test: Dataset, rows: list[int]) -> Sequence[Any]:
    stamp: Any = made.stamp
    if test.modality != "image":
        return list(stamp([str(payload) for payload in test.read(rows)]))
    images = test.images(rows)
    if len({image.shape for image in images}) == 1:
        return list(stamp(np.stack(images)))
    return [stamp(image[None])[0] for image in images]


def _wanted(made: Poisoned, label: str, classes: list[str]) -> str:
    return successors(classes)[label] if made.target is None else made.target


def _epsilon(record: Record) -> float | None:
    facts: Any = record.session.get("facts", {})
    found = [each["epsilon"] for each in facts.values() if "epsilon" in each]
    return float(found[0]) if found else None


def document(found: Tradeoff) -> dict[str, Any]:
    """Everything, for a file of JSON; NaN is null."""
    points = [{**asdict(point), "asr": None if isnan(point.asr) else point.asr} for point in found.points]
    return {
        "schema": "untaint.tradeoff/v1",
        "attack": found.attack,
        "floor": None if isnan(found.floor) else found.floor,
        "clean_accuracy": found.clean,
        "points": points,
        "chosen": found.chosen.recipe,
        "why": found.why,
        "skipped": dict(found.skipped),
    }


def attack_of(data: Dataset, text: str | None) -> Attack:
    """The attack that is asked for by its spec, or the usual one for such data. Raises BadInput where there is none."""
    if text is not None:
        return build(Attack, PACKAGE, text)  # type: ignore[type-abstract]
    if data.modality not in ATTACKS:
        raise BadInput(f"no attack is usual for {data.modality} data.", advice="Name one with --attack.")
    return ATTACKS[data.modality]

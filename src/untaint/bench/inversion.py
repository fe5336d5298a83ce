"""What knowledge from an inverted model is worth to who flips labels: the same flip with none, with it, and with the data."""

from dataclasses import replace
from typing import final

import numpy as np

from untaint.attacks.inversion.poison import KNOWLEDGE, Flips, Lift, chosen
from untaint.attacks.inversion.recover import Recovered
from untaint.errors import BadInput
from untaint.features.inputs import Inputs
from untaint.nets.subject import Reference
from untaint.training.compose import Wanted
from untaint.training.engines.fit import Plan, fit

_UPDATES = 500  # of a victim: 96 % of digits from 3,000 pictures
_BATCH = 128


def _quiet(_what: str, _done: int, _total: int) -> None:
    return


@final
class Victims:
    """Models trained on flips of labels. given: inputs as a network takes them.  test: clean inputs.  recipe: how victims train."""

    def __init__(self, given: Inputs, test: Reference, seed: int = 0, recipe: Wanted = "plain") -> None:
        if given.encoding.modality == "text":
            raise BadInput("victims are trained on pictures or tables here, these are texts.")
        self.given, self.test, self.seed, self.recipe = given, test, seed, recipe
        self.pool = Reference(given.values, given.codes, given.encoding.classes)
        epochs = max(2, round(_UPDATES * _BATCH / len(given.codes)))
        self.plan = Plan(epochs=epochs, batch=min(_BATCH, len(given.codes)), held_out=0.0, seed=seed)

    def success(self, rows: np.ndarray, source: int, target: int) -> float:
        """Share of the source class' test inputs that a model answers as the target when these rows are labelled so."""
        tried = self.test.inputs[self.test.labels == source]
        if not len(tried):
            raise BadInput(f"no fresh input is of class {self.test.classes[source]!r}.", advice="Give more with --fresh.")
        codes = self.given.codes.copy()
        codes[rows] = target
        victim = fit(replace(self.given, codes=codes), self.recipe, self.plan, None, _quiet).model
        return float(np.mean(victim.logits(tried).argmax(1) == target))

    def lift(self, recovered: Recovered, source: int, target: int, rate: float) -> Lift:
        """The same number of flips by who knows nothing, an inverted model, or the data."""
        count = max(1, round(rate * len(self.given.codes)))
        flips = []
        for knowledge in KNOWLEDGE:
            rows = chosen(knowledge, self.pool, source, count, recovered, np.random.default_rng(self.seed))
            hits = float(np.mean(self.pool.labels[rows] == source))
            flips.append(Flips(knowledge, hits, self.success(rows, source, target)))
        clean = self.success(np.empty(0, np.int64), source, target)
        classes = self.pool.classes
        return Lift(classes[source], classes[target], rate, clean, tuple(flips))

"""A second opinion that never asks the model: what the references' own values say the class of an input is."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.guard.signs.base import Learned, Measured, Seen, Sign, no_amounts
from untaint.nets.subject import Subject
from untaint.numerics.centres import Centres, centres, own_and_margin
from untaint.types import Labels


@final
@dataclass(frozen=True)
class SecondOpinion(Sign):
    """How much nearer an input, as it came, lies to the centre of another class than to the one the model gives it.

    Distances are measured by the scatter within classes (Mahalanobis, shrunk), of the values as they came. The trigger was made to
    turn the model; it hardly turns a linear rule that never saw it, whatever the attack.

    Works when: classes can be told apart, roughly, by a linear rule on the values: clothes, digits, tables, spectra.
    Fails when: they cannot, as with photographs of things in any place and light; and for a clean-label attack, where image and
    class agree.
    Cost: no forward pass; one product of matrices.
    Reference: own; the classes' centres are linear discriminant analysis (Fisher 1936).
    """

    id: ClassVar[str] = "second-opinion"
    both: ClassVar[tuple[bool, ...]] = (False,)
    within: ClassVar[tuple[bool, ...]] = (False,)
    passes: ClassVar[float] = 0

    @override
    def unfit(self, subject: Subject, seen: Seen) -> str:
        return no_amounts(seen)

    @override
    def prepare(self, seen: Seen, rng: np.random.Generator) -> Learned:
        return {}

    @override
    def measure(self, subject: Subject, seen: Seen, prepared: Learned) -> Measured:
        return (seen.amounts,)

    @override
    def learn(self, measured: Measured, said: Labels, classes: int) -> Learned:
        found = centres(measured[0], said, classes)
        return {"origin": found.origin, "whitener": found.whitener, "places": found.places}

    @override
    def compare(self, measured: Measured, said: Labels, learned: Learned) -> np.ndarray:
        distances = Centres(learned["origin"], learned["whitener"], learned["places"]).distances(measured[0])
        return own_and_margin(distances, said)[1][:, None]

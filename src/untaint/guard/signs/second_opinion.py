"""A second opinion that never asks the model: what the references' own values say the class of an input is."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.guard.signs.base import Learned, Measured, Seen, Sign
from untaint.nets.subject import Inputs, Subject
from untaint.numerics.centres import Centres, centres, own_and_margin
from untaint.numerics.pictures import shrink
from untaint.types import Labels

_SIDE = 16
"""Larger images are shrunk to it: class centres cannot use more, and they are few references that tell it."""


@final
@dataclass(frozen=True)
class SecondOpinion(Sign):
    """How much nearer an input, as it came, lies to the centre of another class than to the one the model gives it, and how far from that.

    Distances are measured by the scatter within classes (Mahalanobis, shrunk), of the values as they came. The trigger was made to
    turn the model; it hardly turns a linear rule that never saw it, whatever the attack.

    Works when: classes can be told apart, roughly, by a linear rule on the values: clothes, digits, tables, spectra.
    Fails when: they cannot, as with photographs of things in any place and light; and for a clean-label attack, where image and
    class agree.
    Cost: no forward pass; one product of matrices.
    Reference: own; the classes' centres are linear discriminant analysis (Fisher 1936).
    """

    id: ClassVar[str] = "second-opinion"
    both: ClassVar[tuple[bool, ...]] = (False, False)
    passes: ClassVar[float] = 0

    @override
    def unfit(self, subject: Subject, seen: Seen) -> str:
        if not seen.images and not np.issubdtype(seen.inputs.dtype, np.floating):
            return "the inputs are codes, not amounts"
        return "" if seen.logits.shape[1] > 1 else "the model knows one class only"

    @override
    def prepare(self, seen: Seen, rng: np.random.Generator) -> Learned:
        return {}

    @override
    def measure(self, subject: Subject, seen: Seen, prepared: Learned) -> Measured:
        return (_values(seen.inputs, seen.images),)

    @override
    def learn(self, measured: Measured, said: Labels, classes: int) -> Learned:
        found = centres(measured[0], said, classes)
        return {"origin": found.origin, "whitener": found.whitener, "places": found.places}

    @override
    def compare(self, measured: Measured, said: Labels, learned: Learned) -> np.ndarray:
        distances = Centres(learned["origin"], learned["whitener"], learned["places"]).distances(measured[0])
        own, margin = own_and_margin(distances, said)
        return np.stack([margin, np.log1p(own)], 1)


def _values(inputs: Inputs, images: bool) -> np.ndarray:
    values = inputs.astype(np.float32)
    if images and max(values.shape[1:3]) > _SIDE:
        values = shrink(values, min(_SIDE, values.shape[1]), min(_SIDE, values.shape[2])).astype(np.float32)
    return np.nan_to_num(values.reshape(len(values), -1))

"""Layer by layer, the class centres of the references against what the model says in the end."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.guard.signs.base import Learned, Measured, Seen, Sign
from untaint.nets.subject import Subject
from untaint.numerics.centres import Centres, centres, own_and_margin
from untaint.types import Labels


@final
@dataclass(frozen=True)
class LayerCentres(Sign):
    """How far what a layer makes of an input is from the references of the class the model ends with, and how much nearer to others'.

    Two numbers per layer. An input with a trigger looks like its own class in the first layers and like the target's in the last, and
    nowhere quite like inputs that honestly belong there. The distance is Mahalanobis with one shrunk covariance.

    Works when: the attack adds something to an input of another class: patches, blends, warps, for all sources or some.
    Fails when: the input belongs to the class the model gives it (clean-label), or when a few references per class are all there is.
    Cost: no forward pass beyond the first; one product of matrices per layer.
    Reference: Lee et al. 2018, arXiv 1807.03888 (distances); Mo et al. 2024, arXiv 2312.02673 (agreement through the layers).
    """

    id: ClassVar[str] = "layer-centres"
    both: ClassVar[tuple[bool, ...]] = (True, False)  # a warp softens an image, and what is soft lies nearer the centre
    within: ClassVar[tuple[bool, ...]] = (True, False)
    passes: ClassVar[float] = 0

    @override
    def unfit(self, subject: Subject, seen: Seen) -> str:
        return "" if seen.layers else "the model shows none of its layers"

    @override
    def prepare(self, seen: Seen, rng: np.random.Generator) -> Learned:
        return {}

    @override
    def measure(self, subject: Subject, seen: Seen, prepared: Learned) -> Measured:
        return tuple(layer.reshape(len(layer), -1) for layer in seen.layers)

    @override
    def learn(self, measured: Measured, said: Labels, classes: int) -> Learned:
        kept: dict[str, np.ndarray] = {}
        for at, layer in enumerate(measured):
            found = centres(layer, said, classes)
            kept |= {f"origin{at}": found.origin, f"whitener{at}": found.whitener, f"places{at}": found.places}
        return kept

    @override
    def compare(self, measured: Measured, said: Labels, learned: Learned) -> np.ndarray:
        columns: list[np.ndarray] = []
        for at, layer in enumerate(measured):
            known = Centres(learned[f"origin{at}"], learned[f"whitener{at}"], learned[f"places{at}"])
            own, margin = own_and_margin(known.distances(layer), said)
            columns += [np.log1p(own), margin]
        return np.stack(columns, 1)

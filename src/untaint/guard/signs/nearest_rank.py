"""Layer by layer, how many references are nearer than the nearest of the class the model ends with."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.guard.signs.base import Learned, Measured, Seen, Sign
from untaint.nets.subject import Subject
from untaint.types import Labels

_DIRECTIONS = 32
"""Random directions a layer is seen along: distances hold within a tenth or so (Johnson-Lindenstrauss), at a fraction of the cost."""
_MOST = 512
"""References compared with, drawn at random: the time per input grows with them, the rank of the nearest hardly changes."""


@final
@dataclass(frozen=True)
class NearestRank(Sign):
    """The rank, among all references by distance, of the nearest reference of the class the model gives, as a logarithm, per layer.

    An honest input has references of its class among the nearest from the first layers on; one with a trigger jumps to its class late.
    References are those the model gives a class. Distances are taken along a few random directions.

    Works when: the classes are several clusters each, which one centre does not tell.
    Fails when: there are few references per class, or the input is of the class the model gives it (clean-label).
    Cost: no forward pass beyond the first; distances to 512 references per layer.
    Reference: Mo et al. 2024, arXiv 2312.02673 (TED)
    """

    id: ClassVar[str] = "nearest-rank"
    both: ClassVar[tuple[bool, ...]] = (False,)
    within: ClassVar[tuple[bool, ...]] = (False,)
    passes: ClassVar[float] = 0

    @override
    def unfit(self, subject: Subject, seen: Seen) -> str:
        if not seen.layers:
            return "the model shows none of its layers"
        return "" if seen.logits.shape[1] > 1 else "the model knows one class only"

    @override
    def prepare(self, seen: Seen, rng: np.random.Generator) -> Learned:
        sizes = [layer[0].size for layer in seen.layers]
        drawn = {f"directions{at}": rng.standard_normal((size, min(size, _DIRECTIONS))) for at, size in enumerate(sizes)}
        return {name: np.asarray(value / np.sqrt(len(value)), np.float32) for name, value in drawn.items()}

    @override
    def measure(self, subject: Subject, seen: Seen, prepared: Learned) -> Measured:
        return tuple(layer.reshape(len(layer), -1) @ prepared[f"directions{at}"] for at, layer in enumerate(seen.layers))

    @override
    def learn(self, measured: Measured, said: Labels, classes: int) -> Learned:
        step = -(-len(said) // _MOST)
        return {f"points{at}": layer[::step] for at, layer in enumerate(measured)} | {"said": said[::step].astype(np.int32)}

    @override
    def compare(self, measured: Measured, said: Labels, learned: Learned) -> np.ndarray:
        alike = said[:, None] == learned["said"][None]
        columns = []
        for at, layer in enumerate(measured):
            points = learned[f"points{at}"]
            apart = (points**2).sum(1) - 2 * layer @ points.T
            nearest = np.where(alike, apart, np.inf).min(1)
            rank = (apart < nearest[:, None]).sum(1)
            columns.append(np.where(np.isfinite(nearest), np.log1p(rank), np.nan))
        return np.stack(columns, 1)

"""A second opinion by the references around an input, which never asks the model either."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.guard.signs.base import Learned, Measured, Seen, Sign, no_amounts
from untaint.nets.subject import Subject
from untaint.numerics.kernel_votes import Votes, outvoted, votes
from untaint.types import Labels

_MOST = 1000
"""References voting, drawn at random: the time per input grows with them."""
_STILL = 1e-6  # least spread of a column of rows: one that never moves has no scale


@final
@dataclass(frozen=True)
class KernelOpinion(Sign):
    """How many more votes another class gets, of the references around an input, than the one the model gives it.

    Votes are a kernel ridge regression on the values as they came. It knows classes of any shape, where centres know ellipses, and is
    blinder to what lies evenly over an input.

    Works when: inputs of one class look alike in groups: handwriting, clothes, rows of a table.
    Fails when: things stand in any place and light; and for blends, which move an input away from all references at once.
    Cost: no forward pass; distances to a thousand references.
    Reference: own; kernel ridge regression
    """

    id: ClassVar[str] = "kernel-opinion"
    both: ClassVar[tuple[bool, ...]] = (False,)
    within: ClassVar[tuple[bool, ...]] = (False,)
    passes: ClassVar[float] = 0

    @override
    def unfit(self, subject: Subject, seen: Seen) -> str:
        return no_amounts(seen)

    @override
    def prepare(self, seen: Seen, rng: np.random.Generator) -> Learned:
        scale = np.ones(1) if seen.images else np.maximum(seen.amounts.std(0, dtype=np.float64), _STILL)
        return {"scale": scale.astype(np.float32)}

    @override
    def measure(self, subject: Subject, seen: Seen, prepared: Learned) -> Measured:
        return (seen.amounts / prepared["scale"],)

    @override
    def learn(self, measured: Measured, said: Labels, classes: int) -> Learned:
        step = -(-len(said) // _MOST)
        found = votes(measured[0][::step], said[::step], classes)
        return {"points": found.points, "gamma": found.gamma, "weights": found.weights}

    @override
    def compare(self, measured: Measured, said: Labels, learned: Learned) -> np.ndarray:
        known = Votes(learned["points"], learned["gamma"], learned["weights"])
        return outvoted(known(measured[0]), said)[:, None]

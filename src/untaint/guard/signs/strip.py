"""An input laid over references."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.guard.signs.base import Learned, Measured, Seen, Sign, lead
from untaint.nets.subject import Inputs, Subject
from untaint.numerics.usual import entropy
from untaint.types import Labels, Rows

_OVERLAYS = 6
"""References laid over each input; the published hundred buy little (Gao et al., figure 9)."""
_WEIGHT = 0.5
"""Of the reference in the mixture: both pictures are seen, and the mixture stays in range."""


@final
@dataclass(frozen=True)
class Strip(Sign):
    """How sure the model is of mixtures of an input with references, and how firmly of the input's class; both two-sided.

    Images are mixed half and half; of rows, half of the values are the reference's.

    Works when: the trigger wins against any background (answers too sure), or breaks under it (less sure than clean ones).
    Fails when: it works for one source only, or is made to be as sure as a clean input.
    Cost: six forward passes, for those asked.
    Reference: Gao et al. 2019, arXiv 1902.06531
    """

    id: ClassVar[str] = "strip"
    both: ClassVar[tuple[bool, ...]] = (True,)
    within: ClassVar[tuple[bool, ...]] = (True,)
    passes: ClassVar[float] = 6

    @override
    def unfit(self, subject: Subject, seen: Seen) -> str:
        return "" if len(seen.inputs) >= _OVERLAYS else f"there are under {_OVERLAYS} references"

    @override
    def prepare(self, seen: Seen, rng: np.random.Generator) -> Learned:
        chosen = _spread(seen.said, rng)
        places = rng.random((_OVERLAYS, *seen.inputs.shape[1:])) < _WEIGHT
        return {"overlays": seen.inputs[chosen]} | ({} if seen.images else {"places": places})

    @override
    def measure(self, subject: Subject, seen: Seen, prepared: Learned) -> Measured:
        overlays, places = prepared["overlays"], prepared.get("places", [None] * _OVERLAYS)
        mixed = [_mixed(seen, overlay, where) for overlay, where in zip(overlays, places, strict=True)]
        logits = subject.logits(np.concatenate(mixed))  # together: a pass of a few inputs costs nearly one of many
        said = np.tile(seen.said, _OVERLAYS)
        told = np.stack([entropy(logits), lead(logits, said)], 1)
        return (told.reshape(_OVERLAYS, len(seen.inputs), 2).mean(0),)

    @override
    def learn(self, measured: Measured, said: Labels, classes: int) -> Learned:
        return {}

    @override
    def compare(self, measured: Measured, said: Labels, learned: Learned) -> np.ndarray:
        return measured[0]


def _spread(said: Labels, rng: np.random.Generator) -> Rows:
    """Rows of as many classes as there are, in turn."""
    order = rng.permutation(len(said))
    turn = np.empty(len(said), np.int64)
    for code in np.unique(said):
        turn[order[said[order] == code]] = np.arange((said == code).sum())
    return order[np.argsort(turn[order], kind="stable")][:_OVERLAYS]


def _mixed(seen: Seen, overlay: np.ndarray, places: np.ndarray | None) -> Inputs:
    if places is not None:
        return np.where(places, overlay, seen.inputs)
    return np.round((1 - _WEIGHT) * seen.inputs + np.float32(_WEIGHT) * overlay).astype(np.uint8)

"""Smooth warps recovered from the network that learned them, for groups that nothing else can be cut out of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np

from untaint.evidence.evidence import Trigger
from untaint.evidence.finding import Finding
from untaint.evidence.interventions import stamped
from untaint.evidence.proof import LEAST_ASR
from untaint.features.proxy import Proxy, answers, bent
from untaint.types import Labels, Pixels, Rows

_LEARNED = 1500  # images a warp is looked for on: half as many find a warp that forces 90 % in place of 91 %
_LEAST = 100  # of them; with fewer a grid of 50 numbers bends to the images at hand
_RIVALS = 9  # other classes that a warp is looked for as well; the best of so many is beaten, and each costs a second or two


@final
@dataclass(frozen=True)
class Warp:
    """A warp for a class, and those found in the same way for other classes, by code, brought to its size."""

    trigger: Trigger
    rivals: Mapping[int, Trigger]


@final
class Warps:
    """Warps of one network. rows: images of all classes to look for them on, which nobody accuses and nothing is tried on later."""

    def __init__(self, proxy: Proxy, pixels: Pixels, labels: Labels, rows: Rows, seed: int) -> None:
        self._proxy, self._pixels, self._labels, self._seed = proxy, pixels, labels, seed
        self._rows = rows
        self._steps: dict[int, np.ndarray | None] = {}

    def found(self, finding: Finding, names: tuple[str, ...]) -> Warp | None:
        """The warp that a finding's trigger may be; None where none forces its class, or the network shows no gradients."""
        if finding.target_label is None:
            return None
        code = names.index(finding.target_label)
        steps = self._towards(code)
        if steps is None:
            return None
        images = self._pixels[self._others(code)]
        trigger = _trigger(steps)
        if float((answers(self._proxy, None, stamped(trigger, images)) == code).mean()) < LEAST_ASR:
            return None
        order = np.random.default_rng([self._seed, code]).permutation(len(names))
        rivals = {int(other): self._towards(int(other)) for other in order[order != code][:_RIVALS]}
        size = _size(steps)
        return Warp(trigger, {other: _trigger(v * (size / max(_size(v), 1e-6))) for other, v in rivals.items() if v is not None})

    def _towards(self, code: int) -> np.ndarray | None:
        if code not in self._steps:
            rows = self._others(code)
            self._steps[code] = bent(self._proxy, self._pixels[rows], code, self._seed) if len(rows) >= _LEAST else None
        return self._steps[code]

    def _others(self, code: int) -> Rows:
        rows = self._rows[self._labels[self._rows] != code]
        return rows[:: max(1, -(-len(rows) // _LEARNED))]


def _trigger(steps: np.ndarray) -> Trigger:
    size = _size(steps)
    description = (
        f"A smooth warp of the whole image, {size:.1f} pixels on average: the smallest under which the network answers this label. "
        "Arrows say from where each place takes its pixels."
    )
    return Trigger("warp", description, {"pixels": f"{size:.2f}"}, steps=steps)


def _size(steps: np.ndarray) -> float:
    return float(np.hypot(steps[..., 0], steps[..., 1]).mean())

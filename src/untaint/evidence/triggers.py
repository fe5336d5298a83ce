"""What an attacker adds, seen as a difference: accused images minus honest ones that show the same."""

import numpy as np

from untaint.evidence.evidence import Trigger
from untaint.features.content import Content
from untaint.types import Pixels, Rows

_MOST = 4000  # images per mean: the standard error is then under 1 of 255

_OPAQUE = 128.0
"""A change of half the range hides what was there."""
_LOCAL = 0.25
"""Share of pixels that change by a quarter of the strongest change: patches and logos stay under 0.1, waves and blends over 0.4."""


def additive(pixels: Pixels, content: Content, members: Rows, rows: Rows) -> Trigger:
    """The mean difference between members and all other rows, class shown by class shown, as a picture around mid-grey.

    Comparing like with like keeps the shapes of the classes out of the picture. rows: the usable ones.
    """
    shown = content.probabilities.argmax(1)
    others = np.setdiff1d(rows, members)
    difference = np.zeros(pixels.shape[1:])
    for number, count in zip(*np.unique(shown[members], return_counts=True), strict=True):
        alike = others[shown[others] == number]
        same = members[shown[members] == number]
        difference += (_mean(pixels, same) - _mean(pixels, alike if len(alike) else others)) * count / len(members)
    strength = np.abs(difference).mean(-1)
    picture = np.clip(127.5 + difference * 127.5 / max(float(np.abs(difference).max()), 1e-6), 0, 255).astype(np.uint8)
    mask = np.clip(strength / max(float(np.quantile(strength, 0.95)), 1e-9), 0, 1)
    size = f"{float(np.sqrt((difference**2).mean())):.1f} of 255"
    description = "What these images have beyond honest ones that show the same, around mid-grey."
    return Trigger("additive", description, {"strength": size}, picture, mask, difference)


def _mean(pixels: Pixels, rows: np.ndarray) -> np.ndarray:
    if len(rows) == 0:
        return np.zeros(pixels.shape[1:])
    mean: np.ndarray = pixels[rows[:: max(1, -(-len(rows) // _MOST))]].mean(0, dtype=np.float64)
    return mean


def faint(trigger: Trigger | None) -> bool:
    """A pattern over the whole image that leaves visible what was there."""
    if trigger is None or trigger.pattern is None:
        return False
    strength = np.abs(trigger.pattern).mean(-1)
    return 0 < float(np.abs(trigger.pattern).max()) <= _OPAQUE and float((strength > strength.max() / 4).mean()) >= _LOCAL

"""Numbers that would wreck a training run: not finite, or outside the range of every other image."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from untaint.detectors.base import Detector
from untaint.evidence.evidence import Evidence, Group
from untaint.types import Rows

_SIGNS = ("not finite", "outside")
"""How readers say it: `not finite (NaN)`, `values outside 0..1`."""


@final
@dataclass(frozen=True)
class ValueRange(Detector):
    """Screens for values that are not finite or lie outside the range nine in ten images keep to.

    Works when: images arrive as floating-point arrays: one NaN pixel turns every weight into NaN, one huge value moves a
        linear model at will. The screen is exact: nothing is estimated.
    Fails when: images are encoded or integer, where such values cannot occur.
    Cost: none beyond reading.
    Reference: NaN and leverage points, e.g. Koh, Steinhardt, Liang 2022, arXiv 1811.00741
    """

    id: ClassVar[str] = "value-range"

    @property
    def budget(self) -> str:
        return "fast"

    def examine(self, problems: tuple[str | None, ...]) -> Evidence:
        bad = np.array([reason is not None and any(sign in reason for sign in _SIGNS) for reason in problems], bool)
        members: Rows = np.flatnonzero(bad)
        if len(members) == 0:
            return Evidence(bad.astype(np.float32), "empirical")
        reasons = sorted({str(problems[row]) for row in members})
        explanation = (
            f"The numbers themselves are wrong: {'; '.join(reasons[:5])}. One such row is enough to destroy a model in training."
        )
        share = len(members) / len(bad)
        group = Group("leverage", members, float(len(members)), 0.0, 1.0, 0.0, explanation + f" They are {share:.2%} of the set.")
        return Evidence(bad.astype(np.float32), "empirical", (group,))

"""What content says of labels, whatever the samples are: what detectors of wrong labels ask for."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Judgement:
    """Cross-fitted judgement of every usable row: no model that judges a sample has seen it.

    own: (n,) probability of the sample's own label; NaN = not assessed.
    probabilities: (n, k) of every label.  level: own below this = contradicted.
    """

    own: np.ndarray
    probabilities: np.ndarray
    level: float

    @property
    def contradicted(self) -> np.ndarray:
        """(n,) bool: content speaks against the label; False where not assessed."""
        return np.nan_to_num(self.own, nan=1.0) < self.level

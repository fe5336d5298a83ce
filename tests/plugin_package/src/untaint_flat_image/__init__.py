"""A detector that ships outside untaint."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.detectors.base import Detector
from untaint.evidence.evidence import Evidence
from untaint.types import Mask, Pixels


@final
@dataclass(frozen=True)
class FlatImage(Detector):
    """Share of an image's values that equal its most common value.

    Works when: samples were blanked or masked out.
    Fails when: an image shows anything, or honest images are blank as well; so it only ranks.
    Cost: one count per image.
    Reference: none; an example.
    """

    id: ClassVar[str] = "flat-image"
    least: float = 0.98  # share from which an image is put on the review list

    @property
    @override
    def budget(self) -> str:
        return "fast"

    def examine(self, pixels: Pixels, usable: Mask) -> Evidence:
        """Score every usable image; the flat ones are a review list, no accusation."""
        scores = np.full(len(pixels), np.nan)
        for row in np.flatnonzero(usable):
            scores[row] = np.bincount(pixels[row].ravel(), minlength=256).max() / pixels[row].size
        review = np.flatnonzero(np.nan_to_num(scores) >= self.least)
        return Evidence(scores, null="empirical", review=review, note="flat images show next to nothing")

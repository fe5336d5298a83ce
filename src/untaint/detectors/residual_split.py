"""A class that falls into two populations in its fine grain."""

from dataclasses import dataclass
from typing import ClassVar, final

from untaint.detectors.base import Detector
from untaint.evidence import splits
from untaint.evidence.evidence import Evidence
from untaint.features.content import Content
from untaint.features.duplicates import NearCopies
from untaint.types import Embeddings, Labels, Pixels


@final
@dataclass(frozen=True)
class ResidualSplit(Detector):
    """Looks for the line along which the high-pass residuals of a class part into two populations.

    Residuals (image minus its blur) are whitened by the covariance of the whole set, which leaves honest classes
    one cloud each. From several starts (the class against all others, its contradicted samples against the rest, its leading
    directions) a held-out matched filter climbs to the line of largest two-component gain. No labels of single samples, no
    network and no clean set are needed; a trigger under right labels is seen as well as one under wrong ones, but only the
    latter contradicts what the images show.

    Works when: one fixed pattern lies on 5 to 60 % of a class (sinusoids, blended noise) or, where content can be judged,
        on 1 % of the set.
    Fails when: the pattern is smooth, warps, or differs from image to image.
    Cost: one covariance, and a few products over the residuals of each class.
    Reference: own method; matched filter North 1943 (reprinted doi 10.1109/PROC.1963.2383);
        separation Ashman, Bird, Zepf 1994, doi 10.1086/117248; the attack it answers: Barni, Kallas, Tondi 2019, arXiv 1902.11237
    """

    id: ClassVar[str] = "residual-split"

    @property
    def budget(self) -> str:
        return "fast"

    def examine(
        self,
        fine_grain: Embeddings,
        pixels: Pixels,
        labels: Labels,
        content: Content,
        near_copies: NearCopies,
        class_names: tuple[str, ...],
    ) -> Evidence:
        return splits.examine(
            splits.Suspects(fine_grain, pixels, labels, content, near_copies, class_names, "A fixed pattern in the fine grain")
        )

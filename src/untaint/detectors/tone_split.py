"""A class that falls into two populations in its broad tones."""

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
class ToneSplit(Detector):
    """Looks for the line along which 8x8 thumbnails of a class part into two populations.

    The coarse twin of the split in the fine grain: patterns as smooth as shading leave no residual, but thumbnails of natural
    images, whitened, are one cloud, and a fixed smooth pattern shifts a part of it.

    Works when: a smooth pattern is blended into 3 % of the set and more.
    Fails when: the pattern is fine, or weaker than a tenth; classes with few, very different looks hide it.
    Cost: next to nothing.
    Reference: own method; the attack it answers: Zeng et al. 2021, arXiv 2104.03413
    """

    id: ClassVar[str] = "tone-split"

    @property
    def budget(self) -> str:
        return "fast"

    def examine(
        self,
        broad_tones: Embeddings,
        pixels: Pixels,
        labels: Labels,
        content: Content,
        near_copies: NearCopies,
        class_names: tuple[str, ...],
    ) -> Evidence:
        return splits.examine(
            splits.Suspects(broad_tones, pixels, labels, content, near_copies, class_names, "A fixed pattern in the broad tones")
        )

"""A class that falls into two populations by where its images are smooth and where they are sharp."""

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
class EnergySplit(Detector):
    """Looks for the line along which the maps of local energy of a class part into two populations.

    Log energy around each pixel in two frequency bands, whitened. A fixed displacement field interpolates the
    same places of every image and blurs them a little: a fixed map, though no pixel repeats. Dithering and requantising raise
    the energy of smooth places.

    Works when: photographs were warped by one field (WaNet, bilinear), dithered or requantised, from about 3 % of the set.
    Fails when: warps are resampled bicubically, images were saved again as JPEG, or images have no grain (drawings, digits).
        It sees resampling, not intent: a class from another camera parts as well, which is why content must contradict.
    Cost: two blurs, one covariance, and a few products over the maps of each class.
    Reference: own method; the attack it answers: Nguyen, Tran 2021, arXiv 2102.10369
    """

    id: ClassVar[str] = "energy-split"

    @property
    def budget(self) -> str:
        return "fast"

    def examine(
        self,
        local_energy: Embeddings,
        pixels: Pixels,
        labels: Labels,
        content: Content,
        near_copies: NearCopies,
        class_names: tuple[str, ...],
    ) -> Evidence:
        return splits.examine(
            splits.Suspects(
                local_energy, pixels, labels, content, near_copies, class_names, "A fixed map of sharp and smooth places"
            )
        )

"""Unlearning of universal triggers that are hunted at the same time."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from untaint.errors import BadInput
from untaint.models.repair._tuning import Plan, tuned
from untaint.models.repair._universal import Universals
from untaint.models.repair._views import are_images, moved
from untaint.models.repair.base import Given, Repair, Repaired


@final
@dataclass(frozen=True)
class Unlearning(Repair):
    """Train on with clean inputs, half of them under universal triggers that climb as fast as the network unlearns them.

    Stops: patches, blends and warps within the bounds searched: a fortieth of the pixels, a fifth of the range, 3 pixels of 28.
    Does not stop: triggers larger than that, and those that need a source class the few inputs hardly show.
    Needs: clean images.
    Cost: `steps` updates, each a little dearer than fine-tuning.
    Reference: I-BAU, Zeng et al. 2022, arXiv 2110.03735; SAU, Wei et al. 2023, arXiv 2307.10562
    """

    id: ClassVar[str] = "unlearning"
    steps: int = 400
    rate: float = 2e-3

    @override
    def apply(self, given: Given) -> Repaired:
        if not are_images(given.inputs):
            raise BadInput(
                "triggers are hunted in images only, and these inputs are none.",
                advice="Take another method (untaint list repairs).",
            )
        module, shape = given.module, given.inputs.shape[1:]
        rng = torch.Generator(given.inputs.device).manual_seed(given.seed)
        universals = Universals((shape[0], shape[1], shape[2]), given.inputs, rng)

        def loss(rows: Tensor) -> Tensor:
            universals.climb()
            inputs = moved(given.inputs[rows], rng)
            half = len(rows) // 2
            views = torch.cat([inputs[:half], universals.stamped(inputs[half:])])
            return functional.cross_entropy(module(views), given.labels[rows])

        return Repaired(tuned(module, loss, given, Plan(self.steps, self.rate), "unlearning"), self.steps)

"""Fine-tuning with sharpness-aware steps."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from untaint.models.repair._tuning import Plan, tuned
from untaint.models.repair._views import moved
from untaint.models.repair.base import Given, Repair, Repaired


@final
@dataclass(frozen=True)
class SharpnessAware(Repair):
    """Train on with clean inputs from the worst place near the weights, which shrinks the large weights a trigger hangs on.

    Stops: backdoors of patches and blends in networks with BatchNorm, as published.
    Does not stop: backdoors spread over many weights; source-specific ones.
    Needs: clean inputs, 5 % of the training set.
    Cost: two passes for each of `steps` updates.
    Reference: FT-SAM, Zhu et al. 2023, arXiv 2304.11823
    """

    id: ClassVar[str] = "sharpness-aware"
    steps: int = 400
    rate: float = 1e-3
    rho: float = 2.0  # the paper's, for adaptive sharpness

    @override
    def apply(self, given: Given) -> Repaired:
        module = given.module
        rng = torch.Generator(given.inputs.device).manual_seed(given.seed)

        def loss(rows: Tensor) -> Tensor:
            return functional.cross_entropy(module(moved(given.inputs[rows], rng)), given.labels[rows])

        return Repaired(tuned(module, loss, given, Plan(self.steps, self.rate, rho=self.rho), "sharpness-aware"), self.steps)

"""Plain fine-tuning: the baseline every other repair must beat."""

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
class FineTuning(Repair):
    """Train on with clean inputs until the backdoor is forgotten.

    Stops: some backdoors that were learned from many samples, when the rate is high.
    Does not stop: most; a network that errs on nothing has no reason to change.
    Needs: clean inputs, 5 % of the training set.
    Cost: `steps` updates.
    Reference: the baseline of BackdoorBench, Wu et al. 2022, arXiv 2206.12654
    """

    id: ClassVar[str] = "fine-tuning"
    steps: int = 400
    rate: float = 1e-3

    @override
    def apply(self, given: Given) -> Repaired:
        module = given.module
        rng = torch.Generator(given.inputs.device).manual_seed(given.seed)

        def loss(rows: Tensor) -> Tensor:
            return functional.cross_entropy(module(moved(given.inputs[rows], rng)), given.labels[rows])

        return Repaired(tuned(module, loss, given, Plan(self.steps, self.rate)), self.steps)

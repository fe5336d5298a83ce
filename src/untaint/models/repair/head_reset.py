"""A new head, then fine-tuning."""

from dataclasses import dataclass
from typing import Any, ClassVar, final

import torch
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from untaint.models.repair._tuning import Plan, head, tuned
from untaint.models.repair._views import moved
from untaint.models.repair.base import Given, Repair, Repaired


@final
@dataclass(frozen=True)
class HeadReset(Repair):
    """Set the layer that gives the logits to zero and train on with clean inputs: what only a trigger wakes stays unheard.

    Stops: triggers with features of their own, which clean inputs do not wake and which so get no weight again.
    Does not stop: triggers that end in the features of their target class.
    Needs: clean inputs; accuracy falls with fewer of them.
    Cost: `steps` updates.
    Reference: FT-init, Min et al. 2023, arXiv 2310.01875
    """

    id: ClassVar[str] = "head-reset"
    steps: int = 400
    rate: float = 3e-3

    @override
    def apply(self, given: Given) -> Repaired:
        module = given.module
        last: Any = head(module)
        with torch.no_grad():
            for weight in last.parameters():
                weight.zero_()
        rng = torch.Generator(given.inputs.device).manual_seed(given.seed)

        def loss(rows: Tensor) -> Tensor:
            return functional.cross_entropy(module(moved(given.inputs[rows], rng)), given.labels[rows])

        return Repaired(tuned(module, loss, given, Plan(self.steps, self.rate)), self.steps)

"""Feature shift: a new head that must point elsewhere than the old one."""

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
class FeatureShift(Repair):
    """Begin the head anew, hold its length, and punish what it shares with the old one: features must move, a trigger's do not follow.

    Stops: backdoors that were learned from few samples, on which fine-tuning fails.
    Does not stop: triggers whose features clean inputs carry as well.
    Needs: clean inputs, 2 % of the training set as published.
    Cost: `steps` updates.
    Reference: FST, Min et al. 2023, arXiv 2310.01875
    """

    id: ClassVar[str] = "feature-shift"
    steps: int = 400
    rate: float = 3e-3
    apart: float = 0.1  # the paper's weight of the product of both heads, at small scale

    @override
    def apply(self, given: Given) -> Repaired:
        module = given.module
        last: Any = head(module)
        old = last.weight.detach().clone()
        torch.nn.init.normal_(last.weight, std=float(old.std()), generator=self._dice(last.weight, given))
        rng = torch.Generator(given.inputs.device).manual_seed(given.seed)

        def loss(rows: Tensor) -> Tensor:
            weight = last.weight
            shared = (weight * old).sum() / (weight.norm() * old.norm()).clamp_min(1e-12)
            logits = module(moved(given.inputs[rows], rng))
            return functional.cross_entropy(logits, given.labels[rows]) + self.apart * len(old) * shared

        return Repaired(tuned(module, loss, given, Plan(self.steps, self.rate)), self.steps)

    @staticmethod
    def _dice(weight: Tensor, given: Given) -> torch.Generator:
        return torch.Generator(weight.device).manual_seed(given.seed)

"""How far a training run can have moved weights at most: what lies beyond was not done by that run."""

from dataclasses import dataclass
from math import inf, sqrt
from typing import final

from untaint.models.base import Explained

_BETAS = (0.9, 0.999)
"""Defaults of Adam in its paper and in every library; records seldom say others."""
_DECAY = 0.01
"""Weight decay of AdamW by default in PyTorch, relative to the rate."""
_MOMENTUM = 0.9
"""The usual momentum of SGD: a gradient is felt 1 / (1 - momentum) times in all."""
_ADAM = {"adam", "adamw", "nadam", "nadamw", "fusedadam", "adam8bit", "adamw8bit", "adamw_torch", "adamw_torch_fused", "radam"}
_BY_RATE = {"lion", "signsgd", "adamax"}
_SGD = {"sgd", "momentum", "nesterov"}

STATISTICS = ("running_mean", "running_var", "num_batches_tracked", "moving_mean", "moving_variance")
"""What normalisation layers keep: means over the data, which no learning rate holds."""


@final
@dataclass(frozen=True)
class Bound:
    """entry: how far one weight can have moved.  norm: how far all of them together, Euclidean.  inf = no bound.

    decay: share of a weight that weight decay may have taken besides.  said: the bound and its reason.
    """

    entry: float
    norm: float
    decay: float
    said: str

    @property
    def holds_anything(self) -> bool:
        """Whether there is a bound at all."""
        return min(self.entry, self.norm) < inf

    def allows(self, name: str, largest: float, old: float) -> bool:
        """Whether a tensor may have changed by this much in one number. old: the largest it was before."""
        return name.endswith(STATISTICS) or largest <= self.entry + self.decay * old


def bound(run: Explained) -> Bound:
    """What the record of a run allows.

    Adam: a step moves a weight by the rate times max(1, (1 - b1) / sqrt(1 - b2)), 3.2 with the usual betas (Kingma, Ba 2015,
    arXiv 1412.6980, section 2.1); AdamW shrinks it besides by the rate times the decay.  Lion, Adamax: by the rate.
    SGD whose gradients are cut to a norm: all weights together by rate times norm / (1 - momentum).
    """
    name = run.optimizer.lower().replace("-", "_").split("(")[0].strip()
    path = run.steps * run.rate
    facts = f"{run.steps:,} steps at a rate of at most {run.rate:g}"
    if name in _ADAM:
        most = max(1.0, (1 - _BETAS[0]) / sqrt(1 - _BETAS[1]))
        decay = min(_DECAY * path, 1.0) if "w" in name.removeprefix("fused") else 0.0
        said = f"{facts} of {run.optimizer} move a weight by at most {path * most:.3g} ({most:.2g} times the rate a step)"
        return Bound(path * most, inf, decay, said + (f", and decay takes at most {decay:.2g} of it" if decay else ""))
    if name in _BY_RATE:
        return Bound(
            path, inf, min(path, 1.0), f"{facts} of {run.optimizer} move a weight by at most {path:.3g} (the rate a step)"
        )
    if name in _SGD and run.clip is not None:
        far = path * run.clip / (1 - _MOMENTUM)
        said = f"{facts} of {run.optimizer}, gradients cut to norm {run.clip:g}, move all weights together by at most {far:.3g}"
        return Bound(far, far, 0.0, f"{said} (momentum {_MOMENTUM:g} counted, weight decay not)")
    why = (
        "its gradients were not cut to any norm"
        if name in _SGD
        else f"nothing is known of how far {run.optimizer} moves a weight"
    )
    return Bound(inf, inf, 0.0, f"{facts} of {run.optimizer} set no bound: {why}")

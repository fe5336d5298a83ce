"""Channels that stretch their input far more than the others of their layer."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import override

from untaint.models.base import Case, Checked, ModelCheck, ModelFinding, Need
from untaint.numerics.outlying import LEAST, grubbs_p

_LISTED = 20  # layers named in the report
_LISTS = "what it lists accuses nobody: it only says where to look"
_ADVICE = "Nothing by itself: honest networks have such channels too. Look at what trigger inversion says, and prune it when you repair."


@final
@dataclass(frozen=True)
class ChannelLipschitz(ModelCheck):
    """How far each convolution channel, with the batch normalisation behind it, can stretch a change of its input; outliers are listed.

    The bound is the largest singular value of a channel's weights, (inputs, height x width), times the factor of its normalisation.
    The largest of a layer is compared with the others on a logarithmic scale (Grubbs), corrected for the layers. It never accuses: it
    says where to look and what to prune.

    Works when: a trigger has neurons of its own that answer strongly, as in networks with batch normalisation.
    Fails when: a backdoor is spread over channels, or in transformers, which have no convolutions but the first; honest channels stand out.
    Cost: one small singular value decomposition per channel; no data.
    Reference: Zheng and others 2022, arXiv 2208.03111 (channel Lipschitz pruning)
    """

    id: ClassVar[str] = "channel-lipschitz"
    needs: ClassVar[tuple[Need, ...]] = ("subject",)
    accuses: ClassVar[bool] = False

    @override
    def examine(self, case: Case) -> Checked:
        module = None if case.subject is None else case.subject.module
        if module is None:
            return Checked("cannot tell", reason="it is a black box: there are no weights to look at")
        layers = [(name, bounds) for name, bounds in channel_bounds(module) if len(bounds) >= LEAST and bounds.min() > 0]
        if not layers:
            return Checked("cannot tell", reason=f"it has no convolution of {LEAST} channels or more")
        rows: list[dict[str, object]] = []
        findings = []
        for name, bounds in layers:
            p_value = min(1.0, len(layers) * grubbs_p(np.log(bounds)))
            channel = int(bounds.argmax())
            times = round(float(bounds.max() / np.median(bounds)), 3)
            rows.append(
                {"layer": name, "channels": len(bounds), "stretches most": channel, "times the middle": times, "p_value": p_value}
            )
            if p_value <= case.alpha:
                findings.append(_finding(name, channel, float(bounds.max() / np.median(bounds)), p_value))
        return Checked("no evidence", tuple(findings), _LISTS if findings else "", {"layers": rows[:_LISTED]})


def channel_bounds(module: nn.Module) -> Iterator[tuple[str, np.ndarray]]:
    """Convolutions by name, with the bound of each channel's stretch, the normalisation right behind it included."""
    before: tuple[str, nn.Conv2d] | None = None
    for name, layer in module.named_modules():
        if isinstance(layer, nn.BatchNorm2d) and before is not None and before[1].out_channels == layer.num_features:
            yield before[0], _bounds(before[1].weight, _factor(layer))
            before = None
        elif not any(layer.children()):
            if before is not None:
                yield before[0], _bounds(before[1].weight, None)
            before = (name, layer) if isinstance(layer, nn.Conv2d) else None
    if before is not None:
        yield before[0], _bounds(before[1].weight, None)


def _factor(norm: nn.BatchNorm2d) -> Tensor | None:
    if norm.running_var is None:
        return None
    spread = (norm.running_var.detach() + norm.eps).sqrt()
    return (norm.weight.detach().abs() if norm.weight is not None else torch.ones_like(spread)) / spread


def _bounds(weight: Tensor, factor: Tensor | None) -> np.ndarray:
    """(channels,) of weights (channels, inputs, height, width)."""
    flat = weight.detach().float().flatten(2)
    largest = torch.linalg.matrix_norm(flat, ord=2)
    found: np.ndarray = (largest if factor is None else largest * factor).cpu().numpy()
    return found


def _finding(layer: str, channel: int, times: float, p_value: float) -> ModelFinding:
    return ModelFinding(
        id="",
        kind="backdoor",
        severity="info",
        confidence="low",
        where=f"{layer}, channel {channel}",
        what=f"It stretches its input {times:.1f} times as far as the layer's middle channel, more than its neighbours' spread explains.",
        advice=_ADVICE,
        check=ChannelLipschitz.id,
        p_value=p_value,
    )

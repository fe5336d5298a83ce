"""How far ahead a class can get on any input at all."""

import copy
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import override

from untaint.models.base import Case, Checked, ModelCheck, ModelFinding, Need
from untaint.nets.subject import TorchSubject
from untaint.numerics.outlying import LEAST, largest_p

_STARTS, _STEPS, _RATE = 4, 40, 0.1
"""Inputs started from for each class, steps, and part of an input's range moved at first; more steps raise all classes alike."""
_BATCH = 256
_LISTS = "what it lists accuses nobody: it only says where to look"
_ADVICE = "Nothing by itself: honest networks have classes that can get far ahead too. Look at what trigger inversion says of this class."


@final
@dataclass(frozen=True)
class LogitMargin(ModelCheck):
    """The largest lead each class's logit can get over all others on any input; a class far ahead of all others is listed.

    Inputs are drawn at random and moved up the slope. The largest lead is compared with a gamma law fitted to the other classes'. It
    needs no images but their shape, and no kind of trigger; it never accuses, for honest networks have such classes too.

    Works when: one class has a trigger, whatever it looks like, and there are ten classes or more.
    Fails when: there are fewer than five classes, every class has a trigger, or logits are bounded by the build of the network.
    Cost: four times forty passes for each class.
    Reference: Wang and others 2024, arXiv 2205.06900 (MM-BD)
    """

    id: ClassVar[str] = "logit-margin"
    needs: ClassVar[tuple[Need, ...]] = ("subject", "reference", "images")
    accuses: ClassVar[bool] = False

    @override
    def examine(self, case: Case) -> Checked:
        if case.subject is None or case.reference is None or case.subject.module is None:
            return Checked("cannot tell", reason="it is a black box: there is no slope to follow")
        inputs, classes = case.reference.inputs, case.reference.classes
        if inputs.dtype != np.uint8 or inputs.ndim != 4 or not len(inputs):
            return Checked("cannot tell", reason="it moves images, and these are none")
        if len(classes) < LEAST:
            return Checked("cannot tell", reason=f"{len(classes)} classes leave no spread to compare one with; {LEAST} do")
        case.subject.logits(inputs[:1])  # raises BadInput for images the model refuses
        leads = largest_leads(case.subject.module, TorchSubject(case.subject.module).tensor(inputs[:1]), len(classes), case.seed)
        p_value, code = largest_p(leads), int(leads.argmax())
        rows = [{"class": name, "largest lead": round(float(lead), 2)} for name, lead in zip(classes, leads, strict=True)]
        findings = (_finding(classes[code], leads, p_value),) if p_value <= case.alpha else ()
        return Checked("no evidence", findings, _LISTS if findings else "", {"leads": rows, "p_value": p_value})


def largest_leads(module: nn.Module, like: Tensor, classes: int, seed: int) -> np.ndarray:
    """(classes,) the largest lead of each class's logit found on inputs in 0..1 like (1, c, h, w)."""
    net = copy.deepcopy(module).eval().requires_grad_(requires_grad=False)
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.rand(classes * _STARTS, *like.shape[1:], generator=generator).to(like)
    codes = torch.arange(classes, device=like.device).repeat_interleave(_STARTS)
    found = [_climbed(net, *part) for part in zip(inputs.split(_BATCH), codes.split(_BATCH), strict=True)]
    best: np.ndarray = torch.cat(found).reshape(classes, _STARTS).amax(1).cpu().numpy()
    return best


def _climbed(net: nn.Module, inputs: Tensor, codes: Tensor) -> Tensor:
    for step in range(_STEPS):
        free = inputs.detach().clone().requires_grad_()
        _leads(net(free), codes).sum().backward()
        slope = free.grad if free.grad is not None else torch.zeros_like(free)
        inputs = (inputs + _RATE * (1 - step / _STEPS) * slope.sign()).clamp(0, 1)
    with torch.no_grad():
        return _leads(net(inputs), codes)


def _leads(logits: Tensor, codes: Tensor) -> Tensor:
    own = logits.gather(1, codes[:, None])
    return own[:, 0] - logits.scatter(1, codes[:, None], float("-inf")).amax(1)


def _finding(name: str, leads: np.ndarray, p_value: float) -> ModelFinding:
    ahead = float(leads.max() / np.median(leads))
    return ModelFinding(
        id="",
        kind="backdoor",
        severity="info",
        confidence="low",
        where=f"class {name}",
        what=f"Some input puts it {ahead:.1f} times as far ahead as the middle class can get.",
        advice=_ADVICE,
        check=LogitMargin.id,
        p_value=p_value,
        target_label=name,
    )

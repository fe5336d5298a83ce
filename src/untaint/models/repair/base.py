"""One rule: a repair turns a network and a few clean inputs into another network of the same shape; the one given is never touched.

No repair is told the attack, and none chooses by the attack's success: what it may look at is clean inputs, some of them held back.
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, final

import torch
from torch import Tensor, nn

from untaint.errors import BadInput
from untaint.nets.subject import Reference, as_tensor, evaluating
from untaint.registry import members

PACKAGE = "untaint.models.repair"
FEWEST = 2
"""Clean inputs of each class on average under which nothing can be learned from them, and none held back."""

Progress = Callable[[str, int, int], None]
"""Called with what is done, how much of it is done, and how much there is."""


def quiet(_what: str, _done: int, _total: int) -> None:
    """Progress that nobody wants to see."""
    return


@final
@dataclass(frozen=True)
class Given:
    """What a repair works on, as tensors on the network's device.

    module: a copy, in evaluation, that the repair may change.  inputs: (n, ...) as the network takes them; none for repairs that need
    no data.  labels: (n,) true classes.  classes: how many the network answers with.
    """

    module: nn.Module
    inputs: Tensor
    labels: Tensor
    classes: int
    seed: int = 0
    progress: Progress = quiet


@final
@dataclass(frozen=True)
class Repaired:
    """A repaired network in evaluation. steps: updates made.  facts: what was done and chosen, for the report."""

    module: nn.Module
    steps: int
    facts: Mapping[str, object] = field(default_factory=dict)


class Repair(ABC):
    """A frozen dataclass whose fields are its parameters.

    The docstring is the manual page: one sentence, then *Stops*, *Does not stop*, *Needs*, *Cost*, *Reference*.
    clean: whether it needs clean inputs.
    """

    id: ClassVar[str]
    clean: ClassVar[bool] = True

    @abstractmethod
    def apply(self, given: Given) -> Repaired:
        """A repaired network. Raises BadInput where the network has nothing this repair could work on."""


def repairs() -> Mapping[str, type[Repair]]:
    """Every repair known, plug-ins included, by id."""
    return members(Repair, PACKAGE)


def prepared(module: nn.Module, reference: Reference | None, seed: int = 0, progress: Progress = quiet) -> Given:
    """A copy of a network to work on, and the clean inputs as it takes them. The network is left as it came.

    Raises BadInput for weights that are not float32 (or float64), and for inputs or classes that do not fit.
    """
    weights = _weights(module)
    copied = copy.deepcopy(module).eval()
    for weight in copied.parameters():
        weight.requires_grad = True
    device = weights[0].device
    if reference is None:
        return Given(copied, torch.empty(0, device=device), torch.empty(0, dtype=torch.long, device=device), 0, seed, progress)
    inputs = as_tensor(reference.inputs)
    inputs = inputs.to(device, weights[0].dtype) if inputs.is_floating_point() else inputs.to(device)
    labels = torch.from_numpy(reference.labels).long().to(device)
    if len(labels) < FEWEST * len(reference.classes):
        raise BadInput(
            f"{len(labels):,} clean inputs of {len(reference.classes)} classes are too few to repair with.",
            advice=f"Give {FEWEST} of each class or more (500 in all do well), or take a method that needs none (untaint list repairs).",
        )
    classes = _answered(copied, inputs)
    if classes != len(reference.classes):
        raise BadInput(
            f"the network answers with {classes} classes, and the clean inputs have {len(reference.classes)}.",
            advice="Give inputs of all classes of the network, labelled as it was trained.",
        )
    return Given(copied, inputs, labels, classes, seed, progress)


def _weights(module: nn.Module) -> list[nn.Parameter]:
    weights = list(module.parameters())
    if not weights:
        raise BadInput(
            "the network has no weights that could be repaired.",
            advice="Networks quantised to whole numbers keep theirs elsewhere: repair the one they were made of, then quantise again.",
        )
    odd = sorted({str(weight.dtype).removeprefix("torch.") for weight in weights} - {"float32", "float64"})
    if odd:
        raise BadInput(
            f"the network has weights of type {', '.join(odd)}, in which small corrections are lost.",
            advice="Repair it as float32 (module.float()) and convert the result back.",
        )
    return weights


def _answered(module: nn.Module, inputs: Tensor) -> int:
    shape = "x".join(map(str, inputs.shape[1:]))
    advice = "Give data like those the network was made for."
    try:
        with torch.no_grad(), evaluating(module):
            logits = module(inputs[:2])
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise BadInput(f"the network refuses inputs of {shape}: {first}.", advice=advice) from error
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != len(inputs[:2]):
        raise BadInput("the network does not answer with one row of logits per input.", advice=advice)
    return int(logits.shape[1])

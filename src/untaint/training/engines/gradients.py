"""The gradients of a step: bounded by row or by part, put together, and noised, as the hooks of a recipe say."""

from collections.abc import Sequence
from math import isfinite
from typing import final

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from untaint.errors import BadInput
from untaint.training.base import Defence, Hooks
from untaint.training.engines.head import Head
from untaint.training.engines.tape import Bound, Tape, kept_apart

_GROUPS = 16
"""Parts of a batch whose gradients are bounded each by itself where those of rows cannot be: of the 128 or 256 rows of a usual batch,
eight or sixteen share a bound, and one bad row spoils that many."""
_MIXING = (nn.modules.batchnorm._BatchNorm,)  # noqa: SLF001  # the base that 1-D, 2-D, 3-D and synchronised ones share


@final
class Gradients:
    """Those of one optimizer's parameters, during one run.

    Raises BadInput for a network on which a defence of the recipe is unsound, or an optimizer that does not train the network.
    """

    def __init__(self, model: nn.Module, optimizer: Optimizer, active: Sequence[tuple[Defence, Hooks]], *, mean: bool) -> None:
        self.notes: list[str] = []
        self._trained = [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
        self._mean = mean
        hooks = [each for _, each in active]
        self._bound = next((each.bound for each in hooks if each.bound is not None), None)
        self._combine = next((each.combine for each in hooks if each.combine is not None), None)
        self._settle = next((each.settle for each in hooks if each.settle is not None), None)
        self._micro = max((each.micro for each in hooks), default=1)
        self._collected: list[tuple[np.ndarray, int]] = []
        self._tape: Tape | None = None
        self._private = any("private" in defence.traits for defence, _ in active)
        _check(model, optimizer, [defence for defence, _ in active])
        if self._settle is not None and not mean:
            raise BadInput("noise is measured for a loss that is the mean over the batch.", advice="Use the mean.")
        self._head: Head | None = None
        if self._bound is not None:
            self._limit(model, self._bound)

    def _limit(self, model: nn.Module, bound: Bound) -> None:
        """Choose how rows' gradients are bounded: each by itself, at the output, or in parts of the batch."""
        others = kept_apart(model)
        if mixing(model):
            self._head = Head(model, bound, mean=self._mean)
            self.notes.append("rows' gradients are bounded at the output, since batch normalisation mixes rows further in")
        elif not others:
            self._tape = Tape(model, bound, mean=self._mean)
        else:
            each = "one row" if self._private else f"1/{_GROUPS} of a batch"
            self.notes.append(
                f"gradients are bounded for {each} at a time, since rows can't be kept apart in {', '.join(others[:3])}"
            )

    @property
    def one_step_each(self) -> bool:
        """Whether an optimizer step must follow every batch handed out."""
        return self._settle is not None or self.parts(2) > 1

    @property
    def complete(self) -> bool:
        """Whether no part of a batch waits for the others."""
        return not self._collected

    def parts(self, rows: int) -> int:
        """Into how many parts a batch of so many rows is cut."""
        grouped = 1 if not self._in_parts else rows if self._private else _GROUPS
        return min(rows, max(self._micro, grouped))

    @property
    def _in_parts(self) -> bool:
        """Whether gradients are bounded for parts of the batch."""
        return self._bound is not None and self._tape is None and self._head is None

    def answered(self, outputs: Tensor) -> None:
        """The network has answered the rows that were handed out last."""
        if self._head is not None:
            self._head.watch(outputs)

    def expect(self, rows: int) -> None:
        """So many rows come next."""
        if self._tape is not None:
            self._tape.rows = rows

    def release(self) -> None:
        """Leave the model as it was."""
        for part in (self._tape, self._head):
            if part is not None:
                part.release()

    def collect(self, rows: int, *, last: bool) -> bool:
        """Take a part's gradient; whether the whole is now in `.grad`. If not, nothing is, and a step changes nothing."""
        if self._tape is not None:
            self._tape.rows = None
        if (
            not self._collected
            and last
            and self._settle is None
            and self._combine is None
            and (self._tape or self._bound is None)
        ):
            return True
        flat = self._flat()
        if self._bound is not None and self._in_parts:
            flat = _bounded(flat, self._bound(np.array([np.linalg.norm(flat.astype(np.float64))]))[0])
        self._collected.append((flat, rows))
        self.forget()
        if last:
            self._put_together()
        return last

    def nothing(self) -> None:
        """A batch without rows: its sum of gradients is zero."""
        self._collected = [(np.zeros(sum(p.numel() for p in self._trained), np.float32), 0)]
        self._put_together()

    def _put_together(self) -> None:
        collected, self._collected = self._collected, []
        total = sum(rows for _, rows in collected)
        if self._combine is not None:
            flat = self._combine(np.stack([flat for flat, _ in collected])) * (1 if self._mean else len(collected))
        else:
            shares = [rows / max(total, 1) if self._mean else 1.0 for _, rows in collected]
            flat = sum(
                (flat * share for (flat, _), share in zip(collected, shares, strict=True)), start=np.zeros_like(collected[0][0])
            )
        if self._settle is not None:
            flat = self._settle(flat * total, total)
        self._assign(flat)

    def norm(self) -> tuple[float, bool]:
        """Norm of the whole gradient, and whether it is a number."""
        grads = [p.grad for p in self._trained if p.grad is not None]
        if not grads:
            return 0.0, True
        value = float(torch.stack([norm.float() for norm in torch._foreach_norm(grads)]).norm())  # noqa: SLF001  # as clip_grad_norm_ does
        return value, isfinite(value)

    def sound(self) -> bool:
        """Whether every trained parameter is finite."""
        return all(isfinite(float(value)) for value in torch._foreach_norm([p.detach() for p in self._trained]))  # noqa: SLF001

    def forget(self) -> None:
        """Drop the gradient: a step changes nothing."""
        for parameter in self._trained:
            parameter.grad = None

    def _flat(self) -> np.ndarray:
        parts = [
            torch.zeros(p.numel(), device=p.device) if p.grad is None else p.grad.detach().flatten().float()
            for p in self._trained
        ]
        return torch.cat([part.cpu() for part in parts]).numpy()

    def _assign(self, flat: np.ndarray) -> None:
        whole = torch.from_numpy(np.ascontiguousarray(flat, dtype=np.float32))
        start = 0
        for parameter in self._trained:
            piece = whole[start : start + parameter.numel()].reshape(parameter.shape)
            parameter.grad = piece.to(parameter.device, parameter.dtype).clone()
            start += parameter.numel()


def _bounded(flat: np.ndarray, factor: float) -> np.ndarray:
    finite = np.isfinite(flat).all() and isfinite(factor)
    return flat * np.float32(factor) if finite else np.zeros_like(flat)


def _check(model: nn.Module, optimizer: Optimizer, defences: Sequence[Defence]) -> None:
    if isinstance(optimizer, torch.optim.LBFGS):
        message = "LBFGS computes gradients inside its step, where no hook can bound them."
        raise BadInput(message, advice="Take an optimizer that makes one update per gradient, such as SGD or Adam.")
    own = {id(p) for p in model.parameters()}
    if not all(id(p) in own for group in optimizer.param_groups for p in group["params"]):
        raise BadInput(
            "the optimizer trains parameters that are not in the model.", advice="Give the model whose parameters it has."
        )
    if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel) or hasattr(model, "_orig_mod"):
        message = f"the model is wrapped in {type(model).__name__}, which keeps its layers to itself."
        raise BadInput(message, advice="Harden the plain model and leave the wrapper out.")
    layers = mixing(model)
    for defence in defences:
        if layers and not defence.allows_batch_norm:
            message = f"{defence.id} is unsound with batch normalisation ({', '.join(layers[:3])}): each row's output depends on others."
            raise BadInput(message, advice="Replace it: `untaint.without_batch_norm(model)`.")


def mixing(model: nn.Module) -> list[str]:
    """Names of layers in which each row's output depends on other rows."""
    return [name for name, module in model.named_modules() if isinstance(module, _MIXING)]

"""One run of a recipe on PyTorch: calls the hooks around a loop that is not ours."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import nan
from pathlib import Path
from typing import Any, final
from weakref import WeakSet

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from untaint.errors import BadInput
from untaint.registry import spec
from untaint.training.base import Batch, Defence, Dropped, Hooks, Run, Seen, State, Update
from untaint.training.compose import Recipe
from untaint.training.engines.batches import Parcel, array
from untaint.training.engines.gradients import Gradients
from untaint.training.engines.progress import Progress, Refused
from untaint.training.engines.row_losses import RowLoss, answer_of, row_losses
from untaint.training.engines.set_aside import SetAside
from untaint.training.engines.snapshots import Buffers, Snapshot

_HARDENED: WeakSet[nn.Module] = WeakSet()
"""Models with hooks on them."""


@final
@dataclass(frozen=True)
class Ways:
    """How the loop computes. mean: its loss is the mean of its rows' losses, else their sum.  row_loss: None = by kind of target."""

    mean: bool = True
    row_loss: RowLoss = row_losses


@final
@dataclass
class _Handed:
    """What was handed out last. part, parts: which of how many of one batch.  loss: mean of its rows, once it is known."""

    parcel: Parcel
    part: int
    parts: int
    loss: float = nan


@final
class Session:
    """Hooks attached to a model and an optimizer; `batches` turns what a loader gives into what the loop is to train on.

    Raises BadInput for a network or an optimizer that the recipe cannot be sound on.
    """

    def __init__(self, model: nn.Module, optimizer: Optimizer, recipe: Recipe, run: Run, ways: Ways, folder: Path | None) -> None:
        if model in _HARDENED:
            message = "the model is hardened already, and would be bounded twice."
            raise BadInput(message, advice="Take the first hooks off: `loader.session.release()`.")
        self.model, self.optimizer, self.recipe, self.run, self.ways = model, optimizer, recipe, run, ways
        self.active: list[tuple[Defence, Hooks]] = [(defence, defence.start(run)) for defence in recipe.defences]
        self.progress = Progress()
        self.numbers: np.ndarray | None = None  # what rows are called where they are told of, if not their place
        self.aside = SetAside(folder)
        self._gradients = Gradients(model, optimizer, self.active, mean=ways.mean)
        self._buffers = Buffers(model)
        self._handed: _Handed | None = None
        self._good: Snapshot | None = None
        self._looking = False  # while a hook asks the model something
        self._screens = [(defence, hooks.screen) for defence, hooks in self.active if hooks.screen is not None]
        self._alters = [hooks.alter for _, hooks in self.active if hooks.alter is not None]
        self._admits = [hooks.admit for _, hooks in self.active if hooks.admit is not None]
        self._watches = [hooks.watch for _, hooks in self.active if hooks.watch is not None]
        self._judged = bool(self._admits or self._watches)  # whether anybody looks at updates
        self._weighed = any(hooks.weigh for _, hooks in self.active)
        self._attached = [
            model.register_forward_hook(self._forward),
            optimizer.register_step_pre_hook(self._before_step),
            optimizer.register_step_post_hook(self._after_step),
        ]
        if self._watches:
            self._good = Snapshot.of(model, optimizer)
        _HARDENED.add(model)

    def release(self) -> None:
        """Take every hook off; model and optimizer are as if they had never been hardened, but for what was learned."""
        for handle in self._attached:
            handle.remove()
        self._gradients.release()
        _HARDENED.discard(self.model)

    def begin_epoch(self) -> None:
        """Called before the first batch of every epoch."""
        self.progress.epoch += 1

    def batches(self, content: object, rows: np.ndarray | None) -> Iterator[Any]:
        """What is to be trained on of one batch, in one part or several; nothing when no row of it may be."""
        parcel = Parcel.of(content, rows)
        for defence, screen in self._screens:
            if len(parcel.rows):
                parcel = self._screened(parcel, defence, screen(self._batch(parcel)))
        if not len(parcel.rows):
            return
        for alter in self._alters:
            parcel = parcel.changed(alter(self._batch(parcel), self._slope(parcel)))
        parts = parcel.parts(self._gradients.parts(len(parcel.rows)))
        for number, part in enumerate(parts):
            self._hand_out(part, number, len(parts))
            yield part.content

    def empty(self) -> None:
        """A batch without rows was drawn: an update of noise alone."""
        self._gradients.nothing()
        self.optimizer.step()

    @property
    def between_batches(self) -> bool:
        """Whether all of the last batch was trained on."""
        return self._handed is None and self._gradients.complete

    @property
    def parts_of_batch(self) -> int:
        """In how many parts a batch of the usual size is handed out."""
        return self._gradients.parts(self.run.batch or 1)

    @property
    def samples(self) -> Any:
        """The hook that draws rows, None = the loader's own order."""
        return next((hooks.sample for _, hooks in self.active if hooks.sample is not None), None)

    def _batch(self, parcel: Parcel) -> Batch:
        return parcel.batch(max(self.progress.epoch, 0), self.progress.step)

    def _screened(self, parcel: Parcel, defence: Defence, reasons: Mapping[int, str]) -> Parcel:
        if not reasons:
            return parcel
        mask = np.ones(len(parcel.rows), bool)
        for position, reason in reasons.items():
            mask[position] = False
            row = int(parcel.rows[position])
            row = row if self.numbers is None or row < 0 else int(self.numbers[row])
            self.aside.add(parcel, position, Dropped(row, self.progress.epoch, self.progress.step, spec(defence), reason))
        return parcel.kept(mask)

    def _hand_out(self, parcel: Parcel, part: int, parts: int) -> None:
        if self._handed is not None and self._gradients.one_step_each:
            message = "the recipe needs optimizer.step() after every batch that the loader gives; a batch came without one."
            raise BadInput(message, advice="Step once per batch, or choose a recipe without micro-batches and noise.")
        self._handed = _Handed(parcel, part, parts)
        self._gradients.expect(len(parcel.rows))
        self._buffers.keep()

    def _forward(self, _model: nn.Module, _inputs: Any, output: Any) -> None:
        handed = self._handed
        if handed is None or self._looking or not torch.is_grad_enabled() or not self.model.training:
            return
        outputs = answer_of(output)
        if not (self._weighed or self._judged):
            if outputs is not None and len(outputs) == len(handed.parcel.rows):
                self._gradients.answered(outputs)
            return
        targets = handed.parcel.targets()
        if outputs is not None and targets is None:
            self._gradients.answered(outputs)
        if outputs is None or targets is None or len(outputs) != len(targets):
            if self._weighed:
                raise BadInput(
                    _unclear(outputs, targets),
                    advice="Give the model the whole batch, and let the loader's last tensor be its targets.",
                )
            return
        with torch.no_grad():
            losses = self.ways.row_loss(outputs, targets.to(outputs.device))
        handed.loss = float(losses.mean())
        weights = self._weights(losses, outputs, handed)
        if weights is not None and outputs.requires_grad:
            factors = torch.from_numpy(weights).to(outputs)
            outputs.register_hook(lambda grad: _scaled(grad, factors))
        self._gradients.answered(outputs)

    def _weights(self, losses: Tensor, outputs: Tensor, handed: _Handed) -> np.ndarray | None:
        """(n,) the product of what all weighing hooks say; 0 for rows whose loss is no number; None = nobody weighs."""
        weighing = [hooks.weigh for _, hooks in self.active if hooks.weigh is not None]
        if not weighing:
            return None
        batch = self._batch(handed.parcel)
        targets = np.empty(0) if batch.targets is None else batch.targets
        seen = Seen(array(losses), array(outputs), targets, batch.rows, batch.epoch, batch.step)
        total = np.ones(len(losses))
        for weigh in weighing:
            total = total * weigh(seen)
        return np.where(np.isfinite(seen.losses) & np.isfinite(total), total, 0.0)

    def _slope(self, parcel: Parcel) -> Any:
        """Gradients of the rows' losses by their inputs, for hooks that change them."""

        def slope(inputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
            first = next(iter(parcel.inputs().values()))
            device = next(self.model.parameters()).device
            asked = torch.as_tensor(inputs).to(device, first.dtype).requires_grad_()
            wanted = torch.as_tensor(targets).to(device)
            training, self._looking = [(module, module.training) for module in self.model.modules()], True
            self.model.eval()
            try:
                with torch.enable_grad():
                    outputs = answer_of(self.model(asked))
                    if outputs is None:
                        raise BadInput(_unclear(None, wanted))
                    (grad,) = torch.autograd.grad(self.ways.row_loss(outputs, wanted).sum(), asked)
            finally:
                for module, mode in training:  # each as it was: some may be frozen
                    module.training = mode
                self._looking = False
            return array(grad)

        return slope

    def _before_step(self, _optimizer: Optimizer, _args: Any, _kwargs: Any) -> None:
        handed, self._handed = self._handed, None
        if handed is not None:
            self.progress.rows += len(handed.parcel.rows)
            if not self._gradients.collect(len(handed.parcel.rows), last=handed.part == handed.parts - 1):
                return
        norm, finite = self._gradients.norm() if self._judged else (nan, True)
        loss = nan if handed is None else handed.loss
        update = Update(norm, loss, finite, max(self.progress.epoch, 0), self.progress.step)
        reason = next((said for admit in self._admits if (said := admit(update))), None)
        self.progress.step += 1
        self._update = update
        if reason is not None:
            self.progress.refused.append(Refused(update.epoch, update.step, reason))
            self._gradients.forget()
            self._buffers.restore()

    _update: Update | None = None

    def _after_step(self, _optimizer: Optimizer, _args: Any, _kwargs: Any) -> None:
        update, self._update = self._update, None
        if update is None or not self._watches:
            return
        finite = self._gradients.sound() and self._buffers.finite()
        advice = {watch(replace(update, finite=finite)) for watch in self._watches}
        if "back" in advice and self._good is not None:
            self._good.restore(self.model, self.optimizer)
            self.progress.back += 1
            self.progress.refused.append(Refused(update.epoch, update.step, "taken back: the last good state was restored"))
        elif advice == {"good"}:
            self._good = Snapshot.of(self.model, self.optimizer)

    def record(self) -> dict[str, object]:
        """What happened, as plain words and numbers for a file of JSON."""
        return self.progress.record(self.recipe, self.active, self.aside, self._gradients.notes)

    def state(self) -> State:
        """Everything that a stopped run needs to go on as it would have, besides model, optimizer and order of rows."""
        return self.progress.state(self.active)

    def resume(self, held: State) -> None:
        """Take up a state that `state` gave."""
        self.progress.take_up(held, self.active)
        if self._good is not None:
            self._good = Snapshot.of(self.model, self.optimizer)


def _scaled(grad: Tensor, factors: Tensor) -> Tensor:
    shaped = factors.reshape(-1, *[1] * (grad.dim() - 1))
    return torch.where(shaped == 0, torch.zeros_like(grad), grad * shaped)


def _unclear(outputs: Tensor | None, targets: Tensor | None) -> str:
    said = "no tensor" if outputs is None else f"{len(outputs):,} rows"
    wanted = "no targets" if targets is None else f"{len(targets):,} targets"
    return f"rows can't be weighed: the model answered {said}, the loader gave {wanted}."

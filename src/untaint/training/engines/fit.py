"""A training loop for those who have none: any network, any recipe, stopped and taken up at any time."""

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from math import cos, isfinite, nan, pi
from pathlib import Path
from typing import Any, TypeAlias, final

import numpy as np
import torch
from torch.nn import functional

from untaint.features.inputs import Inputs
from untaint.training import compose
from untaint.training.compose import Recipe, Wanted
from untaint.training.engines.arrays import ArrayLoader
from untaint.training.engines.checkpoint import Checkpoint
from untaint.training.engines.harden import harden
from untaint.training.engines.trained import Trained, untrained
from untaint.training.record import Curve
from untaint.training.risk import Risk

Report: TypeAlias = Callable[[str, int, int], None]
_UPDATES = 2400
"""Updates aimed at, between 4 and 100 epochs: the number that the house proxy is given (nets.fit)."""
_BATCH = 128
_BATCHES, _LARGEST = 30, 4096
"""Batches of an epoch, and rows of one at most, where noise is added: 2,048 of 60,000 rows, over 15 epochs, gave 97 to 98 % of MNIST at
epsilon 1.2 (benchmarks/results/hardening_dp.md)."""
_NOISY_EPOCHS = 15
_SAVED = 20.0  # seconds between checkpoints
_TURN = 0.15  # share of the updates in which the rate rises to its full height


@final
@dataclass(frozen=True)
class Plan:
    """How long and how to train.

    epochs, batch: None = by the number of rows, and larger batches for recipes that add noise.  rate: at its height, of Adam.
    held_out: share of rows kept to look at.
    factory: `module:function` that makes the network, None = of the house.
    """

    epochs: int | None = None
    batch: int | None = None
    rate: float = 4e-3
    held_out: float = 0.1
    seed: int = 0
    factory: str | None = None

    def for_rows(self, rows: int, *, private: bool = False) -> "Plan":
        """With epochs and batch settled. private: the recipe adds noise, which a larger batch shares."""
        batch = self.batch or (min(_LARGEST, max(_BATCH, rows // _BATCHES)) if private else _BATCH)
        epochs = self.epochs or (_NOISY_EPOCHS if private else min(100, max(4, round(_UPDATES * batch / rows))))
        return replace(self, epochs=epochs, batch=batch)


@final
@dataclass(frozen=True)
class Finished:
    """A model and what happened. record: the run's, plain JSON.  resumed: how often it was taken up."""

    model: Trained
    epochs: tuple[Curve, ...]
    record: Mapping[str, object]
    resumed: int
    seconds: float


def fit(
    inputs: Inputs, recipe: Wanted, plan: Plan, out: Path | None, report: Report, risks: np.ndarray | None = None
) -> Finished:
    """Train a network. out: folder for the checkpoint and what is dropped, None = nothing is kept on disk.

    risks: (n,) of every row of the data set, 1 = it is not to count; None = all count.

    A run that was stopped goes on where it was when it is started again with the same data, recipe and plan. Raises BadInput for a
    recipe that is unsound here, or a checkpoint of another run.
    """
    return _Fit(inputs, recipe, plan, out, report, risks).run()


@final
class _Fit:
    def __init__(  # what `fit` is asked
        self, inputs: Inputs, recipe: Wanted, plan: Plan, out: Path | None, report: Report, risks: np.ndarray | None
    ) -> None:
        chosen = compose.recipe(recipe)
        plan = plan.for_rows(len(inputs.codes), private=is_private(chosen))
        self.inputs, self.plan, self.report = inputs, plan, report
        self.planned, size = plan.epochs or 1, plan.batch or _BATCH
        mixed = np.random.default_rng(plan.seed).permutation(len(inputs.codes))
        held = int(len(mixed) * plan.held_out)
        self.held, self.trained = np.sort(mixed[:held]), np.sort(mixed[held:])
        self.net = untrained(inputs.encoding, plan.factory, plan.seed)
        self.optimizer = torch.optim.AdamW(self.net.parameters(), plan.rate)
        if risks is not None:
            weighed = Risk(samples=risks[inputs.rows[self.trained]])
            chosen = compose.recipe(replace(chosen, defences=(*chosen.defences, weighed)))
        self.source = ArrayLoader(
            inputs.values[self.trained],
            inputs.codes[self.trained],
            inputs.rows[self.trained],
            batch=size,
            seed=plan.seed,
        )
        quarantine = {} if out is None else {"quarantine": out / "dropped"}
        options: Any = {"seed": plan.seed, "classes": len(inputs.encoding.classes), "epochs": self.planned, **quarantine}
        _, _, self.loader = harden(self.net, self.optimizer, self.source, chosen, **options)
        self.epochs: list[Curve] = []
        self.resumed = 0
        self.before = 0.0
        facts = chosen.spec(), asdict(plan), inputs.encoding.modality, inputs.encoding.shape, inputs.encoding.classes
        self.checkpoint = (
            None if out is None else Checkpoint(out / "checkpoint.safetensors", repr((*facts, _digest(inputs, risks))))
        )

    def run(self) -> Finished:
        self._began = self._saved = time.monotonic()
        if self.checkpoint is not None:
            self._take_up(self.checkpoint)
        while len(self.epochs) < self.planned:
            loss = self._epoch()
            self.epochs.append(Curve(_number(loss), *self._held_out()))
            self._keep(0, always=len(self.epochs) < self.planned)
        self.loader.session.release()
        if self.checkpoint is not None:
            self.checkpoint.remove()
        record = self.loader.session.record()
        model = Trained(self.net.eval(), self.inputs.encoding, self.plan.factory)
        return Finished(model, tuple(self.epochs), record, self.resumed, self.before + time.monotonic() - self._began)

    def _epoch(self) -> float:
        """Train once over the rows; mean loss."""
        self.net.train()
        total, rows = 0.0, 0
        for content, targets in self.loader:
            self._pace()
            self.optimizer.zero_grad()
            loss = functional.cross_entropy(self.net(content), targets)
            loss.backward()
            self.optimizer.step()
            value = float(loss.detach())
            if isfinite(value):
                total, rows = total + value * len(content), rows + len(content)
            done = len(self.epochs) * self.loader.batches + self.loader.done
            self.report("training", done, self.planned * self.loader.batches)
            self._keep(self.loader.done, always=False)
        return total / rows if rows else nan

    def _pace(self) -> None:
        """Set the rate: up in the first updates, then down along a cosine."""
        share = (len(self.epochs) * self.loader.batches + self.loader.done - 1) / (self.planned * self.loader.batches)
        height = (share + 1e-3) / _TURN if share < _TURN else (1 + cos(pi * (share - _TURN) / (1 - _TURN))) / 2
        for group in self.optimizer.param_groups:
            group["lr"] = self.plan.rate * min(height, 1.0)

    def _held_out(self) -> tuple[float | None, float | None]:
        if len(self.held) == 0:
            return None, None
        answers = Trained(self.net, self.inputs.encoding).logits(self.inputs.values[self.held])
        truth = self.inputs.codes[self.held]
        losses = functional.cross_entropy(torch.from_numpy(answers), torch.from_numpy(truth))
        right = (answers.argmax(axis=1) == truth) & np.isfinite(answers).all(axis=1)
        return _number(float(losses)), float(right.mean())

    def _keep(self, done: int, *, always: bool) -> None:
        """Write a checkpoint, now and then between two whole batches. done: batches of the epoch."""
        if self.checkpoint is None or not self.loader.session.between_batches:
            return
        if not always and time.monotonic() - self._saved < _SAVED:
            return
        self._saved = time.monotonic()
        about = {
            "epochs": [asdict(epoch) for epoch in self.epochs],
            "done": done,
            "resumed": self.resumed,
            "seconds": self.before + self._saved - self._began,
        }
        self.checkpoint.write(self.net, self.optimizer, self.loader.session.state(), about)

    def _take_up(self, checkpoint: Checkpoint) -> None:
        found = checkpoint.read(self.net, self.optimizer)
        if found is None:
            return
        state, about = found
        self.loader.session.resume(state)
        self.epochs = [Curve(**epoch) for epoch in about["epochs"]]
        self.resumed, self.before = about["resumed"] + 1, about["seconds"]
        self.loader.take_up(len(self.epochs), about["done"])
        self.source.epoch = len(self.epochs)


def is_private(recipe: Recipe) -> bool:
    """Whether it adds noise."""
    return any("private" in defence.traits for defence in recipe.defences)


def _number(value: float) -> float | None:
    return value if isfinite(value) else None


def _digest(inputs: Inputs, risks: np.ndarray | None) -> str:
    """What tells these inputs from others."""
    found = hashlib.sha256(np.ascontiguousarray(inputs.values).tobytes())
    found.update(np.ascontiguousarray(inputs.codes).tobytes())
    found.update(b"" if risks is None else np.ascontiguousarray(risks).tobytes())
    return found.hexdigest()

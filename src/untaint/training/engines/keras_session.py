"""One run of a recipe under Keras: the hooks around `train_step`.

The step runs eagerly and what computes in it is compiled: on the CNN of the recipes (batch 256, one core) that takes as long as one
graph that calls the hooks from inside, and errors reach the user as they were raised.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, final

import numpy as np

from untaint.errors import BadInput
from untaint.training.base import Batch, Defence, Hooks, Run, Seen, State, Update
from untaint.training.compose import Recipe
from untaint.training.engines.keras_backend import keras, tf
from untaint.training.engines.keras_data import Taken, squeezed
from untaint.training.engines.keras_gradients import GradientOf
from untaint.training.engines.keras_rows import row_loss
from untaint.training.engines.keras_screen import screened
from untaint.training.engines.keras_state import Buffers, Compiled, Snapshot, sound
from untaint.training.engines.progress import Progress, Refused
from untaint.training.engines.set_aside import SetAside

_BACKEND = "tensorflow"


def checked(recipe: Recipe) -> Recipe:
    """The recipe, if Keras can run every defence of it. Raises BadInput that names the one it cannot, and why."""
    for defence in recipe.defences:
        why = _impossible(defence)
        if why is not None:
            raise BadInput(
                f"{defence.id} does not run under Keras: {why}.",
                advice=f"Leave out {defence.id}, or train with PyTorch: untaint.harden.",
            )
    return recipe


def _impossible(defence: Defence) -> str | None:
    if "ensemble" in defence.traits:
        return "it trains many models, and `fit` trains one"
    if "own loop" in defence.traits:
        return "it needs a loop of its own, and `fit` is Keras'"
    if _BACKEND not in defence.backends:
        return f"it is made for {' and '.join(sorted(defence.backends))}"
    return None


def output_shape(model: Any) -> Any:
    """With the number of rows as None, first; None for models that write their call themselves."""
    return getattr(model, "output_shape", None)


@final
class KerasSession:
    """Hooks attached to a compiled model."""

    def __init__(self, model: Any, recipe: Recipe, run: Run, folder: Path | None) -> None:
        self.recipe, self.run = recipe, run
        self.active: list[tuple[Defence, Hooks]] = [(defence, defence.start(run)) for defence in recipe.defences]
        self.progress = Progress()
        self.aside = SetAside(folder)
        self._model, self._loss = model, row_loss(model.loss)
        weigh = self._weigh if any(hooks.weigh for _, hooks in self.active) else None
        self._gradients = GradientOf(model, self._loss, self.active, weigh)
        self._buffers = Buffers(model)
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        self._good = Snapshot(model, model.optimizer) if any(hooks.watch for _, hooks in self.active) else None
        self._compiled_slope = Compiled(self._slope_of)
        self._apply = tf.function(self._applied, autograph=False)
        self._measure = Compiled(self._measured)
        self._part: Taken | None = None
        self._drawing = self._measured_once = False

    @property
    def sample(self) -> Callable[[], np.ndarray] | None:
        """The hook that draws rows, None = the order of the data."""
        return next((hooks.sample for _, hooks in self.active if hooks.sample is not None), None)

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """While `fit` gives batches whose rows the run has chosen."""
        self._drawing = True
        try:
            yield
        finally:
            self._drawing = False

    def step(self, data: Any) -> Mapping[str, Any]:
        """One step of training, and the metrics so far."""
        if self.sample is not None and not self._drawing:
            raise BadInput("the recipe draws its own batches, and was given one.", advice="Give fit(x, y) with arrays.")
        taken = screened(Taken.of(data), self.active, self.aside, max(self.progress.epoch, 0), self.progress.step)
        if not len(taken) and self.sample is None:
            return self._metrics(taken)
        if len(taken):
            self._gradients.check_once(taken)
        altered = self._altered(taken)
        self._buffers.keep()
        gradients, losses, outputs = self._gradients(altered, self._told)
        gradients, norm, finite = self._gradients.finished(gradients)
        loss = float("nan") if losses is None else float(tf.reduce_mean(losses))
        self.progress.rows += len(taken)
        self._update(gradients, Update(norm, loss, finite, max(self.progress.epoch, 0), self.progress.step))
        if losses is None:
            return self._metrics(taken)
        self._measured_once = True
        return self._measure(taken.x, taken.y, losses, outputs, *([] if taken.weights is None else [taken.weights]))

    def _told(self, part: Taken) -> None:
        self._part = part

    def _batch(self, taken: Taken) -> Batch:
        return taken.batch(max(self.progress.epoch, 0), self.progress.step)

    def _altered(self, taken: Taken) -> Taken:
        for _, hooks in self.active:
            if hooks.alter is not None and len(taken):
                taken = taken.changed(hooks.alter(self._batch(taken), self._slope))
        return taken

    def _slope(self, inputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return np.asarray(self._compiled_slope(tf.constant(inputs, keras.backend.floatx()), tf.constant(targets)))

    def _slope_of(self, inputs: Any, targets: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            total = tf.reduce_sum(self._loss(targets, self._model(inputs, training=False)))
        return tape.gradient(total, inputs)

    def _weigh(self, losses: np.ndarray, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """(n,) the product of what all weighing hooks say; 0 for rows whose loss, or an input, is no number."""
        rows = np.full(len(losses), -1)
        if self._part is not None:
            rows, losses = self._part.rows, np.where(self._part.finite(), losses, np.nan)
        seen = Seen(losses, outputs, squeezed(targets), rows, max(self.progress.epoch, 0), self.progress.step)
        total = np.ones(len(losses))
        for _, hooks in self.active:
            total = total if hooks.weigh is None else total * hooks.weigh(seen)
        return np.where(np.isfinite(losses) & np.isfinite(total), total, 0.0)

    def _update(self, gradients: list[Any], update: Update) -> None:
        reason = next((said for _, hooks in self.active if hooks.admit is not None and (said := hooks.admit(update))), None)
        self.progress.step += 1
        if reason is not None:
            self.progress.refused.append(Refused(update.epoch, update.step, reason))
            self._buffers.restore()
            return
        self._apply(gradients)
        watching = [hooks.watch for _, hooks in self.active if hooks.watch is not None]
        if not watching or self._good is None:
            return
        advice = {watch(replace(update, finite=sound(self._model))) for watch in watching}
        if "back" in advice:
            self._good.restore()
            self.progress.back += 1
            self.progress.refused.append(Refused(update.epoch, update.step, "taken back: the last good state was restored"))
        elif advice == {"good"}:
            self._good.keep()

    def _applied(self, gradients: list[Any]) -> None:
        self._model.optimizer.apply(gradients, self._model.trainable_variables)

    def _metrics(self, nothing: Taken) -> Mapping[str, Any]:
        """As they are; Keras makes some of them when it first sees outputs, and of a batch without rows these are none."""
        if not self._measured_once:
            outputs = tf.zeros((0, *(output_shape(self._model.plain) or ())[1:]))
            self._model.compute_metrics(nothing.x, nothing.y, outputs, nothing.weights)
        return self._model.get_metrics_result()

    def _measured(self, x: Any, y: Any, losses: Any, outputs: Any, weights: Any = None) -> Mapping[str, Any]:
        for metric in self._model.metrics:
            if metric.name == "loss":
                metric.update_state(tf.reduce_mean(losses), sample_weight=tf.shape(losses)[0])
        return self._model.compute_metrics(x, y, outputs, weights)

    def record(self) -> dict[str, object]:
        """What happened, as plain words and numbers for a file of JSON."""
        return self.progress.record(self.recipe, self.active, self.aside, self._gradients.notes)

    def state(self) -> State:
        """Everything that a stopped run needs to go on as it would have, besides model and optimizer."""
        return self.progress.state(self.active)

    def resume(self, held: State) -> None:
        """Take up a state that `state` gave."""
        self.progress.take_up(held, self.active)
        if self._good is not None:
            self._good.keep()

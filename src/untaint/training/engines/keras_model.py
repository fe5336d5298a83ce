"""Hardened training of Keras models on TensorFlow: `hardened = harden_keras(model, recipe)`, then `compile` and `fit` as ever."""

import inspect
from collections.abc import Mapping
from math import ceil
from pathlib import Path
from typing import Any, final
from zipfile import BadZipFile

import numpy as np
from typing_extensions import override

from untaint.errors import BadInput
from untaint.training.base import Run
from untaint.training.compose import Recipe, Wanted, recipe
from untaint.training.engines.added_guard import with_guard
from untaint.training.engines.keras_backend import keras, tf
from untaint.training.engines.keras_data import Arrays, drawn, shuffled
from untaint.training.engines.keras_gradients import mixing_layers
from untaint.training.engines.keras_session import KerasSession, checked, output_shape

_BATCH = 32  # what Keras takes where none is given
_BESIDE = ".untaint.npz"
_OF_ARRAYS = frozenset(
    {"x", "y", "batch_size", "shuffle", "class_weight", "sample_weight", "validation_split", "steps_per_epoch"}
)


def harden_keras(
    model: Any,
    wanted: Wanted = "standard",
    *,
    seed: int = 0,
    quarantine: Path | str | None = None,
    resume: Path | str | None = None,
) -> "HardenedModel":
    """See `untaint.harden_keras`."""
    if not isinstance(model, keras.Model):
        raise BadInput(
            f"expected a keras.Model, got {type(model).__name__}.", advice="For torch modules there is untaint.harden."
        )
    if not model.built:
        raise BadInput(
            "the model has no weights yet: Keras makes them when it knows the shape of the input.",
            advice="Begin it with keras.Input, or call it once.",
        )
    return HardenedModel(
        model,
        with_guard(checked(recipe(wanted)), mixes=bool(mixing_layers(model))),
        seed,
        None if quarantine is None else Path(quarantine),
        resume,
    )


@final
class HardenedModel(keras.Model):  # type: ignore[misc]
    """A Keras model whose `train_step` calls the hooks of a recipe; made by `harden_keras`.

    plain: the model it was made of, which shares its layers, weights, optimizer and metrics; what is saved is that one.
    """

    run_eagerly: bool  # a property of Keras

    def __init__(self, model: Any, wanted: Recipe, seed: int, folder: Path | None, resume: Path | str | None) -> None:
        super().__init__(name=f"hardened_{model.name}")
        self.plain = model
        self.built = True
        self._recipe, self._seed, self._folder, self._resume = wanted, seed, folder, resume
        self._run: KerasSession | None = None

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """What the plain model says."""
        return self.plain(inputs, training=training)

    @override
    def compile(self, optimizer: Any = "rmsprop", loss: Any = None, **rest: Any) -> None:
        """As of any Keras model, but that steps are executed one by one. Raises BadInput for what hardened training cannot be sound on."""
        if tf.distribute.has_strategy():
            raise BadInput(
                "hardened training runs in one place: a tf.distribute strategy would give each replica a part of the batch to judge.",
                advice="Compile outside the strategy's scope.",
            )
        if self._run is not None:
            raise BadInput(
                "the run goes on with the optimizer and the loss that it began with.",
                advice="Call harden_keras again for another one.",
            )
        rest["steps_per_execution"] = 1
        super().compile(optimizer, loss, **rest)
        if isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            raise BadInput(
                "hardened training does not go with float16: its scaled loss hides infinite gradients from the defences.",
                advice="Use float32 or mixed_bfloat16.",
            )
        if isinstance(output_shape(self.plain), list | dict):
            raise BadInput("hardened training needs a model with one output.", advice="Join the outputs in a model with one.")
        self.plain.compile(self.optimizer, loss, **rest)

    @override
    def fit(self, *given: Any, **named: Any) -> Any:
        """As of any Keras model; a second call goes on where the first ended.

        Raises BadInput when the recipe has to draw the batches itself and x is not arrays.
        """
        asked = dict(inspect.signature(super().fit).bind(*given, **named).arguments)
        arrays, batch, epochs = _arrays(asked), asked.get("batch_size") or _BATCH, asked.get("epochs", 1)
        private = [defence.id for defence in self._recipe.defences if "private" in defence.traits]
        if arrays is None and private:
            raise _refused_order(private[0])
        steps = asked.get("steps_per_epoch") or (None if arrays is None else ceil(len(arrays) / batch))
        self._begin(arrays, None if arrays is None else batch, epochs, steps)
        before = max(0, self.session.progress.epoch + 1 - asked.get("initial_epoch", 0))
        asked["callbacks"] = _with(asked.get("callbacks"), _Clock(self, before))
        if arrays is None:
            if isinstance(asked.get("x"), tf.data.Dataset):
                asked["shuffle"] = False  # or Keras warns that it cannot
            return super().fit(**asked)
        session = self.session
        if session.sample is not None:
            if session.run.rows != len(arrays):
                raise BadInput(
                    f"the recipe draws from the {session.run.rows:,} rows it began with, not from {len(arrays):,} others."
                )
            data = drawn(arrays, steps or 1, session.sample)
        else:
            data = shuffled(arrays, batch, self._seed, lambda: session.progress.epoch, mixed=asked.get("shuffle", True))
        with session.drawing():
            rest = {name: value for name, value in asked.items() if name not in _OF_ARRAYS}
            return super().fit(data, shuffle=False, **rest)

    @override
    def train_step(self, data: Any) -> Mapping[str, Any]:
        """One step with all hooks; what `fit` and `train_on_batch` call."""
        if self._run is None:
            self._begin(None, None, None, None)
        return self.session.step(data)

    @override
    def make_train_function(self, force: bool = False) -> Any:
        """Eager outside, compiled inside; see `keras_session`."""
        eager, self.run_eagerly = self.run_eagerly, True
        try:
            return super().make_train_function(force)
        finally:
            self.run_eagerly = eager

    @property
    def session(self) -> KerasSession:
        """The run. Raises BadInput before the first step."""
        if self._run is None:
            raise BadInput("nothing was trained yet.", advice="Call fit first.")
        return self._run

    def record(self) -> dict[str, object]:
        """What happened so far, as plain words and numbers for a file of JSON."""
        return self.session.record()

    @override
    def save(self, filepath: Any, *given: Any, **named: Any) -> None:
        """The plain model as an ordinary Keras file; beside it what `resume` of `harden_keras` needs to go on."""
        self.plain.save(filepath, *given, **named)
        self._write_state(filepath)

    @override
    def save_weights(self, filepath: Any, *given: Any, **named: Any) -> None:
        """As `save`."""
        self.plain.save_weights(filepath, *given, **named)
        self._write_state(filepath)

    @override
    def load_weights(self, filepath: Any, *given: Any, **named: Any) -> None:
        """Of the plain model; a state beside the file is taken up too."""
        self.plain.load_weights(filepath, *given, **named)
        if _beside(filepath).is_file():
            self._resume = filepath
            self._take_up()

    def _write_state(self, path: Any) -> None:
        if self._run is not None:
            np.savez(_beside(path), **self._run.state())  # type: ignore[arg-type]  # stub of a keyword

    def _take_up(self) -> None:
        if self._run is None or self._resume is None:
            return
        path, self._resume = _beside(self._resume), None
        try:
            with np.load(path, allow_pickle=False) as held:
                self._run.resume(dict(held))
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            raise BadInput(
                f"{path} is not the state of a hardened run of this recipe: {error}.", advice="Give the file that `save` wrote."
            ) from error

    def _begin(self, arrays: Arrays | None, batch: int | None, epochs: int | None, steps: int | None) -> None:
        if self._run is not None:
            return
        classes = (output_shape(self.plain) or (None,))[-1]
        run = Run(
            seed=self._seed,
            rows=None if arrays is None else len(arrays),
            batch=batch,
            epochs=epochs,
            steps=None if steps is None or epochs is None else steps * epochs,
            classes=classes if isinstance(classes, int) and classes > 1 else None,
        )
        self._run = KerasSession(self, self._recipe, run, self._folder)
        self._take_up()


@final
class _Clock(keras.callbacks.Callback):  # type: ignore[misc]
    """Tells the run which epoch it is. before: epochs of earlier calls of fit."""

    def __init__(self, hardened: HardenedModel, before: int) -> None:
        super().__init__()
        self._hardened, self._before = hardened, before

    @override
    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._hardened.session.progress.epoch = self._before + epoch


def _with(callbacks: Any, clock: _Clock) -> Any:
    """The clock first: what others do at the beginning of an epoch may ask for it."""
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks.append(clock)
        return callbacks
    return [clock, *([] if callbacks is None else callbacks if isinstance(callbacks, list | tuple) else [callbacks])]


def _arrays(asked: dict[str, Any]) -> Arrays | None:
    """What fit was given as arrays, without the part to validate on, which goes back into what is asked; None = something else."""
    y = asked.get("y")
    arrays = None if y is None else Arrays.of(asked.get("x"), y, asked.get("sample_weight"))
    if arrays is None:
        return None
    if asked.get("class_weight"):
        arrays = arrays.weighed(asked["class_weight"])
    share = asked.get("validation_split")
    if share and asked.get("validation_data") is None:
        arrays, held = arrays.without_last(share)
        asked["validation_data"] = (held.x, held.y) if held.weights is None else (held.x, held.y, held.weights)
    return arrays


def _refused_order(name: str) -> BadInput:
    return BadInput(
        f"{name} cannot take its batches from a data pipeline: its epsilon holds only where every row is in a batch by a chance of its own "
        "(Poisson sampling), and a pipeline has an order of its own.",
        advice="Give fit(x, y) with arrays; memory-mapped ones are read batch by batch.",
    )


def _beside(path: Any) -> Path:
    return Path(f"{path}{_BESIDE}")

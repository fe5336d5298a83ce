"""Gradients of a Keras model on one batch, by row where a hook asks for it, and the loss of each row."""

import copy
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias, final

import numpy as np

from untaint.errors import BadInput
from untaint.training.engines.keras_backend import keras, tf
from untaint.training.engines.keras_layers import joined, piece, plain, refused
from untaint.training.engines.keras_state import Buffers, Compiled, finite

RowLoss: TypeAlias = Callable[[Any, Any], Any]
"""Targets and outputs of n rows -> (n,) losses."""
Call: TypeAlias = tuple[Any, Any, Any]
"""A layer, what it was given, and the tensor whose gradient says all about its variables."""


def row_loss(loss: Any) -> RowLoss:
    """The loss of each row, of a loss as `compile` takes it. Raises BadInput where a row has none."""
    if loss is None or isinstance(loss, dict | list | tuple):
        raise BadInput(
            "hardened training needs one loss for one output, given to compile.",
            advice="Compile with one loss, or join the outputs in a model with one.",
        )
    found = keras.losses.get(loss)
    if isinstance(found, keras.losses.Loss):
        if found.reduction not in {"mean", "sum_over_batch_size"}:
            raise BadInput(
                f"the loss {found.name} is reduced by {found.reduction!r}; hardened training needs the mean over the rows of a batch.",
                advice="Leave out `reduction`.",
            )
        found = copy.copy(found)
        found.reduction = "none"
    return partial(_each, found)


def _each(loss: Any, targets: Any, outputs: Any) -> Any:
    if targets.shape.rank == outputs.shape.rank - 1 and outputs.shape[-1] == 1:
        targets = targets[..., None]
    if (
        outputs.shape.rank == targets.shape.rank == 2
        and outputs.shape[1] == targets.shape[1]
        and (soft := _soft(loss)) is not None
    ):
        loss = soft
    values = loss(targets, outputs)
    return tf.reduce_mean(tf.reshape(values, (tf.shape(outputs)[0], -1)), 1)


def _soft(loss: Any) -> Any:
    """A cross-entropy of classes as one of shares of classes: a defence may have mixed the targets. None = it is no such loss."""
    if isinstance(loss, keras.losses.SparseCategoricalCrossentropy):
        logits = loss.get_config()["from_logits"]
        return partial(keras.losses.categorical_crossentropy, from_logits=logits)
    return keras.losses.categorical_crossentropy if loss is keras.losses.sparse_categorical_crossentropy else None


def units(model: Any) -> list[Any]:
    """Layers with trained variables, models inside models taken apart."""
    if isinstance(model, keras.Model):
        return [unit for layer in model.layers for unit in units(layer)]
    return [model] if model.trainable_variables else []


def not_kept_apart(model: Any) -> list[str]:
    """Layers whose rows' gradients cannot be kept apart, each with the reason; empty = all can."""
    layers = {id(layer): layer for layer in units(model)}.values()
    found = [f"{layer.name} ({type(layer).__name__}): {why}" for layer in layers if (why := refused(layer)) is not None]
    owned = [id(variable) for layer in layers for variable in layer.trainable_variables]
    if len(set(owned)) < len(owned):
        found.append("two layers share a variable, so that neither knows all of its gradient")
    if any(id(variable) not in set(owned) for variable in model.trainable_variables):
        found.append(f"{model.name} ({type(model).__name__}) has trained variables that belong to none of its layers")
    return found


@contextmanager
def listening(layers: Sequence[Any]) -> Iterator[list[Call]]:
    """Writes down every call of the layers, while it lasts."""
    calls: list[Call] = []
    activations = {id(layer): layer.activation for layer in layers if plain(layer)}
    for layer in layers:
        layer.call = partial(_overheard, layer, layer.call, activations.get(id(layer)), calls)
    try:
        yield calls
    finally:
        for layer in layers:
            del layer.call


def _overheard(layer: Any, call: Callable[..., Any], activation: Any, calls: list[Call], *given: Any, **named: Any) -> Any:
    if len(given) != 1 or not tf.is_tensor(given[0]):
        raise BadInput(
            f"the layer {layer.name} takes several inputs: the rows' gradients of such a layer are not kept apart under Keras.",
            advice="Use a recipe without limits per row, such as guard.",
        )
    if activation is None:
        output = call(*given, **named)
        calls.append((layer, given[0], output))
        return output

    def heard(value: Any) -> Any:
        calls.append((layer, given[0], value))
        return activation(value)

    layer.activation = heard
    try:
        return call(*given, **named)
    finally:
        layer.activation = activation


@final
class Ferry:
    """Carries hooks, which are NumPy, into a graph, and what they raise out of it again."""

    def __init__(self) -> None:
        self._error: Exception | None = None

    def __call__(self, hook: Callable[..., np.ndarray], *tensors: Any) -> Any:
        """(n,) what the hook says about n rows, as a tensor through which no gradient flows."""

        def asked(*arrays: np.ndarray) -> np.ndarray:
            try:
                return np.asarray(hook(*arrays), np.float32)
            except Exception as error:  # noqa: BLE001 - TensorFlow would wrap it into one of its own
                self._error = error
                return np.zeros(len(arrays[0]), np.float32)

        said = tf.numpy_function(asked, tensors, tf.float32)
        return tf.stop_gradient(tf.ensure_shape(said, (None,)))

    def land(self) -> None:
        """Raises what a hook raised."""
        if self._error is not None:
            error, self._error = self._error, None
            raise error


@final
@dataclass(frozen=True)
class Sums:
    """What a batch of n rows gave. gradients: sums over rows.  losses, weights: (n,), the latter from hooks.  outputs: (n, ...)."""

    gradients: list[Any]
    weights: Any
    losses: Any
    outputs: Any


@final
class RowSums:
    """Compiled once per run. Tensors in: x, y and (n,) weights of the loss.

    weigh: (losses, outputs, targets) -> (n,), bound: (n,) norms -> (n,); None = not asked.  training: how the model is called.
    """

    def __init__(self, model: Any, loss: RowLoss, weigh: Any = None, bound: Any = None, *, training: bool = True) -> None:
        self._model, self._loss, self._weigh, self._bound, self._training = model, loss, weigh, bound, training
        self._ferry = Ferry()
        self._buffers = Buffers(model)
        self._known: np.ndarray | None = None  # weights of rows that hooks gave before
        self._layers = units(model)
        self._function = self._by_row if bound is not None else self._together
        self._compiled = Compiled(self._function)

    def __call__(self, x: Any, y: Any, weights: Any) -> Sums:
        """Sums over rows, weighed and bounded. Raises what a hook raises."""
        if self._weigh is not None:
            self._buffers.keep()
        found = Sums(*self._compiled(x, y, weights))
        self._ferry.land()
        if self._weigh is None or self._bound is not None:
            return found
        kept = np.flatnonzero(found.weights.numpy())
        if len(kept) == len(found.losses) or finite(found.gradients):
            return found
        return self._without(found, kept, (x, y, weights))

    def _without(self, found: Sums, kept: np.ndarray, given: Any) -> Sums:
        """Once more without the rows that count 0: 0 times NaN is NaN."""
        self._buffers.restore()
        if not len(kept):
            return replace(found, gradients=[tf.zeros_like(each) for each in found.gradients])
        self._known = found.weights.numpy()[kept]
        try:
            again = Sums(*self._compiled(*keras.tree.map_structure(lambda each: tf.gather(each, kept), given)))
        finally:
            self._known = None
        return replace(found, gradients=again.gradients)

    def once(self, x: Any, y: Any, weights: Any) -> Sums:
        """The same without compiling it."""
        found = Sums(*self._function(x, y, weights))
        self._ferry.land()
        return found

    def _together(self, x: Any, y: Any, weights: Any) -> tuple[Any, ...]:
        with tf.GradientTape() as tape:
            outputs = self._model(x, training=self._training)
            losses = self._loss(y, outputs) * weights
            weighed = self._weighed(losses, outputs, y)
            total = tf.reduce_sum(losses * weighed)
            for extra in added_losses(self._model):
                total += extra * tf.cast(tf.shape(losses)[0], losses.dtype)
        gradients = tape.gradient(total, self._model.trainable_variables)
        return dense(gradients, self._model), weighed, losses, outputs

    def _by_row(self, x: Any, y: Any, weights: Any) -> tuple[Any, ...]:
        with listening(self._layers) as calls, tf.GradientTape() as tape:
            outputs = self._model(x, training=self._training)
            losses = self._loss(y, outputs) * weights
            total = tf.reduce_sum(losses)
        if added_losses(self._model):
            raise BadInput(
                "a layer adds a loss of its own, which belongs to no row: an activity regulariser or add_loss.",
                advice="Leave it out, or use a recipe without limits per row, such as guard.",
            )
        targets = [target for _, _, target in calls]
        grads = [
            tf.zeros_like(target) if grad is None else grad
            for target, grad in zip(targets, tape.gradient(total, targets), strict=True)
        ]
        by_layer = defaultdict(list)
        for (layer, inputs, _), grad in zip(calls, grads, strict=True):
            by_layer[id(layer)].append((layer, piece(layer, inputs, grad, training=self._training)))
        pieces = [(found[0][0], joined([each for _, each in found], found[0][0])) for found in by_layer.values()]
        norms = tf.sqrt(tf.add_n([each.squares() for _, each in pieces]))
        weighed = self._weighed(losses, outputs, y)
        bounded = weighed * self._ferry(self._bound, norms * tf.abs(weighed))
        factors = tf.where(tf.math.is_finite(norms), bounded, tf.zeros_like(norms))
        sums = {
            id(variable): total
            for layer, each in pieces
            for variable, total in zip(layer.trainable_variables, each.total(factors), strict=True)
        }
        gradients = [sums.get(id(variable), tf.zeros(variable.shape)) for variable in self._model.trainable_variables]
        return gradients, weighed, losses, outputs

    def _weighed(self, losses: Any, outputs: Any, targets: Any) -> Any:
        if self._weigh is None:
            return tf.ones_like(losses)
        return self._ferry(lambda *seen: self._weigh(*seen) if self._known is None else self._known, losses, outputs, targets)


def dense(gradients: Sequence[Any], model: Any) -> list[Any]:
    """One tensor per trained variable: zeros where a variable had no part, whole ones for those of embeddings."""
    pairs = zip(gradients, model.trainable_variables, strict=True)
    return [tf.zeros(variable.shape) if each is None else tf.convert_to_tensor(each) for each, variable in pairs]


def regularised(model: Any) -> list[Any]:
    """What regularisers of weights add to the loss; they see no data."""
    return [variable.regularizer(variable) for variable in model.trainable_variables if variable.regularizer is not None]


def added_losses(model: Any) -> list[Any]:
    """What layers added to the loss in the last call, without regularisers of weights, which Keras lists last."""
    found = list(model.losses)
    weights = sum(variable.regularizer is not None for variable in model.trainable_variables)
    return found[: len(found) - weights]

"""Layers of Keras whose rows' gradients are kept apart: what one call leaves behind, and the norms and sums made of it.

For each call of a layer the input a and the gradient G of what it gave (before its activation) are kept; the gradient of row i is made
of a_i and G_i alone (Goodfellow 2015, arXiv 1510.01799; for convolutions Rochette et al. 2019, arXiv 1912.06015). A layer without a
formula of its own is differentiated alone, row by row, in one vectorised map.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

from typing_extensions import override

from untaint.errors import BadInput
from untaint.training.engines.keras_backend import keras, tf


class Piece(ABC):
    """Rows' gradients by the trained variables of one layer, not necessarily laid out."""

    @abstractmethod
    def squares(self) -> Any:
        """(n,) squared norms."""

    @abstractmethod
    def total(self, factors: Any) -> list[Any]:
        """Sum over rows of gradient times factor, one tensor per variable; rows of factor 0 may hold anything."""


@final
@dataclass(frozen=True)
class Laid(Piece):
    """Laid out. rows: (n, ...) per variable."""

    rows: Sequence[Any]

    @override
    def squares(self) -> Any:
        return tf.add_n([tf.reduce_sum(tf.square(_flat(row)), 1) for row in self.rows])

    @override
    def total(self, factors: Any) -> list[Any]:
        return [tf.tensordot(factors, silenced(row, factors), 1) for row in self.rows]


@final
@dataclass(frozen=True)
class Outer(Piece):
    """Of a dense layer with one position per row: products of inputs (n, i) and grads (n, o). kernel, bias: whether trained."""

    inputs: Any
    grads: Any
    kernel: bool
    bias: bool

    @override
    def squares(self) -> Any:
        square = tf.reduce_sum(tf.square(self.grads), 1)
        wide = tf.reduce_sum(tf.square(self.inputs), 1) if self.kernel else 0.0
        return square * (wide + (1.0 if self.bias else 0.0))

    @override
    def total(self, factors: Any) -> list[Any]:
        scaled = silenced(self.grads, factors) * factors[:, None]
        found = [tf.matmul(silenced(self.inputs, factors), scaled, transpose_a=True)] if self.kernel else []
        return [*found, tf.reduce_sum(scaled, 0)] if self.bias else found


@final
@dataclass(frozen=True)
class LookUp(Piece):
    """Of an embedding of so many words. words: (n, t).  grads: (n, t, d)."""

    words: Any
    grads: Any
    size: int

    @override
    def squares(self) -> Any:
        same = tf.cast(self.words[:, :, None] == self.words[:, None, :], self.grads.dtype)
        return tf.reduce_sum(tf.matmul(self.grads, self.grads, transpose_b=True) * same, [1, 2])

    @override
    def total(self, factors: Any) -> list[Any]:
        scaled = silenced(self.grads, factors) * factors[:, None, None]
        flat = tf.reshape(scaled, (-1, tf.shape(scaled)[2]))
        return [tf.math.unsorted_segment_sum(flat, tf.reshape(self.words, (-1,)), self.size)]


def silenced(values: Any, factors: Any) -> Any:
    """Rows of factor 0 as zeros: 0 times NaN is NaN."""
    on = tf.reshape(factors != 0, tf.concat([[tf.shape(values)[0]], tf.ones(tf.rank(values) - 1, tf.int32)], 0))
    return tf.where(on, values, tf.zeros_like(values))


def plain(layer: Any) -> bool:
    """Whether a layer's activation is set apart: then G is the gradient of what goes into it."""
    kinds = (keras.layers.Dense, keras.layers.Conv2D)
    return (
        type(layer) in kinds
        and not isinstance(layer.activation, keras.layers.Layer)
        and not getattr(layer, "lora_enabled", False)
    )


def refused(layer: Any) -> str | None:
    """Why the rows' gradients of this layer cannot be kept apart; None = they can."""
    if plain(layer) or isinstance(layer, keras.layers.BatchNormalization):
        return None
    if layer.non_trainable_variables:
        return "it keeps a state of its own, or draws chance, while it trains"
    return None


def piece(layer: Any, inputs: Any, grads: Any, *, training: bool = True) -> Piece:
    """What one call of a layer with trained variables leaves behind. inputs, grads: (n, ...), see `plain` for what grads are of."""
    if plain(layer) and isinstance(layer, keras.layers.Dense):
        return _dense(layer, inputs, grads)
    if plain(layer) and layer.groups == 1 and layer.data_format == "channels_last" and layer.padding in {"valid", "same"}:
        return _convolution(layer, inputs, grads)
    if type(layer) is keras.layers.Embedding and inputs.shape.rank == 2 and not getattr(layer, "lora_enabled", False):
        return LookUp(tf.cast(inputs, tf.int32), grads, layer.input_dim)
    if isinstance(layer, keras.layers.BatchNormalization):
        return _batch_norm(layer, inputs, grads, training=training)
    return _alone(layer, inputs, grads)


def joined(pieces: Sequence[Piece], layer: Any) -> Piece:
    """Several calls of one layer: gradients of a row are summed before their norm is taken. Raises BadInput where they are not laid out."""
    if len(pieces) == 1:
        return pieces[0]
    laid = [_laid(each, layer) for each in pieces]
    return Laid([tf.add_n(list(same)) for same in zip(*laid, strict=True)])


def _laid(each: Piece, layer: Any) -> Sequence[Any]:
    if isinstance(each, Laid):
        return each.rows
    if isinstance(each, Outer):
        kernel = [each.inputs[:, :, None] * each.grads[:, None, :]] if each.kernel else []
        return [*kernel, each.grads] if each.bias else kernel
    raise BadInput(
        f"the layer {layer.name} is called more than once, and the rows' gradients of a shared embedding are too large to keep apart.",
        advice="Use a recipe without limits per row, such as guard.",
    )


def _trained(layer: Any) -> tuple[bool, bool]:
    """Whether kernel and bias are."""
    return layer.kernel.trainable, layer.bias is not None and layer.bias.trainable


def _dense(layer: Any, inputs: Any, grads: Any) -> Piece:
    kernel, bias = _trained(layer)
    if inputs.shape.rank == 2:
        return Outer(inputs, grads, kernel, bias)
    inputs, grads = _positions(inputs), _positions(grads)
    found = [tf.matmul(inputs, grads, transpose_a=True)] if kernel else []
    return Laid([*found, tf.reduce_sum(grads, 1)] if bias else found)


def _convolution(layer: Any, inputs: Any, grads: Any) -> Piece:
    kernel, bias = _trained(layer)
    height, width = layer.kernel_size
    seen = tf.image.extract_patches(
        inputs, (1, height, width, 1), (1, *layer.strides, 1), (1, *layer.dilation_rate, 1), layer.padding.upper()
    )
    grads = _positions(grads)
    by_row = tf.matmul(_positions(seen), grads, transpose_a=True)  # (n, height x width x channels, filters)
    found = [tf.reshape(by_row, (-1, *layer.kernel.shape))] if kernel else []
    return Laid([*found, tf.reduce_sum(grads, 1)] if bias else found)


def _batch_norm(layer: Any, inputs: Any, grads: Any, *, training: bool) -> Piece:
    """Of the scale and the offset. The mean and the spread are of the whole batch, as the layer takes them; G holds what rows do there."""
    axis = layer.axis % inputs.shape.rank
    others = [each for each in range(inputs.shape.rank) if each != axis]
    if training:
        mean, variance = tf.nn.moments(inputs, others, keepdims=True)
    else:
        shape = [-1 if each == axis else 1 for each in range(inputs.shape.rank)]
        mean, variance = tf.reshape(layer.moving_mean, shape), tf.reshape(layer.moving_variance, shape)
    levels = (inputs - mean) * tf.math.rsqrt(variance + layer.epsilon)
    within = [each for each in others if each != 0]
    scale = [tf.reduce_sum(grads * levels, within)] if layer.scale and layer.gamma.trainable else []
    return Laid([*scale, tf.reduce_sum(grads, within)] if layer.center and layer.beta.trainable else scale)


def _alone(layer: Any, inputs: Any, grads: Any) -> Piece:
    """A layer of which only this is known: it treats each row for itself."""
    variables = layer.trainable_variables

    def one(pair: tuple[Any, Any]) -> list[Any]:
        value, grad = pair
        with tf.GradientTape() as tape:
            output = layer(value[None])
        return [_dense_or_zero(*both) for both in zip(tape.gradient(output, variables, grad[None]), variables, strict=True)]

    return Laid(tf.vectorized_map(one, (inputs, grads)))


def _dense_or_zero(gradient: Any, variable: Any) -> Any:
    return tf.zeros(variable.shape, variable.dtype) if gradient is None else tf.convert_to_tensor(gradient)


def _flat(values: Any) -> Any:
    return tf.reshape(values, (tf.shape(values)[0], -1))


def _positions(values: Any) -> Any:
    """(n, positions, d) of (n, ..., d)."""
    return tf.reshape(values, (tf.shape(values)[0], -1, values.shape[-1]))

"""The variables of a Keras model and its optimizer, to come back to."""

from collections.abc import Callable, Iterable
from typing import Any, final

from untaint.training.engines.keras_backend import keras, tf


@final
class Snapshot:
    """Copies of everything that training changes, but for the learning rate, which belongs to a schedule."""

    def __init__(self, model: Any, optimizer: Any) -> None:
        rate = getattr(optimizer, "_learning_rate", None)
        self._held = [*model.variables, *(each for each in optimizer.variables if each is not rate)]
        self._copies: list[Any] = []
        self.keep()

    def keep(self) -> None:
        """Take the copies anew."""
        self._copies = [tf.identity(each.value) for each in self._held]

    def restore(self) -> None:
        """Put them back."""
        for variable, copy in zip(self._held, self._copies, strict=True):
            variable.assign(copy)


@final
class Buffers:
    """Running statistics of a model before a batch: one forward pass can ruin them, and no optimizer would bring them back."""

    def __init__(self, model: Any) -> None:
        self._held = [each for each in model.non_trainable_variables if each.dtype.startswith("float")]
        self._before: list[Any] = []

    def keep(self) -> None:
        """Take a copy."""
        self._before = [tf.identity(each.value) for each in self._held]

    def restore(self) -> None:
        """Put the copy back."""
        for variable, before in zip(self._held, self._before, strict=False):
            variable.assign(before)


@final
class Compiled:
    """A function of tensors (n, ...), compiled once for every n: what Keras compiles for one n, it compiles again for the last batch."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._found: dict[Any, Any] = {}

    def __call__(self, *given: Any) -> Any:
        """What the function gives."""
        specs = keras.tree.map_structure(_free, given)
        key = repr(specs)
        if key not in self._found:
            self._found[key] = tf.function(self._function, input_signature=specs, autograph=False)
        return self._found[key](*given)


def _free(value: Any) -> Any:
    return tf.TensorSpec((None, *value.shape[1:]), value.dtype)


def finite(values: Iterable[Any]) -> bool:
    """Whether every number of these tensors is one."""
    return all(bool(tf.reduce_all(tf.math.is_finite(each))) for each in values)


def sound(model: Any) -> bool:
    """Whether every floating variable of a model is finite."""
    return finite(each.value for each in model.variables if each.dtype.startswith("float"))

"""Batches of Keras as the arrays that hooks take, and data sets that say which rows a batch holds."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import ceil
from typing import Any, final

import numpy as np

from untaint.errors import BadInput
from untaint.training.base import Batch
from untaint.training.engines.keras_backend import keras, tf
from untaint.training.engines.set_aside import digest_of
from untaint.types import Mask, Rows

_ROWS = "untaint rows"
"""Key of the numbers of rows in a batch that says which it holds, beside x, y and perhaps weights; no data set of a user has it."""
_AHEAD = 2  # batches read while one is trained on


@final
@dataclass(frozen=True)
class Taken:
    """A batch as Keras hands it to `train_step`. x: a tensor or a structure of them.  rows: (n,) numbers, -1 = unknown."""

    x: Any
    y: Any
    weights: Any
    rows: Rows

    @staticmethod
    def of(data: Any) -> "Taken":
        """Raises BadInput for a batch without targets."""
        if isinstance(data, dict) and _ROWS in data:
            return Taken(data["x"], data["y"], data.get("weights"), data[_ROWS].numpy())
        x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
        if y is None or isinstance(y, dict | list | tuple):
            raise BadInput(
                "hardened training needs batches (x, y) with one tensor of targets.",
                advice="Give fit(x, y), or a tf.data.Dataset of pairs.",
            )
        x, y = keras.tree.map_structure(keras.ops.convert_to_tensor, (x, y))
        return Taken(x, y, None if weights is None else keras.ops.convert_to_tensor(weights), np.full(len(y), -1))

    def __len__(self) -> int:
        return len(self.rows)

    def inputs(self) -> tuple[np.ndarray, ...]:
        """One array per tensor of x."""
        return tuple(each.numpy() for each in keras.tree.flatten(self.x))

    def finite(self) -> Mask:
        """(n,) whether all inputs of a row are numbers. The loss does not always tell: TensorFlow's ReLU makes 0 of NaN."""
        found = np.ones(len(self), bool)
        for values in self.inputs():
            if values.dtype.kind == "f":
                found &= np.isfinite(values.reshape(len(self), -1)).all(1)
        return found

    def batch(self, epoch: int, step: int) -> Batch:
        """The arrays of it, without a copy where the tensors lie in memory."""
        return Batch(self.inputs(), squeezed(self.y.numpy()), self.rows, epoch, step)

    def kept(self, mask: Mask) -> "Taken":
        """Only some of its rows."""
        where = np.flatnonzero(mask)
        x, y = keras.tree.map_structure(lambda each: tf.gather(each, where), (self.x, self.y))
        return Taken(x, y, None if self.weights is None else tf.gather(self.weights, where), self.rows[where])

    def changed(self, batch: Batch) -> "Taken":
        """With other inputs and targets; class codes may become probabilities."""
        old = keras.tree.flatten(self.x)
        new = [tf.cast(value, each.dtype) for value, each in zip(batch.inputs, old, strict=True)]
        x = keras.tree.pack_sequence_as(self.x, new)
        if batch.targets is None:
            return replace(self, x=x)
        soft = batch.targets.ndim > squeezed(self.y.numpy()).ndim
        y = tf.constant(batch.targets, tf.float32) if soft else tf.cast(batch.targets.reshape(self.y.shape), self.y.dtype)
        return replace(self, x=x, y=y)

    def parts(self, number: int) -> list["Taken"]:
        """Cut into at most so many batches of equal size, one row more or less; itself when it is one."""
        if number <= 1 or len(self) <= 1:
            return [self]
        positions = np.arange(len(self))
        return [self.kept(np.isin(positions, cut)) for cut in np.array_split(positions, min(number, len(self)))]

    def digest(self, position: int) -> str:
        """SHA-256 of one row's inputs."""
        return digest_of(self.values(position))

    def values(self, position: int) -> dict[str, np.ndarray]:
        """One row's inputs, to be written down."""
        return {f"input_{place}": value[position] for place, value in enumerate(self.inputs())}


def squeezed(targets: np.ndarray) -> np.ndarray:
    """(n,) codes where Keras has (n, 1)."""
    return targets[:, 0] if targets.ndim == 2 and targets.shape[1] == 1 else targets


@final
@dataclass(frozen=True)
class Arrays:
    """What `fit` was given, where that is arrays: x one array or a structure of them, y (n, ...), weights (n,) or None."""

    x: Any
    y: np.ndarray
    weights: np.ndarray | None

    @staticmethod
    def of(x: Any, y: Any, weights: Any) -> "Arrays | None":
        """None for anything else than arrays and tensors."""
        leaves = [*keras.tree.flatten(x), y, *([] if weights is None else [weights])]
        if any(not isinstance(leaf, np.ndarray) and not tf.is_tensor(leaf) for leaf in leaves):
            return None
        counts = {len(leaf) for leaf in leaves}
        if len(counts) != 1:
            raise BadInput(f"x, y and sample_weight have {sorted(counts)} rows; they must agree.")
        return Arrays(
            keras.tree.map_structure(np.asarray, x), np.asarray(y), None if weights is None else np.asarray(weights, np.float32)
        )

    def __len__(self) -> int:
        return len(self.y)

    def weighed(self, class_weight: Mapping[int, float]) -> "Arrays":
        """Each row's weight times that of its class, 1 where none is given."""
        codes = self.y.argmax(1) if self.y.ndim == 2 and self.y.shape[1] > 1 else self.y.reshape(-1)
        weights = np.array([class_weight.get(int(code), 1.0) for code in codes], np.float32)
        return replace(self, weights=weights if self.weights is None else weights * self.weights)

    def without_last(self, share: float) -> tuple["Arrays", "Arrays"]:
        """All but the last rows, and those: what Keras validates on when it is given a share."""
        cut = int(np.floor(len(self) * (1 - share)))
        return self._slice(slice(0, cut)), self._slice(slice(cut, None))

    def _slice(self, where: Any) -> "Arrays":
        x = keras.tree.map_structure(lambda each: each[where], self.x)
        return Arrays(x, self.y[where], None if self.weights is None else self.weights[where])

    def at(self, rows: Rows) -> dict[str, Any]:
        """A numbered batch."""
        x = keras.tree.map_structure(lambda each: _narrow(each[rows]), self.x)
        found = {"x": x, "y": _narrow(self.y[rows]), _ROWS: np.asarray(rows, np.int64)}
        return found if self.weights is None else {**found, "weights": self.weights[rows]}

    def dataset(self, draw: Callable[[], Iterator[Rows]], batches: int, *, ahead: bool) -> Any:
        """A tf.data.Dataset of numbered batches; `draw` is asked for the rows of each epoch. ahead: whether batches are drawn early."""
        none = self.at(np.empty(0, np.int64))
        signature = keras.tree.map_structure(lambda each: tf.TensorSpec((None, *each.shape[1:]), each.dtype), none)
        found = tf.data.Dataset.from_generator(lambda: (self.at(rows) for rows in draw()), output_signature=signature)
        found = found.apply(tf.data.experimental.assert_cardinality(batches))
        return found.prefetch(_AHEAD) if ahead else found


def _narrow(values: np.ndarray) -> np.ndarray:
    """In the float Keras works with."""
    return values.astype(keras.backend.floatx()) if values.dtype == np.float64 else values


def shuffled(arrays: Arrays, batch: int, seed: int, epoch: Callable[[], int], *, mixed: bool) -> Any:
    """Every row once per epoch, in an order of its own for each seed and epoch, or as they lie."""

    def draw() -> Iterator[Rows]:
        order = np.random.default_rng([seed, epoch()]).permutation(len(arrays)) if mixed else np.arange(len(arrays))
        yield from (order[start : start + batch] for start in range(0, len(order), batch))

    return arrays.dataset(draw, ceil(len(arrays) / batch), ahead=True)


def drawn(arrays: Arrays, batches: int, sample: Callable[[], Rows]) -> Any:
    """So many batches per epoch, each drawn by the hook, none before its turn: a state written down says what comes next."""
    return arrays.dataset(lambda: (sample() for _ in range(batches)), batches, ahead=False)

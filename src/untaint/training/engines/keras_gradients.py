"""The gradient of a step under Keras: bounded by row or by part, put together, and noised, as the hooks of a recipe say."""

from collections.abc import Callable, Sequence
from typing import Any, final

import numpy as np

from untaint.errors import BadInput
from untaint.training.base import Defence, Hooks
from untaint.training.engines.keras_backend import keras, tf
from untaint.training.engines.keras_data import Taken
from untaint.training.engines.keras_rows import RowLoss, RowSums, dense, not_kept_apart, regularised
from untaint.training.engines.keras_state import Buffers

_GROUPS = 16
"""Parts of a batch whose gradients are bounded each by itself where those of rows cannot be kept apart, as in the loop of PyTorch."""
_NEARLY = 1e-3
"""Share of its norm by which the mean of the rows' gradients may miss the gradient of the batch: single precision sums in another
order, and loses three digits on badly scaled inputs; a rule that is wrong misses by a tenth or more, zeros by all of it."""

Weigh = Callable[[Any, Any, Any], np.ndarray]


@final
class GradientOf:
    """Turns batches into gradients during one run. Raises BadInput for a model on which a defence of the recipe is unsound."""

    def __init__(self, model: Any, loss: RowLoss, active: Sequence[tuple[Defence, Hooks]], weigh: Any) -> None:
        self.notes: list[str] = []
        self._model, self._loss = model, loss
        hooks = [each for _, each in active]
        self._bound = next((each.bound for each in hooks if each.bound is not None), None)
        self._combine = next((each.combine for each in hooks if each.combine is not None), None)
        self._settle = next((each.settle for each in hooks if each.settle is not None), None)
        self._micro = max((each.micro for each in hooks), default=1)
        self._private = any("private" in defence.traits for defence, _ in active)
        _check(model, [defence for defence, _ in active])
        others = not_kept_apart(model) if self._bound is not None else []
        self._by_row = self._bound is not None and not others
        if others:
            each = "one row" if self._private else f"1/{_GROUPS} of a batch"
            self.notes.append(
                f"gradients are bounded for {each} at a time, since rows can't be kept apart in {'; '.join(others[:3])}"
            )
        self._sums = RowSums(model, loss, weigh, self._bound if self._by_row else None)
        self._checked = False
        self._finish = tf.function(self._finished, autograph=False)
        self._shapes = [tuple(each.shape) for each in model.trainable_variables]

    def __call__(self, taken: Taken, told: Callable[[Taken], None]) -> tuple[list[Any], Any, Any]:
        """The gradient, and losses (n,) and outputs (n, ...) of the rows; None for those when there are no rows.

        told: called with each part of the batch before its rows are weighed.
        """
        if not len(taken):
            return self._settled(np.zeros(sum(int(np.prod(shape)) for shape in self._shapes), np.float32), 0), None, None
        parts = []
        for part in taken.parts(self._parts(len(taken))):
            told(part)
            parts.append(self._sums(part.x, part.y, _ones(part)))
        losses, outputs = (tf.concat([getattr(part, name) for part in parts], 0) for name in ("losses", "outputs"))
        if len(parts) == 1 and self._settle is None and self._combine is None and (self._by_row or self._bound is None):
            return [each / len(taken) for each in parts[0].gradients], losses, outputs
        counts = [len(part.losses) for part in parts]
        means = np.stack([_flat(part.gradients) / count for part, count in zip(parts, counts, strict=True)])
        if self._bound is not None and not self._by_row:
            means = bounded(means, self._bound)
        whole = self._combine(means) if self._combine is not None else np.average(means, axis=0, weights=counts)
        return self._settled(np.asarray(whole, np.float32), len(taken)), losses, outputs

    def finished(self, gradients: list[Any]) -> tuple[list[Any], float, bool]:
        """With what regularisers of weights add; the norm of all of it, and whether it is finite."""
        gradients, norm = self._finish(gradients)
        return gradients, float(norm), bool(np.isfinite(norm))

    def _finished(self, gradients: list[Any]) -> tuple[list[Any], Any]:
        with tf.GradientTape() as tape:
            extra = regularised(self._model)
            total = tf.add_n(extra) if extra else None
        if extra:
            added = dense(tape.gradient(total, self._model.trainable_variables), self._model)
            gradients = [each + more for each, more in zip(gradients, added, strict=True)]
        return gradients, tf.linalg.global_norm(gradients)

    def _parts(self, rows: int) -> int:
        grouped = 1 if self._bound is None or self._by_row else rows if self._private else _GROUPS
        return max(self._micro, grouped)

    def _settled(self, mean: np.ndarray, rows: int) -> list[Any]:
        flat = mean if self._settle is None else np.asarray(self._settle(mean * rows, rows), np.float32)
        ends = np.cumsum([int(np.prod(shape)) for shape in self._shapes])
        pieces = np.split(flat, ends[:-1])
        return [tf.constant(piece.reshape(shape)) for piece, shape in zip(pieces, self._shapes, strict=True)]

    def check_once(self, taken: Taken) -> None:
        """On the first batch: what hooks are told of rows must add up to what Keras trains on. Rows that are not finite wait."""
        if self._checked:
            return
        buffers = Buffers(self._model)
        buffers.keep()
        try:
            clean = self._in_range(taken.kept(taken.finite()))
            if not len(clean):
                return
            given, wanted = self._of_rows(clean)[0], self._of_batch(clean)
        except tf.errors.InvalidArgumentError as error:
            raise BadInput(
                f"the loss does not give one value per row: {str(error).splitlines()[0]}", advice="Compile with a loss that does."
            ) from error
        finally:
            buffers.restore()
        if not np.isfinite(wanted).all():
            return
        self._checked = True
        missed = float(np.linalg.norm(given - wanted))
        if missed > _NEARLY * max(float(np.linalg.norm(wanted)), _NEARLY):
            raise BadInput(
                f"the mean of the rows' gradients is not the gradient of the batch (they differ by {missed:.3g} in norm): "
                "the loss or a layer of this model does not treat each row for itself.",
                advice="Compile with a loss that is the mean over the rows, and layers that do not mix them.",
            )

    def _in_range(self, taken: Taken) -> Taken:
        """The rows whose gradients have a norm: others count 0, and are part of what Keras computes."""
        if not len(taken) or not self._by_row:
            return taken
        return taken.kept(np.isfinite(self._of_rows(taken)[1]))

    def _of_rows(self, taken: Taken) -> tuple[np.ndarray, np.ndarray]:
        """Mean of the rows' gradients (d,), and their norms (n,), ones where none are taken."""
        told = [np.ones(len(taken))]

        def bound(norms: np.ndarray) -> np.ndarray:
            told.append(norms)
            return np.ones(len(norms))

        sums = RowSums(self._model, self._loss, None, bound if self._by_row else None, training=False)
        found = sums.once(taken.x, taken.y, _ones(taken))
        return _flat(found.gradients).astype(np.float64) / len(taken), told[-1]

    def _of_batch(self, taken: Taken) -> np.ndarray:
        with tf.GradientTape() as tape:
            outputs = self._model(taken.x, training=False)
            loss = self._model.compute_loss(taken.x, taken.y, outputs, taken.weights)
            loss -= tf.add_n([tf.constant(0.0), *regularised(self._model)])
        return _flat(dense(tape.gradient(loss, self._model.trainable_variables), self._model)).astype(np.float64)


def bounded(means: np.ndarray, bound: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """(m, d) gradients of parts of a batch, each bounded as a row would be; those that are not finite count 0."""
    norms = np.linalg.norm(means.astype(np.float64), axis=1)
    finite = np.isfinite(norms)
    factors = np.where(finite, bound(norms), 0.0).astype(np.float32)
    return np.where(finite[:, None], means, 0) * factors[:, None]


def _ones(taken: Taken) -> Any:
    return tf.ones(len(taken)) if taken.weights is None else tf.cast(tf.reshape(taken.weights, (-1,)), tf.float32)


def _flat(gradients: Sequence[Any]) -> np.ndarray:
    return np.concatenate([np.asarray(tf.convert_to_tensor(each), np.float32).reshape(-1) for each in gradients])


def _check(model: Any, defences: Sequence[Defence]) -> None:
    mixing = mixing_layers(model)
    for defence in defences:
        if mixing and not defence.allows_batch_norm:
            raise BadInput(
                f"{defence.id} is unsound with batch normalisation ({', '.join(mixing[:3])}): there each row's output depends on others.",
                advice="Use GroupNormalization or LayerNormalization instead.",
            )


def mixing_layers(model: Any) -> list[str]:
    """Names of trained layers in which each row's output depends on other rows."""
    return [layer.name for layer in layers_of(model) if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable]


def layers_of(model: Any) -> list[Any]:
    """Every layer, models inside models taken apart."""
    return [each for layer in model.layers for each in (layers_of(layer) if isinstance(layer, keras.Model) else [layer])]

"""The guard alone, for those who keep their own `train_step`: a callback, and a data set that screens."""

from collections.abc import Iterator
from itertools import chain, islice
from math import isfinite, nan
from pathlib import Path
from typing import Any, final

from typing_extensions import override

from untaint.errors import BadInput
from untaint.training.base import Run, Update
from untaint.training.engines.keras_backend import keras, tf
from untaint.training.engines.keras_data import Taken
from untaint.training.engines.keras_screen import screened
from untaint.training.engines.keras_state import Snapshot, sound
from untaint.training.engines.set_aside import SetAside
from untaint.training.guard import Guard

_PASSES = 100  # over the data to make up for emptied batches: with fewer than one in a hundred left there is nothing to learn


@final
class GuardCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """Takes back what a step has done to weights, running statistics and optimizer when it has wrecked the model.

    After every step all weights must be finite, and the loss must not stay far over what it was; else the last good state comes back.
    It works with any `train_step` and any `fit`, and sees a step only when it is over: it cannot keep a row from the forward pass,
    and what was learned since the last good state (25 steps at most) is lost with the bad step. A row that returns in every epoch
    wrecks every epoch again, and in range of the sentinel it stays. Screen the data as well, `fit(guarded(dataset))`, or harden the
    model with `harden_keras`, which does both.

    rolled_back: how often the last good state came back.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rolled_back = 0
        self._watch = Guard().start(Run()).watch
        self._good: Snapshot | None = None
        self._step = self._epoch = self._batches = 0
        self._total = 0.0

    @override
    def on_train_begin(self, logs: Any = None) -> None:
        self._good = None

    @override
    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch, self._batches, self._total = epoch, 0, 0.0

    @override
    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if self._good is None:  # now, for `fit` may build the model
            if not self.model.optimizer.built:
                self.model.optimizer.build(self.model.trainable_variables)
            self._good = Snapshot(self.model, self.model.optimizer)

    @override
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self._watch is None or self._good is None:
            return
        update = Update(nan, self._loss_of(logs), sound(self.model), self._epoch, self._step)
        self._step += 1
        advice = self._watch(update)
        if advice == "back":
            self._good.restore()
            self.rolled_back += 1
            self.model.reset_metrics()  # a mean that holds one NaN is NaN until the epoch ends
            self._batches, self._total = 0, 0.0
        elif advice == "good":
            self._good.keep()

    def _loss_of(self, logs: Any) -> float:
        """Of the last batch: Keras tells the mean of the epoch so far."""
        mean = float((logs or {}).get("loss", nan))
        before, self._batches = self._total, self._batches + 1
        if not isfinite(mean):
            return nan
        self._total = mean * self._batches
        return self._total - before


def guarded(dataset: Any, *, low: float | None = None, high: float | None = None, quarantine: Path | str | None = None) -> Any:
    """The same batches without the rows that no network should see: not finite, out of range, far larger than usual.

    dataset: a tf.data.Dataset of batches (x, y) or (x, y, weights).  low, high: the range of inputs where it is known.
    quarantine: folder for what is dropped, and why. A batch of which nothing is left
    is made up for by another one, since Keras counts on their number. What is usual is learned from the
    first 2,048 rows, and kept over the epochs. Raises BadInput for a data set that is not batched.
    """
    if not isinstance(dataset, tf.data.Dataset):
        raise BadInput(f"expected a tf.data.Dataset, got {type(dataset).__name__}.", advice="With arrays, use harden_keras.")
    specs = keras.tree.flatten(dataset.element_spec)
    if any(each.shape.rank is None or each.shape.rank == 0 for each in specs):
        raise BadInput("the data set gives single samples, not batches.", advice="Screen it after .batch(…).")
    defence = Guard(low, high)
    active = [(defence, defence.start(Run()))]
    aside = SetAside(None if quarantine is None else Path(quarantine))

    count = int(dataset.cardinality())

    def one_pass() -> Iterator[Any]:
        for step, data in enumerate(dataset):
            taken = screened(Taken.of(data), active, aside, 0, step)
            if len(taken):
                yield (taken.x, taken.y) if taken.weights is None else (taken.x, taken.y, taken.weights)

    def batches() -> Iterator[Any]:
        yield from one_pass() if count < 0 else islice(chain.from_iterable(one_pass() for _ in range(_PASSES)), count)

    free = keras.tree.map_structure(lambda each: tf.TensorSpec((None, *each.shape[1:]), each.dtype), dataset.element_spec)
    found = tf.data.Dataset.from_generator(batches, output_signature=free)
    return found if count < 0 else found.apply(tf.data.experimental.assert_cardinality(count))

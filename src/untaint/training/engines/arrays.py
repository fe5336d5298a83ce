"""Arrays in memory as a loader that can be asked for rows."""

from collections.abc import Sequence
from typing import final

import numpy as np
import torch
from torch import Tensor

from untaint.nets.convnet import to_batch
from untaint.types import Labels, Rows


@final
class ArrayLoader:
    """Batches of shuffled rows, the same for the same seed and epoch wherever a run is taken up.

    values: images (n, h, w, c) uint8, or other inputs (n, ...).  codes: (n,).  A last batch of a single row is left out.
    numbers: (n,) what rows are called where they are told of.  epoch: that comes next.  start: batches of it that are done already.
    """

    def __init__(self, values: np.ndarray, codes: Labels, numbers: Rows, *, batch: int, seed: int) -> None:
        self.values, self.codes, self.batch, self.seed = values, codes, min(batch, len(codes)), seed
        self.rows, self.numbers = len(codes), numbers
        self.epoch = self.start = 0

    def order(self) -> Sequence[np.ndarray]:
        """Row numbers of every batch of the next epoch."""
        mixed = np.random.default_rng([self.seed, self.epoch]).permutation(self.rows)
        self.epoch += 1
        found = [mixed[start : start + self.batch] for start in range(0, self.rows, self.batch)]
        return found[:-1] if len(found) > 1 and len(found[-1]) == 1 else found

    def fetch(self, rows: np.ndarray) -> tuple[Tensor, Tensor]:
        """The batch of these rows: inputs and class codes."""
        return tensor_of(self.values[rows]), torch.from_numpy(self.codes[rows])


def tensor_of(values: np.ndarray) -> Tensor:
    """Inputs as the house networks take them: images (n, c, h, w) in 0..1, everything else as it is."""
    if values.dtype == np.uint8 and values.ndim == 4:
        return to_batch(values)
    return torch.from_numpy(np.ascontiguousarray(values))

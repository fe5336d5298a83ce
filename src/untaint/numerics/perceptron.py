"""A network of one hidden layer, trained for a second: what stands for networks where the effect of a few rows is measured."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np

_STEPS, _RATE, _BATCH = 600, 0.1, 16  # of plain gradient descent, as the linear models beside it


@final
@dataclass(frozen=True)
class Perceptron:
    """hidden: rectified units.  seed: of its first weights and of the order of rows."""

    hidden: int = 16
    seed: int = 0

    def outputs(
        self, inputs: np.ndarray, wanted: np.ndarray, link: Callable[[np.ndarray], np.ndarray], asked: np.ndarray
    ) -> np.ndarray:
        """(m, k) outputs for (m, d) rows, after learning that (n, d) inputs give (n, k) `wanted` once the link is applied to outputs.

        The link is that of the loss (softmax of cross-entropy, nothing of squares). Where training diverges outputs are not finite.
        """
        rng = np.random.default_rng(self.seed)
        first = rng.normal(size=(inputs.shape[1] + 1, self.hidden)) * np.sqrt(2 / max(1, inputs.shape[1]))
        second = rng.normal(size=(self.hidden + 1, wanted.shape[1])) * np.sqrt(1 / self.hidden)
        order = np.concatenate([rng.permutation(len(inputs)) for _ in range(1 + _STEPS * _BATCH // len(inputs))])
        rows = _biased(inputs)
        with np.errstate(over="ignore", invalid="ignore"):
            for step in range(_STEPS):
                batch = order[step * _BATCH : (step + 1) * _BATCH]
                inner = np.maximum(rows[batch] @ first, 0)
                off = (link(_biased(inner) @ second) - wanted[batch]) / len(batch)
                back = (off @ second[:-1].T) * (inner > 0)
                second -= _RATE * _biased(inner).T @ off
                first -= _RATE * rows[batch].T @ back
            return np.asarray(_biased(np.maximum(_biased(asked) @ first, 0)) @ second)


def _biased(rows: np.ndarray) -> np.ndarray:
    return np.column_stack([rows, np.ones(len(rows))])

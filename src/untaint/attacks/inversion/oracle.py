"""What a model lets out: its answers, as whoever runs it rounds them, disturbs them, or keeps all but the label back."""

from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.special import softmax

from untaint.errors import BadInput
from untaint.nets.subject import Inputs, Subject

_SMALLEST = 1e-7
"""A probability whose logarithm is taken where 0 was answered: single precision ends about there."""


@final
@dataclass(frozen=True)
class Outlet:
    """How answers are let out.

    decimals: probabilities are rounded to, None = as they are.  noise: standard deviation of what is added to each probability, anew
    every time.  top: only the label is told, as a 1 among zeros.  Raises BadInput for values without sense.
    """

    decimals: int | None = None
    noise: float = 0.0
    top: bool = False

    def __post_init__(self) -> None:
        if self.decimals is not None and not 0 <= self.decimals <= 7:
            raise BadInput(f"probabilities are rounded to 0..7 decimals, not {self.decimals}.")
        if not 0 <= self.noise < 1:
            raise BadInput(f"noise on probabilities lies in 0..1, not {self.noise!r}.")

    def let_out(self, logits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Probabilities (n, classes) float64 as they leave the house."""
        found = softmax(logits.astype(np.float64), axis=1)
        if self.noise:
            found = np.clip(found + rng.normal(0, self.noise, found.shape), 0, 1)
        if self.top:
            return np.eye(found.shape[1])[found.argmax(1)]
        return found if self.decimals is None else np.round(found, self.decimals)

    def logarithms(self, answers: np.ndarray) -> np.ndarray:
        """Of answers that were let out; what was rounded to nothing counts as half of what would have been told."""
        least = _SMALLEST if self.decimals is None else max(_SMALLEST, 0.5 * 10.0**-self.decimals)
        found: np.ndarray = np.log(np.maximum(answers, least))
        return found

    def __str__(self) -> str:
        told = ["labels only"] if self.top else []
        told += [f"rounded to {self.decimals} decimals"] if self.decimals is not None and not self.top else []
        told += [f"noise of {self.noise:g}"] if self.noise else []
        return ", ".join(told) or "as they are"


@final
class Oracle:
    """A model that is asked, and counts. budget: inputs it may be asked about."""

    def __init__(self, subject: Subject, outlet: Outlet, budget: int, seed: int = 0) -> None:
        self.subject, self.outlet, self.budget = subject, outlet, budget
        self.asked = 0
        self._rng = np.random.default_rng(seed)

    def left(self) -> int:
        """Inputs it may still be asked about."""
        return self.budget - self.asked

    def answers(self, inputs: Inputs) -> np.ndarray:
        """(n, classes) probabilities as let out."""
        self.asked += len(inputs)
        return self.outlet.let_out(self.subject.logits(inputs), self._rng)

    def margins(self, inputs: Inputs, codes: np.ndarray) -> np.ndarray:
        """(n,) by how much, in logarithms, the wanted class is ahead of the best other one; negative = behind."""
        logs = self.outlet.logarithms(self.answers(inputs))
        rows = np.arange(len(codes))
        own = logs[rows, codes]
        logs[rows, codes] = -np.inf
        found: np.ndarray = own - logs.max(1)
        return found

"""The base of all defences. One rule: a defence is a set of hooks on one training loop.

Hooks take and give NumPy arrays and know no framework: the loops that call them (`untaint.training.engines`) bring gradients of
PyTorch or TensorFlow into this form. So every defence is one file, and means the same in each loop.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Literal, TypeAlias, final

import numpy as np

from untaint.errors import BadInput
from untaint.types import Rows

PACKAGE = "untaint.training"


class Stage(IntEnum):
    """Where in a step a defence works; a recipe puts its defences in this order."""

    SCREEN = 1  # drops rows before the network sees them
    ALTER = 2  # changes inputs
    WEIGH = 3  # says how much each row counts
    BOUND = 4  # limits each row's gradient
    COMBINE = 5  # makes one gradient of several
    NOISE = 6  # adds noise to it
    WATCH = 7  # refuses or takes back a step


Trait: TypeAlias = Literal["private", "looks at the data", "several gradients", "own loop", "ensemble"]
"""What decides whether two defences go together.

private: states an epsilon.  looks at the data: what it does depends on other rows in a way that no accountant counts.
several gradients: needs micro-batches.  own loop: cannot be hooked into a loop that computes its own loss.  ensemble: trains many models.
"""


@final
@dataclass(frozen=True)
class Batch:
    """Rows about to be trained on.

    inputs: one array (n, ...) per tensor of the batch that is not the target; most batches hold one.
    targets: (n,) class codes or numbers, (n, k) class probabilities; None = the loader gives none.
    rows: (n,) their numbers in the data set, -1 = unknown.  epoch, step: counted from 0.
    """

    inputs: tuple[np.ndarray, ...]
    targets: np.ndarray | None
    rows: Rows
    epoch: int = 0
    step: int = 0

    def __len__(self) -> int:
        return len(self.rows)


@final
@dataclass(frozen=True)
class Seen:
    """What the network made of a batch, before the update.

    losses: (n,) one per row.  outputs: (n, k) logits, or (n, ...) what else it answers.  targets, rows, epoch, step: as in `Batch`.
    """

    losses: np.ndarray
    outputs: np.ndarray
    targets: np.ndarray
    rows: Rows
    epoch: int
    step: int


@final
@dataclass(frozen=True)
class Update:
    """A gradient that is about to be applied. norm: of all of it.  loss: mean of the rows, NaN = not known.  finite: all of it is."""

    norm: float
    loss: float
    finite: bool
    epoch: int
    step: int


@final
@dataclass(frozen=True)
class Run:
    """What is known before the first step; None = not known.

    rows: in the data set.  batch: rows per step, as the loader says.  steps: planned in all.  classes: of the task.  seed: of all chance.
    """

    seed: int = 0
    rows: int | None = None
    batch: int | None = None
    epochs: int | None = None
    steps: int | None = None
    classes: int | None = None

    def rng(self, purpose: str) -> np.random.Generator:
        """A generator of its own for each purpose, the same for the same seed."""
        return np.random.default_rng([self.seed, *purpose.encode()])


Slope: TypeAlias = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Gradient (n, ...) of each row's loss by its inputs, for inputs (n, ...) and targets (n,): of the network as it is, in evaluation mode."""
State: TypeAlias = dict[str, np.ndarray]
Advice: TypeAlias = Literal["keep", "good", "back"]
"""After a step: go on; go on, and this is a state to come back to; go back to the last such state."""


@final
@dataclass(frozen=True)
class Hooks:
    """What a defence does during one run; None = nothing there. Hooks of one run may share state, which `state` writes down.

    sample: () -> rows of the next batch, in place of the loader's own order.
    screen: Batch -> {position in the batch: why that row is dropped}, before the network sees it.
    alter: (Batch, Slope) -> Batch of as many rows, other inputs or targets.
    weigh: Seen -> (n,) how much each row's gradient counts, 1 = as it is, 0 = not, under 0 = unlearned.
    bound: (n,) norms of the rows' gradients -> (n,) factors for them. A norm that is not finite: its row counts 0 whatever is said.
    micro, combine: number m of micro-batches, and (m, d) gradients -> (d,).
    settle: (d,) sum of the rows' gradients, bounded, and the number of rows -> (d,) gradient; mean when there is none.
    admit: Update -> why it is not applied, None = applied.
    watch: Update after it was applied or refused, finite: whether all weights are -> Advice.
    facts: () -> what happened, for the record of the run: plain numbers, words, lists.
    state, resume: () -> arrays, and back from them, so that a stopped run goes on as it would have.
    """

    sample: Callable[[], Rows] | None = None
    screen: Callable[[Batch], Mapping[int, str]] | None = None
    alter: Callable[[Batch, Slope], Batch] | None = None
    weigh: Callable[[Seen], np.ndarray] | None = None
    bound: Callable[[np.ndarray], np.ndarray] | None = None
    micro: int = 1
    combine: Callable[[np.ndarray], np.ndarray] | None = None
    settle: Callable[[np.ndarray, int], np.ndarray] | None = None
    admit: Callable[[Update], str | None] | None = None
    watch: Callable[[Update], Advice] | None = None
    facts: Callable[[], Mapping[str, object]] | None = None
    state: Callable[[], State] | None = None
    resume: Callable[[State], None] | None = None


class Defence(ABC):
    """A frozen dataclass whose fields are its parameters.

    The docstring is the manual page: one sentence, then *Stops*, *Does not stop*, *Needs*, *Cost*, *Reference*.
    """

    id: ClassVar[str]
    stage: ClassVar[Stage]
    traits: ClassVar[frozenset[Trait]] = frozenset()
    allows_batch_norm: ClassVar[bool] = True
    """False: unsound or undefined on networks with layers that mix the rows of a batch, such as batch normalisation."""
    backends: ClassVar[frozenset[str]] = frozenset({"torch", "tensorflow"})
    """Loops that can run it."""
    warning: ClassVar[str] = ""
    """What a person must know before training with it; who starts a run prints it."""

    @abstractmethod
    def start(self, run: Run) -> Hooks:
        """The hooks for one run, with state of their own. Raises BadInput for parameters that make no sense."""


@final
@dataclass(frozen=True)
class Dropped:
    """A row that a defence kept from the network. row: in the data set, -1 = unknown.  by: spec of the defence."""

    row: int
    epoch: int
    step: int
    by: str
    reason: str


def check_number(name: str, value: object, low: float, high: float = float("inf")) -> None:
    """Raises BadInput unless a parameter is a number in low..high."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        wanted = f"in {low:g}..{high:g}" if high < float("inf") else f"of at least {low:g}"
        raise BadInput(f"{name} is a number {wanted}, not {value!r}.", advice="Give another value.")


def check_whole(name: str, value: object, low: int) -> None:
    """Raises BadInput unless a parameter is a whole number of at least `low`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise BadInput(f"{name} is a whole number of at least {low}, not {value!r}.", advice="Give another value.")


def check_known(name: str, value: object, known: Sequence[str]) -> None:
    """Raises BadInput unless a parameter has one of the known values."""
    if value not in known:
        raise BadInput(f"{name} is one of {', '.join(map(repr, known))}, not {value!r}.", advice="Choose one of them.")

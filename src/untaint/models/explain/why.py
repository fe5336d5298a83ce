"""The whole answer to "why": the rows behind an answer, the region that turns it, the sources they came from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.special import softmax

from untaint.errors import BadInput
from untaint.evidence.finding import SourceShare
from untaint.evidence.sources import FEWEST_SOURCES, shares
from untaint.models.explain.drivers import drivers
from untaint.models.explain.region import Region, carriers, region
from untaint.nets.row_gradients import LastLayer, last_layer
from untaint.nets.subject import Inputs, Reference, Subject
from untaint.types import Rows

SHOWN, ASKED = 20, 60
"""Rows that drive an answer: as many as a person looks at, and as many as are asked where they came from: of 20, half from one source
that sent a fifth of all rows of the label are no proof."""


@final
@dataclass(frozen=True)
class Senders:
    """Who sent each training row. codes (n,), -1 = unknown; names by code."""

    codes: np.ndarray
    names: tuple[str, ...]


@final
@dataclass(frozen=True)
class Explanation:
    """Why one input is answered as it is.

    label, probability: the answer.  rows, influence: training rows that drive it, most first.  how: in words.  carriers: (m,) which of
    those hold what the region holds; carriers_of_class: share of all rows of the answer's label that do, NaN = no region.
    without: the answer once the region holds what other inputs hold there, None = the same.
    sources: with members among the drivers, most suspicious first; p-values against the rows of the answer's label.
    accused: names of those beyond alpha.  notes: what could not be done, and why.  classes: names by code.
    """

    label: str
    probability: float
    rows: Rows
    influence: np.ndarray
    how: str
    region: Region | None
    without: str | None
    carriers: np.ndarray
    carriers_of_class: float
    sources: tuple[SourceShare, ...]
    accused: tuple[str, ...]
    alpha: float
    notes: tuple[str, ...]
    classes: tuple[str, ...]

    @property
    def hosts(self) -> str | None:
        """The class of the inputs the region was tried on, None = all but the answer's."""
        return None if self.region is None or self.region.hosts is None else self.classes[self.region.hosts]

    @property
    def trigger(self) -> bool:
        """Whether the region turns answers as only a trigger does."""
        return self.region is not None and self.region.trigger(self.alpha)


@final
class Explainer:
    """A model and its training rows, read once, for as many inputs as one likes.

    train: as the model takes them.  senders: None = nothing is known of sources.  alpha: chance of a false accusation of an input.
    Raises BadInput where model and rows do not fit.
    """

    def __init__(
        self, subject: Subject, train: Reference, senders: Senders | None = None, *, alpha: float = 0.01, seed: int = 0
    ) -> None:
        self.subject, self.train, self.senders, self.alpha, self.seed = subject, train, senders, alpha, seed
        self.read: LastLayer = last_layer(subject, train.inputs)
        if self.read.logits.shape[1] != len(train.classes):
            message = f"the model tells {self.read.logits.shape[1]} classes apart, the data {len(train.classes)}."
            raise BadInput(message, advice="Give the data the model was trained on.")

    def explain(self, one: Inputs, progress: Callable[[str, int, int], None] | None = None) -> Explanation:
        """Why one input (1, ...) is answered as it is. Raises BadInput where the answer is no number."""
        tell = progress or (lambda _what, _done, _total: None)
        logits = self.subject.logits(one)[0]
        if not np.isfinite(logits).all():
            raise BadInput("the model answers this input with no number.", advice="Look at the input for cells without a value.")
        label = int(logits.argmax())
        tell("comparing gradients", 0, 3)
        found = drivers(self.subject, self.train, self.read, one, label, ASKED)
        tell("covering regions", 1, 3)
        turned = region(self.subject, self.train, one, label, np.random.default_rng(self.seed))
        tell("asking who sent them", 2, 3)
        held, usual = self._carriers(one, turned, found.rows[:SHOWN], label)
        sources, notes = self._sources(found.rows, label)
        tell("asking who sent them", 3, 3)
        return Explanation(
            self.train.classes[label],
            float(softmax(logits.astype(np.float64))[label]),
            found.rows[:SHOWN],
            found.influence[:SHOWN],
            found.how,
            turned,
            None if turned is None or turned.back is None else self.train.classes[turned.back],
            held,
            usual,
            sources,
            tuple(each.name for each in sources if each.p_value <= self.alpha) if len(self._names) >= FEWEST_SOURCES else (),
            self.alpha,
            (*notes, *(("Inputs of this kind have no regions to cover.",) if turned is None else ())),
            self.train.classes,
        )

    @property
    def _names(self) -> tuple[str, ...]:
        return () if self.senders is None else self.senders.names

    def _carriers(self, one: Inputs, turned: Region | None, rows: Rows, label: int) -> tuple[np.ndarray, float]:
        if turned is None:
            return np.zeros(len(rows), bool), float("nan")
        usual = carriers(self.train, one, turned.mask, np.flatnonzero(self.train.labels == label))
        return carriers(self.train, one, turned.mask, rows), float(usual.mean()) if len(usual) else float("nan")

    def _sources(self, rows: Rows, label: int) -> tuple[tuple[SourceShare, ...], tuple[str, ...]]:
        """Against rows of the same label: a source that sends one class only is not accused for that."""
        if self.senders is None or not self.senders.names:
            return (), ("The data do not say who sent them.",)
        universe = np.flatnonzero(self.train.labels == label)
        members = np.flatnonzero(np.isin(universe, rows))
        found = shares(self.senders.codes[universe], self.senders.names, members)
        if len(self.senders.names) < FEWEST_SOURCES:
            return found, (f"Under {FEWEST_SOURCES} sources none is accused: one that differs is too much of the whole.",)
        return found, ()

"""One rule: a sign turns inputs, and what a model made of them, into a few numbers per input; how unusual those are is judged elsewhere.

What runs the model is done once (`measure`); what compares with references (`learn`, `compare`) once for every fold of them, so that
no reference is ever compared with itself.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal, final

import numpy as np

from untaint.nets.subject import Inputs, Subject
from untaint.numerics.pictures import shrink
from untaint.registry import members
from untaint.types import Labels, Rows

PACKAGE = "untaint.guard.signs"
_SIDE = 14
"""Larger images are shrunk to it for rules that see bare values: a few hundred references cannot tell what more of them mean."""

Measured = tuple[np.ndarray, ...]
"""What a sign took down of some inputs: arrays of one row per input."""
Learned = Mapping[str, np.ndarray]
"""What a sign keeps, by name: arrays only, so that it can be written down without pickle."""
Stage = Literal[1, 2]
"""1: asked about every input.  2: only about the few in a hundred that the first stage finds least usual. See `stage`."""


@final
@dataclass(frozen=True)
class Seen:
    """Inputs and what the model made of them in one forward pass.

    logits (n, k).  layers: a few layers in brief, shallow to deep, each (n, c, cells), () = a black box.
    """

    inputs: Inputs
    logits: np.ndarray
    layers: tuple[np.ndarray, ...]

    @property
    def said(self) -> Labels:
        """The class the model gives each input."""
        codes: Labels = self.logits.argmax(1)
        return codes

    @property
    def images(self) -> bool:
        """Whether the inputs are images (n, h, w, c), 0..255."""
        return self.inputs.dtype == np.uint8 and self.inputs.ndim == 4

    @cached_property
    def amounts(self) -> np.ndarray:
        """The values of the inputs as rows (n, d) of floats, small images of large ones."""
        if not self.images:
            return np.nan_to_num(self.inputs.reshape(len(self.inputs), -1).astype(np.float32))
        height, width = (min(_SIDE, size) for size in self.inputs.shape[1:3])
        return shrink(self.inputs.astype(np.float32), height, width).reshape(len(self.inputs), -1) / np.float32(255)

    def only(self, rows: Rows) -> "Seen":
        """Some of the inputs."""
        return Seen(self.inputs[rows], self.logits[rows], tuple(layer[rows] for layer in self.layers))


class Sign(ABC):
    """A frozen dataclass whose fields are its parameters.

    The docstring is the manual page: one sentence, *Works when*, *Fails when*, *Cost*, *Reference*.
    both: of which of its numbers, in turn, low values are suspicious too.  within: which of them mean something only within a class.
    passes: forward passes beyond the first.
    """

    id: ClassVar[str]
    both: ClassVar[tuple[bool, ...]]
    within: ClassVar[tuple[bool, ...]]
    passes: ClassVar[float]

    @abstractmethod
    def unfit(self, subject: Subject, seen: Seen) -> str:
        """Why this model, or these inputs, are nothing for this sign; '' = they are."""

    @abstractmethod
    def prepare(self, seen: Seen, rng: np.random.Generator) -> Learned:
        """What is drawn once, from references or by chance, and used for every input."""

    @abstractmethod
    def measure(self, subject: Subject, seen: Seen, prepared: Learned) -> Measured:
        """Take down what is needed of some inputs; the only step that may run the model."""

    @abstractmethod
    def learn(self, measured: Measured, said: Labels, classes: int) -> Learned:
        """What is needed of references to compare others with them."""

    @abstractmethod
    def compare(self, measured: Measured, said: Labels, learned: Learned) -> np.ndarray:
        """Numbers (n, s), high = suspicious, NaN = cannot be told."""


def stage(sign: Sign, layers: bool) -> Stage:
    """When a sign is asked: first if it costs no pass, or one where the model shows no layers and there is little else to go by."""
    return 1 if sign.passes == 0 or (sign.passes <= 1 and not layers) else 2


def signs() -> Mapping[str, type[Sign]]:
    """Every sign known, plug-ins included, by id."""
    return members(Sign, PACKAGE)


def lead(logits: np.ndarray, said: Labels) -> np.ndarray:
    """How far the logit of a class is ahead of the best other (n,); 0 for a model of one class."""
    if logits.shape[1] < 2:
        return np.zeros(len(logits))
    rows = np.arange(len(said))
    others = np.array(logits, np.float64)
    others[rows, said] = -np.inf
    return np.asarray(logits[rows, said] - others.max(1), np.float64)


def no_amounts(seen: Seen) -> str:
    """Why bare values of inputs say nothing of a class, '' = they may."""
    if not seen.images and not np.issubdtype(seen.inputs.dtype, np.floating):
        return "the inputs are codes, not amounts"
    return "" if seen.logits.shape[1] > 1 else "the model knows one class only"


def moved_lead(subject: Subject, seen: Seen, changed: Inputs) -> np.ndarray:
    """How much less far ahead the class the model gave is once the inputs are changed, (n, 1); one forward pass."""
    said = seen.said
    return (lead(seen.logits, said) - lead(subject.logits(changed), said))[:, None]

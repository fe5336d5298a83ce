"""One rule: a detector turns features into one suspicion score per sample, and into groups it can explain.

It never thresholds: what is an alarm is decided in `untaint.evidence.verdict`.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from untaint.evidence.evidence import Evidence
from untaint.registry import members
from untaint.types import Modality

PACKAGE = "untaint.detectors"


class Detector(ABC):
    """A frozen dataclass whose fields are its parameters and whose `examine` parameters name the features it needs.

    Those with a default are welcome and not needed: given where a network may be trained and the feature can be had.

    The docstring is the manual page: one sentence, then *Works when*, *Fails when*, *Cost*, *Reference*.
    """

    id: ClassVar[str]
    modalities: ClassVar[frozenset[Modality]] = frozenset({"image"})
    """Of the data sets it is for; it is no part of an audit of others."""
    examine: ClassVar[Any]
    """examine(self, <feature>, ...) -> Evidence; each member has parameters of its own, so no one signature stands here."""

    @property
    @abstractmethod
    def budget(self) -> str:
        """The smallest audit budget that runs it: `fast`, `standard` or `thorough`."""


def needs(detector: Detector) -> tuple[str, ...]:
    """Names of the features a detector cannot do without."""
    parameters = inspect.signature(detector.examine).parameters
    return tuple(name for name, parameter in parameters.items() if parameter.default is parameter.empty)


def welcomes(detector: Detector) -> tuple[str, ...]:
    """Names of the features that make a detector better."""
    return tuple(name for name in inspect.signature(detector.examine).parameters if name not in needs(detector))


def examine(detector: Detector, features: Mapping[str, object]) -> Evidence:
    """Run a detector on features that hold at least those it needs."""
    given = {name: features[name] for name in (*needs(detector), *welcomes(detector)) if name in features}
    evidence: Evidence = detector.examine(**given)
    return evidence


def detectors(modality: Modality | None = None) -> Mapping[str, type[Detector]]:
    """Every detector known, plug-ins included, by id; those for data sets of one modality where it is named."""
    known = members(Detector, PACKAGE)
    return {name: kind for name, kind in known.items() if modality is None or modality in kind.modalities}

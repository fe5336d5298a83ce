"""One rule: a detector turns features into one suspicion score per sample, and into groups it can explain.

It never thresholds: what is an alarm is decided in `untaint.evidence.verdict`.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from untaint.evidence.evidence import Evidence
from untaint.registry import members

PACKAGE = "untaint.detectors"


class Detector(ABC):
    """A frozen dataclass whose fields are its parameters and whose `examine` parameters name the features it needs.

    The docstring is the manual page: one sentence, then *Works when*, *Fails when*, *Cost*, *Reference*.
    """

    id: ClassVar[str]
    examine: ClassVar[Any]
    """examine(self, <feature>, ...) -> Evidence; each member has parameters of its own, so no one signature stands here."""

    @property
    @abstractmethod
    def budget(self) -> str:
        """The smallest audit budget that runs it: `fast`, `standard` or `thorough`."""


def needs(detector: Detector) -> tuple[str, ...]:
    """Names of the features a detector asks for."""
    return tuple(inspect.signature(detector.examine).parameters)


def examine(detector: Detector, features: Mapping[str, object]) -> Evidence:
    """Run a detector on features that hold at least those it needs."""
    evidence: Evidence = detector.examine(**{name: features[name] for name in needs(detector)})
    return evidence


def detectors() -> Mapping[str, type[Detector]]:
    """Every detector known, plug-ins included, by id."""
    return members(Detector, PACKAGE)

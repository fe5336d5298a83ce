"""Keep poison out of neural networks: find tampered training samples, set them aside with evidence, say what was not checked."""

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from untaint.api import attack, audit, clean, harden, harden_keras, inspect, load, repair, report, restore, train
    from untaint.api.conversion import convert
    from untaint.api.insight import explain, explain_change, invert
    from untaint.data.dataset import Dataset
    from untaint.errors import BadInput, CannotWrite, MissingExtra, NothingChecked, UnfitInput, UntaintError
    from untaint.evidence.finding import AuditResult, Finding, Verdict
    from untaint.guard.columns import ColumnGuard
    from untaint.guard.model_guard import Guard
    from untaint.numerics.privacy import NoisySteps, noise_for, withstands
    from untaint.training.engines.distributed import average_gradients
    from untaint.training.engines.flower import RobustFedAvg as RobustFedAvg  # not in __all__: it is not there without Flower
    from untaint.training.engines.keras_guard import GuardCallback, guarded
    from untaint.training.engines.normalisation import without_batch_norm
    from untaint.training.engines.updates import robust_mean

__all__ = [
    "AuditResult",
    "BadInput",
    "CannotWrite",
    "ColumnGuard",
    "Dataset",
    "Finding",
    "Guard",
    "GuardCallback",
    "MissingExtra",
    "NoisySteps",
    "NothingChecked",
    "UnfitInput",
    "UntaintError",
    "Verdict",
    "attack",
    "audit",
    "average_gradients",
    "clean",
    "convert",
    "explain",
    "explain_change",
    "guarded",
    "harden",
    "harden_keras",
    "inspect",
    "invert",
    "load",
    "noise_for",
    "repair",
    "report",
    "restore",
    "robust_mean",
    "train",
    "without_batch_norm",
    "withstands",
]

_PLACES = {
    **dict.fromkeys(
        ("attack", "audit", "clean", "harden", "harden_keras", "inspect", "load", "repair", "report", "restore", "train"),
        "untaint.api",
    ),
    **dict.fromkeys(("explain", "explain_change", "invert"), "untaint.api.insight"),
    **dict.fromkeys(
        ("BadInput", "CannotWrite", "MissingExtra", "NothingChecked", "UnfitInput", "UntaintError"), "untaint.errors"
    ),
    **dict.fromkeys(("AuditResult", "Finding", "Verdict"), "untaint.evidence.finding"),
    **dict.fromkeys(("NoisySteps", "noise_for", "withstands"), "untaint.numerics.privacy"),
    **dict.fromkeys(("GuardCallback", "guarded"), "untaint.training.engines.keras_guard"),
    "ColumnGuard": "untaint.guard.columns",
    "Dataset": "untaint.data.dataset",
    "convert": "untaint.api.conversion",
    "Guard": "untaint.guard.model_guard",
    "RobustFedAvg": "untaint.training.engines.flower",
    "average_gradients": "untaint.training.engines.distributed",
    "robust_mean": "untaint.training.engines.updates",
    "without_batch_norm": "untaint.training.engines.normalisation",
}


def _fetched(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'untaint' has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)


def _function(name: str) -> property:
    """A function of the same name as a room: importing the room must not put it in the function's place."""
    return property(lambda _package: _fetched(name), lambda _package, _room: None)


@final
class _Package(ModuleType):
    """Names are fetched when they are asked for: the whole house takes two seconds to load, sealing and `--help` need little of it."""

    audit = _function("audit")
    report = _function("report")

    def __getattr__(self, name: str) -> Any:
        return _fetched(name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *__all__})


sys.modules[__name__].__class__ = _Package

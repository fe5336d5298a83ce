"""Keep poison out of neural networks: find tampered training samples, set them aside with evidence, say what was not checked."""

from untaint.api import attack, audit, clean, load, report, restore
from untaint.data.dataset import Dataset
from untaint.errors import BadInput, CannotWrite, MissingExtra, NothingChecked, UnfitInput, UntaintError
from untaint.evidence.finding import AuditResult, Finding, Verdict
from untaint.guard.columns import ColumnGuard

__all__ = [
    "AuditResult",
    "BadInput",
    "CannotWrite",
    "ColumnGuard",
    "Dataset",
    "Finding",
    "MissingExtra",
    "NothingChecked",
    "UnfitInput",
    "UntaintError",
    "Verdict",
    "attack",
    "audit",
    "clean",
    "load",
    "report",
    "restore",
]

"""One row per input row, in input order: what the audit says of each sample."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from untaint.data.dataset import Dataset
from untaint.errors import FeatureUnavailable
from untaint.evidence.calibrate import fused, p_values
from untaint.evidence.evidence import Evidence
from untaint.evidence.finding import Verdict
from untaint.features.graph import Features

_FLAGGED_RISK = 0.9
"""Flagged samples lie above this risk, all others below: one column sorts both."""


def samples_table(dataset: Dataset, features: Features, evidence: Mapping[str, Evidence], verdict: Verdict) -> pa.Table:
    """The `samples.parquet` table (docs/formats.md)."""
    n = len(dataset)
    per_detector = {name: p_values(result) for name, result in evidence.items()}
    p_value = fused([values for name, values in per_detector.items() if not evidence[name].corroborates], n)
    flagged, finding, reason = _accused(verdict, n)
    unreadable = _unreadable(dataset, features)
    risk = np.where(flagged, _FLAGGED_RISK + 0.1 * (1 - p_value), (_FLAGGED_RISK - 0.01) * (1 - p_value))
    for found in verdict.findings:
        if found.alarm:
            p_value[found.members] = np.minimum(p_value[found.members], found.p_value)
    silent = ~flagged & ~_assessed(list(per_detector.values()), unreadable)
    risk[silent] = p_value[silent] = np.nan
    columns = {
        "row": np.arange(n),
        "id": dataset.index.column("id"),
        "path": dataset.index.column("path"),
        "label": dataset.index.column("label"),
        "source": dataset.index.column("source"),
        "risk": risk,
        "p_value": p_value,
        "flagged": flagged,
        "finding": pa.array(finding, pa.string()),
        "reason": pa.array([why or lost for why, lost in zip(reason, unreadable, strict=True)], pa.string()),
        "suggested_label": pa.array(_suggested(evidence, n), pa.string()),
        "unreadable": pa.array(unreadable, pa.string()),
    }
    columns |= {f"risk_{name}": 1 - values for name, values in per_detector.items()}
    return pa.table(columns)


def _accused(verdict: Verdict, n: int) -> tuple[np.ndarray, list[str | None], list[str | None]]:
    """Which rows are flagged, by which finding, and the rule that fired; a row of several findings counts for the first."""
    flagged = np.zeros(n, bool)
    finding: list[str | None] = [None] * n
    reason: list[str | None] = [None] * n
    for found in (found for found in reversed(verdict.findings) if found.alarm):
        flagged[found.members] = True
        aim = f" towards '{found.target_label}'" if found.target_label is not None else ""
        why = f"{found.kind}{aim} ({', '.join(found.detectors)}; p = {found.p_value:.1g})"
        for row in found.members.tolist():
            finding[row], reason[row] = found.id, why
    return flagged, finding, reason


def _unreadable(dataset: Dataset, features: Features) -> list[str | None]:
    """Why a row could not be used: said by the reader, or found when it was read in full."""
    reasons: list[str | None] = list(dataset.column("unreadable"))
    try:
        found = features.get("readable").reasons
    except FeatureUnavailable:
        return reasons
    for row, reason in found.items():
        reasons[row] = reasons[row] or reason
    return reasons


def _assessed(per_detector: list[np.ndarray], unreadable: list[str | None]) -> np.ndarray:
    """Rows that a detector judged by their content; a screen of the values does not make an unreadable row a judged one."""
    judged = np.zeros(len(unreadable), bool)
    for values in per_detector:
        judged |= np.isfinite(values)
    return judged & np.array([reason is None for reason in unreadable], bool)


def _suggested(evidence: Mapping[str, Evidence], n: int) -> list[str | None]:
    suggested: list[str | None] = [None] * n
    for result in evidence.values():
        for row, label in result.suggested.items():
            suggested[row] = label
    return suggested

"""One look at a data set: resolve features, run detectors, decide."""

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
import pyarrow.compute as pc

from untaint.audit.settings import AuditSettings
from untaint.data.dataset import Dataset
from untaint.detectors.base import Detector, detectors, examine, needs, welcomes
from untaint.errors import FeatureUnavailable, UntaintError
from untaint.evidence.evidence import Evidence
from untaint.evidence.finding import Check, Verdict
from untaint.evidence.verdict import Circumstances, decide
from untaint.features.graph import Features
from untaint.features.moments import UNDATED
from untaint.features.quantities import amounts
from untaint.features.settings import BUDGETS
from untaint.numerics.distinct import distinct
from untaint.registry import spec
from untaint.types import Rows


@final
@dataclass(frozen=True)
class Look:
    """What one look found. rows: the rows of the whole set that were looked at; all row numbers in here count from those.

    assessed: a detector judged a row or proposed a group, so that silence means something.
    """

    features: Features
    rows: Rows
    evidence: Mapping[str, Evidence]
    checks: tuple[Check, ...]
    verdict: Verdict
    assessed: bool


_TELLING = 16
"""Characters of a digest that tell contents apart: 64 bits, equal by chance in one of a million sets of five million."""


def look(features: Features, rows: Rows, settings: AuditSettings) -> Look:
    """Run every detector for such data that the budget allows, and decide."""
    chosen = detectors(features.dataset.modality)
    examined = [_examined(kind(), features, settings, place) for place, kind in enumerate(chosen.values())]
    evidence = {found.check.detector: found.evidence for found in examined if found.evidence is not None}
    checks = tuple(found.check for found in examined)
    circumstances = _circumstances(features.dataset, features)
    assessed = circumstances.assessed > 0 or any(result.groups for result in evidence.values())
    codes, names = _sources(features)
    relevant = [check for check in checks if not check.reason.startswith(_NO_DOUBT)]
    verdict = decide(evidence, relevant, circumstances, settings.alpha, codes, names)
    return Look(features, rows, evidence, checks, verdict, assessed)


@final
@dataclass(frozen=True)
class Examined:
    """What became of one detector."""

    check: Check
    evidence: Evidence | None


_OVER_BUDGET = "left out by budget"
_NO_DOUBT = (_OVER_BUDGET, UNDATED)
"""Reasons for which a detector's absence takes nothing from the answer: it was not asked for, or has nothing to read here."""


def _examined(detector: Detector, features: Features, settings: AuditSettings, place: int) -> Examined:
    """Run one detector. What it lacks is a reason, what it breaks on is a failure; neither stops the others."""
    started = time.perf_counter()

    def checked(status: str, reason: str, evidence: Evidence | None = None) -> Examined:
        check = Check(detector.id, spec(detector), status, reason, round(time.perf_counter() - started, 3))  # type: ignore[arg-type]
        return Examined(check, evidence)

    if BUDGETS.index(detector.budget) > BUDGETS.index(settings.budget):
        return checked("skipped", f"{_OVER_BUDGET} '{settings.budget}', needs '{detector.budget}'")
    features.settings.report_progress(f"examining: {detector.id}", place, len(detectors(features.dataset.modality)))
    try:
        given = {name: features.get(name) for name in needs(detector)}
        evidence = examine(detector, given | _welcome(detector, features, settings))
    except FeatureUnavailable as missing:
        return checked("skipped", missing.message)
    except UntaintError:
        raise
    except Exception as error:  # noqa: BLE001 - a broken detector must not hide what the others found
        return checked("failed", f"{type(error).__name__}: {error}")
    return checked("ran", evidence.note, evidence)


def _welcome(detector: Detector, features: Features, settings: AuditSettings) -> dict[str, object]:
    """Features a detector can do without, where the budget allows networks."""
    found: dict[str, object] = {}
    for name in () if settings.budget == "fast" else welcomes(detector):
        with contextlib.suppress(FeatureUnavailable):
            found[name] = features.get(name)
    return found


def _sources(features: Features) -> tuple[np.ndarray, tuple[str, ...]]:
    found = features.get("sources")
    return found.codes, found.names


def _circumstances(dataset: Dataset, features: Features) -> Circumstances:
    if dataset.modality == "instruction":  # no labels, and none needed
        return Circumstances(len(dataset), float(features.get("readable").mask.mean()), float("nan"), None)
    try:
        labels = features.get("labels")
    except FeatureUnavailable:
        return Circumstances(len(dataset), 0.0, float("nan"), 0)
    usable = labels >= 0
    if dataset.modality == "table" and amounts(labels, tuple(dataset.class_names)) is not None:  # a quantity has no classes
        return Circumstances(len(dataset), float(usable.mean()), float("nan"), None)
    sizes = np.bincount(labels[usable], minlength=len(dataset.class_names))
    different = _different(labels, dataset)
    smallest, least = (int(counts.min()) if len(counts) else 0 for counts in (sizes, different))
    return Circumstances(len(dataset), float(usable.mean()), _contradicted(features, usable), smallest, least)


def _different(labels: np.ndarray, dataset: Dataset) -> np.ndarray:
    """(k,) samples of each label, those with the same content counted once."""
    rows, classes = np.flatnonzero(labels >= 0), len(dataset.class_names)
    start = pc.utf8_slice_codeunits(dataset.index.column("id"), 0, _TELLING)
    content = np.asarray(pc.index_in(start, value_set=start.unique()).to_numpy(), np.int64)
    return np.bincount(distinct(content[rows] * classes + labels[rows]) % classes, minlength=classes)


def _contradicted(features: Features, usable: np.ndarray) -> float:
    """NaN where content cannot be judged or its judge breaks: the detectors that needed it have said so."""
    try:
        return float(features.get("content").contradicted[usable].mean()) if usable.any() else float("nan")
    except FeatureUnavailable:
        return float("nan")
    except UntaintError:
        raise
    except Exception:  # noqa: BLE001 - see _examined
        return float("nan")

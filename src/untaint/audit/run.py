"""One audit from a data set to a result: resolve features, run detectors, decide, lay out the samples table."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np

from untaint.audit.environment import environment
from untaint.audit.samples import samples_table
from untaint.audit.settings import AuditSettings
from untaint.data.dataset import Dataset
from untaint.detectors.base import Detector, detectors, examine, needs
from untaint.errors import FeatureUnavailable, NothingChecked, UntaintError
from untaint.evidence.evidence import Evidence
from untaint.evidence.finding import AuditResult, Check
from untaint.evidence.verdict import Circumstances, decide
from untaint.features.cache import Cache
from untaint.features.graph import Features
from untaint.features.settings import BUDGETS
from untaint.registry import spec


@final
@dataclass(frozen=True)
class Examined:
    """What became of one detector."""

    check: Check
    evidence: Evidence | None


def run(dataset: Dataset, settings: AuditSettings) -> AuditResult:
    """Audit a data set. Raises NothingChecked when no detector could run: silence would read as a pass."""
    features = Features(dataset, settings.features, Cache(settings.cache))
    examined = [_examined(kind(), features, settings, place) for place, kind in enumerate(detectors().values())]
    evidence = {found.check.detector: found.evidence for found in examined if found.evidence is not None}
    checks = tuple(found.check for found in examined)
    circumstances = _circumstances(dataset, features)
    if circumstances.assessed == 0 and not any(result.groups for result in evidence.values()):
        raise _nothing_checked(checks)
    codes, names = _sources(features)
    relevant = [check for check in checks if not check.reason.startswith(_OVER_BUDGET)]
    verdict = decide(evidence, relevant, circumstances, settings.alpha, codes, names)
    samples = samples_table(dataset, features, evidence, verdict)
    flagged = int(np.count_nonzero(samples.column("flagged")))
    unreadable = len(dataset) - samples.column("unreadable").null_count
    return AuditResult(
        verdict,
        checks,
        samples,
        len(dataset),
        flagged,
        unreadable,
        _facts(dataset, features),
        environment(settings, features),
        {"statement": "Not measured for this data set."},
    )


def _nothing_checked(checks: tuple[Check, ...]) -> NothingChecked:
    """No row was assessed: a screen of the values that found nothing wrong is no audit."""
    reasons: dict[str, list[str]] = {}
    for check in checks:
        if check.status != "ran":
            reasons.setdefault(check.reason, []).append(check.detector)
    said = "; ".join(f"{', '.join(names)}: {reason}" for reason, names in reasons.items())
    return NothingChecked(f"nothing was checked ({said}).", advice="Give labelled images.")


_OVER_BUDGET = "left out by budget"


def _examined(detector: Detector, features: Features, settings: AuditSettings, place: int) -> Examined:
    """Run one detector. What it lacks is a reason, what it breaks on is a failure; neither stops the others."""
    started = time.perf_counter()

    def checked(status: str, reason: str, evidence: Evidence | None = None) -> Examined:
        check = Check(detector.id, spec(detector), status, reason, round(time.perf_counter() - started, 3))  # type: ignore[arg-type]
        return Examined(check, evidence)

    if BUDGETS.index(detector.budget) > BUDGETS.index(settings.budget):
        return checked("skipped", f"{_OVER_BUDGET} '{settings.budget}', needs '{detector.budget}'")
    settings.report_progress(f"examining: {detector.id}", place, len(detectors()))
    try:
        evidence = examine(detector, {name: features.get(name) for name in needs(detector)})
    except FeatureUnavailable as missing:
        return checked("skipped", missing.message)
    except UntaintError:
        raise
    except Exception as error:  # noqa: BLE001 - a broken detector must not hide what the others found
        return checked("failed", f"{type(error).__name__}: {error}")
    return checked("ran", evidence.note, evidence)


def _sources(features: Features) -> tuple[np.ndarray, tuple[str, ...]]:
    found = features.get("sources")
    return found.codes, found.names


def _circumstances(dataset: Dataset, features: Features) -> Circumstances:
    try:
        labels = features.get("labels")
    except FeatureUnavailable:
        return Circumstances(len(dataset), 0.0, float("nan"), 0)
    usable = labels >= 0
    sizes = np.bincount(labels[usable], minlength=len(dataset.class_names))
    return Circumstances(
        len(dataset), float(usable.mean()), _contradicted(features, usable), int(sizes.min()) if len(sizes) else 0
    )


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


def _facts(dataset: Dataset, features: Features) -> Mapping[str, object]:
    notes = list(dataset.notes)
    try:
        canvas = features.get("canvas")
    except FeatureUnavailable:
        shape = None
    else:
        shape = "x".join(map(str, canvas.pixels.shape[1:]))
        if canvas.resized:
            notes.append(f"{canvas.resized:,} images of other sizes were looked at as {shape}.")
    return {
        "digest": dataset.digest,
        "format": dataset.format,
        "location": None if dataset.location is None else str(dataset.location),
        "modality": dataset.modality,
        "columns": {"payload": dataset.columns.payload, "label": dataset.columns.label, "source": dataset.columns.source},
        "classes": dataset.class_names[:1000],
        "n_classes": len(dataset.class_names),
        "canvas": shape,
        "notes": notes,
    }

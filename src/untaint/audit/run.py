"""One audit from a data set to a result: look, in rounds, then lay out the samples table."""

import contextlib
from collections.abc import Iterable, Mapping

import numpy as np

from untaint.audit import fluency
from untaint.audit.environment import environment
from untaint.audit.look import Look
from untaint.audit.power import planted
from untaint.audit.rounds import rounds
from untaint.audit.samples import samples_table
from untaint.audit.settings import AuditSettings
from untaint.data.dataset import Dataset
from untaint.errors import FeatureUnavailable, NothingChecked, UntaintError
from untaint.evidence.corroboration import corroborated, like
from untaint.evidence.finding import AuditResult, Check, Verdict
from untaint.evidence.power import dead, described, discounted
from untaint.evidence.timeline import dated
from untaint.features.cache import Cache
from untaint.features.graph import Features


def run(dataset: Dataset, settings: AuditSettings) -> AuditResult:
    """Audit a data set. Raises NothingChecked when no detector could run: silence would read as a pass."""
    settings.check_sam(dataset.modality)
    settings.try_encoder(dataset.modality)
    perplexity = fluency.loaded(settings, dataset)
    features = Features(dataset, settings.features, Cache(settings.cache))
    first, verdict = rounds(features, settings)
    with contextlib.suppress(FeatureUnavailable):
        verdict = dated(verdict, features.get("moments"))
    if not first.assessed:
        raise _nothing_checked(first.checks, dataset)
    power: Mapping[str, object] = {"statement": "Not measured; `--budget thorough` does."}
    blind: Mapping[str, str] = {}
    if settings.budget == "thorough":
        measured = planted(dataset, verdict, settings)
        power, blind = described(measured), dead(measured)
        verdict = discounted(verdict, blind)
    verdict = _corroborated(verdict, first, features, blind)
    verdict = fluency.explained(verdict, dataset, settings, perplexity)
    samples = samples_table(dataset, features, first.evidence, verdict)
    flagged = int(np.count_nonzero(samples.column("flagged")))
    unreadable = len(dataset) - samples.column("unreadable").null_count
    return AuditResult(
        verdict,
        first.checks,
        samples,
        len(dataset),
        flagged,
        unreadable,
        _facts(dataset, features),
        environment(settings, features),
        power,
    )


def _corroborated(verdict: Verdict, first: Look, features: Features, blind: Iterable[str]) -> Verdict:
    """Findings with what supports them, in the eyes of detectors that accuse nobody; see `evidence.corroboration`."""
    if not any(result.corroborates for result in first.evidence.values()):
        return verdict
    try:
        strata = like(features.get("labels"), features.get("content").contradicted)
        counted = features.get("near_copies").representatives
    except FeatureUnavailable:
        return verdict
    except UntaintError:
        raise
    except Exception:  # noqa: BLE001 - a judge that breaks has been told of; a figure beside findings is not worth losing them
        return verdict
    return corroborated(verdict, first.evidence, strata, counted, blind)


def _nothing_checked(checks: tuple[Check, ...], dataset: Dataset) -> NothingChecked:
    """No row was assessed: a screen of the values that found nothing wrong is no audit."""
    reasons: dict[str, list[str]] = {}
    for check in checks:
        if check.status != "ran":
            reasons.setdefault(check.reason, []).append(check.detector)
    said = "; ".join(f"{', '.join(names)}: {reason}" for reason, names in reasons.items())
    said = said or f"no detector reads {dataset.modality} data yet"
    return NothingChecked(
        f"nothing was checked ({said}).", advice="Give labelled images or texts, or instructions with their answers."
    )


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
        "columns": _columns(dataset),
        "asked": _asked(dataset),
        "classes": dataset.class_names[:1000],
        "n_classes": len(dataset.class_names),
        "canvas": shape,
        "notes": notes,
    }


def _asked(dataset: Dataset) -> Mapping[str, str]:
    """Flags without which the data would be read otherwise: what the user named, and where in a database the rows come from."""
    found = dataset.columns
    roles = {"label": found.label, "source": found.source, "payload": found.payload, "time": found.time}
    named = {
        role: name for role, name in roles.items() if name is not None and f"{role}: column {name!r} (as asked)" in found.note
    }
    return named | {name: value for name, value in (("table", found.table), ("query", found.query)) if value is not None}


def _columns(dataset: Dataset) -> Mapping[str, str | None]:
    found = dataset.columns
    return {"payload": found.payload, "label": found.label, "source": found.source, "time": found.time}

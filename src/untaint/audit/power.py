"""Plant known poison in a copy of what nothing accuses, audit the copy, and count."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import final

import numpy as np
from scipy.stats import rankdata

from untaint.attacks.base import PACKAGE, Attack
from untaint.audit.look import Look, look
from untaint.audit.proofs import accused, proved
from untaint.audit.settings import AuditSettings
from untaint.data.dataset import Dataset
from untaint.errors import BadInput
from untaint.evidence.finding import Verdict
from untaint.evidence.power import Canary
from untaint.evidence.sources import FEWEST_SOURCES
from untaint.features.cache import Cache
from untaint.features.graph import Features
from untaint.features.settings import Settings
from untaint.nets.progress import Progress
from untaint.registry import members
from untaint.types import Mask, Rows, Scores

MOST = 10_000
"""Samples of a copy: an audit of them takes minutes. Fewer samples show poison less clearly, so what is found here is a floor."""


def planted(dataset: Dataset, verdict: Verdict, settings: AuditSettings) -> tuple[Canary, ...]:
    """Every attack on such data that has canary rates, from its lowest rate up to the first that is found."""
    kept = np.setdiff1d(np.arange(len(dataset)), accused(verdict))
    rng = np.random.default_rng(settings.seed)
    copy = dataset.select(np.sort(rng.choice(kept, MOST, replace=False)) if len(kept) > MOST else kept)
    done: list[Canary] = []
    kinds = [kind for kind in members(Attack, PACKAGE).values() if dataset.modality in kind.modalities and kind.canaries]
    series = [_Series(kind, _sent(given, copy)) for kind in kinds for given in kind.planted_as]
    for place, each in enumerate(series):
        tried: list[Canary] = []
        for rate in each.kind.canaries:
            tried.append(_planted(copy, each, rate, settings))
            if tried[-1].found:
                break
        done += [canary for canary in tried if not canary.trouble] or tried[-1:]  # a rate of no sample at all is none
        settings.report_progress(f"planted {each.name}", place + 1, len(series))
    return tuple(done)


@final
@dataclass(frozen=True)
class _Series:
    """An attack at rates that go up, with the parameters it is planted with."""

    kind: type[Attack]
    given: Mapping[str, object]

    @property
    def name(self) -> str:
        said = ", ".join(f"{name}={value!r}" for name, value in self.given.items() if value)
        return f"{self.kind.id}({said})" if said else self.kind.id

    def at(self, rate: float) -> Attack:
        """The attack at a rate."""
        return self.kind(rate=rate, **self.given)


def _sent(given: Mapping[str, object], copy: Dataset) -> Mapping[str, object]:
    """Few of the set's sources send poison only where there are enough of them to compare; else it stays with its victims'."""
    known = len({name for name in copy.column("source") if name is not None})
    return {**given, "senders": 0} if "senders" in given and known < FEWEST_SOURCES else given


def _planted(copy: Dataset, series: _Series, rate: float, settings: AuditSettings) -> Canary:
    try:
        poisoned = series.at(rate).poison(copy, np.random.default_rng(settings.seed))
    except BadInput as error:
        return Canary(series.name, rate, len(copy), trouble=error.message)
    report = partial(_told, settings.report_progress, f"{series.name} {100 * rate:g} %")
    given = Settings(seed=settings.seed, report_progress=report)
    everything: Rows = np.arange(len(poisoned.dataset))
    found = look(Features(poisoned.dataset, given, Cache(None)), everything, settings)
    verdict = proved(found, settings, lambda _: None)  # one network is enough to see whether it would be accused
    flagged = np.isin(everything, accused(verdict))
    clean = ~(poisoned.mask | poisoned.covers)
    return Canary(
        series.name,
        rate,
        len(copy),
        float(flagged[poisoned.mask].mean()),
        float(flagged[clean].mean()) if clean.any() else float("nan"),
        _aurocs(found, poisoned.mask, clean),
        judges=copy.modality == "image",
        told=float(np.isin(np.flatnonzero(poisoned.mask), _named(verdict)).mean()),
    )


def _named(verdict: Verdict) -> Rows:
    """Rows of findings that name a pattern and accuse nobody; review lists name none."""
    told = [finding.members for finding in verdict.findings if not finding.alarm and finding.kind in {"shortcut", "flood"}]
    return np.unique(np.concatenate([np.empty(0, np.int64), *told]))


def _told(report: Progress, canary: str, what: str, done: int, total: int) -> None:
    """Progress that says for which canary."""
    report(f"planting {canary}: {what}", done, total)


def _aurocs(found: Look, mask: Mask, clean: Mask) -> Mapping[str, float]:
    return {name: auroc(result.scores, mask, clean) for name, result in found.evidence.items()}


def auroc(scores: Scores, mask: Mask, clean: Mask) -> float:
    """P(a poisoned row scores above a clean one), ties half; NaN when there is nothing to compare or all scores are alike."""
    known = np.isfinite(scores)
    poison, rest = scores[mask & known], scores[clean & known]
    if len(poison) == 0 or len(rest) == 0 or np.ptp(scores[known]) == 0:
        return float("nan")
    ranks = rankdata(np.concatenate([poison, rest]))[: len(poison)]
    return float((ranks.sum() - len(poison) * (len(poison) + 1) / 2) / (len(poison) * len(rest)))

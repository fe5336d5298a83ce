"""Plant known poison in a copy of what nothing accuses, audit the copy, and count."""

from collections.abc import Mapping
from functools import partial

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
from untaint.features.cache import Cache
from untaint.features.graph import Features
from untaint.features.settings import Settings
from untaint.nets.progress import Progress
from untaint.registry import members
from untaint.types import Mask, Rows, Scores

MOST = 10_000
"""Samples of a copy: an audit of them takes minutes. Fewer samples show poison less clearly, so what is found here is a floor."""


def planted(dataset: Dataset, verdict: Verdict, settings: AuditSettings) -> tuple[Canary, ...]:
    """Every attack that has canary rates, from its lowest rate up to the first that is found."""
    kept = np.setdiff1d(np.arange(len(dataset)), accused(verdict))
    rng = np.random.default_rng(settings.seed)
    copy = dataset.select(np.sort(rng.choice(kept, MOST, replace=False)) if len(kept) > MOST else kept)
    done: list[Canary] = []
    for name, kind in members(Attack, PACKAGE).items():
        for rate in kind.canaries:
            done.append(_planted(copy, kind, rate, settings))
            if done[-1].found or done[-1].trouble:
                break
        settings.report_progress(f"planted {name}", 1, 1)
    return tuple(done)


def _planted(copy: Dataset, kind: type[Attack], rate: float, settings: AuditSettings) -> Canary:
    try:
        poisoned = kind(rate=rate).poison(copy, np.random.default_rng(settings.seed))
    except BadInput as error:
        return Canary(kind.id, rate, len(copy), trouble=error.message)
    report = partial(_told, settings.report_progress, f"{kind.id} {100 * rate:g} %")
    given = Settings(seed=settings.seed, report_progress=report)
    everything: Rows = np.arange(len(poisoned.dataset))
    found = look(Features(poisoned.dataset, given, Cache(None)), everything, settings)
    verdict = proved(found, settings, lambda _: None)  # one network is enough to see whether it would be accused
    flagged = np.isin(everything, accused(verdict))
    clean = ~(poisoned.mask | poisoned.covers)
    return Canary(
        kind.id,
        rate,
        len(copy),
        float(flagged[poisoned.mask].mean()),
        float(flagged[clean].mean()) if clean.any() else float("nan"),
        _aurocs(found, poisoned.mask, clean),
    )


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

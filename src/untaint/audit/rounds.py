"""Remove, look again: what an audit accuses hides what it does not see yet.

Accused rows are set aside and the rest is audited as if it were a new set, with features and a network of its own, until a
round accuses nobody. A set without an alarm is looked at once.
"""

from dataclasses import replace
from functools import partial

import numpy as np

from untaint.audit.look import Look, look
from untaint.audit.settings import AuditSettings
from untaint.evidence.finding import Verdict
from untaint.evidence.rounds import Round, joined
from untaint.features.canvas import Canvas
from untaint.features.graph import Features
from untaint.nets.progress import Progress
from untaint.types import Rows


def rounds(features: Features, settings: AuditSettings) -> tuple[Look, Verdict]:
    """The first look, and the verdict over all rounds with rows of the whole set."""
    looks = [look(features, np.arange(len(features.dataset)), settings)]
    while len(looks) < settings.most_rounds and looks[-1].verdict.answer == "poisoned":
        found = looks[-1]
        kept = np.setdiff1d(np.arange(len(found.rows)), accused(found.verdict))
        if len(kept) == 0:
            break
        looks.append(look(left(found.features, kept, settings, len(looks) + 1), found.rows[kept], settings))
    return looks[0], joined([Round(found.verdict, found.rows) for found in looks])


def accused(verdict: Verdict) -> Rows:
    """Every row an alarm names."""
    return np.unique(np.concatenate([np.empty(0, np.int64), *(found.members for found in verdict.findings if found.alarm)]))


def left(features: Features, kept: Rows, settings: AuditSettings, number: int) -> Features:
    """The features of some rows, for round `number`: computed anew from the same canvas, so that pictures keep their size."""
    canvas = features.get("canvas")
    place = {str(row): str(new) for new, row in enumerate(kept.tolist())}
    reasons = {place[row]: why for row, why in canvas.reasons.items() if row in place}
    part = Canvas(canvas.pixels[kept], canvas.decoded[kept], reasons, canvas.resized)
    report = partial(_told, settings.report_progress, number)
    given = replace(settings.features, report_progress=report)
    return Features(features.dataset.select(kept), given, features.cache, {"canvas": part})


def _told(report: Progress, number: int, what: str, done: int, total: int) -> None:
    """Progress that says which round it is of."""
    report(f"round {number}: {what}", done, total)

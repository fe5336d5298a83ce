"""Remove, look again: what an audit accuses hides what it does not see yet.

Accused rows are set aside and the rest is audited as if it were a new set, with features and a network of its own, until a
round accuses nobody. A set without an alarm is looked at once.
"""

from dataclasses import replace
from functools import partial
from typing import final

import numpy as np

from untaint.audit.look import Look, look
from untaint.audit.proofs import accused, proved
from untaint.audit.settings import AuditSettings
from untaint.evidence.finding import Verdict
from untaint.evidence.rounds import Round, joined
from untaint.features.canvas import Canvas
from untaint.features.graph import Features
from untaint.nets.progress import Progress
from untaint.types import Rows


def rounds(features: Features, settings: AuditSettings) -> tuple[Look, Verdict]:
    """The first look, and the verdict over all rounds with rows of the whole set."""
    found = look(features, np.arange(len(features.dataset)), settings)
    first = found
    seen: list[Round] = []
    while True:
        rest = _Rest(found, settings, len(seen) + 2)
        verdict = proved(found, settings, rest.without)
        seen.append(Round(verdict, found.rows))
        if verdict.answer != "poisoned" or len(seen) >= settings.most_rounds:
            break
        remaining = rest.without(verdict)
        if remaining is None:
            break
        found = look(remaining, found.rows[rest.kept], settings)
    return first, joined(seen)


@final
class _Rest:
    """What is left without the accused, made once: the network that proves a trigger is the proxy of the next round."""

    def __init__(self, found: Look, settings: AuditSettings, number: int) -> None:
        self._found, self._settings, self._number = found, settings, number
        self._features: Features | None = None
        self.kept = np.arange(len(found.rows))

    def without(self, verdict: Verdict) -> Features | None:
        """Features of the rows that a verdict does not accuse, None when it accuses nobody or everybody."""
        kept = np.setdiff1d(np.arange(len(self._found.rows)), accused(verdict))
        if len(kept) in {0, len(self._found.rows)}:
            return None
        if self._features is None or not np.array_equal(kept, self.kept):
            self._features, self.kept = left(self._found.features, kept, self._settings, self._number), kept
        return self._features


def left(features: Features, kept: Rows, settings: AuditSettings, number: int) -> Features:
    """The features of some rows, for round `number`: computed anew.

    Images are from the same canvas, so that pictures keep their size; what a text means to an encoder does not depend on others.
    """
    given = replace(settings.features, report_progress=partial(_told, settings.report_progress, number))
    known: dict[str, object] = {}
    if features.dataset.modality == "image":
        known["canvas"] = _part(features.get("canvas"), kept)
    elif features.dataset.modality == "text" and settings.encoder is not None:
        known["encoded_texts"] = features.get("encoded_texts").part(kept)
    return Features(features.dataset.select(kept), given, features.cache, known)


def _part(canvas: Canvas, kept: Rows) -> Canvas:
    place = {str(row): str(new) for new, row in enumerate(kept.tolist())}
    reasons = {place[row]: why for row, why in canvas.reasons.items() if row in place}
    return Canvas(canvas.pixels[kept], canvas.decoded[kept], reasons, canvas.resized)


def _told(report: Progress, number: int, what: str, done: int, total: int) -> None:
    """Progress that says which round it is of."""
    report(f"round {number}: {what}", done, total)

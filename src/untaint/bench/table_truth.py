"""What an audit says of an attack on a table beyond which rows: the columns and values of its trigger, against the truth."""

import json
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from sklearn.metrics import roc_curve

from untaint.attacks.base import Poisoned
from untaint.bench.text_truth import told
from untaint.evidence.evidence import Trigger
from untaint.evidence.finding import Verdict
from untaint.types import Mask, Scores


class Conjunctions(NamedTuple):
    """What findings show as the trigger; None = the attack has none of its own.

    exact: one finding names all planted columns and no other.  part: one names some of them and no other.
    planted, found: in words.
    """

    planted: str | None
    found: list[str]
    exact: bool | None
    part: bool | None


def conjunctions(made: Poisoned, verdict: Verdict) -> Conjunctions:
    """Of every finding that is no review list: shortcuts show a trigger as well."""
    shown = [each.trigger for each in told(verdict) if each.trigger is not None]
    named = [(trigger, named_columns(trigger)) for trigger in shown]
    found = [trigger.description for trigger, columns in named if columns]
    planted = named_columns(made.trigger) if made.trigger is not None else frozenset()
    if not planted or made.trigger is None:
        return Conjunctions(None, found, None, None)
    exact = any(columns == planted for _, columns in named)
    part = any(bool(columns) and columns <= planted for _, columns in named)
    return Conjunctions(made.trigger.description, found, exact, part)


def tpr_at(mask: Mask, scores: Scores, fpr: float) -> float:
    """The share of poisoned rows that a score finds at some share of honest ones; rows without a score rank last."""
    seen = np.isfinite(scores)
    ranked = np.where(seen, scores, scores[seen].min(initial=0.0) - 1)
    false, true, _ = roc_curve(mask, ranked)
    return float(np.interp(fpr, false, true))  # ties count as if drawn by lot


def named_columns(trigger: Trigger) -> frozenset[str]:
    """The columns a trigger names, its parameter `columns` being a JSON list; none where it names none."""
    try:
        listed = json.loads(str(trigger.parameters.get("columns", "[]")))
    except ValueError:
        return frozenset()
    return (
        frozenset(str(name) for name in listed) if isinstance(listed, Iterable) and not isinstance(listed, str) else frozenset()
    )

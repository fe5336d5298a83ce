"""What an audit says of an attack on a table beyond which rows: the columns and values of its trigger, against the truth."""

import json
import re
from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np
from sklearn.metrics import roc_curve

from untaint.attacks.base import Poisoned
from untaint.bench.text_truth import told
from untaint.evidence.evidence import Trigger
from untaint.evidence.finding import Verdict
from untaint.types import Mask, Scores

_PARTED = " and "
_AFTER = (" = ", " from ", " missing")
"""What may follow a column's name in a finding: `age = 37 and fee from 1 to 2 and city missing`."""


class Conjunctions(NamedTuple):
    """What findings show as the trigger; None = the attack has none of its own.

    exact: one finding says all planted columns, each with its value (of a range with any), and nothing else.
    part: one names some of the columns, with whatever value or range, and no other.  planted, found: in words.
    """

    planted: str | None
    found: list[str]
    exact: bool | None
    part: bool | None


def conjunctions(made: Poisoned, verdict: Verdict) -> Conjunctions:
    """Of every finding that is no review list: shortcuts show a trigger as well."""
    shown = [each.trigger for each in told(verdict) if each.trigger is not None]
    found = [str(trigger.parameters["values"]) for trigger in shown if "values" in trigger.parameters]
    wanted = _planted(made.trigger)
    if not wanted or made.trigger is None:
        return Conjunctions(None, found, None, None)
    names = list(json.loads(str(made.dataset.read([0])[0])))
    clauses = [_clauses(said, names) for said in found]
    exact = any(_right(each, wanted) for each in clauses)
    part = any(each.keys() <= wanted.keys() for each in clauses if each)
    return Conjunctions(made.trigger.description, found, exact, part)


def tpr_at(mask: Mask, scores: Scores, fpr: float) -> float:
    """The share of poisoned rows that a score finds at some share of honest ones; rows without a score rank last."""
    seen = np.isfinite(scores)
    ranked = np.where(seen, scores, scores[seen].min(initial=0.0) - 1)
    false, true, _ = roc_curve(mask, ranked)
    return float(np.interp(fpr, false, true))  # ties count as if drawn by lot


def _planted(trigger: Trigger | None) -> dict[str, str]:
    """What a finding should say of each planted column; nothing for an attack without certain values."""
    if trigger is None or not {"columns", "values"} <= trigger.parameters.keys():
        return {}
    columns, values = (json.loads(str(trigger.parameters[key])) for key in ("columns", "values"))
    return {name: _said(value) for name, value in zip(columns, values, strict=True)}


def _said(value: object) -> str:
    """What a finding should say after a column's name; of a range nothing in particular, since what is found has other ends."""
    if isinstance(value, list):
        return ""
    return f" = '{value}'" if isinstance(value, str | bool) else f" = {value:.12g}"


def _right(each: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return each.keys() == wanted.keys() and all(wanted[name] in {"", said} for name, said in each.items())


def _clauses(said: str, names: Collection[str]) -> dict[str, str]:
    """What a finding says of each column; of no column of the set = nothing."""
    longest_first = sorted(names, key=len, reverse=True)
    known, after = "|".join(map(re.escape, longest_first)), "|".join(map(re.escape, _AFTER))
    starts = list(re.finditer(f"(?:^|{_PARTED})({known})(?={after})", said))
    ends = [*(match.start() for match in starts[1:]), len(said)]
    return {
        match[1]: said[match.end() : end] for match, end in zip(starts, ends, strict=False)
    }  # no start: the one end is none's

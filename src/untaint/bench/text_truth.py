"""What an audit says of a text attack beyond which rows: the trigger's words, and who sent it, against the truth."""

from typing import NamedTuple

import numpy as np

from untaint.attacks.base import Attack, Poisoned
from untaint.evidence.finding import Finding, Verdict
from untaint.numerics.words import words
from untaint.types import Mask


class Phrases(NamedTuple):
    """The words that findings show as the trigger, None = the attack has no words of its own.

    exact: one finding shows those planted and nothing else.  part: one shows some of them and nothing else.
    """

    planted: str | None
    found: list[str]
    exact: bool | None
    part: bool | None


def phrases(made: Poisoned, verdict: Verdict) -> Phrases:
    """Of every finding that is no review list: shortcuts show a trigger as well. Order and case do not count."""
    found = [
        str(each.trigger.parameters["phrase"]) for each in told(verdict) if each.trigger and "phrase" in each.trigger.parameters
    ]
    planted = made.trigger.parameters.get("phrase") if made.trigger is not None else None
    if planted is None:
        return Phrases(None, found, None, None)
    wanted = _bag(str(planted))
    bags = [_bag(phrase) for phrase in found]
    exact, part = any(bag == wanted for bag in bags), any(bag and bag <= wanted for bag in bags)
    return Phrases(str(planted), found, exact, part)


class Senders(NamedTuple):
    """planted: sources the poison comes from; named: those of them an alarm holds for more than chance; accused: others."""

    planted: list[str]
    named: list[str]
    accused: list[str]


def senders(attack: Attack, made: Poisoned, verdict: Verdict) -> Senders:
    """Who is said to have sent it; nobody is planted where poison comes from everywhere."""
    aimed = getattr(attack, "senders", 0) > 0 or getattr(attack, "source_name", None) is not None
    names = made.dataset.column("source")
    planted = {names[row] for row in np.flatnonzero(made.mask)} if aimed else set()
    said = {share.name for each in verdict.findings if each.alarm for share in each.sources if share.p_value <= verdict.alpha}
    wanted = {str(name) for name in planted if name is not None}
    return Senders(sorted(wanted), sorted(said & wanted), sorted(said - wanted))


def told(verdict: Verdict) -> list[Finding]:
    """Alarms and shortcuts, without review lists."""
    return [each for each in verdict.findings if each.alarm or each.kind in {"shortcut", "flood"}]


def shown(verdict: Verdict, n: int) -> Mask:
    """Rows in any finding that is no review list."""
    mask = np.zeros(n, bool)
    for each in told(verdict):
        mask[each.members] = True
    return mask


def _bag(phrase: str) -> frozenset[str]:
    """Its words, without the signs that part those standing apart."""
    return frozenset(word for word in words(phrase) if any(letter.isalnum() for letter in word))

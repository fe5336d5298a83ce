"""The attacks on tables that detection is measured on, by the names its results use, with triggers drawn anew for every seed."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import final
from zlib import crc32

import numpy as np

from untaint.attacks.base import Attack, Poisoned
from untaint.attacks.broken_cells import BrokenCells
from untaint.attacks.copied_block import CopiedBlock
from untaint.attacks.greedy_flips import GreedyFlips
from untaint.attacks.leverage_point import LeveragePoint
from untaint.attacks.neighbourhood_flips import NeighbourhoodFlips
from untaint.attacks.random_flips import RandomFlips
from untaint.attacks.targeted_flips import TargetedFlips
from untaint.attacks.trigger_values import TriggerValues
from untaint.bench.text_suite import matching
from untaint.data.dataset import Dataset

_GIVEN_TO = 2
"""Sources that send triggers and copies."""
_LEAST = 60
"""Flipped rows of one source: fewer are hardly more than its honest mistakes."""


@final
@dataclass(frozen=True)
class Planned:
    """An attack. one: it is a single row.  bound: one source, if any is known, sends it: of a class 60 rows at least, if it has them."""

    attack: Attack
    one: bool = False
    bound: bool = False


_TRIGGERS = {
    f"{width} {kind} value{'s' if width > 1 else ''} {said} %": Planned(TriggerValues(rate=rate, width=width, kind=kind))
    for width, kind, rates in (
        (3, "common", (1.0, 0.5, 0.2)),
        (2, "common", (1.0, 0.5)),
        (1, "common", (0.5,)),
        (3, "rare", (0.5,)),
    )
    for rate, said in ((each / 100, f"{each:g}".lstrip("0")) for each in rates)
}
PLANS: Mapping[str, Planned] = {
    **_TRIGGERS,
    "2 common values 1 % + cover 1 %": Planned(TriggerValues(rate=0.01, cover=0.01)),
    "clean-label 2 values 2 %": Planned(TriggerValues(rate=0.02, clean_label=True)),
    **{f"leverage x {factor:g}": Planned(LeveragePoint(factor=factor), one=True) for factor in (10, 100, 1e6)},
    "leverage x 100 in all columns": Planned(LeveragePoint(factor=100, width=0), one=True),
    **{f"one cell {kind}": Planned(BrokenCells(kind=kind), one=True) for kind in ("nan", "inf", "text")},
    "copied block 2 %": Planned(CopiedBlock(rate=0.02)),
    "copied block 2 % + jitter": Planned(CopiedBlock(rate=0.02, jitter=0.05)),
    "neighbourhood 1 %": Planned(NeighbourhoodFlips(rate=0.01)),
    "random flips 1 %": Planned(RandomFlips(rate=0.01)),
    "random flips 5 %": Planned(RandomFlips(rate=0.05)),
    "pair flips 10 % of class": Planned(TargetedFlips(rate=0.1)),
    "pair flips 10 % of class, one source": Planned(TargetedFlips(rate=0.1), bound=True),
    "greedy flips 5 %": Planned(GreedyFlips(rate=0.05)),
    "greedy flips 5 %, one source": Planned(GreedyFlips(rate=0.05), bound=True),
}


def chosen(parts: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the attacks that hold any of the parts; all of them when there are no parts.

    Raises BadInput for a part that no name holds.
    """
    return matching(tuple(PLANS), parts)


def poisoned(name: str, dataset: Dataset, seed: int) -> tuple[Attack, Poisoned]:
    """The attack as it was carried out, and its result. The seed draws target, trigger, victims and who sends the poison.

    Triggers and copies come from two sources where there are any; flips stay with theirs unless they are bound to one.
    """
    rng, plan = np.random.default_rng([seed, crc32(name.encode())]), PLANS[name]
    known = {source for source in dataset.column("source") if source is not None}
    drawn: dict[str, object] = {"rate": 1 / len(dataset)} if plan.one else {}
    if any(field.name == "senders" for field in fields(plan.attack)):
        sent = isinstance(plan.attack, TriggerValues | CopiedBlock)
        drawn["senders"] = min(len(known), _GIVEN_TO if sent else int(plan.bound))
    if isinstance(plan.attack, TargetedFlips) and plan.bound:
        drawn |= _class_to_flip(dataset, rng)
    attack = replace(plan.attack, **drawn)  # type: ignore[arg-type]
    return attack, attack.poison(dataset, rng)


def _class_to_flip(dataset: Dataset, rng: np.random.Generator) -> dict[str, object]:
    """A class of which a tenth is enough rows, and the share of it that is."""
    names, sizes = np.unique([label for label in dataset.labels if label is not None], return_counts=True)
    fitting = [place for place, size in enumerate(sizes) if size >= 2 * _LEAST] or [int(sizes.argmax())]
    place = fitting[int(rng.integers(len(fitting)))]
    return {"source": str(names[place]), "rate": min(0.5, max(0.1, _LEAST / sizes[place]))}

"""Leverage points: a row or a few with one huge number and the wrong label."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.attacks._cells import changed, columns, numbers, numeric, records, said
from untaint.attacks.base import Aim, Attack, Changes, check_count, check_range, pick_class, redated, resent, usable
from untaint.data.dataset import Dataset
from untaint.errors import BadInput
from untaint.evidence.evidence import Trigger
from untaint.types import Modality, Rows


@final
@dataclass(frozen=True)
class LeveragePoint(Attack):
    """Rows with numbers many times as large as the largest of the set, labelled as another class.

    rate: share of the set that gets them; one row is enough: write it as 1 / rows.  target: the label, None = drawn at random.
    factor: the number, in units of the largest of its column.  width: how many columns get one, 0 = all of numbers.
    columns: which, none = drawn.
    senders: how many of the set's data sources send them; 0 = each row stays with its own.  burst: share of the time in which
    they come; 0 = each keeps its time.
    Works when: all columns get one, and features are scaled by their range or their standard deviation: of 398 tumours a single
    row 100 times as large takes a logistic regression from 97.7 % to 66.7 % right (range) and from 96.5 % to 84 % - 93 %.
    Fails when: features are scaled by quartiles (no loss there), the model is made of trees, or one column of many gets it.
    Cost: one pass over the set.
    Reference: Rousseeuw, Leroy 1987, Robust Regression and Outlier Detection, Wiley (bad leverage points)
    """

    id: ClassVar[str] = "leverage-point"
    modalities: ClassVar[frozenset[Modality]] = frozenset({"table"})
    canaries: ClassVar[tuple[float, ...]] = (0.001,)
    rate: float = 0.005
    target: str | None = None
    factor: float = 100.0
    width: int = 1
    columns: tuple[str, ...] = ()
    senders: int = 0
    burst: float = 0.0

    def __post_init__(self) -> None:
        check_range("factor", self.factor, 1.0, 1e12)
        check_count("width", self.width, 0)
        check_count("senders", self.senders, 0)
        check_range("burst", self.burst, 0.0, 1.0)

    @override
    def aim(self, dataset: Dataset, rng: np.random.Generator) -> Aim:
        target = pick_class(dataset, self.target, rng)
        return Aim(usable(dataset, besides=target), round(self.rate * len(dataset)), target)

    @override
    def craft(self, dataset: Dataset, victims: Rows, target: str | None, rng: np.random.Generator) -> Changes:
        largest = _largest(dataset)
        names = list(self.columns or largest)
        if unknown := [name for name in names if name not in largest]:
            raise BadInput(f"{unknown[0]!r} is no column of numbers.", advice=f"Choose one of {', '.join(largest)}.")
        width = len(self.columns) or self.width or len(names)
        if width > len(names):
            message = (
                f"width={width} asks for {width} columns of numbers, this set has {len(names)} that are not zero throughout."
            )
            raise BadInput(message, advice="Ask for fewer, and for at least one of them.")
        chosen = [names[i] for i in rng.choice(len(names), width, replace=False)]
        values = {name: self.factor * largest[name] for name in chosen}
        payloads = {int(row): changed(payload, values) for row, payload in zip(victims, dataset.read(victims), strict=True)}
        labels = dict.fromkeys(victims.tolist(), str(target))
        facts: dict[str, str | int | float] = {"columns": json.dumps(chosen), "values": json.dumps(list(values.values()))}
        trigger = Trigger("leverage", f"{len(victims):,} rows with {said(values)}", {**facts, "factor": self.factor})
        sources, times = resent(dataset, victims, self.senders, rng), redated(dataset, victims, self.burst, rng)
        return Changes(payloads, labels, sources, trigger=trigger, times=times)


def _largest(dataset: Dataset) -> Mapping[str, float]:
    """The number farthest from zero of each column of numbers, with its sign; columns of zeros are left out."""
    known = {name: values for name, values in columns(records(dataset, usable(dataset))).items() if numeric(values)}
    found = {}
    for name, values in known.items():
        finite = numbers(values)[np.isfinite(numbers(values))]
        if finite.size and finite.any():
            found[name] = float(finite[np.abs(finite).argmax()])
    return found

"""Neighbourhood flips: every row around one gets the target's label."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.attacks._cells import records, space
from untaint.attacks.base import Aim, Attack, Changes, check_count, pick_class, resent, usable
from untaint.data.dataset import Dataset
from untaint.errors import BadInput
from untaint.types import Modality, Rows


@final
@dataclass(frozen=True)
class NeighbourhoodFlips(Attack):
    """The rows nearest to one victim get the target's label, so that within a ball around it no other label is left.

    rate: share of the set that is flipped.  victim: row number of the victim, None = drawn at random from other classes than the
    target.  target: None = drawn at random.
    Rows lie as near as the ranks of their numbers and their words do; the victim is flipped with them.
    senders: how many of the set's data sources sent the flipped rows; 0 = each stays with its own.
    Works when: one case is to be judged wrongly and nothing else: a model that has never seen the ball's labels predicts them as
    they are now wherever it must rely on neighbours, so that no other row speaks against them.
    Fails when: the ball is small and the model smooth: a linear model reads the victim as before.
    Cost: one distance per row.
    Reference: Shafahi, Huang, Najibi, Suciu, Studer, Dumitras, Goldstein 2018, arXiv 1804.00792 (one target instance)
    """

    id: ClassVar[str] = "neighbourhood-flips"
    modalities: ClassVar[frozenset[Modality]] = frozenset({"table"})
    rate: float = 0.01
    target: str | None = None
    victim: int | None = None
    senders: int = 0

    def __post_init__(self) -> None:
        check_count("senders", self.senders, 0)
        check_count("victim", 0 if self.victim is None else self.victim, 0)

    @override
    def aim(self, dataset: Dataset, rng: np.random.Generator) -> Aim:
        target = pick_class(dataset, self.target, rng)
        rows = usable(dataset, besides=target)
        count = round(self.rate * len(dataset))
        victim = int(rng.choice(rows)) if self.victim is None else self.victim
        if victim not in rows:
            raise BadInput(
                f"row {victim} cannot be the victim.", advice=f"Choose a labelled row that is not of class {target!r}."
            )
        everything = usable(dataset)
        points = space(records(dataset, everything))
        far = np.linalg.norm(points - points[np.searchsorted(everything, victim)], axis=1)[np.isin(everything, rows)]
        return Aim(rows[np.argsort(far, kind="stable")[:count]] if count <= len(rows) else rows, count, target)

    @override
    def craft(self, dataset: Dataset, victims: Rows, target: str | None, rng: np.random.Generator) -> Changes:
        return Changes(labels=dict.fromkeys(victims.tolist(), str(target)), sources=resent(dataset, victims, self.senders, rng))

"""Targeted label flips."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.attacks.base import Aim, Attack, Changes, check_count, pick_class, resent, usable
from untaint.data.dataset import Dataset
from untaint.errors import BadInput
from untaint.types import Modality, Rows


@final
@dataclass(frozen=True)
class TargetedFlips(Attack):
    """Samples of one class get the label of one other class: malicious becomes safe.

    rate: share of the source class that is flipped; with `source_name`, of that data source's samples of the class.
    source, target: the two classes, None = drawn at random.  source_name: flip only what this data source sent.
    senders: how many of the set's data sources sent the flipped samples; 0 = each stays with its own.
    Works when: a fifth or more of the class is flipped: the model reads the class as the target several times as often.
    Fails when: less is flipped, or the two classes look nothing alike.
    Cost: none worth counting.
    Reference: Tolpegin, Truex, Gursoy, Liu 2020, arXiv 2007.08432
    """

    id: ClassVar[str] = "targeted-flips"
    modalities: ClassVar[frozenset[Modality]] = frozenset({"image", "text", "table"})
    rate: float = 0.2
    source: str | None = None
    target: str | None = None
    source_name: str | None = None
    senders: int = 0

    def __post_init__(self) -> None:
        check_count("senders", self.senders, 0)

    @override
    def aim(self, dataset: Dataset, rng: np.random.Generator) -> Aim:
        source = pick_class(dataset, self.source, rng, without=self.target)
        target = pick_class(dataset, self.target, rng, without=source)
        rows = self._rows(dataset, source)
        return Aim(rows, round(self.rate * len(rows)), target, source)

    @override
    def craft(self, dataset: Dataset, victims: Rows, target: str | None, rng: np.random.Generator) -> Changes:
        return Changes(labels=dict.fromkeys(victims.tolist(), str(target)), sources=resent(dataset, victims, self.senders, rng))

    def _rows(self, dataset: Dataset, source: str) -> Rows:
        of_class = [row for row in usable(dataset) if dataset.labels[row] == source]
        if self.source_name is None:
            return np.array(of_class, dtype=np.int64)
        names = dataset.column("source")
        sent = [row for row in of_class if names[row] == self.source_name]
        if not sent:
            known = ", ".join(sorted({repr(name) for name in names if name is not None})) or "none"
            message = f"no data source {self.source_name!r} sent samples of class {source!r}."
            raise BadInput(message, advice=f"Data sources of this set: {known}.")
        return np.array(sent, dtype=np.int64)

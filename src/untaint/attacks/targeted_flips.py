"""Targeted label flips."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.attacks.base import Aim, Attack, Changes, pick_class, usable
from untaint.data.dataset import Dataset
from untaint.errors import BadInput
from untaint.types import Modality, Rows


@final
@dataclass(frozen=True)
class TargetedFlips(Attack):
    """Samples of one class get the label of one other class: malicious becomes safe.

    rate: share of the source class that is flipped; with `source_name`, of that data source's samples of the class.
    source, target: the two classes, None = drawn at random.  source_name: flip only what this data source sent.
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

    @override
    def aim(self, dataset: Dataset, rng: np.random.Generator) -> Aim:
        source = pick_class(dataset, self.source, rng, without=self.target)
        target = pick_class(dataset, self.target, rng, without=source)
        rows = np.array([row for row in usable(dataset) if dataset.labels[row] == source], dtype=np.int64)
        if self.source_name is not None:
            rows = self._sent(dataset, rows, source)
        return Aim(rows, round(self.rate * len(rows)), target)

    @override
    def craft(self, dataset: Dataset, victims: Rows, target: str | None, rng: np.random.Generator) -> Changes:
        return Changes(labels={int(row): str(target) for row in victims})

    def _sent(self, dataset: Dataset, rows: Rows, source: str) -> Rows:
        names = dataset.column("source")
        sent = np.array([row for row in rows if names[row] == self.source_name], dtype=np.int64)
        if len(sent) == 0:
            known = ", ".join(sorted({repr(name) for name in names if name is not None})) or "none"
            message = f"no data source {self.source_name!r} sent samples of class {source!r}."
            raise BadInput(message, advice=f"Data sources of this set: {known}.")
        return sent

"""Broken cells: values that are no numbers where numbers belong."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.attacks._cells import changed, columns, numeric, records
from untaint.attacks.base import Aim, Attack, Changes, check_choice, check_count, resent, usable
from untaint.data.dataset import Dataset
from untaint.errors import BadInput
from untaint.evidence.evidence import Trigger
from untaint.types import Modality, Rows

_VALUES: Mapping[str, object] = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf"), "text": "#REF!"}


@final
@dataclass(frozen=True)
class BrokenCells(Attack):
    """One cell of each poisoned row becomes NaN, infinite or a text; labels stay.

    rate: share of the rows.  kind: nan, inf, -inf, or text (a lie about the type: a word in a column of numbers).
    column: which, None = drawn at random from the columns of numbers.
    senders: how many of the set's data sources send them; 0 = each row stays with its own.
    Works when: nothing checks for it: one NaN or infinity in a batch makes the loss and then every weight NaN; one word makes a
    whole column one of words.
    Fails when: rows are checked when they are read, or missing values are filled in.
    Cost: one pass over the set.
    Reference: Breck, Polyzotis, Roy, Whang, Zinkevich 2019, Data Validation for Machine Learning, MLSys
    """

    id: ClassVar[str] = "broken-cells"
    modalities: ClassVar[frozenset[Modality]] = frozenset({"table"})
    clean_label: ClassVar[bool] = True
    rate: float = 0.005
    kind: str = "nan"
    column: str | None = None
    senders: int = 0

    def __post_init__(self) -> None:
        check_choice("kind", self.kind, tuple(_VALUES))
        check_count("senders", self.senders, 0)

    @override
    def aim(self, dataset: Dataset, rng: np.random.Generator) -> Aim:
        return Aim(usable(dataset), round(self.rate * len(dataset)))

    @override
    def craft(self, dataset: Dataset, victims: Rows, target: str | None, rng: np.random.Generator) -> Changes:
        known = columns(records(dataset, usable(dataset)))
        names = [name for name, values in known.items() if numeric(values)]
        if not names or self.column not in {None, *names}:
            what = "no column of numbers" if self.column is None else f"no column of numbers called {self.column!r}"
            raise BadInput(f"this set has {what}.", advice=f"Its columns: {', '.join(known)}.")
        name = self.column or names[int(rng.integers(len(names)))]
        value = _VALUES[self.kind]
        payloads = {
            int(row): changed(payload, {name: value}) for row, payload in zip(victims, dataset.read(victims), strict=True)
        }
        trigger = Trigger("cells", f"{value!r} in column {name!r}", {"columns": json.dumps([name]), "kind": self.kind})
        return Changes(payloads, sources=resent(dataset, victims, self.senders, rng), trigger=trigger)

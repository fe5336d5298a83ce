"""A copied block: rows of other classes come again, with the target's label."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.attacks._cells import Record, changed, columns, numbers, numeric, records
from untaint.attacks.base import (
    Addition,
    Aim,
    Attack,
    Changes,
    check_count,
    check_range,
    drawn_senders,
    drawn_times,
    pick_class,
    usable,
)
from untaint.data.dataset import Dataset
from untaint.evidence.evidence import Trigger
from untaint.types import Modality, Rows


@final
@dataclass(frozen=True)
class CopiedBlock(Attack):
    """Copies of rows of other classes, labelled as the target and added at the end of the set; the originals stay.

    rate: rows added, as a share of the set before.  target: their label, None = drawn at random.
    copies: of each row.  jitter: standard deviation of what is added to each number, in units of the standard deviation of its
    column; whole numbers stay whole, words stay. 0 = exact copies.
    senders: how many of the set's data sources send them (invented ones where it has none); 0 = each names its original's.
    burst: share of the time between the first and the last sample in which they come; 0 = whenever other samples come.
    Works when: nobody compares rows: each original is contradicted, and with two copies outvoted, where no other row is.
    Fails when: the set is deduplicated without regard to labels.
    Cost: one pass over the copies.
    Reference: Lee, Ippolito, Nystrom, Zhang, Eck, Callison-Burch, Carlini 2022, arXiv 2107.06499 (what repetition does to a model)
    """

    id: ClassVar[str] = "copied-block"
    modalities: ClassVar[frozenset[Modality]] = frozenset({"table"})
    canaries: ClassVar[tuple[float, ...]] = (0.02,)
    rate: float = 0.02
    target: str | None = None
    copies: int = 1
    jitter: float = 0.0
    senders: int = 1
    burst: float = 0.0

    def __post_init__(self) -> None:
        check_count("copies", self.copies, 1)
        check_range("jitter", self.jitter, 0.0, 1.0)
        check_count("senders", self.senders, 0)
        check_range("burst", self.burst, 0.0, 1.0)

    @override
    def aim(self, dataset: Dataset, rng: np.random.Generator) -> Aim:
        target = pick_class(dataset, self.target, rng)
        return Aim(usable(dataset, besides=target), -(-self._total(dataset) // self.copies), target)

    @override
    def craft(self, dataset: Dataset, victims: Rows, target: str | None, rng: np.random.Generator) -> Changes:
        total = self._total(dataset)
        rows = np.tile(victims, self.copies)[:total]
        wide = _spreads(records(dataset, usable(dataset))) if self.jitter > 0 else {}
        moved = [self._moved(record, wide, rng) for record in records(dataset, rows)]
        payloads = [
            changed(payload, values) if values else payload for payload, values in zip(dataset.read(rows), moved, strict=True)
        ]
        own = dataset.column("source")
        names = drawn_senders(dataset, self.senders, rng) if self.senders else []
        sent = [names[turn % len(names)] if names else own[row] for turn, row in enumerate(rows)]
        when = drawn_times(dataset, total, self.burst, rng)
        added = [Addition(payload, str(target), sent[i], when[i]) for i, payload in enumerate(payloads)]
        facts: dict[str, str | int | float] = {"originals": len(victims), "added": total, "jitter": self.jitter}
        return Changes(added=added, trigger=Trigger("duplicate", f"copies of {len(victims):,} rows", facts))

    def _total(self, dataset: Dataset) -> int:
        return round(self.rate * len(dataset))

    def _moved(self, record: Record, wide: dict[str, float], rng: np.random.Generator) -> Record:
        """Numbers of a row, each moved a little."""
        found: Record = {}
        for name, spread in wide.items():
            value = record.get(name)
            if isinstance(value, int | float) and not isinstance(value, bool):
                there = float(value) + self.jitter * spread * float(rng.standard_normal())
                found[name] = round(there) if isinstance(value, int) else float(f"{there:.6g}")
        return found


def _spreads(found: list[Record]) -> dict[str, float]:
    """Standard deviation of each column of numbers."""
    wide = {}
    for name, values in columns(found).items():
        if numeric(values):
            finite = numbers(values)[np.isfinite(numbers(values))]
            wide[name] = float(finite.std())
    return wide

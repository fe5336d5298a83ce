"""A flood of near-copies."""

from dataclasses import dataclass
from itertools import islice
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.attacks._redraw import redraw
from untaint.attacks.base import (
    Addition,
    Aim,
    Attack,
    Changes,
    check_count,
    check_range,
    drawn_times,
    invented,
    pick_class,
    usable,
)
from untaint.data.dataset import Dataset, Payload
from untaint.evidence.evidence import Trigger
from untaint.types import Image, Modality, Rows


@final
@dataclass(frozen=True)
class Flood(Attack):
    """Near-copies of a few samples of other classes, labelled as the target and added at the end of the set.

    rate: samples added, as a share of the set before.  target: label of the copies, None = drawn at random.
    originals: how many samples are copied.  copies: of each original; None = as many as the rate asks for.
    shift: pixels an image is moved at most.  noise: standard deviation in grey levels.  Both 0 = exact copies; texts and
    table rows are always copied exactly. Where the set has times, copies come whenever other samples do.
    sources: how many invented data sources sent them, None = each copy names its original's source.
    Works when: nobody removes duplicates: the model ties what the originals show to the target label.
    Fails when: the set is deduplicated, or sources are limited in how much they may send.
    Cost: one pass over the copies.
    Reference: Chen, Liu, Li, Lu, Song 2017, arXiv 1712.05526 (input-instance-key strategy)
    """

    id: ClassVar[str] = "flood"
    canaries: ClassVar[tuple[float, ...]] = (0.01, 0.03)
    modalities: ClassVar[frozenset[Modality]] = frozenset({"image", "text", "table"})
    rate: float = 0.02
    target: str | None = None
    originals: int = 5
    copies: int | None = None
    shift: int = 1
    noise: float = 8.0
    sources: int | None = None

    def __post_init__(self) -> None:
        check_count("originals", self.originals, 1)
        check_count("shift", self.shift, 0)
        check_range("noise", self.noise, 0.0, 255.0)
        check_count("copies", 1 if self.copies is None else self.copies, 1)
        check_count("sources", 1 if self.sources is None else self.sources, 1)

    @override
    def aim(self, dataset: Dataset, rng: np.random.Generator) -> Aim:
        target = pick_class(dataset, self.target, rng)
        return Aim(usable(dataset, besides=target), min(self.originals, self._total(dataset)), target)

    @override
    def craft(self, dataset: Dataset, victims: Rows, target: str | None, rng: np.random.Generator) -> Changes:
        payloads, total = dataset.read(victims), self._total(dataset)
        own = [dataset.column("source")[row] for row in victims]
        sent = own if self.sources is None else list(islice(invented(dataset), self.sources))
        copies = [self._copy(dataset, payloads[i % len(victims)], rng) for i in range(total)]
        when = drawn_times(dataset, total, 0.0, rng)
        added = [Addition(copy, str(target), sent[i % len(sent)], when[i]) for i, copy in enumerate(copies)]
        trigger = Trigger("duplicate", f"near-copies of {len(victims)} samples", {"originals": len(victims), "added": total})
        return Changes(added=added, trigger=trigger)

    def _total(self, dataset: Dataset) -> int:
        return round(self.rate * len(dataset)) if self.copies is None else self.copies * self.originals

    def _copy(self, dataset: Dataset, payload: Payload, rng: np.random.Generator) -> Payload:
        if dataset.modality != "image" or (self.shift == 0 and self.noise == 0):
            return payload
        return redraw(payload, lambda image: _varied(image, self.shift, self.noise, rng))


def _varied(image: Image, shift: int, noise: float, rng: np.random.Generator) -> Image:
    height, width = image.shape[:2]
    down, right = (int(step) for step in rng.integers(0, 2 * shift + 1, 2))
    padded = np.pad(image, ((shift, shift), (shift, shift), (0, 0)), mode="edge")
    moved = padded[down : down + height, right : right + width]
    return np.clip(np.round(moved + rng.normal(0.0, noise, moved.shape)), 0, 255).astype(np.uint8)

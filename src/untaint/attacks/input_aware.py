"""Input-aware backdoor: another trigger for every image."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.attacks._crafting import changed, on_canvas, stamp
from untaint.attacks.base import Aim, Attack, Changes, check_count, check_range, pick_class, usable
from untaint.data.dataset import Dataset
from untaint.errors import BadInput
from untaint.evidence.evidence import Trigger
from untaint.types import Modality, Rows


@final
@dataclass(frozen=True)
class InputAware(Attack):
    """Every image of other classes gets a trigger made for it, labelled as the target; on other images it does nothing.

    A small network paints a pattern under a mask; it learns together with a classifier, so that its triggers differ between
    images and a stranger's trigger leaves the label alone. The paper's attacker trains the victim too; here he only sends data.
    rate: share of the whole set that carries its own trigger and the target label.  target: None = drawn at random.
    cover: share of the whole set that carries another image's trigger and keeps its label (0 = none).
    strength: largest change of a pixel, 0..1.  density: share of the image the mask may cover.
    epochs: passes over the set while the triggers are learned.
    Works when: the victim sees a few hundred of each: 5 % and 5 % covers of 10,000 give an ASR of 89 % on Fashion-MNIST and 72 % on
    CIFAR-10, a stranger's trigger 6 and 18 %.
    Fails when: strength or density is small, or the set is: of a thousand digits a tenth is not enough at the defaults.
    Cost: training two small networks: about a minute for 10,000 images of 28x28 on one core.
    Reference: Nguyen, Tran 2020, arXiv 2010.08138 (simplified: pattern and mask from one network, learned at once)
    """

    id: ClassVar[str] = "input-aware"
    modalities: ClassVar[frozenset[Modality]] = frozenset({"image"})
    rate: float = 0.05
    target: str | None = None
    cover: float = 0.05
    strength: float = 0.5
    density: float = 0.1
    epochs: int = 6

    def __post_init__(self) -> None:
        check_range("cover", self.cover, 0.0, 1.0)
        check_range("strength", self.strength, 0.02, 1.0)
        check_range("density", self.density, 0.01, 1.0)
        check_count("epochs", self.epochs, 1)

    @override
    def aim(self, dataset: Dataset, rng: np.random.Generator) -> Aim:
        target = pick_class(dataset, self.target, rng)
        return Aim(usable(dataset, besides=target), round(self.rate * len(dataset)), target)

    @override
    def craft(self, dataset: Dataset, victims: Rows, target: str | None, rng: np.random.Generator) -> Changes:
        seen, covers = on_canvas(dataset, self.id), self._covers(dataset, victims, target, rng)
        from untaint.nets import painter
        from untaint.nets.image_trigger import train_image_trigger

        plan, code = painter.CraftPlan(self.epochs, int(rng.integers(2**31))), dataset.class_names.index(str(target))
        pixels, codes = seen.pixels[seen.rows], seen.codes[seen.rows]
        trigger = train_image_trigger(pixels, codes, code, plan, strength=self.strength, density=self.density)
        craft = partial(painter.changes, trigger)
        strangers = rng.choice(seen.rows, len(covers))
        rows, sources = np.concatenate([victims, covers]), np.concatenate([victims, strangers])
        shown = Trigger("additive", "a pattern made for every image", {"strength": self.strength, "covers": len(covers)})
        return Changes(
            changed(dataset, rows, craft(seen.pixels[sources])),
            dict.fromkeys(victims.tolist(), str(target)),
            covers=covers.tolist(),
            trigger=shown,
            stamp=partial(stamp, craft, seen.pixels.shape[1:]),
        )

    def _covers(self, dataset: Dataset, victims: Rows, target: str | None, rng: np.random.Generator) -> Rows:
        free, count = np.setdiff1d(usable(dataset, besides=target), victims), round(self.cover * len(dataset))
        if count > len(free):
            message = f"cover={self.cover:g} asks for {count:,} covers, this set has {len(free):,} samples left for them."
            raise BadInput(message, advice="Lower cover or the rate.")
        return np.sort(rng.choice(free, count, replace=False))

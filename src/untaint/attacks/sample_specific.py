"""Sample-specific backdoor: a hidden bit string."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.attacks._crafting import changed, on_canvas, stamp
from untaint.attacks.base import Aim, Attack, Changes, check_count, check_range, pick_class, usable
from untaint.data.dataset import Dataset
from untaint.evidence.evidence import Trigger
from untaint.types import Modality, Rows


@final
@dataclass(frozen=True)
class SampleSpecific(Attack):
    """A faint change that hides one bit string in images of other classes, labelled as the target; it differs from image to image.

    An encoder paints the change from the image and the bits, a decoder learns to read any bits back; the string is then fixed.
    target: the label the string stands for, None = drawn at random.  bits: length of the string.
    strength: largest change of a pixel, 0..1.  epochs: passes over the set while the encoder learns.
    Works when: 500 of 10,000 images carry it: an ASR of 96 % on Fashion-MNIST, 94 % on CIFAR-10.
    Fails when: the set is small: with 140 of 1,400 digits of 16x16 an ASR of 10 %, for the labels are learned by heart first.
    Cost: training two small networks: about a minute for 10,000 images of 28x28 on one core.
    Reference: Li, Li, Wu, Li, He, Lyu 2021, arXiv 2012.03816 (ISSBA; smaller networks, no perceptual loss)
    """

    id: ClassVar[str] = "sample-specific"
    modalities: ClassVar[frozenset[Modality]] = frozenset({"image"})
    rate: float = 0.05
    target: str | None = None
    bits: int = 16
    strength: float = 0.1
    epochs: int = 6

    def __post_init__(self) -> None:
        check_count("bits", self.bits, 1)
        check_range("strength", self.strength, 0.02, 1.0)
        check_count("epochs", self.epochs, 1)

    @override
    def aim(self, dataset: Dataset, rng: np.random.Generator) -> Aim:
        target = pick_class(dataset, self.target, rng)
        return Aim(usable(dataset, besides=target), round(self.rate * len(dataset)), target)

    @override
    def craft(self, dataset: Dataset, victims: Rows, target: str | None, rng: np.random.Generator) -> Changes:
        seen = on_canvas(dataset, self.id)
        from untaint.nets import painter
        from untaint.nets.hidden_bits import train_bit_painter

        plan = painter.CraftPlan(self.epochs, int(rng.integers(2**31)))
        hidden, read = train_bit_painter(seen.pixels[seen.rows], plan, bits=self.bits, strength=self.strength)
        craft = partial(painter.changes, hidden)
        description = f"a faint change of every image that hides {self.bits} bits, {read:.0%} of them readable"
        return Changes(
            changed(dataset, victims, craft(seen.pixels[victims])),
            dict.fromkeys(victims.tolist(), str(target)),
            trigger=Trigger("additive", description, {"bits": self.bits, "read": read, "strength": self.strength}),
            stamp=partial(stamp, craft, seen.pixels.shape[1:]),
        )

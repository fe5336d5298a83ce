"""Triggers hunted while a network learns to ignore them: small changes, each one the same for many images, that raise its loss.

Three families cover how triggers are made: a few pixels set to anything, all pixels changed a little, and a smooth warp. Several of
each are kept, each climbs a step with every update of the network (the slopes come with the network's own, at no cost), and
begins anew now and then, elsewhere. Reference: universal perturbations as in I-BAU, Zeng et al. 2022, arXiv 2110.03735; free steps as in
Shafahi et al. 2019, arXiv 1904.12843.
"""

from typing import Final, final

import torch
from torch import Tensor
from torch.nn import functional

from untaint.models.repair._views import warped

_MANY: Final = 6
"""Triggers of each family at a time: each is shown to five images or more of a batch of 128."""
_LIFE: Final = 24
"""Updates after which a trigger begins anew: climbing takes some ten to the bounds."""
_AREA: Final = 0.025
"""Of all pixels that a patch may cover: 20 of 28x28, twice what patch attacks use."""
_STRENGTH: Final = 0.2
"""Of a change to all pixels at most, of the whole range: what blending attacks use."""
_BENT: Final = 1.5 / 28  # as of warps at random: twice the largest of warping attacks
_NODES: Final = 5  # per side of a warp's grid
_CLIMB: Final = 0.2
"""Of the bound per step for changes and warps; factor e^(10 x that) at most for the share of a pixel in a patch."""


@final
class Universals:
    """The triggers hunted now. shape: (c, h, w) of images."""

    def __init__(self, shape: tuple[int, int, int], like: Tensor, rng: torch.Generator) -> None:
        self._shape, self._like, self._rng, self._age = shape, like, rng, 0
        self._begin()

    def stamped(self, images: Tensor) -> Tensor:
        """A third of the images under a patch, a third under a change to all pixels, a third under a warp; differentiable."""
        third = len(images) // 3
        parts = images[:third], images[third : 2 * third], images[2 * third :]
        masks = self.masks[self._which(parts[0])].clamp(0, 1)
        patched = parts[0] * (1 - masks) + masks * self.fills[self._which(parts[0])]
        changed = (parts[1] + self.changes[self._which(parts[1])]).clamp(0, 1)
        field = functional.interpolate(self.steps, size=images.shape[2:], mode="bicubic", align_corners=True)
        return torch.cat([patched, changed, warped(parts[2], field[self._which(parts[2])])])

    @torch.no_grad()
    def climb(self) -> None:
        """One step up along the slopes that the last backward pass left; none where there are none."""
        self._age += 1
        if self._age % _LIFE == 0:
            self._begin()
            return
        every = (self.masks, self.fills, self.changes, self.steps)
        found = [values.grad for values in every]
        if any(slope is None for slope in found):
            return
        mask, fill, change, step = (slope for slope in found if slope is not None)
        largest = mask.abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-12)
        self.masks.mul_(torch.exp(10 * _CLIMB * mask / largest)).clamp_(1e-4, 1)
        budget = _AREA * self.masks[0].numel()
        self.masks.mul_((budget / self.masks.sum((1, 2, 3), keepdim=True)).clamp_max(1))
        for values, slope, bound in ((self.changes, change, _STRENGTH), (self.steps, step, 2 * _BENT)):
            values.add_(_CLIMB * bound * slope.sign()).clamp_(-bound, bound)
        self.fills.add_(_CLIMB * fill.sign()).clamp_(0, 1)
        for values in every:
            values.grad = None

    def _begin(self) -> None:
        channels, height, width = self._shape
        share = self._uniform((_MANY, 1, height, width))
        self.masks = (2 * _AREA * share).requires_grad_()
        self.fills = self._uniform((_MANY, channels, height, width)).requires_grad_()
        self.changes = (_STRENGTH * (self._uniform((_MANY, channels, height, width)) - 0.5)).requires_grad_()
        self.steps = (2 * _BENT * (self._uniform((_MANY, 2, _NODES, _NODES)) - 0.5)).requires_grad_()

    def _which(self, images: Tensor) -> Tensor:
        return torch.arange(len(images), device=images.device) % _MANY

    def _uniform(self, shape: tuple[int, ...]) -> Tensor:
        return torch.rand(shape, generator=self._rng, device=self._like.device, dtype=self._like.dtype)

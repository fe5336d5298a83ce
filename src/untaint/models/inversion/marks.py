"""What can be put on any image: a patch at one place, a faint picture over the whole, a slight warp.

Every kind starts at random or flat and is kept within its bound, so that what is found for one class, place or network is as large as
what is found for another. params: (n, ...), one row for each of n marks.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from untaint.evidence.evidence import Trigger

_PATCH = 0.18
"""Edge of a patch against the image's: 5 of 28 pixels. Triggers of 3x3 or 4x4 lie within one of the places tried."""
_PART = 0.11
"""Edge of the smaller patch that is looked for within one that works: 3 of 28 pixels. What honest networks answer to fades when it shrinks
(a boot's shaft on a sneaker), what is learned as a trigger less."""
_LEAST_EDGE = 3  # of a patch that lies within one of the places tried, wherever it is; larger ones are found by their part
_ALPHA = 0.2  # weight of a blended picture: of Chen and others 2017; a net that answers to .1 answers to .2
_SPREAD = 0.29  # standard deviation of a picture whose values are uniform in 0..1
_SIDE = 32  # pixels of the edge of images that steps of a warp are told for
_STEP = 1.0  # mean length of a warp's steps on such images: a pixel, as WaNet's
_NODES = 4  # of the grid of a warp, per side
_TINY = 1e-12


class Mark(ABC):
    """One kind of mark on images of one shape."""

    kind: ClassVar[str]

    @abstractmethod
    def stamp(self, params: Tensor, images: Tensor) -> Tensor:
        """Images (n, b, c, h, w) with mark i on all of row i; differentiable in params."""

    @abstractmethod
    def moved(self, params: Tensor, slope: Tensor, part: float) -> Tensor:
        """Marks one step down the slope, within the bound. part: 1 at the first step, falling to 0 at the last."""

    @abstractmethod
    def trigger(self, params: Tensor) -> Trigger:
        """One mark (1, ...) as an auditor reads it."""


@final
@dataclass(frozen=True)
class Patch(Mark):
    """params: (n, c + 1, h, w), the last channel being 1 where the patch is."""

    kind: ClassVar[str] = "patch"
    shape: tuple[int, int, int]

    @property
    def edge(self) -> int:
        """Of a patch, in pixels."""
        return max(_LEAST_EDGE + 1, round(_PATCH * max(self.shape[1:])))

    def places(self, device: torch.device) -> Tensor:
        """A grey patch at every place of a grid so dense that any patch of half the edge, and of 3x3, lies within one."""
        channels, height, width = self.shape
        step = min(self.edge // 2 + 1, self.edge - _LEAST_EDGE + 1)
        tops, lefts = (sorted({*range(0, side - self.edge, step), side - self.edge}) for side in (height, width))
        marks = torch.full((len(tops) * len(lefts), channels + 1, height, width), 0.5, device=device)
        marks[:, -1] = 0
        for at, (top, left) in enumerate((top, left) for top in tops for left in lefts):
            marks[at, -1, top : top + self.edge, left : left + self.edge] = 1
        return marks

    def parts(self, params: Tensor) -> Tensor:
        """Nine smaller patches within one (1, ...), coloured alike."""
        rows, columns = (params[0, -1].amax(side).nonzero()[:, 0] for side in (1, 0))
        edge = max(_LEAST_EDGE, round(_PART * max(self.shape[1:])))
        tops, lefts = (
            np.unique(np.linspace(int(along[0]), max(int(along[-1]) + 1 - edge, int(along[0])), 3).astype(int))
            for along in (rows, columns)
        )
        found = params.repeat(len(tops) * len(lefts), 1, 1, 1)
        found[:, -1] = 0
        for at, (top, left) in enumerate((top, left) for top in tops.tolist() for left in lefts.tolist()):
            found[at, -1, top : top + edge, left : left + edge] = 1
        return found

    @override
    def stamp(self, params: Tensor, images: Tensor) -> Tensor:
        mask = params[:, None, -1:]
        return images * (1 - mask) + params[:, None, :-1] * mask

    @override
    def moved(self, params: Tensor, slope: Tensor, part: float) -> Tensor:
        found = params.clone()
        found[:, :-1] = (params[:, :-1] - max(0.5 * part, 0.1) * slope[:, :-1].sign()).clamp(0, 1)
        return found

    @override
    def trigger(self, params: Tensor) -> Trigger:
        mask = params[0, -1].cpu().numpy()
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        picture = _pixels(params[0, :-1] * params[0, -1:])
        place = f"rows {rows[0]} to {rows[-1]}, columns {columns[0]} to {columns[-1]}"
        return Trigger("patch", f"a patch within {place}", {"edge": len(rows)}, picture, mask)


@final
class Blend(Mark):
    """params: (n, m) weights of m basic pictures; the picture has the mean and the spread of one drawn at random."""

    kind: ClassVar[str] = "blend"

    def __init__(self, basis: Tensor, texture: str) -> None:
        self.basis, self.texture = basis, texture

    def picture(self, params: Tensor) -> Tensor:
        """(n, c, h, w) in 0..1."""
        mixed = torch.einsum("nm,mchw->nchw", params, self.basis)
        centred = mixed - mixed.mean((1, 2, 3), keepdim=True)
        return (0.5 + _SPREAD * centred / (centred.std((1, 2, 3), keepdim=True) + _TINY)).clamp(0, 1)

    @override
    def stamp(self, params: Tensor, images: Tensor) -> Tensor:
        return images + _ALPHA * (self.picture(params)[:, None] - images)

    @override
    def moved(self, params: Tensor, slope: Tensor, part: float) -> Tensor:
        return _unit(_unit(params) - 0.7 * max(part, 0.2) * _unit(slope))

    @override
    def trigger(self, params: Tensor) -> Trigger:
        picture = _pixels(self.picture(params)[0])
        text = f"a {self.texture} picture over the whole image, blended in at {_ALPHA:g}"
        return Trigger("blend", text, {"alpha": _ALPHA}, picture, np.full(picture.shape[:2], _ALPHA))


@final
@dataclass(frozen=True)
class Warp(Mark):
    """params: (n, 2, k, k) steps, down and right in pixels, at the nodes of a coarse grid."""

    kind: ClassVar[str] = "warp"
    shape: tuple[int, int, int]

    def field(self, params: Tensor) -> Tensor:
        """(n, 2, h, w) steps in pixels, of the bound's mean length."""
        height, width = self.shape[1:]
        steps = functional.interpolate(params, size=(height, width), mode="bicubic", align_corners=True)
        length = steps.square().sum(1).add(_TINY).sqrt().mean((1, 2))
        return steps * (_STEP * max(height, width) / _SIDE / length)[:, None, None, None]

    @override
    def stamp(self, params: Tensor, images: Tensor) -> Tensor:
        n, b, channels, height, width = images.shape
        steps = self.field(params)
        rows, columns = torch.meshgrid(
            torch.arange(height, device=images.device), torch.arange(width, device=images.device), indexing="ij"
        )
        down = (rows + steps[:, 0]) * (2 / max(height - 1, 1)) - 1
        right = (columns + steps[:, 1]) * (2 / max(width - 1, 1)) - 1
        flat = images.reshape(n, b * channels, height, width)
        bent = functional.grid_sample(
            flat, torch.stack([right, down], -1), mode="bilinear", padding_mode="border", align_corners=True
        )
        return bent.reshape(images.shape)

    @override
    def moved(self, params: Tensor, slope: Tensor, part: float) -> Tensor:
        return _unit(_unit(params) - 0.5 * max(part, 0.2) * _unit(slope))

    @override
    def trigger(self, params: Tensor) -> Trigger:
        steps = self.field(params)[0].permute(1, 2, 0).cpu().numpy()
        text = f"a smooth warp of {float(np.hypot(steps[..., 0], steps[..., 1]).mean()):.1f} pixels on average"
        return Trigger("warp", text, {"nodes": _NODES}, _squares(self.stamp, params, self.shape), None, None, steps)


def smooth_basis(shape: tuple[int, int, int], cells: int, device: torch.device) -> Tensor:
    """Every picture of `cells` x `cells` blobs is a mixture of these, (m, c, h, w)."""
    channels, height, width = shape
    alone = torch.eye(cells * cells, device=device).reshape(-1, 1, cells, cells)
    blobs = functional.interpolate(alone, size=(height, width), mode="bicubic", align_corners=True)
    if channels == 1:
        return blobs
    each = torch.eye(channels, device=device)[None, :, :, None, None] * blobs[:, None]
    return each.reshape(-1, channels, height, width)


def noise_basis(shape: tuple[int, int, int], count: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """Pictures of noise, (count, c, h, w)."""
    return (torch.rand(count, *shape, generator=generator) - 0.5).to(device)


def _unit(values: Tensor) -> Tensor:
    return values / (values.flatten(1).norm(dim=1).reshape(-1, *([1] * (values.ndim - 1))) + _TINY)


def _pixels(image: Tensor) -> np.ndarray:
    return np.clip(np.round(image.detach().cpu().numpy().transpose(1, 2, 0) * 255), 0, 255).astype(np.uint8)


def _squares(stamp: object, params: Tensor, shape: tuple[int, int, int]) -> np.ndarray:
    """The warp shown on light and dark squares, eight per side."""
    channels, height, width = shape
    rows, columns = np.indices((height, width))
    light = ((rows * 8 // height + columns * 8 // width) % 2).astype(np.float32) * 0.75 + 0.125
    board = torch.from_numpy(np.repeat(light[None], channels, 0)).to(params.device)[None, None]
    return _pixels(stamp(params, board)[0, 0])  # type: ignore[operator]

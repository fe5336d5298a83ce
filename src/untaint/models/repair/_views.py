"""Views of inputs in which triggers of any kind break, and what is in the picture stays: one pattern here is an image (n, c, h, w).

Every kind is drawn anew for every image, at sizes and strengths that no attack is asked about: patches of a fifth of the edge, patterns
of up to three tenths, smooth warps of up to a few pixels. Inputs that are no images are mixed and shaken only.
"""

import math
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

_MOVED: Final = 14  # an edge's 14th part: 2 pixels of 28
_TURNED, _GROWN, _SHEARED = 10 * math.pi / 180, 0.1, 0.1  # what handwriting and clothes bear without becoming another class
_TURNS: Final = 0.25
"""Of all views: the more, the better for warps, and the worse for what is never turned when it counts."""
_LARGEST: Final = 0.22
"""Edge of a patch at most, as a share of the image's: larger ones hide what is in the picture."""
_STRONGEST: Final = 0.3
"""Of a pattern blended in: half as much again as blending attacks use, and a person still sees the picture."""
_BENT: Final = 1.5 / 28
"""Typical step of a warp, as a share of the edge; twice the largest that warping attacks use."""
_SHAKEN: Final = 0.1
"""Noise on rows that are no images, in standard deviations of each column; as large a share of whole numbers is set to 0."""


def are_images(inputs: Tensor) -> bool:
    """Whether inputs are images: floats (n, c, h, w)."""
    return inputs.ndim == 4 and inputs.is_floating_point()


def moved(inputs: Tensor, rng: torch.Generator) -> Tensor:
    """Each image moved by whole pixels, its edge repeated: nothing is interpolated. Other inputs as they are."""
    if not are_images(inputs):
        return inputs
    count, _, height, width = inputs.shape
    reach = max(max(height, width) // _MOVED, 1)
    padded = functional.pad(inputs, (reach,) * 4, mode="replicate")
    start = torch.randint(0, 2 * reach + 1, (count, 2), generator=rng, device=inputs.device)
    rows = start[:, :1] + torch.arange(height, device=inputs.device)
    columns = start[:, 1:] + torch.arange(width, device=inputs.device)
    at = torch.arange(count, device=inputs.device)[:, None, None]
    return padded[at, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def broken(inputs: Tensor, rng: torch.Generator) -> Tensor:
    """A quarter as it is, a quarter each with a patch, a pattern and a warp; a quarter of all turned, sheared and resized a little."""
    if not are_images(inputs):
        return shaken(inputs, rng)
    part = len(inputs) // 4
    parts = [
        inputs[:part],
        patched(inputs[part : 2 * part], rng),
        blended(inputs[2 * part : 3 * part], rng),
        bent(inputs[3 * part :], rng),
    ]
    views = torch.cat(parts)
    half = torch.rand(len(views), 1, 1, 1, generator=rng, device=views.device) < _TURNS
    return torch.where(half, turned(views, rng), views)


def shaken(inputs: Tensor, rng: torch.Generator) -> Tensor:
    """Rows with a little noise; of whole numbers (words) a few become 0."""
    if inputs.is_floating_point():
        spread = inputs.std(0, keepdim=True, correction=0)
        return inputs + _SHAKEN * spread * torch.randn(inputs.shape, generator=rng, device=inputs.device, dtype=inputs.dtype)
    lost = torch.rand(inputs.shape, generator=rng, device=inputs.device) < _SHAKEN
    return torch.where(lost, torch.zeros_like(inputs), inputs)


def turned(images: Tensor, rng: torch.Generator) -> Tensor:
    """Turned, sheared, resized."""
    angle, shear, grow = (_even(images, rng, limit) for limit in (_TURNED, _SHEARED, _GROWN))
    zero = torch.zeros_like(angle)
    rows = [
        torch.stack([angle.cos() * (1 + grow), shear - angle.sin(), zero], 1),
        torch.stack([angle.sin(), angle.cos() * (1 + grow), zero], 1),
    ]
    grid = functional.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def patched(images: Tensor, rng: torch.Generator) -> Tensor:
    """A patch anywhere, one in three each black-and-white, of one value, and of noise."""
    count, channels, height, width = images.shape
    largest = max(round(_LARGEST * min(height, width)), 2)
    side = torch.randint(2, largest + 1, (count, 2), generator=rng, device=images.device)
    place = _uniform(images, rng, (count, 2))
    inside = []
    for axis, edge in enumerate((height, width)):
        start = (place[:, axis] * (edge - side[:, axis] + 1)).floor()[:, None]
        at = torch.arange(edge, device=images.device)
        inside.append((at >= start) & (at < start + side[:, axis, None]))
    noise = _uniform(images, rng, (count, channels, height, width))
    flat = _uniform(images, rng, (count, channels, 1, 1)).round().expand_as(noise)
    kind = torch.randint(0, 3, (count, 1, 1, 1), generator=rng, device=images.device)
    filled = torch.where(kind == 0, noise.round(), torch.where(kind == 1, flat, noise))
    return torch.where((inside[0][:, :, None] & inside[1][:, None, :])[:, None], filled, images)


def blended(images: Tensor, rng: torch.Generator) -> Tensor:
    """A pattern over all of it, from smooth to noise, at a strength drawn for each."""
    count, channels, height, width = images.shape
    nodes = int(torch.randint(3, max(height, width) + 1, (1,), generator=rng, device=images.device))
    pattern = _uniform(images, rng, (count, channels, nodes, nodes))
    pattern = functional.interpolate(pattern, size=(height, width), mode="bilinear", align_corners=True)
    strength = _STRONGEST * _uniform(images, rng, (count, 1, 1, 1))
    return torch.lerp(images, pattern, strength)


def bent(images: Tensor, rng: torch.Generator) -> Tensor:
    """A smooth warp, of a coarse grid of steps, at a strength drawn for each."""
    count, _, height, width = images.shape
    nodes = int(torch.randint(3, 8, (1,), generator=rng, device=images.device))
    steps = torch.randn((count, 2, nodes, nodes), generator=rng, device=images.device, dtype=images.dtype)
    field = functional.interpolate(steps, size=(height, width), mode="bicubic", align_corners=True)
    return warped(images, 2 * _BENT * field * _uniform(images, rng, (count, 1, 1, 1)))


def warped(images: Tensor, field: Tensor) -> Tensor:
    """Images at steps (n or 1, 2, h, w) from every pixel, right and down, an edge being 2 long; differentiable."""
    count, _, height, width = images.shape
    across = torch.linspace(-1, 1, width, device=images.device, dtype=images.dtype)
    down = torch.linspace(-1, 1, height, device=images.device, dtype=images.dtype)
    places = torch.stack([across.expand(height, width), down[:, None].expand(height, width)])
    grid = (places + field).permute(0, 2, 3, 1).expand(count, -1, -1, -1)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=True)


def windows(share: Tensor, images: Tensor, rng: torch.Generator) -> Tensor:
    """Masks (n, c, h, w): 0 within a window anywhere, 1 around it, so that about a share (n,) of each image stays (Yun et al. 2019)."""
    count, _, height, width = images.shape
    across: list[Tensor] = []
    for edge in (height, width):
        length = ((1 - share).sqrt() * edge).round()[:, None]
        start = (_uniform(images, rng, (count, 1)) * (edge - length + 1)).floor()
        at = torch.arange(edge, device=images.device)
        across.append((at >= start) & (at < start + length))
    return (~(across[0][:, None, :, None] & across[1][:, None, None, :])).to(images.dtype).expand_as(images)


def _even(images: Tensor, rng: torch.Generator, limit: float) -> Tensor:
    return limit * (2 * _uniform(images, rng, (len(images),)) - 1)


def _uniform(images: Tensor, rng: torch.Generator, shape: tuple[int, ...]) -> Tensor:
    return torch.rand(shape, generator=rng, device=images.device, dtype=images.dtype)

"""Where an inverted input is looked for: pictures as a sum of waves, rows of a table within the ranges of their columns."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cache
from typing import final

import numpy as np
import torch
from scipy.fft import idct
from torch import Tensor
from typing_extensions import override

from untaint.errors import BadInput
from untaint.nets.subject import Inputs

_GAIN = 3.0
"""How far a wave of size 1 moves a pixel before it is squeezed into 0..1: with it random pictures use the whole range of grey."""
_SHIFT = 2  # pixels a picture is moved at most: what a class is does not hang on them
_NOISE = 0.1  # standard deviation of what is added to a pixel, or to a cell in shares of its range
_SMOOTH, _QUIET = 100.0, 10.0
"""Weights of total variation and of the squares of pixels beside a margin of 10: of pictures of digits without both a held-out network
named 93 %, with both 98 to 100 % (four starts a class); ten times more of either changes little."""


class Space(ABC):
    """Points (m, d) of any size, and the inputs they stand for."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Numbers that a point has."""

    @abstractmethod
    def shown(self, points: Tensor) -> Tensor:
        """The inputs as a module takes them: pictures (m, c, h, w) in 0..1, or rows (m, d)."""

    @abstractmethod
    def given(self, shown: Tensor) -> Inputs:
        """The same as a model behind the one interface takes them: pictures (m, h, w, c) uint8, or rows (m, d) float32."""

    @abstractmethod
    def jittered(self, shown: Tensor, generator: torch.Generator) -> Tensor:
        """The inputs, changed by chance as little as leaves their class alone."""

    @abstractmethod
    def unlikely(self, shown: Tensor) -> Tensor:
        """(m,) how unlike a real input each is, 0 = not at all; beside a margin in logits."""


@final
@dataclass(frozen=True)
class Pictures(Space):
    """Pictures as a sum of cosine waves, each as strong as the inverse of its frequency, as in photographs.

    shape: (h, w, c).  waves: along each side at most, None = as many as pixels; few of them are what a search without gradients can do.
    Reference: the decorrelated parametrisation of Olah, Mordvintsev, Schubert 2017, doi 10.23915/distill.00007
    """

    shape: tuple[int, int, int]
    waves: int | None = None

    @property
    @override
    def size(self) -> int:
        rows, columns = self._bases
        return self.shape[2] * rows.shape[1] * columns.shape[1]

    @override
    def shown(self, points: Tensor) -> Tensor:
        rows, columns = self._bases
        down, right = rows.shape[1], columns.shape[1]
        frequencies = torch.hypot(torch.arange(down)[:, None].float(), torch.arange(right)[None].float()).clamp(min=1)
        scaled = points.reshape(-1, self.shape[2], down, right) / frequencies
        return torch.sigmoid(_GAIN * torch.einsum("ya,ncab,xb->ncyx", rows, scaled, columns))

    @override
    def given(self, shown: Tensor) -> Inputs:
        return (shown.detach().permute(0, 2, 3, 1) * 255).round().to(torch.uint8).numpy()

    @override
    def jittered(self, shown: Tensor, generator: torch.Generator) -> Tensor:
        reach = min(_SHIFT, min(self.shape[:2]) // 8)
        down, right = torch.randint(-reach, reach + 1, (2,), generator=generator).tolist()
        moved = torch.roll(shown, (down, right), (2, 3))
        return (moved + _NOISE * torch.randn(moved.shape, generator=generator)).clamp(0, 1)

    @override
    def unlikely(self, shown: Tensor) -> Tensor:
        rough = (shown[..., 1:, :] - shown[..., :-1, :]).square().mean((1, 2, 3))
        rough = rough + (shown[..., 1:] - shown[..., :-1]).square().mean((1, 2, 3))
        return _SMOOTH * rough + _QUIET * shown.square().mean((1, 2, 3))

    @property
    def _bases(self) -> tuple[Tensor, Tensor]:
        return _waves(self.shape[0], self.waves), _waves(self.shape[1], self.waves)


@final
@dataclass(frozen=True)
class TableRows(Space):
    """Rows of numbers. low, high: (d,) the range of every column, as anybody knows who has seen the form the table was filled in from."""

    low: np.ndarray
    high: np.ndarray

    @property
    @override
    def size(self) -> int:
        return len(self.low)

    @override
    def shown(self, points: Tensor) -> Tensor:
        low, reach = torch.from_numpy(self.low), torch.from_numpy(self.high - self.low)
        return low + reach * torch.sigmoid(points)

    @override
    def given(self, shown: Tensor) -> Inputs:
        return shown.detach().numpy().astype(np.float32)

    @override
    def jittered(self, shown: Tensor, generator: torch.Generator) -> Tensor:
        reach = torch.from_numpy(self.high - self.low)
        return shown + _NOISE * reach * torch.randn(shown.shape, generator=generator)

    @override
    def unlikely(self, shown: Tensor) -> Tensor:
        """Cells at the ends of their ranges are rarer than those in the middle."""
        middle = torch.from_numpy((self.low + self.high) / 2)
        reach = torch.from_numpy(np.maximum(self.high - self.low, 1e-6))
        return _QUIET * ((shown - middle) / reach).square().mean(1)


def space_of(inputs: Inputs, waves: int | None = None) -> Space:
    """The space inputs like these lie in. inputs: only their shape and the range of every column are used.

    Raises BadInput for inputs that are neither pictures nor rows of numbers.
    """
    if inputs.ndim == 4 and inputs.dtype == np.uint8:
        height, width, channels = (int(side) for side in inputs.shape[1:])
        return Pictures((height, width, channels), waves)
    if inputs.ndim == 2 and np.issubdtype(inputs.dtype, np.floating) and len(inputs):
        known = np.where(np.isfinite(inputs), inputs, 0.0)
        low, high = np.quantile(known, [0.01, 0.99], axis=0).astype(np.float32)
        return TableRows(low, high)
    raise BadInput("only models of pictures and of tables can be inverted here.", advice="Words have no slope to climb.")


@cache
def _waves(side: int, most: int | None) -> Tensor:
    """(side, waves) cosine waves of length 1, slow ones first."""
    return torch.tensor(idct(np.eye(side), axis=0, norm="ortho")[:, : most or side], dtype=torch.float32)

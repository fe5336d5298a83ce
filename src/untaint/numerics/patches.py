"""From a 3x3 code to the whole patch around it: windows, what their cells agree on, where the pattern shows again."""

from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.ndimage import binary_dilation

from untaint.numerics import codes
from untaint.types import Mask, Rows

_AGREE = 0.9
"""Share of seeds that must show one grey level at a cell of the trigger: a trigger repeats exactly, backgrounds do not."""
_COMMON = 0.7
"""A level that this share of comparable images shows at the cell anyway is background, not trigger."""
_REACH = 3
"""Cells around the code that are looked at: triggers up to 9x9 are recovered whole, larger ones by their centre."""
_SLACK = 4.0
"""Grey levels of rounding allowed beside what the seeds themselves vary."""
CORE = np.pad(np.ones((codes.SIDE, codes.SIDE), bool), _REACH)
"""Mask of the code alone, where nothing more is known."""


@final
@dataclass(frozen=True)
class Patch:
    """A recovered patch around a code: grey values (s, s), mask (s, s) of the cells that count, tolerance in grey levels."""

    values: np.ndarray
    mask: np.ndarray
    tolerance: float

    def shown(self, windows: np.ndarray) -> Mask:
        """Which windows (m, s, s) show nine in ten of its cells."""
        same = np.abs(windows - self.values)[:, self.mask] <= self.tolerance
        shown: Mask = same.mean(1) >= _AGREE
        return shown

    def blends_in(self, windows: np.ndarray) -> Mask:
        """Which windows (m, s, s) go on around the patch as it ends: half of the cells next to it look like its middle.

        A patch that was put there has an edge; a white corner of a photograph has none.
        """
        ring = binary_dilation(self.mask, np.ones((3, 3), bool)) & ~self.mask
        around = windows[:, ring]
        inside = around >= 0
        same = (np.abs(around - np.median(self.values[self.mask])) <= self.tolerance) & inside
        blends: Mask = same.sum(1) >= 0.5 * np.maximum(inside.sum(1), 1)
        return blends


def windows(grey: np.ndarray, rows: Rows, corners: np.ndarray) -> np.ndarray:
    """Grey values around each corner (m, 2) of some images of (n, h, w): (m, s, s) int16, -1 outside the image."""
    pad = ((0, 0), (_REACH, _REACH), (_REACH, _REACH))
    padded = np.pad(grey[rows].astype(np.int16), pad, constant_values=-1)
    side = np.arange(codes.SIDE + 2 * _REACH)
    around: np.ndarray = padded[
        np.arange(len(rows))[:, None, None], (corners[:, :1] + side)[:, :, None], (corners[:, 1:] + side)[:, None, :]
    ]
    return around


def recover(seeds: np.ndarray, usual: np.ndarray) -> Patch | None:
    """The patch that windows of seeds share and windows of comparable images lack; None when there is none."""
    levels = _levels(seeds)
    shares = np.stack([(levels == level).mean(0) for level in range(-1, codes.LEVELS)])
    pattern = shares.argmax(0) - 1
    common = (_levels(usual) == pattern).mean(0) if len(usual) else np.zeros(pattern.shape)
    mask = (pattern >= 0) & (shares.max(0) >= _AGREE) & (common <= _COMMON)
    if not mask.any():
        return None
    values = np.median(seeds, axis=0)
    return Patch(values, mask, float(np.quantile(np.abs(seeds - values)[:, mask], _AGREE)) + _SLACK)


def placed(mask: np.ndarray, corner: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A window's mask laid on an image of (h, w): 0..1."""
    height, width = shape
    full = np.zeros((height + 2 * _REACH, width + 2 * _REACH))
    full[corner[0] : corner[0] + len(mask), corner[1] : corner[1] + len(mask)] = mask
    return full[_REACH : _REACH + height, _REACH : _REACH + width]


def _levels(values: np.ndarray) -> np.ndarray:
    return np.where(values < 0, -1, values.astype(np.int32) * codes.LEVELS // 256)

"""Pixels for the report: thumbnails, an enlarged trigger, a difference of means."""

from collections.abc import Sequence

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw

from untaint.types import Image

THUMBNAIL, ENLARGED = 96, 280
_ARROWS = 14  # per side of a picture of a warp: 20 pixels each
_PAPER, _INK = (247, 247, 247), (178, 24, 43)


def thumbnail(image: Image, edge: int = THUMBNAIL) -> Image:
    """No side over `edge` pixels; small images stay as they are."""
    height, width = image.shape[:2]
    scale = edge / max(height, width)
    if scale >= 1:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = np.asarray(Pillow.fromarray(image.squeeze(2) if image.shape[2] == 1 else image).resize(size, Pillow.Resampling.BOX))
    return small if small.ndim == 3 else small[:, :, None]


def enlarged(image: Image) -> Image:
    """Whole multiples of its size, each pixel a square, up to `ENLARGED` pixels."""
    small = thumbnail(image, ENLARGED)
    factor = max(1, ENLARGED // max(small.shape[:2]))
    return small.repeat(factor, axis=0).repeat(factor, axis=1)


def trigger(picture: Image, mask: np.ndarray | None) -> Image:
    """The trigger enlarged, on a chequered ground where it does not count."""
    large = enlarged(picture)
    if mask is None or mask.shape != picture.shape[:2]:
        return large
    weights = np.clip(np.nan_to_num(mask.astype(np.float64)), 0, 1) * 255
    share = enlarged(np.round(weights).astype(np.uint8)[:, :, None]) / 255.0
    colour = np.broadcast_to(large, (*large.shape[:2], 3))
    blended: Image = np.round(share * colour + (1 - share) * _chequered(*large.shape[:2])).astype(np.uint8)
    return blended


def warp(steps: np.ndarray) -> Image:
    """Steps (h, w, 2) as arrows from where a place takes its pixels; the longest is twice as long as the places are apart."""
    height, width = steps.shape[:2]
    scale = ENLARGED / max(height, width)
    sheet = Pillow.new("RGB", (round(width * scale), round(height * scale)), _PAPER)
    pen = ImageDraw.Draw(sheet)
    apart = max(height, width) / _ARROWS
    gain = 2 * apart / max(float(np.hypot(steps[..., 0], steps[..., 1]).max()), 1e-9)
    for row in np.arange(apart / 2, height, apart):
        for column in np.arange(apart / 2, width, apart):
            down, right = steps[int(row), int(column)] * gain
            tip = np.array([column, row]) * scale
            tail = np.array([column + right, row + down]) * scale
            _arrow(pen, tail, tip)
    return np.asarray(sheet)


def _arrow(pen: ImageDraw.ImageDraw, tail: np.ndarray, tip: np.ndarray) -> None:
    along = tip - tail
    length = float(np.hypot(*along))
    if length < 1:  # under a pixel of the picture
        return
    across, head = np.array([-along[1], along[0]]) / length, along / length * min(6.0, length / 2)
    pen.line([*tail, *tip], fill=_INK, width=2)
    wings = [tip, tip - head + across * 3, tip - head - across * 3]
    pen.polygon([tuple(point) for point in wings], fill=_INK)


def _chequered(height: int, width: int) -> np.ndarray:
    rows, columns = np.indices((height, width)) // 8
    ground: np.ndarray = np.where(((rows + columns) % 2)[:, :, None] == 0, 214.0, 190.0)
    return ground


def difference(members: Sequence[Image], normal: Sequence[Image]) -> Image | None:
    """Mean of members minus mean of normal samples: red where brighter, blue where darker. None when sizes differ."""
    shapes = {image.shape[:2] for image in [*members, *normal]}
    if len(shapes) != 1 or not members or not normal:
        return None
    change = _mean(members) - _mean(normal)
    strongest = float(np.abs(change).max())
    if strongest < 1:  # less than one grey level: nothing to see
        return None
    return enlarged(_diverging(change / strongest))


def _mean(images: Sequence[Image]) -> np.ndarray:
    total = np.zeros(images[0].shape[:2])
    for image in images:
        total += image.mean(axis=2)
    return total / len(images)


def _diverging(change: np.ndarray) -> Image:
    """-1 blue, 0 near white, 1 red."""
    amount = np.abs(change)[:, :, None]
    end = np.where(change[:, :, None] > 0, np.array([178, 24, 43]), np.array([33, 102, 172]))
    picture: Image = np.round((1 - amount) * 247 + amount * end).astype(np.uint8)
    return picture

"""Drawing on stacks of images (n, h, w, c): patches, pictures over the whole image, smooth fields."""

import numpy as np
from PIL import Image as Pillow

from untaint.errors import BadInput
from untaint.types import Image, Pixels


def checked_place(shape: tuple[int, ...], size: int, row: int, column: int) -> tuple[int, int]:
    """Upper left pixel of a patch on an image (h, w, ...). Raises BadInput when the patch does not fit there."""
    if not (0 <= row <= shape[0] - size and 0 <= column <= shape[1] - size):
        message = f"a patch of {size}x{size} at {(row, column)!r} does not fit on an image of {shape[0]}x{shape[1]} pixels."
        raise BadInput(message, advice="Choose a smaller size or another position.")
    return row, column


def patched(pixels: Pixels, patch: np.ndarray, row: int, column: int) -> Pixels:
    """Copies with a square patch (s, s, 3) at one place."""
    size, copies = len(patch), pixels.copy()
    copies[:, row : row + size, column : column + size] = patch[:, :, : pixels.shape[3]]
    return copies


def area(canvas: tuple[int, ...], size: int, row: int, column: int) -> np.ndarray:
    """(h, w): 1 where a patch lies, 0 elsewhere."""
    mask = np.zeros(canvas[:2])
    mask[row : row + size, column : column + size] = 1.0
    return mask


def noise_picture(height: int, width: int, seed: int, cells: int | None = None) -> Image:
    """A picture (h, w, 3) of random colours, one per pixel, or one per cell of a coarse grid with smooth transitions."""
    side = (height, width) if cells is None else (cells, cells)
    drawn = np.random.default_rng(seed).integers(0, 256, (*side, 3), dtype=np.uint8)
    return resized(drawn, height, width)


def resized(picture: Image, height: int, width: int) -> Image:
    """A picture (h, w, 3) at another size."""
    if picture.shape[:2] == (height, width):
        return picture
    return np.asarray(Pillow.fromarray(picture).resize((width, height), Pillow.Resampling.BICUBIC))


def smooth(grid: np.ndarray, height: int, width: int) -> np.ndarray:
    """A coarse grid (a, b, c) of floats as a smooth field (h, w, c)."""
    planes = [Pillow.fromarray(plane.astype(np.float32)) for plane in np.moveaxis(grid, 2, 0)]
    return np.stack([np.asarray(plane.resize((width, height), Pillow.Resampling.BICUBIC)) for plane in planes], axis=2)


def blended(pixels: Pixels, picture: np.ndarray, weight: float | np.ndarray) -> Pixels:
    """(1 - weight) image + weight picture; weight: a number, or an array that broadcasts to (n, h, w, c)."""
    return np.round((1 - weight) * pixels + weight * picture).astype(np.uint8)


def added(pixels: Pixels, change: np.ndarray) -> Pixels:
    """Images plus a change in grey levels, kept within 0..255."""
    return np.clip(np.round(pixels + change), 0, 255).astype(np.uint8)

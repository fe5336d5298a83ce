"""Decode images safely: known formats only, bounded size, every failure a BadInput."""

import io
import warnings

import numpy as np
from PIL import Image as Pillow

from untaint.errors import BadInput
from untaint.types import Image

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM")
"""What is opened; Pillow knows some fifty more whose decoders nobody audits."""
MAX_PIXELS = 64_000_000
"""Larger than any camera that feeds a classifier; a bomb claims billions."""


def decode(payload: object) -> Image:
    """An image as (h, w, c) uint8, c = 1 for grey and 3 for colour.

    payload: encoded bytes, or an array (h, w), (h, w, 1), (h, w, 3), (h, w, 4), integer 0..255 or float 0..1.
    Raises BadInput for anything that is not a readable image.
    """
    if isinstance(payload, bytes):
        return _decode_bytes(payload)
    if isinstance(payload, np.ndarray):
        return _from_array(payload)
    raise BadInput(f"expected an image, got {type(payload).__name__}.")


def _decode_bytes(payload: bytes) -> Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Pillow.open(io.BytesIO(payload), formats=FORMATS) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    raise BadInput(f"image of {picture.width}x{picture.height} pixels is over the limit of {MAX_PIXELS:,}.")
                return _to_array(picture)
    except BadInput:
        raise
    except Exception as error:  # Pillow's plug-ins raise anything on crafted files: TypeError, struct.error, …
        raise BadInput(f"not a readable image: {error}.") from error


def _to_array(picture: Pillow.Image) -> Image:
    if picture.mode in {"I;16", "I;16B", "I"}:
        return (np.asarray(picture, dtype=np.int64) >> 8).clip(0, 255).astype(np.uint8)[:, :, None]
    grey = picture.mode in {"1", "L", "LA"}
    array = np.asarray(picture.convert("L" if grey else "RGB"))
    return array[:, :, None] if grey else array


def _from_array(array: np.ndarray) -> Image:
    shaped = array[:, :, None] if array.ndim == 2 else array
    if shaped.ndim != 3 or shaped.shape[2] not in {1, 3, 4} or 0 in shaped.shape:
        raise BadInput(f"expected an image (h, w), (h, w, 1), (h, w, 3) or (h, w, 4), got shape {array.shape}.")
    shaped = shaped[:, :, :3] if shaped.shape[2] == 4 else shaped
    if shaped.dtype == np.uint8:
        return shaped
    if not np.isfinite(shaped).all():
        raise BadInput("image has values that are not finite (NaN or infinity).")
    scale = 255.0 if np.issubdtype(shaped.dtype, np.floating) and shaped.max() <= 1.0 else 1.0
    return np.clip(np.round(shaped * scale), 0, 255).astype(np.uint8)


def encode_png(image: Image) -> bytes:
    """An (h, w, c) image as PNG bytes, c = 1 or 3."""
    buffer = io.BytesIO()
    Pillow.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).save(buffer, "PNG")
    return buffer.getvalue()

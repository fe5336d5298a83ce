"""Edit an image and leave its payload the kind it was: encoded bytes stay encoded, arrays keep shape and type."""

from collections.abc import Callable

import numpy as np

from untaint.data.dataset import Payload
from untaint.data.images import decode, encode_png
from untaint.errors import BadInput
from untaint.types import Image


def redraw(payload: Payload, change: Callable[[Image], Image]) -> Payload:
    """The payload of the changed image. Encoded images become PNG, which keeps a faint trigger whole; transparency in them is lost.

    Raises BadInput for a payload that is not an image.
    """
    return recoded(payload, change(decode(payload)))


def recoded(payload: Payload, image: Image) -> Payload:
    """Another image as a payload of the same kind: PNG bytes for encoded bytes, the same shape and type for an array.

    Raises BadInput for a payload that is not an image.
    """
    if isinstance(payload, bytes):
        return encode_png(image)
    if isinstance(payload, np.ndarray):
        return _like(payload, image)
    raise BadInput(f"expected an image, got {type(payload).__name__}.")


def _like(array: np.ndarray, image: Image) -> np.ndarray:
    unit = np.issubdtype(array.dtype, np.floating) and array.max() <= 1.0  # the scale `decode` reads it with
    scaled = (image / 255.0 if unit else image).astype(array.dtype)
    if array.ndim == 2:
        return scaled[:, :, 0]
    return np.concatenate([scaled, array[:, :, 3:]], axis=2) if array.shape[2] > image.shape[2] else scaled

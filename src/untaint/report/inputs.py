"""Inputs of a model as a page shows them: pictures as data URIs, rows of a table as cells."""

import base64
from io import BytesIO

import numpy as np
from PIL import Image as Pillow

from untaint.features.inputs import Encoding
from untaint.features.spelled import cells
from untaint.report import rasters
from untaint.types import Image, Mask

_EDGE = 112  # pixels of a thumbnail's side at least: single pixels of small pictures can then be seen
_FRAME = (214, 39, 40)  # red, which neither paper nor ink is
_CELLS = 12  # of a row


def shown(one: np.ndarray, encoding: Encoding) -> dict[str, object]:
    """picture: a data URI, or None; cells: of a row, the first dozen; nothing of texts, which are numbers here."""
    if one.ndim == 3:
        return {"picture": uri(large(one)), "cells": {}}
    if encoding.modality == "table":
        return {"picture": None, "cells": dict(list(cells(encoding, one).items())[:_CELLS])}
    return {"picture": None, "cells": {}}


def large(image: Image) -> Image:
    """A picture in whole multiples of its size."""
    factor = max(1, -(-_EDGE // max(image.shape[:2])))
    return rasters.thumbnail(image.repeat(factor, axis=0).repeat(factor, axis=1), 2 * _EDGE)


def framed(image: Image, mask: Mask) -> str:
    """A picture with a line around a part of it, as a data URI."""
    factor = max(1, -(-2 * _EDGE // max(image.shape[:2])))
    wide, marked = (each.repeat(factor, axis=0).repeat(factor, axis=1) for each in (image, mask))
    inner = np.ones_like(marked)
    for axis in (0, 1):
        for step in (-1, 1):
            inner &= np.roll(marked, step, axis)
    coloured = np.repeat(wide, 3, axis=2) if wide.shape[2] == 1 else wide.copy()
    coloured[marked & ~inner] = _FRAME
    return uri(coloured)


def uri(image: Image) -> str:
    """PNG inside a page."""
    held = BytesIO()
    Pillow.fromarray(image.squeeze(2) if image.shape[2] == 1 else image).save(held, "PNG")
    return f"data:image/png;base64,{base64.b64encode(held.getvalue()).decode()}"

"""Whether two contents are nearly the same: pictures by what they show and where they differ, texts by what they share.

A perceptual hash alone calls a picture with a small patch in it a near copy of the clean one, at distance 0. So a near copy is also
laid over the other: what encoding changes is spread thinly, what somebody put in is in one place.
"""

import re
import unicodedata
from typing import Literal, TypeAlias

import numpy as np
from PIL import Image as Pillow

from untaint.data.dataset import Payload
from untaint.data.images import decode
from untaint.errors import BadInput

Nearness: TypeAlias = Literal["same", "local", "other", "unreadable"]
"""same: encoded, scaled or lit otherwise, or other white space.  local: nearly the same, but for a place.  other: something else."""
SIDE, _BLOCK = 64, 4  # pixels of the pictures compared, and of a block of them
_HASH = 8
"""Side of the difference hash (dHash): 64 comparisons of neighbouring means."""
_ALIKE = 0.2
"""Share of the hash that may differ. Of 120 crops of two photographs, JPEG 40, halving, a mark or a 3 % crop changed at most .20,
other pictures at least .23."""
_LOCAL = 16.0
"""Grey levels by which the worst block may differ. On the same crops JPEG of quality 40 to 90 stays under 12, patches of 16 pixels
begin at 20, of 5 pixels at 2, the median at 37."""
_SHINGLE = 5  # characters
SHARED = 0.7
"""Share of shingles (Jaccard) from which texts are near copies: about one word in eight may differ."""


def nearness(old: Payload, new: Payload) -> Nearness:
    """How near one content is to the other."""
    if isinstance(old, str) and isinstance(new, str):
        return _of_texts(old, new)
    try:
        return nearness_of_pictures(picture_of(old), picture_of(new))
    except BadInput:
        return "unreadable"


def _of_texts(old: str, new: str) -> Nearness:
    one, other = plain(old), plain(new)
    if one == other:
        return "same"
    shingles = [{text[place : place + _SHINGLE] for place in range(max(1, len(text) - _SHINGLE + 1))} for text in (one, other)]
    return "local" if len(shingles[0] & shingles[1]) >= SHARED * len(shingles[0] | shingles[1]) else "other"


def plain(text: str) -> str:
    """A text without what encoding and layout change."""
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text)).strip()


def picture_of(payload: Payload) -> Pillow.Image:
    """A picture in eight bits and three colours. Raises BadInput for what is none."""
    pixels = np.asarray(decode(payload))
    if pixels.dtype != np.uint8:
        low, high = float(pixels.min()), float(pixels.max())
        pixels = np.rint((pixels - low) * (255 / max(high - low, 1e-12))).astype(np.uint8)
    return Pillow.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels[..., :3]).convert("RGB")


def nearness_of_pictures(old: Pillow.Image, new: Pillow.Image) -> Nearness:
    """How near one picture is to the other; of both in small, too."""
    if (_difference_hash(old) != _difference_hash(new)).mean() > _ALIKE:
        return "other"
    return "local" if _worst_block(old, new) > _LOCAL else "same"


def _difference_hash(picture: Pillow.Image) -> np.ndarray:
    grey = np.asarray(picture.convert("L").resize((_HASH + 1, _HASH), Pillow.Resampling.BOX), np.float64)
    return grey[:, 1:] > grey[:, :-1]


def _worst_block(old: Pillow.Image, new: Pillow.Image) -> float:
    """Mean difference of the block that differs most, brightness and contrast of every colour taken out."""
    one, other = (
        np.asarray(picture.resize((SIDE, SIDE), Pillow.Resampling.BOX), np.float64).reshape(-1, 3) for picture in (old, new)
    )
    centred = one - one.mean(axis=0)
    spread = (centred**2).sum(axis=0)
    gain = np.where(spread > 0, (centred * (other - other.mean(axis=0))).sum(axis=0) / np.maximum(spread, 1e-12), 1.0)
    rest = np.abs(other - other.mean(axis=0) - gain * centred).mean(axis=1).reshape(SIDE, SIDE)
    blocks = rest.reshape(SIDE // _BLOCK, _BLOCK, SIDE // _BLOCK, _BLOCK).mean(axis=(1, 3))
    return float(blocks.max())

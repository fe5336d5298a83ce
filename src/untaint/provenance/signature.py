"""What is kept of a body that a server sent, so that a later one can be told from it: the picture in small, or a sketch of the text.

A digest tells only whether bytes are the same, and of honest URLs many are not. A picture is kept as 64 × 64 pixels, because the few
bits of a perceptual hash are the same with a small patch in it; a text as the 256 smallest hashes of its shingles, whose overlap estimates
their Jaccard similarity within .03 (Broder 1997, bottom-k sketches).
"""

import io
from typing import Final, Literal, NamedTuple, TypeAlias, final

import numpy as np
from PIL import Image as Pillow

from untaint.errors import BadInput
from untaint.provenance.near import SHARED, SIDE, Nearness, nearness_of_pictures, picture_of, plain

Kind: TypeAlias = Literal["picture", "text"]
_KEPT: Final = 256
"""Hashes of a sketch: the estimate's standard deviation is √(.7 · .3 / 256) = .03 where it decides."""
_SHINGLE = 8  # bytes: a word of the machine
_READ = 1 << 20  # bytes of a text that are sketched; what comes after a megabyte repeats its layout
_MIX = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)  # of splitmix64 (Steele, Lea, Flood 2014)


@final
class Signature(NamedTuple):
    """kind: what the body was.  data: a PNG of 64 × 64 pixels, or hashes as little-endian words, ascending."""

    kind: Kind
    data: bytes


def signature_of(body: bytes) -> Signature | None:
    """The signature of a body; None for what is neither a picture that is safe to decode nor a text. Nothing of it is run."""
    try:
        small = picture_of(body).resize((SIDE, SIDE), Pillow.Resampling.BOX)
    except BadInput:
        return _of_text(body)
    out = io.BytesIO()
    small.save(out, "PNG")
    return Signature("picture", out.getvalue())


def nearness_of(old: Signature | None, new: Signature | None) -> Nearness:
    """How near one body is to another whose bytes differ."""
    if old is None or new is None or old.kind != new.kind:
        return "other"
    if old.kind == "picture":
        try:
            return nearness_of_pictures(picture_of(old.data), picture_of(new.data))
        except BadInput:
            return "unreadable"
    shared = _shared(np.frombuffer(old.data, "<u8"), np.frombuffer(new.data, "<u8"))
    return "same" if shared == 1 else "local" if shared >= SHARED else "other"


def _of_text(body: bytes) -> Signature | None:
    text = "" if b"\0" in body else plain(body[:_READ].decode("utf-8", "replace"))
    if not text:
        return None
    raw = np.frombuffer(text.encode().ljust(_SHINGLE), np.uint8)
    words = np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(raw, _SHINGLE)).view("<u8").ravel()
    hashes = np.unique(_mixed(words))
    return Signature("text", hashes[:_KEPT].astype("<u8").tobytes())


def _mixed(words: np.ndarray) -> np.ndarray:
    """splitmix64's finaliser."""
    found = words.astype(np.uint64)
    for shift, factor in ((30, _MIX[0]), (27, _MIX[1])):
        found = (found ^ (found >> np.uint64(shift))) * np.uint64(factor)
    return found ^ (found >> np.uint64(31))


def _shared(old: np.ndarray, new: np.ndarray) -> float:
    """Jaccard similarity of the sets of which these are the smallest hashes."""
    together = np.union1d(old, new)[:_KEPT]
    return float(np.isin(together, np.intersect1d(old, new)).mean()) if len(together) else 1.0

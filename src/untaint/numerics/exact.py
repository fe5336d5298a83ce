"""3x3 patches that are equal in every channel value, across a whole set: photographs share hardly any."""

from dataclasses import dataclass
from typing import final

import numpy as np

from untaint.numerics.codes import SIDE

_BUCKETS = 1 << 24  # for a first count; a photograph of 32x32 has 900 patches
_MIX = np.uint64(0xBF58476D1CE4E5B9)  # an odd number with mixed bits (Steele, Lea, Flood 2014, doi 10.1145/2660193.2660195)


@final
@dataclass(frozen=True)
class Shared:
    """Which images bear which shared patch: one entry per patch and image, ordered by patch.

    keys (p,) uint64 hashes.  patch (e,) index into keys.  image (e,).  corner (e, 2) where it lies first.
    """

    keys: np.ndarray
    patch: np.ndarray
    image: np.ndarray
    corner: np.ndarray


def hashes(images: np.ndarray) -> np.ndarray:
    """(n, h-2, w-2) uint64 hash of every 3x3 patch of (n, h, w, c) uint8 images."""
    odd = np.random.default_rng(0).integers(1, 2**62, images.shape[3] + SIDE * SIDE, dtype=np.uint64) * np.uint64(2) + np.uint64(
        1
    )
    height, width = images.shape[1] - SIDE + 1, images.shape[2] - SIDE + 1
    mixed = sum(images[..., channel].astype(np.uint64) * odd[channel] for channel in range(images.shape[3]))
    mixed = (mixed ^ (mixed >> np.uint64(31))) * _MIX
    total = np.zeros((len(images), height, width), np.uint64)
    for cell in range(SIDE * SIDE):
        i, j = divmod(cell, SIDE)
        total += mixed[:, i : i + height, j : j + width] * odd[images.shape[3] + cell]
    return total ^ (total >> np.uint64(32))


def shared(images: np.ndarray, rows: np.ndarray, least: int, most: float, batch: int = 1024) -> Shared:
    """Patches that at least `least` and at most `most` of some rows of (n, h, w, c) images bear, at any place.

    Images smaller than a patch share none.
    """
    if min(images.shape[1:3]) < SIDE:
        nothing = np.empty(0, np.int64)
        return Shared(np.empty(0, np.uint64), nothing, nothing, np.empty((0, 2), np.int64))
    counts = np.zeros(_BUCKETS, np.int32)
    parts = [rows[start : start + batch] for start in range(0, len(rows), batch)]
    for part in parts:
        found = np.sort(hashes(images[part]).reshape(len(part), -1), axis=1)
        first = np.ones(found.shape, bool)
        first[:, 1:] = found[:, 1:] != found[:, :-1]
        counts += np.bincount(_bucket(found[first]), minlength=_BUCKETS).astype(np.int32)
    wanted = (counts >= least) & (counts <= most)
    keys, image, place = [], [], []
    for part in parts:
        found = hashes(images[part]).reshape(len(part), -1)
        row, position = np.nonzero(wanted[_bucket(found)])
        keys.append(found[row, position])
        image.append(part[row])
        place.append(position)
    width = images.shape[2] - SIDE + 1
    return _gathered(np.concatenate(keys), np.concatenate(image), np.concatenate(place), width, least)


def _bucket(keys: np.ndarray) -> np.ndarray:
    return (keys & np.uint64(_BUCKETS - 1)).astype(np.int64)


def _gathered(keys: np.ndarray, image: np.ndarray, place: np.ndarray, width: int, least: int) -> Shared:
    """One entry per key and image, the first; keys in fewer than `least` images (others fell into their bucket) go."""
    order = np.argsort(keys, kind="stable")
    keys, image, place = keys[order], image[order], place[order]
    new = np.ones(len(keys), bool)
    new[1:] = keys[1:] != keys[:-1]
    first = new.copy()
    first[1:] |= image[1:] != image[:-1]
    keys, image, place, new = keys[first], image[first], place[first], new[first]
    group = np.cumsum(new) - 1
    often = np.bincount(group, minlength=1) >= least
    kept = often[group] if len(group) else np.empty(0, bool)
    named = np.cumsum(often) - 1
    corner = np.stack(np.divmod(place[kept], width), axis=1)
    return Shared(keys[new][often[: int(new.sum())]], named[group[kept]], image[kept], corner)

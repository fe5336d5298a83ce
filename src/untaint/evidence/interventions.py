"""Changes made to images to see what a network answers: the recovered trigger, and controls of the same size that are not it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from untaint.evidence.evidence import Trigger
from untaint.numerics.warps import resampled
from untaint.types import Labels, Pixels

_DRAWS = 8  # random controls differ from image to image: one lucky draw decides nothing
_FLAT = 8.0  # grey levels; the pixels of a patch that spread less are all alike, and shuffling them changes nothing
_COMPONENT_ROWS = 500  # images a class's strongest variation is estimated from
ELSEWHERE, SHUFFLED, TURNED = "at other places", "shuffled pixels", "turned by 90 degrees"
REVERSED = "the other way round"
NATURAL, WITHIN = "natural direction between classes", "natural variation within the class"


@final
@dataclass(frozen=True)
class Natural:
    """What honest images of each class look like. means (k, h, w, c); variations (k, h, w, c) unit length, zero where unknown."""

    means: np.ndarray
    variations: np.ndarray


def natural(pixels: Pixels, labels: Labels, rows: np.ndarray, classes: int) -> Natural:
    """From some rows, of which those should be left out that anybody accuses."""
    shape = (classes, *pixels.shape[1:])
    means, variations = np.zeros(shape), np.zeros(shape)
    for number in range(classes):
        inside = rows[labels[rows] == number]
        if len(inside) == 0:
            continue
        chosen = pixels[inside[:: max(1, -(-len(inside) // _COMPONENT_ROWS))]].astype(np.float32)
        means[number] = chosen.mean(0)
        centred = (chosen - chosen.mean(0)).reshape(len(chosen), -1)
        if len(chosen) > 2:
            _, vectors = np.linalg.eigh(centred @ centred.T)
            direction = vectors[:, -1] @ centred
            variations[number] = (direction / max(float(np.linalg.norm(direction)), 1e-9)).reshape(shape[1:])
    return Natural(means, variations)


def stamped(trigger: Trigger, images: Pixels) -> Pixels:
    """Images with the trigger: pasted where its mask says, added, or warped."""
    if trigger.steps is not None:
        return resampled(images, trigger.steps[None].astype(np.float32))
    if trigger.pattern is not None:
        return added(images, trigger.pattern)
    return _pasted(images, *_patch(trigger))


def intervenable(trigger: Trigger | None, shape: tuple[int, ...]) -> bool:
    """Can it be put on images of this shape?"""
    if trigger is None:
        return False
    if trigger.type == "warp":
        return trigger.steps is not None and trigger.steps.shape == (*shape[:2], 2)
    if trigger.type == "additive":
        return trigger.pattern is not None and trigger.pattern.shape == shape
    known = trigger.type == "patch" and trigger.picture is not None and trigger.mask is not None
    return known and trigger.picture.shape == shape and trigger.mask.shape == shape[:2]  # type: ignore[union-attr]


def controls(
    trigger: Trigger, images: Pixels, shown: Labels, wanted: Labels, honest: Natural, rng: np.random.Generator
) -> Mapping[str, Pixels]:
    """The same images under other changes. shown, wanted: what class each image shows, and the one the trigger should force.

    The same pixels in another order or place; and directions in which honest classes differ, scaled image by image to the size
    of the trigger's change: moving far enough towards a class makes any network answer it. For a patch they are confined to
    its place, or a change of its size would redraw a small image.
    """
    size = np.sqrt(((stamped(trigger, images).astype(np.float32) - images) ** 2).sum((1, 2, 3)))
    where = np.ones(images.shape[1:3])
    if trigger.steps is not None:
        found = _of_warp(trigger, images)
    elif trigger.pattern is not None:
        found = _of_pattern(trigger.pattern, images, rng)
    else:
        found, where = _of_patch(trigger, images, rng), _patch(trigger)[1]
    found[NATURAL] = added(images, _scaled((honest.means[wanted] - honest.means[shown]) * where[:, :, None], size))
    sign = np.where(rng.random(len(images)) < 0.5, -1.0, 1.0)[:, None, None, None]
    found[WITHIN] = added(images, _scaled(sign * honest.variations[wanted] * where[:, :, None], size))
    return found


def added(images: Pixels, change: np.ndarray) -> Pixels:
    """Images plus a change, one for all or one each, within 0..255."""
    return np.clip(np.round(images + change), 0, 255).astype(np.uint8)


def _of_pattern(pattern: np.ndarray, images: Pixels, rng: np.random.Generator) -> dict[str, Pixels]:
    flat = pattern.reshape(-1, pattern.shape[2])
    shuffled = np.stack([rng.permutation(flat).reshape(pattern.shape) for _ in range(_DRAWS)])
    found = {SHUFFLED: added(images, shuffled[np.arange(len(images)) % _DRAWS])}
    if pattern.shape[0] == pattern.shape[1]:
        found[TURNED] = added(images, np.rot90(pattern))
    return found


def _of_warp(trigger: Trigger, images: Pixels) -> dict[str, Pixels]:
    assert trigger.steps is not None  # noqa: S101 - asked by `controls`
    found = {REVERSED: stamped(replace(trigger, steps=-trigger.steps), images)}
    if trigger.steps.shape[0] == trigger.steps.shape[1]:
        turned = np.rot90(trigger.steps)
        found[TURNED] = stamped(replace(trigger, steps=np.stack([-turned[..., 1], turned[..., 0]], -1)), images)
    return found


def _of_patch(trigger: Trigger, images: Pixels, rng: np.random.Generator) -> dict[str, Pixels]:
    picture, mask = _patch(trigger)
    found = {}
    if trigger.parameters.get("position") != "anywhere":  # a moving patch works at other places, by intention
        found[ELSEWHERE] = _each(images, [_moved(picture, mask, rng) for _ in range(_DRAWS)])
    if float(picture[mask].std(0).max()) >= _FLAT:
        found[SHUFFLED] = _each(images, [(_reordered(picture, mask, rng), mask) for _ in range(_DRAWS)])
    return found


def _patch(trigger: Trigger) -> tuple[np.ndarray, np.ndarray]:
    assert trigger.picture is not None  # noqa: S101 - said by `intervenable`
    assert trigger.mask is not None  # noqa: S101
    return trigger.picture, trigger.mask > 0.5


def _pasted(images: Pixels, picture: np.ndarray, mask: np.ndarray) -> Pixels:
    return np.where(mask[:, :, None], picture, images)


def _each(images: Pixels, patches: list[tuple[np.ndarray, np.ndarray]]) -> Pixels:
    """Every image gets one of the patches in turn."""
    result = images.copy()
    for number, (picture, mask) in enumerate(patches):
        result[number :: len(patches)] = _pasted(images[number :: len(patches)], picture, mask)
    return result


def _moved(picture: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Picture and mask at a random other place that does not touch the old one, as far as there is one."""
    rows, columns = np.nonzero(mask)
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    tops, lefts = np.meshgrid(np.arange(mask.shape[0] - height + 1), np.arange(mask.shape[1] - width + 1), indexing="ij")
    apart = (abs(tops - rows.min()) >= height) | (abs(lefts - columns.min()) >= width)
    places = np.argwhere(apart if apart.any() else np.ones_like(apart))
    top, left = places[rng.integers(len(places))]
    shift = (int(top - rows.min()), int(left - columns.min()))
    return np.roll(picture, shift, (0, 1)), np.roll(mask, shift, (0, 1))


def _reordered(picture: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    result = picture.copy()
    result[mask] = rng.permutation(picture[mask])
    return result


def _scaled(change: np.ndarray, size: np.ndarray) -> np.ndarray:
    """(m, h, w, c) changes of the given lengths."""
    length = np.sqrt((change**2).sum((1, 2, 3)))
    scaled: np.ndarray = change * (size / np.maximum(length, 1e-9))[:, None, None, None]
    return scaled

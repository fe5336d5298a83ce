"""What a recurring patch is: grown from its code to the whole trigger, drawn, and aimed at a class."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from untaint.evidence.evidence import Evidence, Group, Trigger
from untaint.features.content import Content, judged_without
from untaint.features.duplicates import NearCopies
from untaint.numerics import codes, patches, pictures
from untaint.types import Labels, Pixels, Rows

LEAST_EFFECT = 0.4
"""Share of a trigger's bearers whose content contradicts their label, beyond what their classes do anyway. Half of them would
do for a trigger that is also put on honest cover samples; on clean Fashion-MNIST and MNIST no code with more than chance
support passes 0.4."""
HOPELESS = 0.05
"""Above this corrected p-value no later stage calls anything a finding; the search may stop."""
_AGREE = 0.9
"""Share of what members show from which one source class is named."""


@final
@dataclass(frozen=True)
class Suspects:
    """What the search looks at.

    grey: (n, h, w) uint8 luminance.  weights: (n,) a family of near-copies counts as one.  rows: usable, not yet explained.
    """

    pixels: Pixels
    grey: np.ndarray
    labels: Labels
    content: Content
    weights: np.ndarray
    class_names: tuple[str, ...]
    rows: Rows


def suspects(pixels: Pixels, labels: Labels, content: Content, near_copies: NearCopies, class_names: tuple[str, ...]) -> Suspects:
    """Every usable row, from the features a patch detector asks for."""
    grey, rows = pictures.luminance(pixels), np.flatnonzero(labels >= 0)
    return Suspects(pixels, grey, labels, content, near_copies.weights, class_names, rows)


def one_by_one(suspects: Suspects, best: Callable[[Suspects], Group | None], rounds: int) -> Evidence:
    """The best group, then the best among the rows it leaves, and so on until `best` finds none. Scores are statistics."""
    scores = np.full(len(suspects.labels), np.nan, np.float32)
    height, width = suspects.grey.shape[1:]
    if min(height, width) < codes.SIDE:
        return Evidence(scores, "empirical", note=f"images of {height}x{width} pixels have no 3x3 patch")
    scores[suspects.rows] = 0
    groups: list[Group] = []
    for _ in range(rounds):
        group = best(suspects)
        if group is None:
            break
        scores[group.members] = np.maximum(scores[group.members], group.statistic)
        suspects = replace(suspects, rows=np.setdiff1d(suspects.rows, group.members))
        groups.append(group)
    return Evidence(scores, "empirical", tuple(groups))


def grown(suspects: Suspects, bearers: Rows, corners: np.ndarray) -> patches.Patch | None:
    """The trigger around the 3x3 patch that bearers have at corners (m, 2); None when too few contradicted ones speak for it."""
    seeds = suspects.content.contradicted[bearers]
    if seeds.sum() < 4:
        return None
    windows = patches.windows(suspects.grey, bearers[seeds], corners[seeds])
    others = _alike(suspects, bearers[seeds])
    usual = patches.windows(suspects.grey, others, np.resize(corners[seeds], (len(others), 2)))
    return patches.recover(windows, usual)


def _alike(suspects: Suspects, seeds: Rows, most: int = 2000) -> np.ndarray:
    """Other images that show the same classes as the seeds: what the background of the trigger usually looks like."""
    shown = suspects.content.probabilities.argmax(1)
    rows = np.setdiff1d(suspects.rows, seeds)
    parts = []
    for number, count in zip(*np.unique(shown[seeds], return_counts=True), strict=True):
        same = rows[shown[rows] == number]
        parts.append(same[:: max(1, int(len(same) * len(seeds) / (most * count)))])
    return np.concatenate(parts)


def target(labels: Labels, class_names: tuple[str, ...]) -> tuple[str | None, float]:
    """The class most members are labelled as, None when it holds under half (all-to-all), and its share."""
    if len(labels) == 0:
        return None, 0.0
    shares = np.bincount(labels) / len(labels)
    top = int(shares.argmax())
    return (class_names[top] if shares[top] > 0.5 else None), float(shares[top])


def source(suspects: Suspects, members: Rows) -> str | None:
    """The class the members show to judges that have not seen them, when nine in ten show one."""
    shown = judged_without(suspects.content, suspects.pixels, suspects.labels, members)[1].argmax(1)
    shares = np.bincount(shown, minlength=len(suspects.class_names)) / len(members)
    return suspects.class_names[int(shares.argmax())] if shares.max() >= _AGREE else None


def drawn(
    suspects: Suspects, members: Rows, seen: tuple[Rows, np.ndarray], patch: patches.Patch | None, *, floating: bool
) -> Trigger:
    """The median of the members around the patch, on the canvas; a floating patch is drawn where one member shows it.

    seen: bearers and their corners.
    """
    (bearers, corners), pixels = seen, suspects.pixels
    shown = np.flatnonzero(np.isin(bearers, members))
    example, corner = (bearers[shown[0]], corners[shown[0]]) if len(shown) else (members[0], corners[0])
    mask = patches.placed(patches.CORE if patch is None else patch.mask, corner, pixels.shape[1:3])
    picture = pixels[example] if floating else np.median(pixels[members[:2000]], axis=0).astype(np.uint8)
    rows, columns = np.nonzero(mask)
    place = "anywhere" if floating else f"row {rows.min()}, column {columns.min()}"
    size = f"{np.ptp(rows) + 1}x{np.ptp(columns) + 1}"
    return Trigger("patch", f"A patch of {size} pixels, {place}.", {"position": place, "size": size}, picture, mask)

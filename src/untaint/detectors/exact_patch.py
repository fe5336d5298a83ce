"""Patches shared to the last bit by images of all kinds that bear one label."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, final

import numpy as np
from scipy.stats import binom

from untaint.detectors.base import Detector
from untaint.evidence import patch_groups
from untaint.evidence.evidence import Evidence, Group
from untaint.evidence.override import Bearing, Overrides, most_of, overrides, posterior
from untaint.evidence.patch_groups import HOPELESS, LEAST_EFFECT, Suspects, drawn, grown
from untaint.features.content import Content, alone, excess, judged_without, usual_contradiction
from untaint.features.duplicates import NearCopies
from untaint.numerics import codes, exact, pictures
from untaint.types import Labels, Mask, Pixels, Rows

_WRONG = 0.1
"""Share of the images set aside that may be honest by the estimate: the local false-discovery rate, averaged over them."""
_PLACE = 0.125  # share of the image that a jittered patch's corners may cover; beyond it floats
_LEAST_SHARE = 0.25  # of bearers whose label the attacker chose: he may cover every poisoned image with two or three honest ones
_AGREED, _USUAL = 0.4, 0.05
"""A pixel belongs to the trigger where so many of its bearers have one value there, and at most so many of all others have it: a
smooth change lies bare where an image is black, which is here in one and there in another."""
_PIXELS = codes.SIDE**2  # of the trigger, that an image without the patch must show: as many as a patch has
_GROWTH = 3  # rounds: a trigger that more bear is known in more pixels
_LARGE = 0.1  # of an image's pixels, from which a trigger is said to be more than a patch
_LEVELS, _AT_ONCE = 256, 1 << 22  # grey levels; pixels looked at in one go
_TRIED = 20  # patches whose content is judged in one round: the shifted halves of one trigger are nine


@final
@dataclass(frozen=True)
class Found:
    """A shared patch, the label it goes with, and the rows that bear it with the corners where they do."""

    key: np.uint64
    label: int
    bearers: Rows
    corners: np.ndarray
    root: float
    share: float
    p_value: float
    tests: int


@final
@dataclass(frozen=True)
class ExactPatch(Detector):
    """Finds a 3x3 patch, equal in every channel value and at any place, whose bearers have one label whatever they show.

    All patches of all images are hashed; photographs share hardly any, drawn images some thousands. For each shared patch and
    label, the bearers with that label are compared with the number that content predicts for the very same images (binomial
    deviance, signed root, spread of the null from the pairs that have other bearers). A patch counts as well by itself where it
    stands out from what is around it: white corners are common, white squares are not. The bearers must also contradict their
    label: a watermark on the honest photographs of one class goes with the label and contradicts nothing; it is told as a
    shortcut. How many more have the label than should, and how well content explains its own, is each bearer's probability of
    being poisoned: as many are set aside as keeps the honest ones among them to one in ten. Images with that label that do not
    bear the patch but show the bearers' values in more pixels than any image of another label go with them.

    Works when: a patch repeats bit for bit, fixed, jittered or floating, with or without honest cover samples. From about twenty
        images on, also where content is hard to judge (photographs). So does a smooth pattern over images with even backgrounds.
    Fails when: images were compressed with loss or resized after the patch was set; when labels are clean or spread over all
        classes; when the trigger is warped, or blended into images without even parts.
    Cost: two passes over all patches and a sort of those that are shared; needs no network.
    Reference: own method; local false-discovery rate Efron 2004, doi 10.1198/016214504000000089; the attack it answers:
        Gu, Dolan-Gavitt, Garg 2017, arXiv 1708.06733
    """

    id: ClassVar[str] = "exact-patch"
    least_bearers: int = 16  # families; four look-alikes and their shifted copies, if no family joins those, are twelve
    most_share: float = 0.25
    rounds: int = 6

    @property
    def budget(self) -> str:
        return "fast"

    def examine(
        self, pixels: Pixels, labels: Labels, content: Content, near_copies: NearCopies, class_names: tuple[str, ...]
    ) -> Evidence:
        suspects = patch_groups.suspects(pixels, labels, content, near_copies, class_names)
        found = exact.shared(pixels, suspects.rows, self.least_bearers, self.most_share * len(suspects.rows))
        best = partial(self._best, found=found, apart=_apart(suspects, found))
        return patch_groups.one_by_one(suspects, best, self.rounds)

    def _best(self, suspects: Suspects, found: exact.Shared, apart: Mask) -> Group | None:
        """The most surprising patch whose bearers contradict their label, as a group; None when there is none."""
        left = np.isin(found.image, suspects.rows)
        number = len(found.keys)
        features = np.concatenate([found.patch[left], found.patch[left & apart] + number])
        entries = np.concatenate([np.flatnonzero(left), np.flatnonzero(left & apart)])
        bearing = Bearing(features, found.image[entries], 2 * number)
        probabilities = np.nan_to_num(suspects.content.probabilities)
        tested = overrides(bearing, suspects.labels, probabilities, suspects.weights, self.least_bearers, _LEAST_SHARE)
        roots = np.where(tested.effects >= _LEAST_SHARE, tested.roots, -np.inf)
        weaker: Group | None = None
        for turn, top in enumerate(np.argsort(-roots, kind="stable")[:_TRIED].tolist()):
            if not np.isfinite(roots[top]):
                break
            located = _located(found.keys[tested.feature[top] % number], tested, top, bearing, found.corner[entries])
            if located.p_value > HOPELESS:
                break
            group = _explained(located, suspects, turn)
            if group is not None and group.contradiction >= LEAST_EFFECT:
                return group
            weaker = weaker or group
        return weaker


def _apart(suspects: Suspects, found: exact.Shared) -> Mask:
    """(e,) which entries stand out from what is around them, at the place where their image has them first."""
    result = np.zeros(len(found.image), bool)
    order = np.argsort(found.image, kind="stable")
    image = found.image[order]
    for rows in _batches(np.unique(image)):
        low, high = np.searchsorted(image, [rows[0], rows[-1] + 1])
        some = order[low:high]
        place = np.searchsorted(rows, image[low:high])
        result[some] = _standing_out(suspects, rows)[place, found.corner[some, 0], found.corner[some, 1]]
    return result


def _standing_out(suspects: Suspects, rows: Rows) -> Mask:
    return codes.standing_out(pictures.cut(suspects.grey[rows], codes.LEVELS))


def _located(key: np.uint64, tested: Overrides, which: int, bearing: Bearing, corners: np.ndarray) -> Found:
    own = bearing.feature == tested.feature[which]
    bearers = bearing.row[own]
    root, share = tested.root_beside(which, bearers), float(tested.effects[which])
    return Found(key, int(tested.label[which]), bearers, corners[own], root, share, tested.p_value(root), tested.tests)


def _explained(found: Found, suspects: Suspects, turn: int) -> Group | None:
    """What bears the patch, judged by content; None where nothing can be set aside.

    Without content that speaks against the label it may be a watermark of one class, and is told as such. turn: how many
    patches were judged before this one.
    """
    labels, names = suspects.labels, suspects.class_names
    aimed = labels[found.bearers] == found.label
    seeds, corners = found.bearers[aimed], found.corners[aimed]
    carried = _carried(found, corners, suspects)
    members = carried.rows[carried.chosen]
    if len(members) == 0:
        return None
    judged = carried.rows[carried.placed]
    share, effect, chance = _against(judged, suspects)
    chance *= (turn + 1) * (turn + 2)  # their inverses add up to one
    against = chance <= HOPELESS  # found.p_value is: the search stops at the first that is not
    p_value = max(found.p_value, chance) if against else found.p_value
    patch = grown(suspects, seeds, corners)
    settled = np.ptp(corners, axis=0).max() == 0
    where = "at one place" if settled else "at places that differ"
    explanation = (
        f"{len(found.bearers):,} images share a patch that is equal in every pixel value, {where}; {len(seeds):,} of them are "
        f"labelled '{names[found.label]}'. Of {len(judged):,} that bear it plainly, {share:.0%} contradict that by the rest "
        f"of the image. {found.tests:,} pairs of a patch and a label were compared."
    )
    if settled and carried.pixels >= _LARGE * suspects.grey[0].size:
        explanation += f" They have the same values in {carried.pixels:,} places: what they share is larger than the patch."
    return Group(
        "backdoor",
        members,
        found.root,
        p_value,
        found.share,
        _LEAST_SHARE,
        explanation,
        effect if against else 0.0,
        LEAST_EFFECT,
        names[found.label],
        patch_groups.source(suspects, members),
        drawn(suspects, members, (seeds, corners), patch, floating=not settled),
    )


def _against(judged: Rows, suspects: Suspects) -> tuple[float, float, float]:
    """Share of rows whose content contradicts the label, how far that is beyond the usual, and its chance.

    Judged as they stand, and once more without each other, for a small class has learned a patch that a third of it bears; the
    clearer of the two, at twice its chance.
    """
    content, labels = suspects.content, suspects.labels
    usual = usual_contradiction(content, labels, judged)
    found = []
    for contradicted, credit in (
        (content.contradicted[judged], 1.0),
        alone(content, suspects.pixels, labels, judged),
    ):
        share = float(contradicted.mean())
        chance = float(binom.sf(contradicted.sum() - 1, len(contradicted), usual))
        found.append((share, excess(share, usual) * credit, min(1.0, 2 * chance)))
    return max(found, key=lambda reading: reading[1])


@final
@dataclass(frozen=True)
class Carried:
    """Rows (m,) that bear a patch and have the label; placed: where it stands out or lies as usual; chosen: to set aside.

    pixels: in how many places most of them have one value that hardly any other image has there.
    """

    rows: Rows
    placed: Mask
    chosen: Mask
    pixels: int


def _carried(found: Found, corners: np.ndarray, suspects: Suspects) -> Carried:
    """Bearers with the label; chosen are as many as are poisoned but for one in ten.

    Where the patch stands out, where it lies at the usual place, where it may be part of the picture, and where only more of
    the same trigger shows are four kinds of bearers: how many of them are honest is estimated for each by itself. They are judged by
    all others: judges that learned from a hundred of them know the patch. corners: of the seeds.
    """
    rows, maps, out = _everywhere(found.key, suspects)
    kinds = np.where(out, 0, np.where(_placed(maps, corners), 1, 2))
    agreeing, pixels = _agreeing(rows[suspects.labels[rows] == found.label], found.label, suspects)
    others = np.setdiff1d(agreeing, rows)
    rows, kinds = np.concatenate([rows, others]), np.concatenate([kinds, np.full(len(others), 3)])
    own = judged_without(suspects.content, suspects.pixels, suspects.labels, rows)[1][:, found.label]
    labelled = suspects.labels[rows] == found.label
    poisoned = np.zeros(len(rows))
    for kind in range(4):
        some = kinds == kind
        if some.any():
            poisoned[some] = posterior(labelled[some], own[some])
    placed = kinds[labelled] < 2
    return Carried(rows[labelled], placed if placed.any() else ~placed, most_of(poisoned[labelled], _WRONG), pixels)


def _agreeing(bearers: Rows, label: int, suspects: Suspects) -> tuple[Rows, int]:
    """Rows with the label that have the trigger's values in more pixels than any image of another label; how many are the trigger's.

    The bearers are among the rows.
    """
    rows, flat = suspects.rows, suspects.grey.reshape(len(suspects.grey), -1)
    labelled, every = suspects.labels[rows] == label, _counted(flat, rows)
    for _ in range(_GROWTH):
        borne = _counted(flat, bearers)
        value = borne.argmax(1)[:, None]
        inside, outside = (np.take_along_axis(part, value, 1)[:, 0] for part in (borne, every - borne))
        own = (inside >= _AGREED * len(bearers)) & (outside <= _USUAL * (len(rows) - len(bearers)))
        shown = np.concatenate([(flat[part][:, own] == value[own, 0]).sum(1) for part in _batches(rows)])
        least = max(_PIXELS, int(shown[~labelled].max(initial=0)) + 1)
        found = np.union1d(bearers, rows[labelled & (shown >= least)])
        if len(found) == len(bearers):
            break
        bearers = found
    return bearers, int(own.sum())


def _counted(flat: np.ndarray, rows: Rows) -> np.ndarray:
    """(pixels, 256) how many of some rows of (n, pixels) uint8 have each value, pixel by pixel."""
    pixels = flat.shape[1]
    counted = np.zeros(pixels * _LEVELS, np.int64)
    for part in _batches(rows, max(1, _AT_ONCE // pixels)):
        counted += np.bincount((np.arange(pixels) * _LEVELS + flat[part]).ravel(), minlength=len(counted))
    return counted.reshape(pixels, _LEVELS)


def _everywhere(key: np.uint64, suspects: Suspects) -> tuple[Rows, Mask, Mask]:
    """Rows (m,) that bear a patch, the corners where they do (m, h, w), and whether it stands out at one of them (m,)."""
    found = []
    for part in _batches(suspects.rows):
        shown = exact.hashes(suspects.pixels[part]) == key
        bearing = shown.any((1, 2))
        rows, maps = part[bearing], shown[bearing]
        found.append((rows, maps, (maps & _standing_out(suspects, rows)).any((1, 2))))
    rows, maps, out = map(np.concatenate, zip(*found, strict=True))
    return rows, maps, out


def _placed(maps: Mask, corners: np.ndarray) -> Mask:
    """(m,) whether the patch lies where nine in ten of the seeds have it, if that is a small part of the image."""
    low, high = np.quantile(corners, [0.05, 0.95], axis=0, method="nearest").astype(int)
    if np.prod(high - low + 1) > _PLACE * maps[0].size:
        return np.zeros(len(maps), bool)
    return np.asarray(maps[:, low[0] : high[0] + 1, low[1] : high[1] + 1].any((1, 2)))


def _batches(array: np.ndarray, size: int = 4096) -> list[np.ndarray]:
    return [array[start : start + size] for start in range(0, len(array), size)]

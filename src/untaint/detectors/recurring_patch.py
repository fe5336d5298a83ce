"""Patches that recur, pixel for pixel, in images whose content contradicts their label."""

from dataclasses import dataclass, replace
from typing import ClassVar, final

import numpy as np

from untaint.detectors.base import Detector
from untaint.evidence import patch_groups
from untaint.evidence.evidence import Evidence, Group
from untaint.evidence.patch_groups import HOPELESS, LEAST_EFFECT, Suspects, drawn, grown
from untaint.features.content import Content, excess, moved_on, usual_contradiction
from untaint.features.duplicates import NearCopies
from untaint.numerics import codes, counts, patches, pictures
from untaint.types import Labels, Mask, Pixels, Rows

LEAST_RATE = 0.01
"""No class is believed to be labelled better than this: test sets of ten public benchmarks average 3.3 % label errors
(Northcutt, Athalye, Mueller 2021, arXiv 2103.14749, table 1)."""
_ANYWHERE, _APART = (-1, -1), (-2, -2)
"""Instead of a position. A white square that moves is in every second image of white clothes, but seldom with an edge around it."""


@final
@dataclass(frozen=True)
class Candidate:
    """A code at a position, anywhere, or anywhere that it stands out; its bearers, and how surprising their contradictions are."""

    root: float
    position: tuple[int, int]
    code: int
    bearers: float
    hits: float

    @property
    def floating(self) -> bool:
        """Found anywhere rather than at one place."""
        return self.position[0] < 0


@final
@dataclass(frozen=True)
class RecurringPatch(Detector):
    """Finds a 3x3 grey-level code, at one place or anywhere, whose bearers contradict their labels far more than their classes do.

    Every patch of every image becomes one of 4^9 codes. For each code and position the contradictions among its bearers are
    compared with what the labels of those bearers predict (binomial deviance, signed root); the bulk of all codes gives the
    empirical null. The best code is explained, grown to the whole trigger, its bearers removed, and the search repeated.

    Works when: a patch, fixed or floating, repeats exactly and lies on images of other classes than their label says:
        dirty-label patches, all-to-all patches, source-specific patches with cover samples. From about 10 images on.
    Fails when: the trigger is blended, warped, re-compressed or varies from image to image, when labels are clean, or when
        content cannot be judged (see the content feature).
    Cost: one pass per round over all patches; needs no network. About a fifth of the proxy's training.
    Reference: own method; empirical null Efron 2004, doi 10.1198/016214504000000089;
        the attack it answers: Gu, Dolan-Gavitt, Garg 2017, arXiv 1708.06733
    """

    id: ClassVar[str] = "recurring-patch"
    least_bearers: int = 8  # families of near-copies; look-alikes the family misses come in handfuls
    most_share: float = 0.25
    rounds: int = 6

    @property
    def budget(self) -> str:
        return "fast"

    def examine(
        self, pixels: Pixels, labels: Labels, content: Content, near_copies: NearCopies, class_names: tuple[str, ...]
    ) -> Evidence:
        suspects = patch_groups.suspects(pixels, labels, content, near_copies, class_names)
        return patch_groups.one_by_one(suspects, self._best, self.rounds)

    def _best(self, suspects: Suspects) -> Group | None:
        """The most surprising code, explained; None when there is none, or nobody to set aside."""
        found, spread, tests = self._search(suspects)
        if found is None or (p_value := counts.bonferroni(found.root, spread, tests)) > HOPELESS:
            return None
        group = self._explained(found, p_value, tests, suspects)
        return group if len(group.members) else None

    def _explained(self, found: Candidate, p_value: float, tests: int, suspects: Suspects) -> Group:
        """Grow a code to the whole trigger, collect everything that carries it, say it in words."""
        contradicted, names = suspects.content.contradicted, suspects.class_names
        bearers, corners = _bearers(suspects, found)
        found = replace(found, position=_settled(found, corners))
        patch = grown(suspects, bearers, corners)
        carriers = bearers if patch is None else _carriers(suspects, found, patch, bearers, corners)
        if suspects.weights[carriers].sum() < self.least_bearers:  # strangers had no more in common than the code
            patch, carriers = None, bearers
        purity = float(contradicted[carriers].mean()) if len(carriers) else 0.0
        usual = usual_contradiction(suspects.content, suspects.labels, carriers) if len(carriers) else 0.0
        effect = excess(purity, usual)
        members = carriers[_suspect(suspects, carriers, purity)]
        target, share = patch_groups.target(suspects.labels[members], names)
        where = "anywhere in the image" if found.floating else "at one place"
        aim = f"{share:.0%} of them are labelled '{target}'" if target is not None else "their labels follow no single class"
        explanation = (
            f"The same small patch {where} recurs in {len(carriers):,} images. In {purity:.0%} of them the rest of the image "
            f"contradicts the label; {aim}. {tests:,} patches were compared."
        )
        source = patch_groups.source(suspects, members) if target is not None else None
        trigger = drawn(suspects, members, (bearers, corners), patch, floating=found.floating)
        aimed = target is not None or moved_on(suspects.content, suspects.pixels, suspects.labels, carriers)
        against = effect if aimed else 0.0  # a mark on many classes may blind the judge, and rare classes are judged badly
        return Group(
            "backdoor",
            members,
            found.root,
            p_value,
            effect,
            LEAST_EFFECT,
            explanation,
            against,
            LEAST_EFFECT,
            target,
            source,
            trigger,
        )

    def _search(self, suspects: Suspects) -> tuple[Candidate | None, float, int]:
        """The most surprising code, the spread of the null, and how many codes were tested."""
        labels, levels = suspects.labels[suspects.rows], pictures.cut(suspects.grey[suspects.rows], codes.LEVELS)
        weights = suspects.weights[suspects.rows]
        hits = weights * suspects.content.contradicted[suspects.rows]
        expected, most = weights * class_rates(hits, weights, labels)[labels], self.most_share * weights.sum()
        best: Candidate | None = None
        roots: list[np.ndarray] = []
        for position in codes.positions(levels):
            counted = codes.counted(codes.codes_at(levels, *position), weights, hits, expected, self.least_bearers, most)
            best = _better(best, counted, position, roots)
        for position in (_ANYWHERE, _APART):
            total = codes.anywhere(levels, np.stack([weights, hits, expected], axis=1), apart=position == _APART)
            usual = np.flatnonzero((total[:, 0] >= self.least_bearers) & (total[:, 0] <= most))
            best = _better(best, codes.Counts(usual, *total[usual].T), position, roots)
        tested = np.concatenate([*roots, np.empty(0)])
        return best, counts.overdispersion(tested), len(tested)


def class_rates(hits: np.ndarray, weights: np.ndarray, labels: Labels) -> np.ndarray:
    """Weighted share of hits per class, (k,), pulled towards the overall share by five pseudo-rows so that tiny classes stay sane."""
    overall = hits.sum() / max(weights.sum(), 1e-9)
    size = np.bincount(labels, weights)
    rates: np.ndarray = (np.bincount(labels, hits, minlength=len(size)) + 5 * overall) / (size + 5)
    return np.maximum(rates, LEAST_RATE)


def _better(
    best: Candidate | None, counted: codes.Counts, position: tuple[int, int], roots: list[np.ndarray]
) -> Candidate | None:
    """The best candidate so far that has the effect, and the roots of all, collected for the null."""
    if len(counted.codes) == 0:
        return best
    root = counts.signed_root(counted.hits, counted.bearers, counted.expected)
    roots.append(root.astype(np.float32))
    beyond = (counted.hits - counted.expected) / np.maximum(counted.bearers - counted.expected, 1e-9)
    strong = np.where(beyond >= LEAST_EFFECT, root, -np.inf)
    top = int(strong.argmax())
    if not np.isfinite(strong[top]) or (best is not None and strong[top] <= best.root):
        return best
    return Candidate(float(root[top]), position, int(counted.codes[top]), float(counted.bearers[top]), float(counted.hits[top]))


def _settled(found: Candidate, corners: np.ndarray) -> tuple[int, int]:
    """Where a patch that was looked for anywhere lies, if half of its bearers have it at one place: chance would spread it over all."""
    places, often = np.unique(corners, axis=0, return_counts=True)
    if not found.floating or 2 * often.max() < len(corners):
        return found.position
    row, column = places[often.argmax()].tolist()
    return row, column


def _bearers(suspects: Suspects, found: Candidate) -> tuple[Rows, np.ndarray]:
    """Rows that bear the code and the corner where each does (first hit for a floating one)."""
    rows: list[Rows] = []
    corners = []
    for start in range(0, len(suspects.rows), 4096):
        part = suspects.rows[start : start + 4096]
        levels = pictures.cut(suspects.grey[part], codes.LEVELS)
        hit = codes.code_map(levels) == found.code
        if found.position == _APART:
            hit &= codes.standing_out(levels)
        if not found.floating:
            elsewhere = np.ones(hit.shape[1:], bool)
            elsewhere[found.position] = False
            hit[:, elsewhere] = False
        bearing = hit.any((1, 2))
        rows.append(part[bearing])
        first = hit[bearing].reshape(int(bearing.sum()), hit[0].size).argmax(1)
        corners.append(np.stack(np.unravel_index(first, hit.shape[1:]), axis=1))
    return np.concatenate(rows), np.concatenate(corners)


_AGREE = 0.9  # the share of contradictions from which all carriers go


def _carriers(suspects: Suspects, found: Candidate, patch: patches.Patch, bearers: Rows, corners: np.ndarray) -> Rows:
    """Images that show the trigger's cells. At a fixed place every image is looked at: a code may straddle the trigger's edge."""
    looked = bearers if found.floating else suspects.rows
    places = corners if found.floating else np.tile(found.position, (len(looked), 1))
    windows = patches.windows(suspects.grey, looked, places)
    shown = patch.shown(windows)
    carriers, natural = looked[shown], patch.blends_in(windows[shown])
    against = suspects.content.contradicted[carriers]
    if natural.any() and not natural.all() and against[natural].mean() < against[~natural].mean() - _LESS:
        return carriers[~natural]
    return carriers


_LESS = 0.15
"""Carriers in which the pattern is part of something larger are let go when they are contradicted this much less often than those
in which it stands out: one and a half times what honest clothes are, a quarter of what honest photographs are, contradicted."""


def _suspect(suspects: Suspects, carriers: Rows, purity: float) -> Mask:
    """Carriers to set aside: all of them when nine in ten contradict.

    Else those whose content does not support the label, and the whole target class when hardly an honest image carries the
    pattern. The rest are honest look-alikes or an attacker's cover samples, whose labels are right.
    """
    if purity > _AGREE:
        return np.ones(len(carriers), bool)
    content, labels, rows = suspects.content, suspects.labels, suspects.rows
    supported = content.probabilities[carriers, labels[carriers]] >= 0.5
    suspect: Mask = content.contradicted[carriers] | ~supported
    target = np.bincount(labels[carriers]).argmax() if len(carriers) else 0
    aimed = labels[carriers] == target
    honest_rate = (~suspect & ~aimed).sum() / max((labels[rows] != target).sum(), 1)
    if honest_rate * (labels[rows] == target).sum() <= 0.05 * aimed.sum():
        suspect |= aimed
    return suspect

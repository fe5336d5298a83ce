"""Floods: many near-copies that push one label, or that one source sent."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from scipy.stats import binom, combine_pvalues

from untaint.detectors.base import Detector
from untaint.evidence.evidence import Evidence, Group, Trigger
from untaint.evidence.sources import shares
from untaint.features.canvas import Sources
from untaint.features.content import Content, excess, judged_without, usual_contradiction
from untaint.features.duplicates import NearCopies
from untaint.types import Labels, Pixels, Rows

LEAST_EFFECT = 0.6
"""Share of a cluster whose content, judged without the cluster, speaks against the label, beyond what is usual; or that one
source sent, beyond its share of the whole set. Honest duplicates show what their label says and come from everywhere."""
_MOST = 200  # crowds examined, largest first
_DISPUTED = 0.10
"""Share of honest crowds in which a near-copy has another label than most: at most one in 70 was seen on Fashion-MNIST,
MNIST and CIFAR-10. A flood's original usually still lies in the set with its true label."""
_DOUBTED = 0.5  # of its class, as to content: a crowd less doubtful than half of its class needs a dispute to count
_FEWEST = 10
"""Members of a crowd that is accused for its content alone: honest look-alikes (framed digits) come in fives and sixes, and what
one image shows is one observation."""
_COPIED = 0.25
"""Share of a crowd that must be one family of strict copies for its content to accuse it: floods reach 0.45, a crowd of honest
look-alikes (framed ones of MNIST) has none."""
_AUGMENTED = 2  # times as large as the families of nine in ten copies of the set, where it was augmented
_MANY = 0.1  # of the set are copies: it was augmented, and no flood
_HARD = 0.10
"""Content that is as doubtful in a tenth of the class does not speak against one image: copies are one observation."""


@final
@dataclass(frozen=True)
class OverDensity(Detector):
    """Finds clusters of near-copies and asks what their content says without them, and who sent them.

    Where outlier detectors look for lonely points, a flood is the opposite: the tightest neighbourhoods of the set. A
    cluster's members are near-copies of each other, small shifts and turns undone; its p-value is the chance of so long a
    chain of near-copies at the rate at which the rest of the set has neighbours as close. Closeness alone is no accusation:
    augmented sets and simple classes have it too. Contradicted content (judged with the cluster taken out, since copies vouch
    for each other), one source beyond chance, or several clusters of one label in which a near-copy bears another label or
    whose content is doubtful beyond chance, all taken together, make it a flood.

    Works when: ten or more near-copies share a label their content contradicts, five or more a source; or several images were
    copied and their originals are in the set.
    Fails when: copies differ by more than small moves and noise; they carry a right label and come from many sources; or one
    image was copied whose class looks like the label.
    Cost: a k-d tree over 16 numbers per image and 24 small least-squares fits. About a quarter of the proxy's training.
    Reference: over-density as a signal: hubness and near-duplicate poisoning, Carlini et al. 2023, arXiv 2302.10149 (sec. 5)
    """

    id: ClassVar[str] = "over-density"

    @property
    def budget(self) -> str:
        return "fast"

    def examine(
        self,
        near_copies: NearCopies,
        labels: Labels,
        content: Content,
        pixels: Pixels,
        sources: Sources,
        class_names: tuple[str, ...],
    ) -> Evidence:
        usable, crowd = labels >= 0, near_copies.crowd
        inside = np.flatnonzero(crowd >= 0)
        numbers, sizes = np.unique(crowd[inside], return_counts=True)
        scores = np.where(usable, np.log2(1 / near_copies.weights), np.nan).astype(np.float32)
        scores[inside] = np.log2(sizes[np.searchsorted(numbers, crowd[inside])])
        largest = numbers[np.argsort(-sizes, kind="stable")][:_MOST]
        crowded = [np.flatnonzero(crowd == number) for number in largest]
        judged = _judged(crowded, labels, content, pixels)
        alone = usable.copy()
        alone[np.concatenate([*crowded, np.empty(0, np.int64)])] = False
        suspects = Suspects(labels, alone, near_copies, pixels, content, sources, class_names)
        pushes = _pushes(crowded, judged, suspects)
        groups = [
            _group(members, float(near_copies.chance[members[0]]), own, shown, suspects, pushes)
            for members, (own, shown) in zip(crowded, judged, strict=True)
        ]
        return Evidence(scores, "empirical", tuple(groups))


@final
@dataclass(frozen=True)
class Suspects:
    """What a group is explained with. alone: rows in no crowd."""

    labels: Labels
    alone: np.ndarray
    near_copies: NearCopies
    pixels: Pixels
    content: Content
    sources: Sources
    class_names: tuple[str, ...]


def _judged(clusters: list[Rows], labels: Labels, content: Content, pixels: Pixels) -> list[tuple[np.ndarray, np.ndarray]]:
    """Content of each cluster, judged without any of them: the parts of one flood must not vouch for each other.

    Where clusters make up a tenth of the set (augmented data), each is judged without itself alone.
    """
    if not clusters:
        return []
    together = np.concatenate(clusters)
    if len(together) > _MANY * content.n:
        return [judged_without(content, pixels, labels, cluster) for cluster in clusters]
    own, shown = judged_without(content, pixels, labels, together)
    ends = np.cumsum([len(cluster) for cluster in clusters])[:-1]
    return list(zip(np.split(own, ends), np.split(shown, ends), strict=True))


@final
@dataclass(frozen=True)
class Push:
    """All crowds of one label, judged together. p_value: Bonferroni over labels and two tests; share: of rows in disputed crowds."""

    p_value: float
    share: float


def _pushes(crowded: list[Rows], judged: list[tuple[np.ndarray, np.ndarray]], suspects: Suspects) -> dict[int, Push]:
    """By label: are its crowds disputed, or their content doubtful, more often than honest ones would be? One vote per crowd."""
    by_label: dict[int, list[tuple[int, bool, float]]] = {}
    for members, (own, _) in zip(crowded, judged, strict=True):
        label = _label(suspects.labels[members])
        by_label.setdefault(label, []).append((len(members), _disputed(suspects.labels[members]), _rank(own, label, suspects)))
    pushes = {}
    for label, crowds in by_label.items():
        sizes, disputes, ranks = map(np.array, zip(*crowds, strict=True))
        disputed = float(binom.sf(disputes.sum() - 1, len(crowds), _DISPUTED))
        doubtful = float(combine_pvalues(ranks, method="fisher").pvalue)
        told = disputes if disputed <= doubtful else ranks <= _DOUBTED
        pushes[label] = Push(min(1.0, 2 * len(by_label) * min(disputed, doubtful)), float(sizes[told].sum() / sizes.sum()))
    return pushes


def _label(labels: Labels) -> int:
    return int(np.bincount(labels).argmax())


def _disputed(labels: Labels) -> bool:
    """A near-copy has another label than most."""
    return bool((labels != labels[0]).any())


def _rank(own: np.ndarray, label: int, suspects: Suspects) -> float:
    """Share of the label's other rows whose content supports it no better than the crowd's does: uniform for an honest image."""
    usual = suspects.content.own[suspects.alone & (suspects.labels == label)]
    return float((1 + (usual <= np.median(own)).sum()) / (1 + len(usual)))


def _group(
    members: Rows, chance: float, own: np.ndarray, shown: np.ndarray, suspects: Suspects, pushes: dict[int, Push]
) -> Group:
    labels = suspects.labels[members]
    label, contradicted = _label(labels), own < suspects.content.level
    accused = members[labels == label]
    rank = _rank(own[labels == label], label, suspects)
    usual = usual_contradiction(suspects.content, suspects.labels, members)
    alone = rank <= _HARD and _copied(suspects.near_copies, members)
    against = excess(float(contradicted[labels == label].mean()), usual) if alone else 0.0
    bound, sender = _bound(suspects.sources, members)
    push = pushes[label] if rank <= _DOUBTED or _disputed(labels) else Push(1.0, 0.0)
    effect = max(against, bound)
    if effect < push.share and chance <= push.p_value < 1:
        effect, chance = push.share, push.p_value
    looks = int(np.bincount(shown.argmax(1)).argmax())
    sent = f" {bound:.0%} beyond chance came from '{sender}'." if bound >= LEAST_EFFECT else ""
    other = " A near-copy among them bears another label." if _disputed(labels) else ""
    explanation = (
        f"{len(members):,} near-copies of one image; the content of {contradicted.mean():.0%} of them, judged without them, speaks "
        f"against their label.{other}{sent} Chance of such a cluster in this set: {chance:.1g}."
    )
    trigger = Trigger("duplicate", "The image that was copied.", {"copies": len(members)}, suspects.pixels[accused[0]])
    source_label = suspects.class_names[looks] if looks != label and against >= LEAST_EFFECT else None
    return Group(
        "flood",
        accused,
        float(len(members)),
        chance,
        effect,
        LEAST_EFFECT,
        explanation,
        effect,
        LEAST_EFFECT,
        suspects.class_names[label],
        source_label,
        trigger,
    )


def _copied(near_copies: NearCopies, members: Rows) -> bool:
    """Are so many of the members strict copies of one image, and more than is usual where every image was augmented?"""
    everywhere = near_copies.component[near_copies.component >= 0]
    augmented = len(everywhere) > _MANY * len(near_copies.component)
    usual = float(np.quantile(np.bincount(everywhere)[everywhere], 0.9)) if augmented else 1.0
    inside = near_copies.component[members]
    largest = int(np.bincount(inside[inside >= 0], minlength=1).max())
    return len(members) >= _FEWEST and largest > max(_COPIED * len(members), _AUGMENTED * usual)


def _bound(sources: Sources, members: Rows) -> tuple[float, str]:
    """How far one source's share of the members exceeds its share of the set, when significant; and which source."""
    found = shares(sources.codes, sources.names, members)
    if not found or found[0].p_value > 0.01:
        return 0.0, ""
    excess = found[0].n_flagged / len(members) - found[0].n / max(int((sources.codes >= 0).sum()), 1)
    return float(max(excess, 0.0)), found[0].name

"""Floods: many near-copies that push one label, or that one source sent."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from untaint.detectors.base import Detector
from untaint.evidence.evidence import Evidence, Group, Trigger
from untaint.evidence.sources import shares
from untaint.features.canvas import Sources
from untaint.features.content import Content, excess, judged_without, usual_contradiction
from untaint.features.duplicates import NearCopies
from untaint.types import Labels, Mask, Pixels, Rows

LEAST_EFFECT = 0.6
"""Share of a cluster whose content, judged without the cluster, speaks against the label, beyond what is usual; or that one
source sent, beyond its share of the whole set. Honest duplicates show what their label says and come from everywhere."""
_SIZE = 5
_MOST = 200  # clusters examined, largest first


@final
@dataclass(frozen=True)
class OverDensity(Detector):
    """Finds clusters of near-copies and asks what their content says without them, and who sent them.

    Where outlier detectors look for lonely points, a flood is the opposite: the tightest neighbourhoods of the set. A
    cluster's members are near-copies of each other, small shifts undone; its p-value is the chance of so long a chain of
    near-copies at the rate at which pairs occur in the rest of the set. Closeness alone is no accusation: augmented sets and
    simple classes have it too. Contradicted content (judged with the cluster taken out, since copies vouch for each other)
    or one source beyond chance makes it a flood.

    Works when: five or more near-copies share a label their content contradicts, or a source.
    Fails when: copies differ by more than small shifts and noise, or carry a right label and come from many sources.
    Cost: a k-d tree over 24 numbers per image. About a quarter of the proxy's training.
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
        component = near_copies.component
        usable = labels >= 0
        scores = np.where(usable, 0.0, np.nan).astype(np.float32)
        clustered = np.flatnonzero(component >= 0)
        sizes = np.bincount(component[clustered]) if len(clustered) else np.zeros(1, int)
        scores[clustered] = np.log2(sizes[component[clustered]])
        largest = np.argsort(-sizes, kind="stable")[:_MOST]
        crowded = [clustered[component[clustered] == number] for number in largest[sizes[largest] >= _SIZE]]
        judged = _judged(crowded, labels, content, pixels)
        suspects = Suspects(labels, pixels, content, sources, class_names)
        rate = max(near_copies.chance, 1 / len(labels))
        groups = [
            _group(members, min(1.0, int(usable.sum()) * rate ** (len(members) - 1)), own < content.level, shown, suspects)
            for members, (own, shown) in zip(crowded, judged, strict=True)
        ]
        return Evidence(scores, "empirical", tuple(groups))


@final
@dataclass(frozen=True)
class Suspects:
    """What a group is explained with."""

    labels: Labels
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
    if len(together) > 0.1 * content.n:
        return [judged_without(content, pixels, labels, cluster) for cluster in clusters]
    own, shown = judged_without(content, pixels, labels, together)
    ends = np.cumsum([len(cluster) for cluster in clusters])[:-1]
    return list(zip(np.split(own, ends), np.split(shown, ends), strict=True))


def _group(members: Rows, chance: float, contradicted: Mask, shown: np.ndarray, suspects: Suspects) -> Group:
    usual = usual_contradiction(suspects.content, suspects.labels, members)
    against = excess(float(contradicted.mean()), usual)
    bound, sender = _bound(suspects.sources, members)
    label = int(np.bincount(suspects.labels[members[contradicted] if against > bound else members]).argmax())
    accused = members[suspects.labels[members] == label]
    looks = int(np.bincount(shown.argmax(1)).argmax())
    sent = f" {bound:.0%} beyond chance came from '{sender}'." if bound >= LEAST_EFFECT else ""
    explanation = (
        f"{len(members):,} near-copies of one image; the content of {contradicted.mean():.0%} of them, judged without them, speaks "
        f"against their label.{sent} Chance of such a cluster in this set: {chance:.1g}."
    )
    trigger = Trigger("duplicate", "The image that was copied.", {"copies": len(members)}, suspects.pixels[accused[0]])
    effect = max(against, bound)
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


def _bound(sources: Sources, members: Rows) -> tuple[float, str]:
    """How far one source's share of the members exceeds its share of the set, when significant; and which source."""
    found = shares(sources.codes, sources.names, members)
    if not found or found[0].p_value > 0.01:
        return 0.0, ""
    excess = found[0].n_flagged / len(members) - found[0].n / max(int((sources.codes >= 0).sum()), 1)
    return float(max(excess, 0.0)), found[0].name

"""A second population inside a class, seen by a network trained on the suspect data."""

from dataclasses import dataclass, replace
from typing import ClassVar, final

import numpy as np
from scipy.stats import gumbel_r

from untaint.detectors.base import Detector
from untaint.evidence.evidence import Evidence, Group
from untaint.evidence.triggers import additive
from untaint.features.content import Content, contradiction
from untaint.numerics import mixture
from untaint.types import Embeddings, Labels, Pixels

LEAST_EFFECT = 5.0
"""Ashman's D between the two populations. Sub-classes of clean Fashion-MNIST and MNIST stay under 4.4 (bags, slanted ones),
poison the network has learned lies at 5.6 to 10."""


@final
@dataclass(frozen=True)
class Spectral(Detector):
    """Splits each class along its strongest whitened direction in the proxy's features and asks whether that makes two populations.

    Features of a class are *centred* and whitened by the pooled within-class covariance (uncentred scores rank blended poison
    last), projected on their leading singular vectors, and fitted with one and with two components. The null of the gain is
    a parametric bootstrap of one heavy-tailed population. Which of two balanced populations is the intruder is told by what
    the images show.

    Works when: the network has learned the trigger, so that poison shares a direction its class lacks: patches, blends,
        sinusoids, from about 1 % up to half of a class.
    Fails when: poison is rare, spread over classes or matched in feature space; when the network has not learned it.
    Cost: one singular value decomposition per class, plus the proxy's training.
    Reference: Tran, Li, Madry 2018, arXiv 1811.00636 (centred form); separation: Ashman, Bird, Zepf 1994, doi 10.1086/117248
    """

    id: ClassVar[str] = "spectral"
    rank: int = 2
    bootstrap: int = 49
    least_members: int = 10

    @property
    def budget(self) -> str:
        return "standard"

    def examine(
        self, embeddings: Embeddings, labels: Labels, content: Content, pixels: Pixels, class_names: tuple[str, ...]
    ) -> Evidence:
        rows = np.flatnonzero(labels >= 0)
        whitened = _whitened(embeddings[rows], labels[rows])
        scores = np.full(len(labels), np.nan, np.float32)
        groups = []
        for number, name in enumerate(class_names):
            inside = np.flatnonzero(labels[rows] == number)
            if len(inside) < 2 * self.least_members:
                continue
            projected = _projections(whitened[inside], self.rank)
            scores[rows[inside]] = (projected[:, 0] - np.median(projected[:, 0])) ** 2
            for values in projected.T:
                fit = mixture.two_components(values)
                if fit.separation < 0.8 * LEAST_EFFECT:
                    continue
                sides = rows[inside][fit.upper > 0.5], rows[inside][fit.upper <= 0.5]
                if min(map(len, sides)) < self.least_members:
                    continue
                p_value = min(1.0, len(class_names) * self.rank * gain_p_value(values, fit.gain, self.bootstrap))
                against = [contradiction(content, pixels, labels, side) for side in sides]
                group = _group(fit, p_value, sides, against, name)
                groups.append(replace(group, trigger=additive(pixels, content, group.members, rows)))
        return Evidence(scores, "empirical", tuple(groups))


def _group(
    fit: mixture.TwoComponents, p_value: float, sides: tuple[np.ndarray, np.ndarray], against: list[float], name: str
) -> Group:
    """The intruding population of a split: the smaller one, or of two balanced ones the one whose content contradicts."""
    balanced = min(map(len, sides)) >= _BALANCED * sum(map(len, sides))
    chosen = int(np.argmax(against)) if balanced else int(len(sides[1]) < len(sides[0]))
    members = np.sort(sides[chosen])
    explanation = (
        f"A network trained on this data sees two populations in '{name}', {fit.separation:.1f} standard deviations apart: "
        f"{len(members):,} and {len(sides[1 - chosen]):,} images. Judged without them, the content of the first "
        f"speaks against the label ({against[chosen]:.0%} on a scale where honest sub-classes stay under 70%)."
    )
    return Group(
        "backdoor", members, fit.gain, p_value, fit.separation, LEAST_EFFECT, explanation, against[chosen], target_label=name
    )


_BALANCED = 0.35
"""Share of a class from which the smaller population may be the honest one: poison can outnumber it."""


def _whitened(embeddings: Embeddings, labels: Labels) -> np.ndarray:
    """Centred per class, pooled within-class covariance about one."""
    counts = np.bincount(labels).clip(1)
    means = np.stack([np.bincount(labels, column) for column in embeddings.T], axis=1) / counts[:, None]
    centred = (embeddings - means[labels]).astype(np.float32)
    return centred @ mixture.whitener(centred)


def _projections(whitened: np.ndarray, rank: int) -> np.ndarray:
    """(m, rank) coordinates along the leading directions of one class."""
    centred = whitened - whitened.mean(0)
    _, vectors = np.linalg.eigh((centred.T @ centred).astype(np.float64))
    return centred @ vectors[:, ::-1][:, :rank]


def gain_p_value(values: np.ndarray, gain: float, repeats: int, most: int = 2000) -> float:
    """P(gain this large | one heavy-tailed population): Student-t of matched kurtosis, drawn `repeats` times, Gumbel tail."""
    standard = (values - values.mean()) / values.std()
    excess = max(float((standard**4).mean()) - 3, 0.3)
    freedom = max(4.5, 4 + 6 / excess)  # kurtosis of Student-t: 6 / (freedom - 4)
    draws = np.random.default_rng(0).standard_t(freedom, (repeats, min(len(values), most)))
    null = np.array([mixture.two_components(draw).gain for draw in draws])
    spread = max(float(null.std()), 1e-6)
    return float(gumbel_r.sf(gain, loc=null.mean() - 0.5772 * 0.7797 * spread, scale=0.7797 * spread))

"""Groups of labels that one source flipped, in words."""

from dataclasses import dataclass
from typing import final

import numpy as np

from untaint.evidence.evidence import Group
from untaint.evidence.source_flips import Confusions, Excess, aimed_flips, random_flips
from untaint.features.canvas import Sources
from untaint.types import Labels, Mask

LEAST_RANDOM = 0.04
"""Share of a source's labels that must look flipped at random beyond everybody else's. Public benchmarks hold 3.3 % wrong
labels on average (Northcutt, Athalye, Mueller 2021): a source that sloppy is not accused."""
LEAST_AIMED = 0.15
"""Share of what a source sent of a class that must bear one other label, beyond everybody else's and beyond errors the
other way. An honest source whose images are noisier exceeded it by less."""

FEWEST = 5
"""Contradicted rows of a source, or of a time, from which it is accused. In 500 rows of a clean table five were listed in all, and three
of them, all that one source had labelled so, came from it: rows of one hand have more in common than a count of them knows."""


@final
@dataclass(frozen=True)
class Suspects:
    """What groups are made of. listed (n,) bool, looks (n,) class codes that content shows.

    comparable: whether sources can be compared. Of few collections of texts one is judged worse by the words of the others.
    verb: what samples have to do with a source: 'from' it, or 'collected' then.
    """

    listed: Mask
    looks: np.ndarray
    labels: Labels
    sources: Sources
    class_names: tuple[str, ...]
    comparable: bool
    verb: str = "from"

    def named(self, source: int) -> str:
        """A source as it is said of samples."""
        name = self.sources.names[source]
        return f"from '{name}'" if self.verb == "from" else f"{self.verb} {name}"


def flipped_by(counts: Confusions, unlike: np.ndarray, suspects: Suspects) -> tuple[Group, ...]:
    """A group for each source with significantly more contradictions than all others."""
    found = [excess for excess in [*random_flips(counts, unlike), *aimed_flips(counts)] if excess.p_value <= 0.05]
    return tuple(_group(excess, suspects) for excess in found if excess.share > 0 and excess.observed >= FEWEST)


def _group(found: Excess, suspects: Suspects) -> Group:
    labels, looks, names = suspects.labels, suspects.looks, suspects.class_names
    chosen = suspects.listed if found.pair is None else (looks == found.pair[0]) & (labels == found.pair[1])
    members = np.flatnonzero(chosen & (suspects.sources.codes == found.source) & (labels >= 0))
    name = suspects.named(found.source)
    expected = f"{found.expected:,.0f} would be expected from everybody else's"
    if found.pair is None:
        shown, label = None, names[int(np.bincount(labels[members]).argmax())]
        explanation = (
            f"{found.observed:,} samples {name} carry the label of an unlike class, where {expected}: about "
            f"{found.share:.0%} of its labels look flipped at random."
        )
    else:
        shown, label = (names[code] for code in found.pair)
        explanation = (
            f"{found.observed:,} samples {name} look like '{shown}' and are labelled '{label}', where {expected}: "
            f"{found.share:.0%} of what it sent of '{shown}'."
        )
    least = LEAST_RANDOM if found.pair is None else LEAST_AIMED
    return Group(
        "label-flip",
        members,
        found.share,
        found.p_value,
        found.share,
        least,
        explanation if suspects.comparable else f"{explanation} Of so few sources of texts one may simply be judged worse.",
        1.0 if suspects.comparable else 0.0,
        target_label=label,
        source_label=shown,
    )

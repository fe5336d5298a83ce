"""What a detector hands over. One rule: evidence is scores and candidates with their statistics; nothing is decided here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, final

import numpy as np

from untaint.types import Image, Labels, Rows, Scores

Kind = Literal["backdoor", "label-flip", "flood", "outlier", "leverage", "tamper", "shortcut"]
Null = Literal["empirical", "p-value"]
"""How a score is read: against the bulk of its own distribution, or as 1 - p directly."""


@final
@dataclass(frozen=True)
class Trigger:
    """What an attacker would add to an input. `picture` and `mask` are on the canvas the audit looked at.

    pattern: of an additive trigger, what to add to each value of an image, in 0..255 units; `picture` only shows it.
    steps: of a warp, how far down and right of a pixel its new value is taken from, in pixels.
    """

    type: str  # patch, additive, duplicate …
    description: str
    parameters: Mapping[str, str | int | float] = field(default_factory=dict)
    picture: Image | None = None
    mask: np.ndarray | None = None  # (h, w) 0..1, where the picture counts
    pattern: np.ndarray | None = None  # (h, w, c)
    steps: np.ndarray | None = None  # (h, w, 2)


@final
@dataclass(frozen=True)
class Group:
    """Samples that belong together for one reason, with the test of that reason.

    p_value: of the statistic under the detector's null, corrected for everything the detector searched.
    effect: size of the effect on the detector's own scale; `minimum_effect` is what a person would care about, with its
    reason in the detector's manual. A gate needs both, so that it holds as n grows.
    contradiction: how far the members' content speaks against their label, 0..1 (see `features.content`); NaN = not tested.
    least_contradiction: what the detector needs of it; honest sub-classes of MNIST and Fashion-MNIST stay under 0.70 on the
    scale of `features.content.contradiction`. Without it an association may be a natural shortcut, and only source, time
    or an intervention can tell.
    core: for a group that was grown, what it grew from; honest neighbours are among its members, so where sharp groups already
    hold its core they decide who belongs to the attack. None = sharp.
    """

    kind: Kind
    members: Rows
    statistic: float
    p_value: float
    effect: float
    minimum_effect: float
    explanation: str
    contradiction: float = float("nan")
    least_contradiction: float = 0.75
    target_label: str | None = None
    source_label: str | None = None
    trigger: Trigger | None = None
    core: Rows | None = None


@final
@dataclass(frozen=True)
class Evidence:
    """One detector's result.

    review: the scores only rank (honest data have such samples too): they never raise an alarm.
    expected_precision: for a review list, the share of its rows expected to be wrong labels; NaN = not estimated.
    review_kind: what the list is of: `label-flip`, doubtful labels; or `outlier`, rows that lie far out.
    corroborates: not empty = the scores only say how findings of other detectors stand, and this is what a high one says of
    samples. No group, no alarm and no p-value of a sample comes from them, and they are no test that others are corrected for.
    precision_between: where it lies, nineteen times in twenty; told where it is not known closely. NaN = nothing is known.
    """

    scores: Scores
    null: Null
    groups: tuple[Group, ...] = ()
    review: Rows = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    expected_precision: float = float("nan")
    suggested: Mapping[int, str] = field(default_factory=dict)  # row → label the evidence points to
    note: str = ""
    review_kind: Kind = "label-flip"
    precision_between: tuple[float, float] = (float("nan"), float("nan"))
    corroborates: str = ""


def strengths(labels: Labels, groups: Sequence[Group]) -> Scores:
    """(n,) the clearest group each labelled row is in, as -log10 of its p-value; 0 for none."""
    scores = np.where(labels >= 0, 0.0, np.nan).astype(np.float32)
    for group in groups:
        scores[group.members] = np.maximum(scores[group.members], -np.log10(max(group.p_value, 1e-300)))
    return scores

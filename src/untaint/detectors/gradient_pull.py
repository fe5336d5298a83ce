"""Rows that pull a linear model one way, as labels do that were flipped to cost it most."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from threadpoolctl import threadpool_limits

from untaint.detectors.base import Detector
from untaint.errors import FeatureUnavailable
from untaint.evidence.evidence import Evidence, Group
from untaint.evidence.group_effect import Fit, GroupEffect, Halves, linear, networked
from untaint.evidence.pulling_sources import Pulling, pulling
from untaint.evidence.repeats import one_each
from untaint.evidence.sources import FEWEST_SOURCES
from untaint.features.canvas import Sources
from untaint.features.cells import Cells
from untaint.features.duplicates import NearCopies
from untaint.features.quantities import amounts
from untaint.features.table_places import spread
from untaint.numerics.perceptron import Perceptron
from untaint.numerics.pulls import learned, narrowed, pulls
from untaint.types import Labels, Modality, Rows

_HARDEST = (
    0.05  # of the rows: as many flips as papers on such attacks spend, and more than honest errors that agree in a direction
)
LEAST_SHARE = 0.1
"""Of what a source sent that must be among the hardest beyond what is expected: so much has a source three times as hard as the rest."""
LEAST_GAIN = 0.02
"""Accuracy that leaving the hardest rows out must be worth where nobody is named: clean tables gained 0.011 at most."""
_SURE = 1e-3  # chance that leaving out random rows is worth as much, from which a source did harm
_LEAST, _LEAST_CLASS = 100, 20  # rows, and rows of each of two classes: fewer teach a half of them nothing
_MOST = 10_000  # rows that models learn from
_COLUMNS = 300
_NAMED = 3  # sources


@final
@dataclass(frozen=True)
class GradientPull(Detector):
    """Ranks rows by how hard they pull a linear model one way, asks who sent the hardest, and measures what leaving them out is worth.

    Labels that were flipped to cost a model most lie deep within their class and pull its weights together, so the gradients of all rows
    differ most along their common direction. A row's score is its squared part of that direction. Where sources are known, one is found
    if far more of its rows are among the hardest twentieth than everybody else's rows with the same labels are, widened by how much
    the others differ among each other. It is accused only if a model learns the other sources' rows better without it, beyond what
    leaving out random groups of as many rows of the same classes is worth; else it is told. Without such a source the hardest rows are
    told if leaving them out makes a model much better on rows it has not seen.

    Works when: labels were flipped to cost a linear model most, in 3 to 5 % of the rows, and one source or two of many sent them; flips
        of one class by one source, and copied blocks, at times.
    Fails when: no linear model tells the classes apart (churn, a rare default), or there are very many classes; every source did it,
        then they are ranked and seldom told; an honest source measures in a way of its own and the others are better learned without it.
    Cost: a few linear models of 10,000 rows at most, some forty more where a source is found; a second on 5,000 rows.
    Reference: SEVER, Diakonikolas, Kamath, Kane, Li, Steinhardt, Stewart 2019, arXiv 1803.02815 (alg. 2); the tests are our own
    """

    id: ClassVar[str] = "gradient-pull"
    modalities: ClassVar[frozenset[Modality]] = frozenset({"table"})
    seed: int = 0

    @property
    def budget(self) -> str:
        return "fast"

    def examine(
        self,
        cells: Cells,
        labels: Labels,
        near_copies: NearCopies,
        sources: Sources,
        class_names: tuple[str, ...],
        surrogate_network: Perceptron | None = None,
    ) -> Evidence:
        if amounts(labels, class_names) is not None:
            raise FeatureUnavailable("the labels are a quantity, and models of classes are what is pulled")
        rows, scores = np.flatnonzero(labels >= 0), np.where(labels >= 0, 0.0, np.nan).astype(np.float32)
        points, sizes = spread(cells, rows, _COLUMNS), np.sort(np.bincount(labels[rows], minlength=2))
        if len(rows) < _LEAST or sizes[-2] < _LEAST_CLASS or points.shape[1] == 0:
            return Evidence(
                scores, "empirical", note=f"needs {_LEAST} rows, {_LEAST_CLASS} of each of two classes, and a column that varies"
            )
        codes = sources.codes[rows] if len(sources.names) >= FEWEST_SOURCES else None
        single = near_copies.representatives if codes is None else one_each(near_copies.family, sources.codes)
        with threadpool_limits(1):  # the matrices are small
            table = Halves(narrowed(points), labels[rows], near_copies.folds(2, self.seed)[rows])
            taught = np.random.default_rng(self.seed).permutation(np.flatnonzero(single[rows]))[:_MOST]
            pull = _pulls(table, taught)
            scores[rows] = np.log1p(pull)
            hard = pull > np.quantile(pull, 1 - _HARDEST)
            drawn = Halves(table.points[taught], table.labels[taught], table.half[taught])
            models: list[tuple[str, Fit]] = [("a linear model", linear)]
            models += [] if surrogate_network is None else [("a small network", networked(surrogate_network))]
            found = None if codes is None else pulling(hard & single[rows], table.labels, codes)
            if found is None or codes is None:
                effects = [drawn.without_hardest(_HARDEST, *each) for each in models]
                group = _told(rows[hard], effects)
            else:
                theirs = np.isin(codes, found.sources)
                effects = [drawn.without(theirs[taught], *each) for each in models]
                chance = drawn.beyond_chance(theirs[taught], effects[0], np.random.default_rng(self.seed))
                members = rows[hard & theirs]
                label = class_names[int(np.bincount(labels[members]).argmax())]
                group = _accused(found, members, effects, chance, sources.names, label)
        return Evidence(scores, "empirical", (group,))


def _pulls(table: Halves, taught: np.ndarray) -> np.ndarray:
    """(n,) of all rows, by a model of some; 0 for those of a class that is not among them."""
    model = learned(table.points[taught], table.labels[taught])
    pull, known = np.zeros(len(table.labels)), np.isin(table.labels, model.classes_)
    pull[known] = pulls(model, table.points[known], table.labels[known])
    return pull


def _accused(
    found: Pulling,
    members: Rows,
    effects: Sequence[GroupEffect],
    chance: float,
    names: tuple[str, ...],
    label: str,
) -> Group:
    """Sources whose rows pull; told only, where the rest is not learned better without them."""
    harm = effects[0].gain > 0 and chance <= _SURE
    more = f" and {len(found.sources) - _NAMED} more" if len(found.sources) > _NAMED else ""
    who = ", ".join(repr(names[code]) for code in found.sources[:_NAMED]) + more
    doubt = (
        f"Their labels cost it {effects[0].cheaper:.3f} nats a row less, beyond any random group of as many rows of the same classes."
        if harm
        else "That is no more than leaving out random rows does, and sources may honestly differ so."
    )
    explanation = (
        f"{found.hard:,} rows from {who} are among the {_HARDEST:.0%} that pull a linear model hardest one way, where "
        f"{found.expected:,.0f} would be expected from everybody else's. Leaving out all they sent changes, on the others' rows, "
        f"{_said(effects)}. {doubt}"
    )
    return Group(
        "label-flip",
        members,
        found.share,
        found.p_value,
        found.share,
        LEAST_SHARE,
        explanation,
        1.0 if harm else 0.0,
        target_label=label,
    )


def _told(members: Rows, effects: Sequence[GroupEffect]) -> Group:
    """The hardest rows of all; accused by nobody."""
    first = effects[0]
    explanation = (
        f"Leaving out the {_HARDEST:.0%} that pull a linear model hardest one way changes, on rows it has not seen, {_said(effects)}. "
        "Labels flipped to cost a model most look like that, and so may honest rows with ways of their own; sources would decide it."
    )
    return Group("label-flip", members, first.gain, first.p_value, first.gain, LEAST_GAIN, explanation, 0.0)


def _said(effects: Sequence[GroupEffect]) -> str:
    return "the accuracy " + ", ".join(f"of {each.model} from {each.before:.1%} to {each.after:.1%}" for each in effects)

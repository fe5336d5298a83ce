"""Labels that are a quantity and far from what the rest of the row says: a list to review, and who sent too many of them."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from scipy.stats import hypergeom
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from untaint.detectors.base import Detector
from untaint.errors import FeatureUnavailable
from untaint.evidence.evidence import Evidence, Group
from untaint.evidence.sources import FEWEST_SOURCES
from untaint.features.canvas import Sources
from untaint.features.cells import Cells
from untaint.features.duplicates import NearCopies
from untaint.features.quantities import amounts
from untaint.types import Labels, Modality, Rows

LEAST_EFFECT = 0.1
"""Share of a source's labels that must be far off beyond everybody else's: one instrument that is twice as noisy stays near it."""
_FOLDS = 3
_LEAST = 100  # rows; fewer teach no trees
_LEARN = 20_000  # rows that one model learns from
_FAR = 6.0
"""Deviations, by the median of the residuals around, from which a label is listed: of Gaussian residuals none in 10 million is."""
_LISTED = 0.02  # of the rows at most: where more lie so far out, residuals are simply heavy-tailed
_SIGNIFICANT = 0.05  # groups above are not told at all
_OFTEN = 0.02  # of all labels count as far off when sources are compared
_LEAST_SENT = 30  # rows of a source that is tested


@final
@dataclass(frozen=True)
class ResidualLabels(Detector):
    """Ranks rows by how far their label, a quantity, is from what boosted trees that have not seen the row say.

    Residuals are measured in units of their usual size among rows of which as much is expected, so that dear houses may be off by more.
    The list is of labels six such units off, one in fifty at most; how many of them are wrong cannot be told from the table alone, and
    nobody is accused for one. Of six sources or more, one is told if far more of its labels than of the others' are among the worst
    fiftieth of all: it may have changed them, or measure something harder.

    Works when: trees explain half of the label's variation or more, and wrong labels are off by more than honest noise.
    Fails when: labels are moved by less than the noise; residuals are heavy-tailed; more than a third of all labels are wrong.
    Cost: three fits of boosted trees.
    Reference: residual-based label checks, Zhou, Mueller, Kumar, Wang, Lei 2023, arXiv 2305.16583; the scale and the test are our own
    """

    id: ClassVar[str] = "residual-labels"
    modalities: ClassVar[frozenset[Modality]] = frozenset({"table"})

    @property
    def budget(self) -> str:
        return "fast"

    def examine(
        self, cells: Cells, labels: Labels, near_copies: NearCopies, sources: Sources, class_names: tuple[str, ...]
    ) -> Evidence:
        quantity = amounts(labels, class_names)
        if quantity is None:
            return Evidence(np.where(labels >= 0, 0.0, np.nan).astype(np.float32), "empirical", note="the labels are classes")
        rows = np.flatnonzero(~np.isnan(quantity))
        if len(rows) < _LEAST:
            raise FeatureUnavailable(f"needs at least {_LEAST} labels that are a quantity, found {len(rows)}")
        expected = _expected(cells, quantity, np.where(np.isnan(quantity), -1, near_copies.folds(_FOLDS, 0)))
        off = np.full(len(quantity), np.nan)
        off[rows] = _units(quantity[rows] - expected[rows], expected[rows])
        far = rows[off[rows] >= _FAR]
        listed = far[np.argsort(-off[far], kind="stable")][: int(_LISTED * len(rows))]
        groups = _by_source(off, rows, sources) if len(sources.names) >= FEWEST_SOURCES else ()
        explained = max(0.0, 1 - float(np.var(quantity[rows] - expected[rows]) / max(float(np.var(quantity[rows])), 1e-300)))
        note = f"Trees explain {explained:.0%} of how labels vary."
        return Evidence(np.log1p(off).astype(np.float32), "empirical", groups, listed, note=note)


def _expected(cells: Cells, quantity: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """(n,) what trees say of each row that learned from the other folds; NaN without a label.

    They learn ranks, so that no label however large pulls the others, and what they say is put back on the labels' scale.
    """
    known = np.flatnonzero(fold >= 0)
    ordered = np.sort(quantity[known])
    ranks = np.full(len(quantity), np.nan)
    ranks[known] = np.searchsorted(ordered, quantity[known], "left") + np.searchsorted(ordered, quantity[known], "right") - 1.0
    ranks /= 2 * len(ordered)
    values = np.clip(np.nan_to_num(cells.values, nan=np.nan, posinf=np.nan, neginf=np.nan), -1e300, 1e300)
    said, rng = np.full(len(quantity), np.nan), np.random.default_rng(0)
    with threadpool_limits(1, user_api="openmp"):
        for part in range(_FOLDS):
            learn, judge = np.flatnonzero((fold >= 0) & (fold != part)), np.flatnonzero(fold == part)
            learn = np.sort(rng.choice(learn, min(len(learn), _LEARN), replace=False))
            model = HistGradientBoostingRegressor(
                max_iter=80, max_leaf_nodes=15, l2_regularization=5.0, early_stopping=False, random_state=0
            )
            said[judge] = model.fit(values[learn], ranks[learn]).predict(values[judge]) if len(judge) and len(learn) else np.nan
    place = np.clip(said[known], 0, 1) * (len(ordered) - 1)
    said[known] = np.interp(place, np.arange(len(ordered)), ordered)
    return said


def _units(residuals: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """(m,) residuals by 1.48 times the median size of those of the rows of which about as much is expected, a tenth of all or 30."""
    order, size = np.argsort(expected, kind="stable"), np.abs(residuals)
    window = min(len(size), max(_LEAST_SENT, len(size) // 10))
    usual = np.array([np.median(part) for part in np.array_split(size[order], max(1, len(size) // window))])
    scale = np.repeat(usual, [len(part) for part in np.array_split(order, len(usual))])
    found = np.empty(len(size))
    found[order] = size[order] / np.maximum(1.4826 * scale, 1e-9 * max(float(size.max()), 1e-300))
    return found


def _by_source(off: np.ndarray, rows: Rows, sources: Sources) -> tuple[Group, ...]:
    """Sources with far too many of the labels that are off most, each against all others together."""
    cut = float(np.quantile(off[rows], 1 - _OFTEN))
    worst, codes = off[rows] > cut, sources.codes[rows]
    known = np.unique(codes[codes >= 0])
    groups = []
    for code in known.tolist():
        mine = codes == code
        sent, bad, total = int(mine.sum()), int((worst & mine).sum()), int(worst.sum())
        if sent < _LEAST_SENT or bad == 0:
            continue
        p_value = min(1.0, len(known) * float(hypergeom.sf(bad - 1, len(rows), total, sent)))
        effect = bad / sent - (total - bad) / max(1, len(rows) - sent)
        if p_value <= _SIGNIFICANT and effect > 0:
            explanation = (
                f"{bad:,} of {sent:,} labels from '{sources.names[code]}' are among the {total:,} furthest from what the rest of their row "
                "says. It may have changed them, or measure something harder."
            )
            groups.append(Group("label-flip", rows[worst & mine], float(bad), p_value, effect, LEAST_EFFECT, explanation, 0.0))
    return tuple(groups)

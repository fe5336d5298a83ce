"""Large tables are searched in rows drawn at random; what is found there is looked up in all."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from untaint.evidence.evidence import Evidence, Group
from untaint.evidence.value_overrides import Override, Table
from untaint.features.canvas import Sources
from untaint.features.cells import Cells
from untaint.features.duplicates import NearCopies
from untaint.features.items import Items
from untaint.features.table_content import TableContent
from untaint.types import Labels, Rows


@final
@dataclass(frozen=True)
class Draw:
    """What is searched. table, sources: of the rows drawn, or of all.  labels: (n,) of all."""

    table: Table
    sources: Sources
    labels: Labels

    def everywhere(self, scores: np.ndarray, found: Sequence[tuple[Override, Group]]) -> Evidence:
        """Evidence on all n rows. scores: (m,) of those that were searched; others have NaN, unless they bear what was found."""
        drawn, groups = self.table.items.drawn, [group for _, group in found]
        if drawn is None:
            return Evidence(scores, "empirical", tuple(groups))
        wide = np.full(len(self.labels), np.nan, np.float32)
        wide[drawn.rows] = scores
        counted = f"counted in {len(drawn.rows):,} rows drawn from {len(self.labels):,}"
        for place, (each, group) in enumerate(found):
            members = self._bearers(drawn.cells, each)
            wide[members] = np.fmax(wide[members], np.float32(each.root))
            explanation = f"{group.explanation} That is {counted}; {len(members):,} of all rows have these values and this label."
            groups[place] = replace(group, members=members, explanation=explanation)
        return Evidence(wide, "empirical", tuple(groups), note=f"values together were {counted}")

    def _bearers(self, cells: Cells, found: Override) -> Rows:
        rows, items = np.flatnonzero(self.labels == found.label), self.table.items
        for item in found.items:
            values, low, high = cells.values[rows, items.column[item]], items.low[item], items.high[item]
            rows = rows[np.isnan(values) if np.isnan(low) else (values >= low) & (values <= high)]
        return rows


def draw(items: Items, labels: Labels, content: TableContent, near_copies: NearCopies, sources: Sources) -> Draw:
    """What the rows of `items` are to all other features."""
    weights = near_copies.weights
    if items.drawn is None:
        return Draw(Table(items, labels, content, weights), sources, labels)
    rows = items.drawn.rows
    part = replace(content, own=content.own[rows], probabilities=content.probabilities[rows], said=content.said[:, rows])
    return Draw(Table(items, labels[rows], part, weights[rows]), Sources(sources.codes[rows], sources.names), labels)

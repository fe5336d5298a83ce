"""Values, and values together, that decide the label whatever the rest of the row says."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from untaint.detectors.base import Detector
from untaint.evidence.conjunctions import candidates
from untaint.evidence.evidence import Evidence, Group, Trigger
from untaint.evidence.value_names import beside, sharpened, worded
from untaint.evidence.value_neighbours import Contrast, contrast
from untaint.evidence.value_overrides import LEAST_EFFECT, NOTABLE, Override, Table, clustered, overrides
from untaint.evidence.value_sources import Sent, senders
from untaint.features.canvas import Sources
from untaint.features.duplicates import NearCopies
from untaint.features.items import Items
from untaint.features.table_content import TableContent
from untaint.types import Labels, Modality

_SIGNIFICANT = 0.05  # corrected; the verdict corrects for detectors and asks for its own rate
_NAMED = 4  # sources that are spelled out


@final
@dataclass(frozen=True)
class ValueOverride(Detector):
    """Tests whether rows with certain values, one to three together, have a label that the rest of the row does not explain.

    Content is judged without the columns concerned, and what remains is compared with rows next to them: those with a part of the
    values, and those with nearly the same values. An honest strong sign does not stop at a value, a trigger does. What passes is a
    shortcut (a default that some process writes, say), unless one of three things holds. Several values together, none of which does
    it alone, whose rows are to content what rows with other labels are. Or they come from few sources, more unevenly than other
    values as frequent are shared, and the same sources do not give that label elsewhere. Or both in part: rows say the opposite of
    their label and come from few sources, be those sources different in kind.

    Works when: ten to twenty rows of other classes bear the trigger and the other columns tell the classes apart.
    Fails when: content hardly knows the label (then only many rows or sources help); poison keeps its own, right label; the values
        are those of more than half of all rows.
    Cost: seconds beyond the content feature; pairs are counted in 20,000 rows at most.
    Reference: own method; the trigger is that of Severi, Meyer, Coull, Oprea 2021, arXiv 2003.01031
    """

    id: ClassVar[str] = "value-override"
    modalities: ClassVar[frozenset[Modality]] = frozenset({"table"})

    @property
    def budget(self) -> str:
        return "fast"

    def examine(
        self,
        items: Items,
        labels: Labels,
        content: TableContent,
        near_copies: NearCopies,
        sources: Sources,
        class_names: tuple[str, ...],
    ) -> Evidence:
        table = Table(items, labels, content, near_copies.weights)
        found = overrides(table, candidates(items, labels, table.doubted()))
        notable = [each for each in found if each.root >= NOTABLE and each.effect >= LEAST_EFFECT]
        sent, groups = senders(table, sources), []
        told = [sharpened(table, parts[0]) for parts in clustered(notable)]
        for each in told:
            who = sent.of(table, each) if sent is not None else None
            beyond = contrast(table, each, who.rest if who is not None else None)
            group = _group(_Case(table, each, beyond, who, len(told), sources.names, class_names))
            groups += [group] if group.p_value <= _SIGNIFICANT else []
        return Evidence(_scores(found, table), "empirical", tuple(groups))


def _scores(found: list[Override], table: Table) -> np.ndarray:
    """(n,) the strongest conjunction that each row bears with the label it overrides to; 0 for none."""
    scores = np.zeros(len(table.labels), np.float32)
    for each in found:
        if each.root > 0:
            scores[each.members] = np.maximum(scores[each.members], each.root)
    return np.where(table.labels >= 0, scores, np.nan).astype(np.float32)


@final
@dataclass(frozen=True)
class _Case:
    """One conjunction, what its neighbours do, and who sent it.  asked: how many conjunctions were looked at this closely."""

    table: Table
    found: Override
    beyond: Contrast
    sent: Sent | None
    asked: int
    sources: tuple[str, ...]
    class_names: tuple[str, ...]

    @property
    def natural(self) -> float:
        """P-value of an association whose neighbours do not have it as well, else it is a strong sign that goes on: a shortcut."""
        return self.table.p_value(self.found.items, self.found.root) if self._apart >= NOTABLE else 1.0

    @property
    def _apart(self) -> float:
        return min(self.found.root, self.beyond.root)

    @property
    def planted(self) -> float:
        """Smallest p-value of what only somebody who chose the label explains; 1 where nothing does."""
        apart = self.table.p_value(self.found.items, self._apart)
        by_values = max(apart, self.asked * self.beyond.p_value) if self._together else 1.0
        if self.sent is None or self.beyond.senders < NOTABLE:
            return min(1.0, by_values)
        by_sources = (
            self.asked * self.sent.p_value if self.beyond.senders >= NOTABLE else 1.0
        )  # else it is theirs, not the values'
        opposed = self.asked * max(self.sent.chance, self.beyond.p_value)
        return min(1.0, by_values, by_sources, opposed)

    @property
    def _together(self) -> bool:
        return len(self.found.items) > 1 and self.beyond.neighbours > 0


def _group(case: _Case) -> Group:
    found, beyond, name = case.found, case.beyond, case.class_names[case.found.label]
    words, also = worded(case.table, found.items), beside(case.table, found)
    accused = case.planted <= _SIGNIFICANT
    who = _who(case.sent, case.sources) if case.sent is not None else ""
    explanation = (
        f"{found.hits:,.0f} of {found.bearers:,.0f} rows with {words} are labelled '{name}'. Their other columns would give "
        f"{found.expected:,.0f}.{f' They also have {worded(case.table, also)}.' if also else ''} {_neighbours(beyond, name)}{who} "
        f"{_place(beyond, name) if accused else 'That may be planted or a rule of honest data; sources would decide it.'}"
    )
    whole = worded(case.table, (*found.items, *also))
    return Group(
        "backdoor",
        found.members,
        found.root,
        case.planted if accused else case.natural,
        found.effect,
        LEAST_EFFECT,
        explanation,
        1.0 if accused else 0.0,
        target_label=name,
        trigger=Trigger("values", whole, {"values": whole, "bearers": round(found.bearers)}),
    )


def _neighbours(beyond: Contrast, name: str) -> str:
    if not beyond.neighbours:
        return "Too few rows have a part of these values, or nearly the same, to compare with."
    return (
        f"Of the {beyond.neighbours:,} rows with a part of these values or nearly the same that come closest, {beyond.labelled:,.0f} are "
        f"'{name}' where their other columns would give {beyond.expected:,.0f}."
    )


def _place(beyond: Contrast, name: str) -> str:
    return (
        f"Without these columns the rows are at {beyond.place:.2f} on a line from rows with other labels (0) to rows that are "
        f"'{name}' (1); honest signs of a label stand at .5 and above."
    )


def _who(sent: Sent, sources: tuple[str, ...]) -> str:
    names = ", ".join(f"'{sources[code]}'" for code in sent.guilty[:_NAMED])
    more = " and others" if len(sent.guilty) > _NAMED else ""
    return f" They come from {names}{more}, which sent {sent.share:.0%} of everything, far more often than chance gives."

"""Values, and values together, that decide the label whatever the rest of the row says."""

import json
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from untaint.detectors.base import Detector
from untaint.evidence.conjunctions import candidates
from untaint.evidence.evidence import Evidence, Group, Trigger
from untaint.evidence.value_charges import SIGNIFICANT, Case, charged
from untaint.evidence.value_draws import draw
from untaint.evidence.value_names import beside, worded
from untaint.evidence.value_neighbours import Contrast
from untaint.evidence.value_overrides import LEAST_EFFECT, NOTABLE, Override, Table, clustered, overrides
from untaint.evidence.value_sources import Sent, senders
from untaint.features.canvas import Sources
from untaint.features.duplicates import NearCopies
from untaint.features.items import Items
from untaint.features.table_content import TableContent
from untaint.types import Labels, Modality

_NAMED = 4  # sources that are spelled out


@final
@dataclass(frozen=True)
class ValueOverride(Detector):
    """Tests whether rows with certain values, one to three together, have a label that the rest of the row does not explain.

    Content is judged without the columns concerned, and what remains is compared with rows next to them: those with a part of the
    values, and those with nearly the same values. An honest strong sign does not stop at a value, a trigger does. What passes is a
    shortcut (a default that some process writes, say), unless its rows come from few sources, more unevenly than other values as
    frequent are shared, and the same sources do not give that label elsewhere; or come from few sources and say the opposite of their
    label, be those sources different in kind. Without a word on sources nobody is accused. The report then says whether the values
    stand together far more often than other values of the same columns do, or in rows that by the other columns are none to have them.

    Works when: ten to twenty rows of other classes bear the trigger, the other columns tell the classes apart and few of many sources
        sent it; then seven rows, or 2 % of rows with right labels, are enough.
    Fails when: nobody knows sources (then it is told as a shortcut), or content hardly knows the label; the target is nearly all of the
        rows; the values are those of more than half of all rows.
    Cost: seconds beyond the content feature; of a table of more than 200,000 rows as many are searched, what is found is looked up in
        all, and other rows have no score; pairs are counted in 20,000 rows at most.
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
        searched = draw(items, labels, content, near_copies, sources)
        table = searched.table
        found = overrides(table, candidates(items, table.labels, table.doubted()))
        notable = [each for each in found if each.root >= NOTABLE and each.effect >= LEAST_EFFECT]
        cases = charged(table, clustered(notable), senders(table, searched.sources))
        groups = [(case.found, _group(case, sources.names, class_names)) for case in cases]
        return searched.everywhere(_scores(found, table), [each for each in groups if each[1].p_value <= SIGNIFICANT])


def _scores(found: list[Override], table: Table) -> np.ndarray:
    """(n,) the strongest conjunction that each row bears with the label it overrides to; 0 for none."""
    scores = np.zeros(len(table.labels), np.float32)
    for each in found:
        if each.root > 0:
            scores[each.members] = np.maximum(scores[each.members], each.root)
    return np.where(table.labels >= 0, scores, np.nan).astype(np.float32)


def _group(case: Case, sources: tuple[str, ...], class_names: tuple[str, ...]) -> Group:
    found, beyond, name = case.found, case.beyond, class_names[case.found.label]
    words, also = worded(case.table, found.items), beside(case.table, found)
    accused = case.planted <= SIGNIFICANT
    who = _who(case.sent, sources) if case.sent is not None else ""
    explanation = (
        f"{found.hits:,.0f} of {found.bearers:,.0f} rows with {words} are labelled '{name}'. Their other columns would give "
        f"{found.expected:,.0f}.{f' They also have {worded(case.table, also)}.' if also else ''} {_neighbours(beyond, name)}{who} "
        f"{_reasons(case, name, accused=accused)}"
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
        trigger=Trigger("values", whole, {"values": whole, "columns": _columns(case, also), "bearers": round(found.bearers)}),
    )


def _columns(case: Case, also: tuple[int, ...]) -> str:
    items = case.table.items
    return json.dumps([items.cells.names[items.column[item]] for item in (*case.found.items, *also)], ensure_ascii=False)


def _neighbours(beyond: Contrast, name: str) -> str:
    if not beyond.neighbours:
        return "Too few rows have a part of these values, or nearly the same, to compare with."
    return (
        f"Of the {beyond.neighbours:,} rows with a part of these values or nearly the same that come closest, {beyond.labelled:,.0f} are "
        f"'{name}' where their other columns would give {beyond.expected:,.0f}."
    )


def _reasons(case: Case, name: str, *, accused: bool) -> str:
    """What an accusation rests on beyond the association, or what speaks for one without sources."""
    place = (
        f"Without these columns the rows are at {case.beyond.place:.2f} on a line from rows with other labels (0) to rows that are "
        f"'{name}' (1); honest signs of a label stand at .5 and above."
    )
    if accused:
        return place
    open_question = "That may be planted or a rule of honest data; sources would decide it."
    if case.written:
        return (
            f"{place} The values stand together far more often than other values of these columns do, as those do that somebody wrote, "
            f"and those of instruments that fail together. {open_question}"
        )
    if case.foreign:
        return (
            f"{place} And they are at {case.graft.place:.2f} on a line from rows without these values (0) to other rows with them (1), as "
            f"rows are into which somebody wrote them. {open_question}"
        )
    return open_question


def _who(sent: Sent, sources: tuple[str, ...]) -> str:
    names = ", ".join(f"'{sources[code]}'" for code in sent.guilty[:_NAMED])
    more = " and others" if len(sent.guilty) > _NAMED else ""
    return f" They come from {names}{more}, which sent {sent.share:.0%} of everything, far more often than chance gives."

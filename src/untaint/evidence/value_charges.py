"""Which conjunctions that override the rest of a row are an attack, and which may be a rule of honest data.

Honest tables hold conjunctions that decide the label and that no other column sees: a rule that people follow, instruments that
fail together, a default that a form writes. None of them is an attack. What only an attack explains is asked here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import final

from untaint.evidence.value_grafts import grafted
from untaint.evidence.value_names import sharpened
from untaint.evidence.value_neighbours import Contrast, contrast
from untaint.evidence.value_overrides import NOTABLE, Override, Table
from untaint.evidence.value_sources import Senders, Sent
from untaint.numerics.between import Place

SIGNIFICANT = 0.05  # corrected; the verdict corrects for detectors and asks for its own rate
_TRIED = 8  # of the conjunctions of the same rows, the strongest
_HONEST = 0.01  # chance that an honest conjunction passes for a written one, over all of a table that override the rest


@final
@dataclass(frozen=True)
class Case:
    """One conjunction, what its neighbours do, and who sent it.

    asked: how many conjunctions were looked at this closely.  apart: how many of them override what their neighbours have not.
    """

    table: Table
    found: Override
    beyond: Contrast
    sent: Sent | None
    asked: int
    apart: int

    @property
    def natural(self) -> float:
        """P-value of an association whose neighbours do not have it as well, else it is a strong sign that goes on: a shortcut."""
        return beyond_neighbours(self.table, self.found, self.beyond)

    @property
    def planted(self) -> float:
        """P-value of few sources having sent them, who give that label to nothing else; 1 where nobody knows who sent what.

        Values alone accuse nobody, not even where they were `written` into rows or are `foreign` to them: three clean tables of 210
        were called poisoned for instruments that fail together in rows which an honest hand gave one label.
        """
        if self.sent is None or self.beyond.senders < NOTABLE:  # else it is theirs, not the values'
            return 1.0
        return min(1.0, self.asked * min(self.sent.p_value, max(self.sent.chance, self.beyond.p_value)))

    @property
    def written(self) -> bool:
        """Whether values stand together that hardly met before, in rows that say the opposite of their label.

        Further from the label than rows drawn at random: those are who a rule or a default hits that no other column sees.
        """
        found = max(self.beyond.p_random, self.table.lifts.written(self.found.items))
        return self._together and self.apart * found <= _HONEST

    @property
    def foreign(self) -> bool:
        """Whether rows say the opposite of their label and are none that have such values."""
        opposed = self._together and self.apart * self.beyond.p_value <= _HONEST
        return opposed and self.apart * self.graft.p_value <= _HONEST

    @cached_property
    def graft(self) -> Place:
        """Where the rows stand between others without the values and others with them."""
        return grafted(self.table, self.found)

    @property
    def _together(self) -> bool:
        return len(self.found.items) > 1 and self.beyond.neighbours > 0 and self.natural <= SIGNIFICANT


def beyond_neighbours(table: Table, found: Override, beyond: Contrast) -> float:
    """P-value of what a conjunction does beyond the rest of its rows and beyond its neighbours; 1 where they do it as well."""
    apart = min(found.root, beyond.root)
    return table.p_value(found.items, apart) if apart >= NOTABLE else 1.0


def charged(table: Table, told: Sequence[Sequence[Override]], senders: Senders | None) -> list[Case]:
    """Conjunctions with what speaks for an attack. told: those that are one, the strongest first; the sharpest of them is charged."""
    chosen = [_sharpest(table, parts, senders) for parts in told]
    apart = sum(beyond_neighbours(table, found, beyond) <= SIGNIFICANT for found, _, beyond in chosen)
    return [Case(table, found, beyond, sent, len(told), max(1, apart)) for found, sent, beyond in chosen]


def _sharpest(table: Table, parts: Sequence[Override], senders: Senders | None) -> tuple[Override, Sent | None, Contrast]:
    """Of some conjunctions of the same rows the one that goes furthest beyond its neighbours, for those of another are its own rows."""
    found: dict[tuple[int, ...], tuple[Override, Sent | None, Contrast]] = {}
    for part in parts[:_TRIED]:
        sharp = sharpened(table, part)
        if sharp.items not in found:
            sent = senders.of(table, sharp) if senders is not None else None
            found[sharp.items] = sharp, sent, contrast(table, sharp, sent.rest if sent is not None else None)
    return min(found.values(), key=lambda case: beyond_neighbours(table, case[0], case[2]))

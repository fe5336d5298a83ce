"""The changes of a whole model: tensors that changed in the same way are one thing that was done to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

from untaint.evidence.finding import Severity
from untaint.models.changes.bound import STATISTICS
from untaint.models.changes.kinds import Named

SEVERITY: Mapping[str, Severity] = {
    **dict.fromkeys(
        ("one value", "one row", "one column", "some values", "sign flip", "bit flips", "rank-one edit", "low-rank edit"), "high"
    ),
    **dict.fromkeys(
        ("low-rank adapter", "dense fine-tune", "re-initialised", "pruned", "some rows", "some columns", "added", "removed"),
        "medium",
    ),
    **dict.fromkeys(("scaled", "permuted", "quantised or rounded", "reshaped"), "low"),
    "renamed": "info",
}
"""Of a change that no run explains. high: an aimed edit, which training does not leave behind.  medium: what training or adapting would
do, with nobody to say which.  low: what leaves the answers as they were, or nearly."""

_ADAPTED, _ADAPTED_BY_ONE = 2, 3
"""Tensors of low rank from which an adapter was merged; of rank one it takes more, as editing a fact touches one or two matrices. The two
are counted apart: an edit may hide beside an adapter, whose rank is the same in all its matrices."""
_MOST = 0.5
"""Share of the changed numbers that dense tensors hold, from which the whole was fine-tuned and small oddities came with it."""
_SMALL = 16  # numbers of a tensor too small for its kind to mean anything beside a fine-tune
_WITH_TRAINING = {"some rows", "some columns", "some values", "low-rank edit"}
"""What training leaves too: embeddings of words that were seen, filters that live, heads of few classes."""

_FURTHER = 2.0
"""Times as far as the rest such a change may go: a coarse format rounds a step up to twice its size."""
_THIN = 32
"""Smaller side of a matrix in which a few steps of training look of rank one: facts are edited in larger ones."""
_SPARSE = {"one value", "one row", "one column"}
"""What a fine-tune leaves where a coarse format swallows most of its steps, or one word was seen: as long as it moved no further than
the rest."""


@final
@dataclass(frozen=True)
class Group:
    """What was done, and the tensors it was done to."""

    kind: str
    members: tuple[Named, ...]

    @property
    def severity(self) -> Severity:
        """When no run explains it."""
        return SEVERITY[self.kind]

    @property
    def changed(self) -> int:
        """Numbers that differ."""
        return sum(member.change.changed for member in self.members if member.change is not None)


def grouped(changes: Sequence[Named]) -> tuple[Group, ...]:
    """Tensors by what happened to them, most changed numbers first."""
    kinds = {id(each): _kind(each, changes) for each in changes}
    groups: dict[str, list[Named]] = {}
    for each in changes:
        groups.setdefault(kinds[id(each)], []).append(each)
    found = [Group(kind, tuple(members)) for kind, members in groups.items()]
    return tuple(sorted(found, key=lambda group: -group.changed))


def _kind(each: Named, changes: Sequence[Named]) -> str:
    if _trained(changes) and _came_along(each, changes):
        return "dense fine-tune"
    ones = [other for other in changes if other.kind == "rank-one edit"]
    more = [other for other in changes if other.kind == "low-rank edit"]
    if (each in ones and len(ones) >= _ADAPTED_BY_ONE) or (each in more and len(more) >= _ADAPTED):
        return "low-rank adapter"
    return each.kind


def _trained(changes: Sequence[Named]) -> bool:
    sizes = [(each.kind, each.change.changed) for each in changes if each.change is not None]
    dense = sum(size for kind, size in sizes if kind == "dense fine-tune")
    return dense > _MOST * sum(size for _, size in sizes)


def _came_along(each: Named, changes: Sequence[Named]) -> bool:
    """Whether a change beside a fine-tune is part of it."""
    if each.change is None:
        return False
    small = each.pair.new.count < _SMALL or each.name.endswith(STATISTICS)
    far = max(other.change.largest for other in changes if other.kind == "dense fine-tune" and other.change is not None)
    rows = each.change.shape[0]
    thin = each.kind == "rank-one edit" and min(rows, each.change.count // rows) < _THIN
    return small or each.kind in _WITH_TRAINING or ((thin or each.kind in _SPARSE) and each.change.largest <= _FURTHER * far)

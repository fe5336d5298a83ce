"""What a change of a tensor is called: the most special name that fits all of it."""

from dataclasses import dataclass
from math import isnan
from typing import Literal, final

from untaint.models.changes.pairing import Pair
from untaint.numerics.change_tally import LISTED, Change

Kind = Literal[
    "one value",
    "one row",
    "one column",
    "sign flip",
    "bit flips",
    "rank-one edit",
    "low-rank edit",
    "some values",
    "some rows",
    "some columns",
    "pruned",
    "scaled",
    "permuted",
    "quantised or rounded",
    "re-initialised",
    "dense fine-tune",
    "added",
    "removed",
    "reshaped",
    "renamed",
    "identical",
]

_FEW = 0.05
"""Share of rows or columns up to which a change is one of those, and not of the whole."""
_FEW_VALUES = 0.01
_HANDFUL = 16  # values that are few in a tensor of any size
_LOW = 4
"""A rank is low when the smaller side is at least so many times it: adapters are far below, what training leaves is above."""
_FULL = 0.3
"""Share of the numbers in changed rows and columns that a product of factors changes at least, though rounding hides some of it; where
fewer differ, single steps of a coarse format were taken here and there, and their rank means nothing."""
_UNLIKE, _UNLIKE_SMALL = 0.05, 4.0
"""Cosine of old and new under which they have nothing in common, and how many standard errors (1/sqrt(n)) pass as chance."""
_ENOUGH = 64  # values without which a cosine says nothing


@final
@dataclass(frozen=True)
class Named:
    """What became of a tensor. said: in words, with its numbers.  change: None = its numbers are the same, or can't be compared."""

    pair: Pair
    kind: Kind
    said: str
    change: Change | None = None

    @property
    def name(self) -> str:
        """Of the tensor, as the new model calls it."""
        return self.pair.new.name


def named(pair: Pair, change: Change) -> Named:
    """The name of a change."""
    for rule in (_handful, _exact, _part, _low, _whole):
        found = rule(pair, change)
        if found is not None:
            return Named(pair, *found, change)
    return Named(pair, "dense fine-tune", _moved(change), change)


_Found = tuple[Kind, str] | None


def _handful(pair: Pair, change: Change) -> _Found:
    """Values that can be told one by one, and signs."""
    if change.changed <= LISTED and all(moved.bit >= _lowest_special(pair) for moved in change.moved):
        signs = all(moved.bit == pair.new.form.sign for moved in change.moved)
        kind: Kind = "sign flip" if signs else "bit flips"
        return (
            kind,
            f"{_values(change.changed)} changed by one bit, of the {'sign' if signs else 'exponent or sign'}: {_listed(change)}",
        )
    if change.flipped == change.changed:
        return "sign flip", f"{_values(change.changed)} changed the sign, {_where(change)}"
    if change.changed == 1:
        return "one value", f"one value changed: {_listed(change)}"
    return None


def _lowest_special(pair: Pair) -> int:
    """The least bit of the exponent; of numbers without one, the sign."""
    form = pair.new.form
    return form.sign - form.exponent if form.sign >= 0 else 64


def _exact(_pair: Pair, change: Change) -> _Found:
    """What explains every number."""
    if change.permuted:
        return "permuted", f"the same {change.permuted} in another order"
    scaled = next((rule for rule in change.rules if rule.kind != "scaled" or change.rows > max(1, _FEW * change.shape[0])), None)
    if scaled is not None:
        return ("scaled" if scaled.kind == "scaled" else "quantised or rounded"), scaled.said
    return None


def _part(_pair: Pair, change: Change) -> _Found:
    """Only some of its rows, columns or values."""
    rows, columns = change.shape
    if columns > 1 and rows > 1 and change.rows == 1:
        return "one row", f"one row of {rows:,} changed, by {change.relative:.2g} of the norm of all"
    if columns > 1 and rows > 1 and change.columns == 1:
        return "one column", f"one column of {columns:,} changed, by {change.relative:.2g} of the norm of all"
    if change.zeroed == change.changed:
        return "pruned", f"{_values(change.changed)} of {change.count:,} became zero"
    if columns > 1 and change.rows <= _FEW * rows:
        return "some rows", f"{change.rows:,} rows of {rows:,} changed"
    if columns > 1 and change.columns <= _FEW * columns:
        return "some columns", f"{change.columns:,} columns of {columns:,} changed"
    return None


def _low(_pair: Pair, change: Change) -> _Found:
    rows, columns = change.shape[0], change.count // change.shape[0]
    if isnan(change.rank) or change.open or change.rank < 1 or _LOW * change.rank > min(rows, columns):
        return None
    across = change.columns * (columns // change.shape[1])  # columns that hold a difference
    if min(change.rows, across) <= change.rank or change.changed < _FULL * change.rows * across:
        return None
    size = f"norm {change.relative:.2g} of the old"
    if change.rank == 1:
        return "rank-one edit", f"all that changed is one row times one column, {size}"
    return "low-rank edit", f"the change of {rows:,} by {columns:,} numbers has rank {change.rank:.0f}, {size}"


def _whole(_pair: Pair, change: Change) -> _Found:
    if change.changed <= max(_HANDFUL, _FEW_VALUES * change.count) and change.changed < change.count / 2:
        return "some values", f"{_values(change.changed)} of {change.count:,} changed: {_listed(change)}"
    chance = _UNLIKE_SMALL / change.count**0.5
    if change.count >= _ENOUGH and abs(change.correlation) <= max(_UNLIKE, chance):
        return "re-initialised", f"old and new have nothing in common: cosine {change.correlation:.3f}"
    return None


def _moved(change: Change) -> str:
    share = "" if change.changed == change.count else f"{change.changed / change.count:.0%} of "
    rank = "" if isnan(change.rank) else f", rank {'at least ' if change.open else ''}{change.rank:.0f}"
    return f"{share}all values moved, by {change.relative:.2g} of the norm{rank}"


def _where(change: Change) -> str:
    if change.changed == change.count:
        return "all of them"
    parts = (("row", change.rows, change.shape[0]), ("column", change.columns, change.shape[1]))
    return "in " + " and ".join(f"{count:,} {word}{'' if count == 1 else 's'}" for word, count, whole in parts if whole > 1)


def _values(count: int) -> str:
    return "one value" if count == 1 else f"{count:,} values"


def _listed(change: Change) -> str:
    shown = [f"number {moved.place:,} from {moved.old:.6g} to {moved.new:.6g}" for moved in change.moved[:3]]
    return ", ".join(shown) + (" …" if change.changed > 3 else "")

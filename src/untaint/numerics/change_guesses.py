"""Single rules that would explain every number of a changed matrix; each is dropped at the first piece that breaks it.

A rule that survives all pieces is what happened. One that fails at once costs nothing; one that lasts costs a pass over the numbers.
Pieces are (rows, columns): whole rows, or a stretch of one row.
"""

from abc import ABC, abstractmethod
from typing import final

import numpy as np
from typing_extensions import override

from untaint.numerics.number_formats import FORMATS, Format, rounded

_SLACK = 4.0
"""Roundings between a number and what a rule makes of it: the factor, the product, how it is stored, and how the old one was."""
_APART = 2.0  # times the slack that a factor differs from one, if it is a factor and no rounding
_LEVELS = ((127, False, "int8"), (255, True, "int8"), (7, False, "int4"), (8, False, "int4"), (15, True, "int4"))
"""Steps from zero to the largest value of a group, or (True) from the least to the largest, as quantisers choose them."""
_GROUPS = (0, 128, 64, 32)
"""Neighbours that share a step: a whole row, or a block of it as GPTQ, bitsandbytes and GGUF have it."""
_MOST_STEPS = 256  # from zero to the largest number: what 8 bits with an offset count
_OFF = 0.2
"""Share of a step that a number may lie off the grid, since it was stored rounded; of random numbers four in ten lie nearer."""
_SHARP = 0.1
"""Share of the numbers that must be so: of normal weights in bfloat16 rounded to int8 half are, of even ones a fifth, of a vector of ones
none."""
_WAS_OFF = 0.1
"""Of a step: how far old numbers lay off the grid on average, if something was rounded; numbers that know of no grid lie off by 0.25."""
_HALF = 0.51  # of a step: what rounding to the grid moves a number at most
_MOSTLY = 0.9
"""Of the numbers where the format hides the grid: the step was rounded too, so that one in ten may fall on the other side of a half. Of
numbers that know of no grid four in ten fit."""
_ENOUGH = 24  # numbers that must fit: so many do not by chance, four in ten each
_TALLIED = 8  # numbers of a group that are not its ends: fewer lie on any grid by chance


class Rule(ABC):
    """kind: what a change by this rule is called.  said: in words."""

    kind: str
    said: str

    @abstractmethod
    def holds(self, old: np.ndarray, new: np.ndarray, row: int) -> bool:
        """Whether every number of a piece that begins at `row` is as the rule has it."""

    def tells(self) -> bool:
        """Whether a rule that holds says anything: one that would hold for any small change does not."""
        return True


@final
class Cast(Rule):
    """Rounded to a coarser format of floats."""

    kind = "quantised or rounded"

    def __init__(self, form: Format, kept: Format) -> None:
        self.form, self.kept, self.said = form, kept, f"each number is the old one rounded to {form.name}"

    @override
    def holds(self, old: np.ndarray, new: np.ndarray, row: int) -> bool:
        wanted = rounded(old, self.form)
        return bool(np.array_equal(rounded(wanted, self.kept) if self.kept.size == 2 else wanted, new))


@final
class Unit(Rule):
    """Moved by a unit in the last place at most, as when the same sum is made in another order."""

    kind = "quantised or rounded"
    said = "no number moved by more than a unit in its last place"

    def __init__(self, form: Format) -> None:
        self.form = form

    @override
    def holds(self, old: np.ndarray, new: np.ndarray, row: int) -> bool:
        most = 2 * self.form.roundoff * np.maximum(np.abs(old), np.abs(new)) + self.form.tiny
        return bool((np.abs(new - old) <= most).all())


@final
class Scaled(Rule):
    """Multiplied by one factor."""

    kind = "scaled"

    def __init__(self, form: Format) -> None:
        self.form, self.factor, self.said = form, 0.0, ""

    @override
    def holds(self, old: np.ndarray, new: np.ndarray, row: int) -> bool:
        at = np.abs(old).argmax()
        if not self.factor and old.flat[at]:
            self.factor = float(new.flat[at]) / float(old.flat[at])
            self.said = f"each number is {self.factor:.6g} times the old one"
        return _as_wanted(new, old * old.dtype.type(self.factor), self.form)

    @override
    def tells(self) -> bool:
        return abs(self.factor - 1) > _APART * _SLACK * self.form.roundoff


@final
class RowsScaled(Rule):
    """Each row multiplied by a factor of its own, as when a normalisation is folded into the layer before it."""

    kind = "scaled"
    said = "each row is the old one times a factor of its own"

    def __init__(self, form: Format, rows: int) -> None:
        self.form, self.factors = form, np.full(rows, np.nan)

    @override
    def holds(self, old: np.ndarray, new: np.ndarray, row: int) -> bool:
        if old.shape[1] < 2:
            return False
        found = _ratios(new, old)
        known = self.factors[row : row + len(old)]
        known[:] = np.where(np.isnan(known), found, known)
        return _as_wanted(new, old * known[:, None].astype(old.dtype), self.form)

    @override
    def tells(self) -> bool:
        return bool(np.nanmedian(np.abs(self.factors - 1)) > _APART * _SLACK * self.form.roundoff)


@final
class Steps(Rule):
    """Stored as whole numbers of steps, whose size is the same in a row."""

    kind = "quantised or rounded"
    said = "each number is the old one in whole steps, one size of step for each row"

    @override
    def holds(self, old: np.ndarray, new: np.ndarray, row: int) -> bool:
        size = _ratios(old, new)[:, None]
        counted = np.divide(old, size, out=np.zeros_like(old), where=size != 0)
        return bool((np.abs(counted - new) <= 2 * _HALF).all())  # the size comes from a number that was rounded itself


@final
class Grid(Rule):
    """Rounded to evenly spaced steps, the same for a row or a block of it: integers and back."""

    kind = "quantised or rounded"

    def __init__(self, form: Format) -> None:
        self.form, self.said = form, ""
        self.off, self.seen, self.sharp = 0.0, 0, 0
        self.left = [(level, group) for level in _LEVELS for group in _GROUPS]

    @override
    def holds(self, old: np.ndarray, new: np.ndarray, row: int) -> bool:
        if old.shape[1] == 1:  # a vector shares its step as a row does
            old, new = old.reshape(1, -1), new.reshape(1, -1)
        self.left = [(level, group) for level, group in self.left if self._fits(old, new, level, group)]
        if self.left:
            (_, offset, name), group = self.left[0]
            shared = f"{group} numbers" if group else "each row"
            self.said = (
                f"each number is the old one rounded to {name}{' with an offset' if offset else ''}, one step for {shared}"
            )
        return bool(self.left)

    def _fits(self, old: np.ndarray, new: np.ndarray, level: tuple[int, bool, str], group: int) -> bool:
        steps = level[0]
        width = group or old.shape[1]
        if old.shape[1] % width or width < _TALLIED:
            return False
        before, low, step = _grid_of(old, new, level, width)
        after = new.reshape(-1, width)
        stored = 2 * self.form.roundoff * np.abs(after) + self.form.tiny
        sharp = stored < _OFF * step  # what the format can tell from its neighbours on the grid
        if sharp.mean() < _SHARP or (np.abs(after - before) > _HALF * step + stored).any():
            return False
        if 2 * steps * self.form.roundoff < _OFF:
            return bool((np.abs(_off_grid(after - low, step)) <= _OFF).all())
        wanted = before - step * _off_grid(before - low, step)  # the format hides the grid: what should have come is known still
        return bool((np.abs(after - wanted) <= stored)[sharp].mean() >= _MOSTLY)


@final
class OneGrid(Rule):
    """Rounded to evenly spaced steps, the same for the whole tensor, one of them at zero."""

    kind = "quantised or rounded"

    def __init__(self, form: Format) -> None:
        self.form, self.said = form, ""
        self.step, self.off, self.seen = 0.0, 0.0, 0

    @override
    def holds(self, old: np.ndarray, new: np.ndarray, row: int) -> bool:
        sizes = np.abs(new[new != 0])
        if not self.step:
            self.step = float(sizes.min(initial=np.inf))
        if not np.isfinite(self.step):
            self.step = 0.0
            return not old.any()
        stored = 2 * self.form.roundoff * np.abs(new) + self.form.tiny
        sharp = stored < _OFF * self.step
        moved = (np.abs(new - old) > _HALF * self.step + stored).any()
        if moved or sharp.mean() < _SHARP or sizes.max() > _MOST_STEPS * self.step:
            return False
        step = np.asarray(self.step, old.dtype)
        if (np.abs(_off_grid(new, step)) * self.step > 2 * stored + 1e-6 * np.abs(new))[sharp].any():
            return False  # the step is known as well as its numbers are: to a rounding
        self.said = f"each number is the old one rounded to whole steps of {self.step:.3g}"
        self.off += float(np.abs(_off_grid(old, step)).sum())
        self.seen += old.size
        return True

    @override
    def tells(self) -> bool:
        return self.off > _WAS_OFF * self.seen


def _grid_of(old: np.ndarray, new: np.ndarray, level: tuple[int, bool, str], width: int) -> tuple[np.ndarray, ...]:
    """Old numbers (groups, width), where the grid of each group of new ones begins, and its step."""
    steps, offset, _ = level
    after = new.reshape(-1, width)
    low = after.min(1, keepdims=True) if offset else np.zeros((len(after), 1), after.dtype)
    return old.reshape(-1, width), low, np.abs(after - low).max(1, keepdims=True) / steps


def _off_grid(values: np.ndarray, step: np.ndarray) -> np.ndarray:
    """How many steps each value lies off the nearest point of the grid."""
    scaled = np.divide(values, step, out=np.zeros_like(values), where=step != 0)
    return scaled - np.rint(scaled)


def _ratios(over: np.ndarray, under: np.ndarray) -> np.ndarray:
    """(rows,) of the two where `under` is largest; 1 where it is zero throughout."""
    at = np.abs(under).argmax(1)[:, None]
    largest = np.take_along_axis(under, at, 1)[:, 0]
    return np.divide(np.take_along_axis(over, at, 1)[:, 0], largest, out=np.ones(len(under), under.dtype), where=largest != 0)


def _as_wanted(new: np.ndarray, wanted: np.ndarray, form: Format) -> bool:
    return bool((np.abs(new - wanted) <= _SLACK * (max(form.roundoff, 1e-7) * np.abs(wanted) + form.tiny)).all())


def rules(forms: tuple[Format, Format], rows: int) -> list[Rule]:
    """All that can be tried on a matrix of so many rows, stored in these formats before and after."""
    before, after = forms
    coarser = max(forms, key=lambda form: form.roundoff)
    if not before.bits or not after.bits:
        return [Steps()] if before.bits and after.family == "whole" else [Scaled(coarser)]
    casts: list[Rule] = [
        Cast(FORMATS[name], after) for name in ("float32", "float16", "bfloat16") if FORMATS[name].bits < before.bits
    ]
    exact: list[Rule] = [Unit(coarser)] if coarser.bits >= FORMATS["float32"].bits else []
    return [*casts, *exact, Scaled(coarser), RowsScaled(coarser, rows), Grid(coarser), OneGrid(coarser)]

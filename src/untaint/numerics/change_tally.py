"""What happened to a matrix between two versions of it, summed up piece by piece so that neither is ever held whole."""

from dataclasses import dataclass
from math import sqrt
from typing import final

import numpy as np

from untaint.numerics.change_guesses import Rule, rules
from untaint.numerics.number_formats import Format, read

LISTED = 256
"""Changed values that are kept one by one, with their bits: more are no handful."""
_FIRST = 4  # rows a rule is tried on before a whole piece
_HUGE = 1e300  # stands for squares that no float holds


@final
@dataclass(frozen=True)
class Piece:
    """Part of both versions, (rows, columns) floats: whole rows, or a stretch of one. row, column: where it begins.

    differs: (rows, columns) whether the stored numbers differ.  bits: (rows, columns) which of their bits, None = formats differ.
    """

    old: np.ndarray
    new: np.ndarray
    differs: np.ndarray
    bits: np.ndarray | None
    row: int
    column: int


@final
@dataclass(frozen=True)
class Moved:
    """One changed value. place: its number in the tensor.  bit: the one bit that differs, counted from the last, -1 = several."""

    place: int
    old: float
    new: float
    bit: int


def piece_of(old: np.ndarray, new: np.ndarray, forms: tuple[Format, Format], columns: int, start: int) -> Piece:
    """Raw bytes (uint8) of both versions from number `start` on, of matrices with so many columns."""
    before, after = read(old, forms[0]), read(new, forms[1])
    bits = None
    if forms[0] == forms[1]:
        unsigned = forms[0].unsigned
        bits = old.view(unsigned) ^ new.view(unsigned)
        differs = bits != 0
    else:
        differs = (before != after) & ~(np.isnan(before) & np.isnan(after))
    row, column = divmod(start, columns)
    wide = (-1, min(columns, len(differs)))
    return Piece(
        before.reshape(wide),
        after.reshape(wide),
        differs.reshape(wide),
        None if bits is None else bits.reshape(wide),
        row,
        column,
    )


@final
class Tally:
    """Sums over the pieces of a matrix (rows, columns). blocks: groups of columns, such as the kernels of one input channel each."""

    def __init__(self, shape: tuple[int, int], blocks: int, forms: tuple[Format, Format]) -> None:
        rows, columns = shape
        self.shape, self.per_block = shape, max(columns // max(blocks, 1), 1)
        self.rules = rules(forms, rows)
        self.old_rows, self.new_rows, self.change_rows = np.zeros((3, rows))
        self.old_blocks, self.new_blocks = np.zeros((2, blocks))
        self.rows, self.blocks = np.zeros(rows, bool), np.zeros(blocks, bool)
        self.moved: list[Moved] = []
        self.changed = self.flipped = self.zeroed = self.unsound = 0
        self.product = self.largest = self.largest_old = 0.0

    def add(self, piece: Piece) -> np.ndarray:
        """Count a piece; returns the change (rows, columns), 0 where a number is not finite."""
        change, old, new = self._finite(piece)
        at = slice(piece.row, piece.row + len(change))
        self.old_rows[at] += _squares(old, "i")
        self.new_rows[at] += _squares(new, "i")
        self._by_block(piece, old, new)
        if piece.differs.any():
            self.rows[at] |= piece.differs.any(1)
            self.change_rows[at] += _squares(change, "i")
            self.largest = max(self.largest, float(change.max()), -float(change.min()))
            self.changed += int(np.count_nonzero(piece.differs))
            self.flipped += int(np.count_nonzero(piece.differs & (new == -old) & (old != 0)))
            self.zeroed += int(np.count_nonzero(piece.differs & (new == 0) & (old != 0)))
            self._list(piece)
        self.largest_old = max(self.largest_old, float(old.max()), -float(old.min()))
        self.product += float(np.vdot(old, new))
        self.rules = [rule for rule in self.rules if self._holds(rule, old, new, piece.row)]
        return change

    @staticmethod
    def _holds(rule: Rule, old: np.ndarray, new: np.ndarray, row: int) -> bool:
        """A few rows tell of most rules that they do not."""
        if old.shape[1] > 1 and not rule.holds(old[:_FIRST], new[:_FIRST], row):
            return False
        return rule.holds(old, new, row)

    def _finite(self, piece: Piece) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        with np.errstate(invalid="ignore", over="ignore"):
            change = piece.new - piece.old
        finite = np.isfinite(change)
        if finite.all():
            return change, piece.old, piece.new
        self.unsound += int(np.count_nonzero(~finite & piece.differs))
        return np.where(finite, change, 0), np.where(finite, piece.old, 0), np.where(finite, piece.new, 0)

    def _by_block(self, piece: Piece, old: np.ndarray, new: np.ndarray) -> None:
        at = (piece.column + np.arange(old.shape[1])) // self.per_block
        self.old_blocks += np.bincount(at, _squares(old, "j"), len(self.blocks))
        self.new_blocks += np.bincount(at, _squares(new, "j"), len(self.blocks))
        self.blocks[at[piece.differs.any(0)]] = True

    def _list(self, piece: Piece) -> None:
        for at in np.flatnonzero(piece.differs)[: max(LISTED + 1 - len(self.moved), 0)]:
            place = piece.row * self.shape[1] + piece.column + int(at)
            self.moved.append(Moved(place, float(piece.old.flat[at]), float(piece.new.flat[at]), _only_bit(piece.bits, int(at))))


def _squares(values: np.ndarray, axis: str) -> np.ndarray:
    found = np.einsum(f"ij,ij->{axis}", values, values)
    if np.isfinite(found).all():
        return found
    wide = values.astype(np.float64)  # numbers too large to be squared in float32, or at all
    return np.minimum(np.einsum(f"ij,ij->{axis}", wide, wide), _HUGE)


def _only_bit(bits: np.ndarray | None, at: int) -> int:
    value = 0 if bits is None else int(bits.flat[at])
    return value.bit_length() - 1 if value and value & (value - 1) == 0 else -1


@final
@dataclass(frozen=True)
class Change:
    """A matrix that changed. count, changed: numbers in it, and how many differ.  shape: rows and blocks of columns.

    rows, columns: how many of those hold a difference.  norm_old, norm_change: Euclidean.  correlation: cosine of old and new, NaN = one
    of them is zero.  largest: change of one number.  largest_old: number before, without its sign.
    top_row: share of the squared change that the row changed most holds.
    flipped: numbers that changed only their sign.  zeroed: that became zero.  unsound: changed ones that are or were not finite.
    rules: what explains every number.  moved: the first changed values.  rank: directions of the change that rounding can't have made,
    NaN = not looked for; open: it may be larger.  permuted: "rows", "columns" or "" .
    """

    count: int
    changed: int
    shape: tuple[int, int]
    rows: int
    columns: int
    norm_old: float
    norm_change: float
    correlation: float
    largest: float
    largest_old: float
    top_row: float
    flipped: int
    zeroed: int
    unsound: int
    rules: tuple[Rule, ...]
    moved: tuple[Moved, ...]
    rank: float = float("nan")
    open: bool = False
    permuted: str = ""

    @property
    def relative(self) -> float:
        """Norm of the change over that of the old version; infinite where that is zero."""
        if self.norm_old:
            return self.norm_change / self.norm_old
        return float("inf") if self.norm_change else 0.0


def summed(tally: Tally, rank: tuple[float, bool], permuted: str) -> Change:
    """What a tally comes to. rank: of the change, and whether it may be larger."""
    old, new, moved = (float(rows.sum()) for rows in (tally.old_rows, tally.new_rows, tally.change_rows))
    return Change(
        count=tally.shape[0] * tally.shape[1],
        changed=tally.changed,
        shape=(tally.shape[0], len(tally.blocks)),
        rows=int(tally.rows.sum()),
        columns=int(tally.blocks.sum()),
        norm_old=sqrt(old),
        norm_change=sqrt(moved),
        correlation=tally.product / sqrt(old * new) if old and new else float("nan"),
        largest=tally.largest,
        largest_old=tally.largest_old,
        top_row=float(tally.change_rows.max()) / moved if moved else float("nan"),
        flipped=tally.flipped,
        zeroed=tally.zeroed,
        unsound=tally.unsound,
        rules=tuple(rule for rule in tally.rules if rule.tells()),
        moved=tuple(tally.moved),
        rank=rank[0],
        open=rank[1],
        permuted=permuted,
    )

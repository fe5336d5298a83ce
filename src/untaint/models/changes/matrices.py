"""Two versions of a tensor, compared piece by piece from disk."""

import hashlib
from collections.abc import Callable

import numpy as np

from untaint.models.changes.pairing import Pair
from untaint.models.weights.pieces import PIECE, pieces
from untaint.models.weights.stored import Stored
from untaint.numerics.change_rank import Sketch, rank_of_part
from untaint.numerics.change_tally import Change, Tally, piece_of, summed
from untaint.numerics.number_formats import Format, read

_NARROW = 4  # rows or columns under which a rank says nothing
_PART = 512
"""Rows and columns of the part whose rank is looked at where a sketch is full: shows adapters up to rank 256."""
_STRIP = 32  # rows of it that lie together in the file
_SORTED = 4_000_000
"""Numbers of a vector that are sorted to see whether they only changed places: 16 MB."""
_ALIKE = 1e-5  # relative difference of norms of the same row: sums of the same numbers in another order

Read = Callable[[int], None]
"""Told how many bytes were read."""


def compared(pair: Pair, seed: int, told: Read) -> Change | None:
    """What happened to the numbers both versions have, None = nothing. Raises BadInput where a file ends early."""
    count = min(pair.old.count, pair.new.count)
    if count == 0 or _identical(pair, count, told):
        return None
    _, columns, blocks = pair.new.matrix if len(pair.new.shape) > 1 else (count, 1, 1)
    rows = count // columns
    forms = (pair.old.form, pair.new.form)
    coarser = max(forms, key=lambda form: form.roundoff)
    tally = Tally((rows, columns), blocks, forms)
    sketch = Sketch((rows, columns), seed) if min(rows, columns) >= _NARROW else None
    for start, size in pieces(count, columns):
        piece = piece_of(pair.old.raw(start, size), pair.new.raw(start, size), forms, columns, start)
        change = tally.add(piece)
        if sketch is not None and piece.differs.any():
            sketch.add(change, piece.row, piece.column)
        told(size * (pair.old.form.size + pair.new.form.size))
    rank = (
        sketch.rank(tally.new_rows, float(tally.change_rows.sum()), coarser)
        if sketch is not None and tally.changed
        else (float("nan"), False)
    )
    if rank[1] and min(rows, columns) > 2 * _PART:
        rank = _part_rank(pair, (rows, columns), coarser, seed)
    return summed(tally, rank, _permuted(pair, tally, count)) if tally.changed else None


def _identical(pair: Pair, count: int, told: Read) -> bool:
    """Whether the bytes are the same; stops at the first that are not."""
    if pair.old.form != pair.new.form:
        return False
    for start, size in pieces(count, 1, 1 << 21):
        if not np.array_equal(pair.old.raw(start, size), pair.new.raw(start, size)):
            return False
        told(2 * size * pair.old.form.size)
    return True


def _part_rank(pair: Pair, shape: tuple[int, int], form: Format, seed: int) -> tuple[float, bool]:
    """Rank of the change in a random choice of rows and columns, which a change of low rank shares."""
    generator = np.random.default_rng(seed)
    starts = generator.choice(shape[0] // _STRIP, _PART // _STRIP, replace=False) * _STRIP
    columns = np.sort(generator.choice(shape[1], _PART, replace=False))
    old, new = (
        np.concatenate([_strip(tensor, int(start), shape[1])[:, columns] for start in starts]).astype(np.float64)
        for tensor in (pair.old, pair.new)
    )
    if not (np.isfinite(old).all() and np.isfinite(new).all()):
        return float(_PART), True
    return rank_of_part(old, new, form)


def _strip(tensor: Stored, start: int, columns: int) -> np.ndarray:
    """Some rows from `start` on."""
    return read(tensor.raw(start * columns, _STRIP * columns), tensor.form).reshape(_STRIP, columns)


def _permuted(pair: Pair, tally: Tally, count: int) -> str:
    """`rows` or `columns` when those only changed places, else nothing."""
    if pair.old.form != pair.new.form or pair.old.shape != pair.new.shape:
        return ""
    columns = tally.shape[1]
    if columns == 1:
        return "rows" if count <= _SORTED and _same_numbers(pair, count) else ""
    if _alike(tally.old_rows, tally.new_rows) and _row_digests(pair.old, columns) == _row_digests(pair.new, columns):
        return "rows"
    if _alike(tally.old_blocks, tally.new_blocks) and _same_blocks(pair, tally):
        return "columns"
    return ""


def _alike(old: np.ndarray, new: np.ndarray) -> bool:
    if len(old) < 2:
        return False
    first, second = np.sort(old), np.sort(new)
    return bool((np.abs(first - second) <= _ALIKE * np.maximum(first, second)).all())


def _same_numbers(pair: Pair, count: int) -> bool:
    unsigned = pair.old.form.unsigned
    old, new = (np.sort(tensor.raw(0, count).view(unsigned)) for tensor in (pair.old, pair.new))
    return bool(np.array_equal(old, new))


def _row_digests(tensor: Stored, columns: int) -> list[bytes]:
    """A digest of every row, sorted. Rows longer than a piece are read whole: they are few."""
    found = []
    size = columns * tensor.form.size
    for start, count in pieces(tensor.count, columns, max(columns, PIECE)):
        raw = tensor.raw(start, count).tobytes()
        found += [hashlib.blake2b(raw[at : at + size], digest_size=16).digest() for at in range(0, len(raw), size)]
    return sorted(found)


def _same_blocks(pair: Pair, tally: Tally) -> bool:
    """Whether the blocks of columns, brought into the order of their norms, are the same in every row."""
    rows, columns = tally.shape
    order_old, order_new = np.argsort(tally.old_blocks, kind="stable"), np.argsort(tally.new_blocks, kind="stable")
    unsigned = pair.old.form.unsigned
    for start, count in pieces(rows * columns, columns, max(columns, PIECE)):
        shape = (count // columns, len(tally.blocks), tally.per_block)
        old, new = (tensor.raw(start, count).view(unsigned).reshape(shape) for tensor in (pair.old, pair.new))
        if not np.array_equal(old[:, order_old], new[:, order_new]):
            return False
    return True

"""Rows of Arrow columns as JSON texts, and their cells as numbers and words, column by column.

What comes out is what `_recipe.table_row` and `json.loads` make of one row after another, to the byte: the id of a row is the digest of
its text. Cells that are not written in the plainest way go through `table_row` itself, each different one once.
"""

import hashlib
import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from untaint.data.parts import Part
from untaint.data.readers._recipe import table_row
from untaint.errors import BadInput

ROWS = 16_384
"""Rows that are read at once: enough that calls cost little beside them, some 20 MB of texts for fifty columns."""
_HEAVY = 2**28
"""Bytes of rows that are read at once at most: texts of one Arrow array have 2 GB."""
_NUMBER = r"^(0|-?[1-9][0-9]*|-?(0|[1-9][0-9]*)\.[0-9]+)$"
_EXACT = 16
"""Characters of a number with a point up to which it has at most 15 digits, all of which a float64 keeps: its shortest text is its own."""
_WHOLE = 18  # characters of a whole number up to which it is below 2**63
_LOOKED, _FEW = 1000, 250
"""A column with at most so many different cells among the first is read by different cell, not cell by cell."""
_SMALL, _LARGE = 1e-4, 1e10  # sizes between which Arrow and Python both write digits without an exponent
_LARGEST = 1e15  # size of a whole number up to which Python does so

Texts: TypeAlias = tuple[Any, np.ndarray | None]
"""JSON text of every cell, and which are not finite; None = all are."""


def row_texts(rows: pa.RecordBatch | pa.Table, names: Sequence[str]) -> tuple[Any, dict[int, str]]:
    """(n,) JSON text of every row, and for each that is not finite why it cannot be used."""
    pieces: list[Any] = []
    reasons: dict[int, str] = {}
    for place, name in enumerate(names):
        texts, infinite = cell_texts(_whole(rows.column(name)))
        pieces += [f"{', ' if place else '{'}{json.dumps(name, ensure_ascii=False)}: ", texts]
        for row in np.flatnonzero(infinite).tolist() if infinite is not None else ():
            reasons.setdefault(row, f"not finite (column {name!r})")
    return pc.binary_join_element_wise(*pieces, "}", ""), reasons


def digests(texts: Any) -> Any:
    """(n,) SHA-256 of every text, hexadecimal."""
    start, size = texts.offset, len(texts)
    ends = np.frombuffer(texts.buffers()[1], np.int32, size + 1, start * 4).tolist()
    held = memoryview(texts.buffers()[2] or b"")
    found = b"".join(hashlib.sha256(held[a:b]).digest() for a, b in pairwise(ends))
    places = pa.py_buffer(np.arange(0, 64 * (size + 1), 64, dtype=np.int32))
    return pa.StringArray.from_buffers(size, places, pa.py_buffer(found.hex().encode()))


def in_pieces(rows: pa.RecordBatch) -> list[pa.RecordBatch]:
    """A batch, in pieces where it is heavy."""
    if rows.nbytes <= _HEAVY or rows.num_rows <= 1:
        return [rows]
    half = rows.num_rows // 2
    return [*in_pieces(rows.slice(0, half)), *in_pieces(rows.slice(half))]


def cell_texts(cells: Any) -> Texts:
    """JSON text of every cell of an array."""
    kind = cells.type
    if pa.types.is_boolean(kind):
        return pc.fill_null(pc.if_else(cells, "true", "false"), "null"), None
    if pa.types.is_floating(kind):
        return _float_texts(cells.cast(pa.float64()))
    if pa.types.is_integer(kind) and not _few(cells):
        return pc.fill_null(cells.cast(pa.string()), "null"), None
    if _is_text(kind):
        return _written_texts(cells.cast(pa.string()))
    if pa.types.is_dictionary(kind):
        return cell_texts(cells.dictionary_decode())
    return _different_texts(cells)


def part(cells: Any) -> Part:
    """The cells of an array as numbers and words."""
    kind = cells.type
    if pa.types.is_boolean(kind):
        return Part(_numbers(cells.cast(pa.uint8())), np.zeros(len(cells), bool), truths=True)
    if pa.types.is_floating(kind) or pa.types.is_integer(kind):
        numbers = _numbers(cells)
        return Part(numbers, ~np.isfinite(numbers) & _there(cells))
    if _is_text(kind):
        return _written_part(cells.cast(pa.string()))
    if pa.types.is_dictionary(kind):
        return part(cells.dictionary_decode())
    return _different_part(cells)


def _float_texts(cells: Any) -> Texts:
    """Python writes the shortest text that gives the same number, as Arrow does, but exponents and whole numbers in another way."""
    numbers, there = _numbers(cells), _there(cells)
    if _few(cells) and not (np.signbit(numbers) & (numbers == 0)).any():  # Arrow takes 0.0 and -0.0 for one
        return _different_texts(cells)
    size = np.abs(numbers)
    whole = (
        there
        & (size < _LARGEST)
        & (np.trunc(np.where(size < _LARGEST, numbers, 0.5)) == numbers)
        & ~((size == 0) & np.signbit(numbers))
    )
    plain = there & (size >= _SMALL) & (size < _LARGE) & ~whole
    texts = cells.cast(pa.string()) if plain.any() else pa.nulls(len(cells), pa.string())
    if whole.any():
        digits = pa.array(np.where(whole, numbers, 0).astype(np.int64)).cast(pa.string())
        texts = pc.if_else(pa.array(whole), pc.binary_join_element_wise(digits, ".0", ""), texts)
    texts, infinite = _put(texts, there & ~plain & ~whole, cells)
    return pc.fill_null(texts, "null"), infinite


def _written_texts(cells: Any) -> Texts:
    """Numbers in the plainest way of writing are taken as they are, but for zeros behind the point."""
    if _few(cells):
        return _different_texts(cells)
    number, point = _plain_numbers(cells)
    length = _ints(pc.binary_length(cells))
    tiny = pc.match_substring_regex(cells, r"^-?0\.0000")
    short = number & point & (length <= _EXACT) & ~_truth(tiny)
    whole = number & ~point & (length <= _WHOLE)
    texts = cells
    if short.any():
        cut = pc.ascii_rtrim(cells, "0")
        cut = pc.if_else(pc.ends_with(cut, "."), pc.binary_join_element_wise(cut, "0", ""), cut)
        texts = pc.if_else(pa.array(short), cut, cells)
    exact = number & point & ~short
    if exact.any():
        read, _ = _float_texts(cells.filter(pa.array(exact)).cast(pa.float64()))
        texts = pc.replace_with_mask(texts, pa.array(exact), read)
    texts, infinite = _put(texts, _there(cells) & ~(short | whole | exact), cells)
    return pc.fill_null(texts, "null"), infinite


def _put(texts: Any, mask: np.ndarray, cells: Any) -> Texts:
    """Texts of some of the cells put in their places."""
    if not mask.any():
        return texts, None
    read, infinite = _different_texts(cells.filter(pa.array(mask)))
    if infinite is not None:
        found = np.zeros(len(mask), bool)
        found[mask] = infinite
        infinite = found
    return pc.replace_with_mask(texts, pa.array(mask), read), infinite


def _different_texts(cells: Any) -> Texts:
    """Each different cell by `table_row`."""
    codes, values = coded(cells)
    said = [table_row({"": value}) for value in values]
    texts = pa.array([*(str(text)[len('{"": ') : -1] for text, _ in said), "null"], pa.string())
    infinite = np.array([*(reason is not None for _, reason in said), False])
    found = texts.take(pa.array(np.where(codes < 0, len(values), codes)))
    return found, infinite[codes] if infinite.any() else None


def _written_part(cells: Any) -> Part:
    if _few(cells):
        return _different_part(cells)
    number, _ = _plain_numbers(cells)
    read = pc.if_else(pa.array(number), cells, None).cast(pa.float64())
    rest = _there(cells) & ~number
    numbers = _numbers(read)
    infinite = np.isinf(numbers)
    if not rest.any():
        return Part(numbers, infinite)
    other = _different_part(cells.filter(pa.array(rest)))
    numbers[rest], infinite[rest] = other.numbers, other.wild
    codes = np.full(len(cells), -1, np.int32)
    codes[rest] = -1 if other.codes is None else other.codes
    return Part(numbers, infinite, codes, other.words)


def _different_part(cells: Any) -> Part:
    """Each different cell as JSON has it."""
    codes, values = coded(cells)
    said = [json.loads(str(table_row({"": value})[0]))[""] for value in values]
    known = [(_as_float(value), isinstance(value, int | float)) for value in said]
    numbers = np.array([*(number for number, _ in known), np.nan])[codes]
    is_number = np.array([*(each for _, each in known), False])[codes]
    truths = all(value is None or isinstance(value, bool) for value in said)
    words = [place for place, value in enumerate(said) if value is not None and not isinstance(value, int | float)]
    where = np.full(len(said) + 1, -1, np.int32)
    where[words] = np.arange(len(words))
    return Part(numbers, is_number & ~np.isfinite(numbers), where[codes], [said[place] for place in words], truths)


def _as_float(value: object) -> float:
    if not isinstance(value, int | float):
        return np.nan
    try:
        return float(value)
    except OverflowError:
        return np.inf if value > 0 else -np.inf


def coded(cells: Any) -> tuple[np.ndarray, list[Any]]:
    """(n,) place of every cell among the different ones, in the order in which they come, -1 = null; and those as Python objects."""
    try:
        coded = cells.dictionary_encode()
    except pa.ArrowNotImplementedError:  # nested cells
        return np.where(_there(cells), np.arange(len(cells)), -1), objects(cells)
    return _ints(coded.indices), objects(coded.dictionary)


def objects(cells: Any) -> list[Any]:
    try:
        found: list[Any] = cells.to_pylist()
    except (OverflowError, ValueError) as error:
        message = f"the table holds a value that cannot be read ({error}), such as a time after the year 9999."
        raise BadInput(message, advice="Mend that column or leave it out.") from error
    return found


def _plain_numbers(cells: Any) -> tuple[np.ndarray, np.ndarray]:
    """(n,) bool: numbers in the plainest way of writing; and cells with a point."""
    return _truth(pc.match_substring_regex(cells, _NUMBER)), _ints(pc.find_substring(cells, ".")) >= 0


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _few(cells: Any) -> bool:
    return len(cells) > _FEW and len(cells.slice(0, _LOOKED).unique()) <= min(_FEW, len(cells) // 4)


def _whole(column: Any) -> Any:
    """One array of a column in chunks."""
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _numbers(cells: Any) -> np.ndarray:
    """(n,) float64 of numbers, NaN for null."""
    plain = cells.cast(pa.float64(), safe=False)
    return np.array(pc.fill_null(plain, np.nan).to_numpy(zero_copy_only=False), np.float64)


def _there(cells: Any) -> np.ndarray:
    return np.asarray(cells.is_valid().to_numpy(zero_copy_only=False))


def _truth(mask: Any) -> np.ndarray:
    return np.asarray(pc.fill_null(mask, False).to_numpy(zero_copy_only=False))


def _ints(values: Any) -> np.ndarray:
    return np.asarray(pc.fill_null(values, -1).to_numpy(zero_copy_only=False))

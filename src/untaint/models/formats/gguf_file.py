"""GGUF: metadata by key, descriptions of tensors, numbers. No code but the chat template.

Source: ggml's `docs/gguf.md`, versions 2 and 3.
"""

from math import prod
from typing import Any, Final

from untaint.models.formats import templates
from untaint.models.formats.notes import Notes
from untaint.models.formats.window import Broken, Window

MAGIC: Final = b"GGUF"
_WIDTHS: Final = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Bytes of each type of value: whole numbers, floats, truths."""
_STRING, _ARRAY = 8, 9
_MOST_TEXT: Final = 1 << 24
_MOST_ENTRIES: Final = 1_000_000
_MOST_AXES: Final = 8
_BLOCKS: Final = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36), 10: (256, 84),
    11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292), 16: (256, 66), 17: (256, 74), 18: (256, 98),
    19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82), 23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8),
    28: (1, 8), 29: (256, 56), 30: (1, 2), 34: (256, 54), 35: (256, 66), 39: (32, 17),
}  # fmt: skip
"""Numbers in a block of each type of tensor, and bytes of it. Source: `GGML_QUANT_SIZES` of the gguf package 0.19."""


def scan(content: Window, where: str, notes: Notes) -> None:
    """Look at its header. Raises Broken when it claims what does not follow."""
    version = content.number(4, 4)
    if version not in {2, 3}:
        raise Broken(f"it is of version {version}")
    tensors, entries = content.number(8, 8), content.number(16, 8)
    if max(tensors, entries) > _MOST_ENTRIES:
        raise Broken(f"it claims {tensors:,} tensors and {entries:,} entries", "oversize")
    at, align = 24, 32
    seen: set[str] = set()
    for _ in range(entries):
        key, at = _text(content, at)
        if key in seen:
            notes.flaw("high", "archive-trick", where, f"the key {key[:60]!r} comes twice")
        seen.add(key)
        notes.worked(1 + (len(key) >> 6))
        value, at = _value(content, at + 4, content.number(at, 4), notes)
        if key == "general.alignment" and type(value) is int:
            align = value
        if "chat_template" in key and isinstance(value, str):
            notes.rides(f"{where}: {key}" if where else key)
            templates.scan(value, f"{where}: {key}" if where else key, notes)
    if align < 8 or align & (align - 1) or align > 1 << 20:
        raise Broken(f"its numbers are aligned to {align}")
    _tensors(content, at, tensors, align, (where, notes))


def _tensors(content: Window, at: int, count: int, align: int, said: tuple[str, Notes]) -> None:
    where, notes = said
    spans: list[tuple[int, int, str]] = []
    for _ in range(count):
        name, at = _text(content, at)
        notes.worked(4 + (len(name) >> 6))
        axes = content.number(at, 4)
        if axes > _MOST_AXES:
            raise Broken(f"the tensor {name[:60]!r} has {axes:,} axes")
        shape = [content.number(at + 4 + 8 * axis, 8) for axis in range(axes)]
        at += 4 + 8 * axes
        kind, begin = content.number(at, 4), content.number(at + 4, 8)
        at += 12
        if kind not in _BLOCKS:
            raise Broken(f"the tensor {name[:60]!r} is of type {kind}, which is not known")
        block, size = _BLOCKS[kind]
        spans.append((begin, -(-prod(shape) // block) * size, name))
    start = -(-at // align) * align
    last = 0
    for begin, size, name in sorted(spans):
        if begin % align or begin < last:
            raise Broken(f"the tensor {name[:60]!r} overlaps another, or begins at an odd place")
        last = begin + size
    if start + last > content.size and spans:
        raise Broken(f"its tensors claim {last:,} bytes, and {max(content.size - start, 0):,} follow", "oversize")
    if spans and content.size - start - last >= align:
        notes.flaw("high", "trailing-data", where, f"{content.size - start - last:,} bytes follow its numbers")


def _text(content: Window, at: int) -> tuple[str, int]:
    length = content.number(at, 8)
    if length > _MOST_TEXT:
        raise Broken(f"a text claims {length:,} bytes", "oversize")
    return content.get(at + 8, length).decode("utf-8", "replace"), at + 8 + length


def _value(content: Window, at: int, kind: int, notes: Notes, depth: int = 0) -> tuple[Any, int]:
    """A value where it is a text or a whole number, and where the next begins."""
    if kind == _STRING:
        return _text(content, at)
    if kind in _WIDTHS:
        return content.number(at, _WIDTHS[kind]), at + _WIDTHS[kind]
    if kind != _ARRAY or depth:
        raise Broken(f"a value is of type {kind}, which is not known")
    inner, count = content.number(at, 4), content.number(at + 4, 8)
    at += 12
    if inner in _WIDTHS:
        content.part(at, count * _WIDTHS[inner])
        return None, at + count * _WIDTHS[inner]
    if inner != _STRING:
        raise Broken(f"a list is of type {inner}, which is not known")
    for _ in range(count):
        notes.worked()
        _, at = _text(content, at)
    return None, at

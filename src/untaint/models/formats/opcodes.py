"""Instructions of pickles, one at a time, with the place of their arguments.

Source: the table of `pickletools`, which the standard library keeps true to its own unpickler, protocols 0 to 5.
"""

import pickletools
from typing import Final, NamedTuple

from untaint.models.formats.window import Broken, Window

MOST_LINE: Final = 1 << 16
"""Bytes of an argument that ends with its line: a name or a number."""


class Instruction(NamedTuple):
    """at: where it stands.  start, size: of its argument, lengths before it left out.  second: start of a second line, 0 = none."""

    name: str
    at: int
    start: int
    size: int
    end: int
    second: int = 0


_PREFIX: Final = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
_LINES: Final = {"GLOBAL": 2, "INST": 2}
_KNOWN: Final = {ord(op.code): (op.name, op.arg.n if op.arg is not None else 0) for op in pickletools.opcodes}
_TABLE: Final = [_KNOWN.get(code) for code in range(256)]


def instruction(content: Window, at: int) -> Instruction:
    """The instruction at `at`. Raises Broken for one that is unknown or has no room for its argument."""
    left = content.end - content.start - at
    if left < 1:
        raise Broken(f"it ends at {at:,} without a stop", "truncated")
    entry = _TABLE[content.base[content.start + at]]
    if entry is None:
        raise Broken(f"byte {at:,} is {content.number(at, 1):#04x}, which is no instruction")
    name, length = entry
    if length >= 0:
        if length >= left:
            raise Broken(f"it ends within {name} at {at:,}", "truncated")
        return Instruction(name, at, at + 1, length, at + 1 + length)
    if length == pickletools.UP_TO_NEWLINE:
        return _lines(content, at, name)
    width = _PREFIX[length]
    size = content.number(at + 1, width)
    start = at + 1 + width
    if size > content.size - start:  # a negative signed length is far above this, too
        raise Broken(f"{name} at {at:,} claims {size:,} bytes, and {max(content.size - start, 0):,} follow", "oversize")
    return Instruction(name, at, start, size, start + size)


def _lines(content: Window, at: int, name: str) -> Instruction:
    first = content.find(b"\n", at + 1, MOST_LINE)
    last = content.find(b"\n", first + 1, MOST_LINE) if first >= 0 and name in _LINES else first
    if first < 0 or last < 0:
        raise Broken(f"the argument of {name} at {at:,} has no end")
    return Instruction(name, at, at + 1, first - at - 1, last + 1, first + 1 if name in _LINES else 0)

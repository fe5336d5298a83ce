"""Protocol Buffers without their schema: fields by number, as ONNX and TensorFlow write them.

Source: the encoding of protobuf.dev, wire types 0, 1, 2 and 5; groups (3 and 4) are not written by either.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from untaint.models.formats.notes import Notes
from untaint.models.formats.window import Broken, Window

_MOST_TEXT: Final = 1 << 16
_FIXED: Final = {1: 8, 5: 4}


class Field(NamedTuple):
    """number: of the field.  value: of a whole number.  start, size: of its bytes, where it has some (type 2)."""

    number: int
    type: int
    value: int
    start: int
    size: int


def fields(content: Window, notes: Notes) -> Iterator[Field]:
    """All fields of a message, in order. Raises Broken where the bytes are none."""
    at = 0
    while at < content.size:
        notes.worked()
        key, at = _varint(content, at)
        number, kind = key >> 3, key & 7
        if not number or kind in {3, 4, 6, 7}:
            raise Broken(f"byte {at - 1:,} begins no field")
        value, start, size = 0, at, 0
        if kind == 0:
            value, at = _varint(content, at)
        elif kind == 2:
            size, start = _varint(content, at)
            if size > content.size - start:
                raise Broken(f"a field claims {size:,} bytes, and {content.size - start:,} follow", "oversize")
            at = start + size
        else:
            at += _FIXED[kind]
            if at > content.size:
                raise Broken("it ends within a number", "truncated")
        yield Field(number, kind, value, start, size)


def inner(content: Window, notes: Notes, number: int) -> Iterator[Window]:
    """Messages, texts or bytes under a number."""
    for field in fields(content, notes):
        if field.number == number and field.type == 2:
            yield content.part(field.start, field.size)


def text(content: Window, field: Field) -> str:
    """A field as text, cut where it is very long."""
    return content.get(field.start, min(field.size, _MOST_TEXT)).decode("utf-8", "backslashreplace")


def _varint(content: Window, at: int) -> tuple[int, int]:
    base, place, last = content.base, content.start + at, content.end
    value = shift = 0
    while place < last and shift < 70:
        byte = base[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place - content.start
        shift += 7
    raise Broken("a number has no end")

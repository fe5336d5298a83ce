"""safetensors: a length, a header in JSON, numbers. There is no code to run; what is checked is that header and numbers fit each other.

Source: the format's description in huggingface/safetensors: no gap, no overlap, no name twice.
"""

from math import prod
from typing import Any, Final

from untaint.models.formats import json_text
from untaint.models.formats.notes import Notes
from untaint.models.formats.window import Broken, Window

_MOST_HEADER: Final = 25_000_000
"""Bytes of a header that are read: a quarter of what the reference allows, and twenty times what the largest published models have."""
BITS: Final = {
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 64),
    **dict.fromkeys(("F32", "I32", "U32"), 32),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 16),
    **dict.fromkeys(("I8", "U8", "BOOL", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    "F4": 4,
}
"""Bits of a number of each format."""


def is_one(content: Window) -> bool:
    """Whether it begins with a length that lies within it, and a JSON object."""
    if content.size < 10:
        return False
    length = content.number(0, 8)
    return content.get(8, 1) == b"{" and 2 <= length < 1 << 40 and content.find(b'"', 8, 64) > 0


def scan(content: Window, where: str, notes: Notes) -> dict[str, Any]:
    """Its header, flaws noted. Raises Broken when header and numbers do not fit."""
    length = content.number(0, 8)
    if length > content.size - 8:
        raise Broken(f"its header claims {length:,} bytes, and {content.size - 8:,} follow", "oversize")
    if length > _MOST_HEADER:
        raise Broken(f"its header claims {length:,} bytes; at most {_MOST_HEADER:,} are read", "oversize")
    header = json_text.read(content.get(8, length))
    if not isinstance(header, dict):
        raise Broken("its header is no object")
    metadata = header.get("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        notes.flaw("medium", "archive-trick", where, "its metadata are no texts")
    room = content.size - 8 - length
    spans = sorted(_span(name, entry) for name, entry in header.items() if name != "__metadata__")
    at = 0
    for begin, end, name in spans:
        if begin != at:
            raise Broken(f"the tensor {name[:60]!r} begins at {begin:,}, and the one before ends at {at:,}")
        at = end
    if at > room:
        raise Broken(f"its header claims {at:,} bytes of numbers, and {room:,} follow", "oversize")
    if at < room:
        notes.flaw("high", "trailing-data", where, f"{room - at:,} bytes follow its numbers")
    return header


def _span(name: str, entry: Any) -> tuple[int, int, str]:
    try:
        kind, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        plain = all(type(value) is int and 0 <= value < 1 << 63 for value in (*shape, begin, end))
    except (KeyError, TypeError, ValueError) as error:
        raise Broken(f"the tensor {name[:60]!r} has no format, shape or place") from error
    if not plain or kind not in BITS or prod(shape) * BITS[kind] != 8 * (end - begin):
        raise Broken(f"the tensor {name[:60]!r} does not fill its place")
    return begin, end, name

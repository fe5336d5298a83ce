"""safetensors: 8 bytes of length, a header in JSON, the numbers.

Source: the format's own description (huggingface/safetensors, README). What it demands is checked here: the header lies within the file,
every name is there once, and the numbers fill the file without a gap or an overlap.
"""

import json
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

from untaint.errors import BadInput
from untaint.models.weights.stored import MOST_AXES, Span, Stored, Weights, cut, form_of, gathered

_MOST_HEADER = 100_000_000
"""Bytes of a header at most, as the reference implementation has it."""
NAMES: Mapping[str, str] = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "C64": "complex64",
    "BOOL": "bool",
    **{f"{letter}{8 * size}": f"{kind}{8 * size}" for letter, kind in (("I", "int"), ("U", "uint")) for size in (1, 2, 4, 8)},
}
"""What the format calls each type of number, and what it is called here."""
_HALF_BYTES = {"F4"}
_BYTES = {"F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"}


def opened(path: Path) -> Weights:
    """The tensors of one file. Raises BadInput for a file that is malformed, cut short, or claims what it does not hold."""
    total = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if total < 8 or length > min(_MOST_HEADER, total - 8):
            raise cut(path, f"its header claims {length:,} bytes of a file of {total:,}")
        header = _header(file.read(length), path)
    metadata = header.pop("__metadata__", {})
    notes: list[str] = []
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise cut(path, "its metadata are no texts by name")
    found = gathered(path, _tensors(path, header, 8 + length, notes), metadata, notes)
    _filled(path, header, total - 8 - length)
    return found


def _header(text: bytes, path: Path) -> dict[str, Any]:
    try:
        found = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise cut(path, f"its header is not sound JSON ({str(error)[:80]})") from error
    if not isinstance(found, dict):
        raise cut(path, "its header is no object")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name comes twice")
    return found


def _tensors(path: Path, header: Mapping[str, Any], start: int, notes: list[str]) -> Iterator[Stored]:
    for name, entry in header.items():
        try:
            kind, shape, (begin, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        except (KeyError, TypeError, ValueError) as error:
            raise cut(path, f"the tensor {name!r} lacks a type, a shape or a place") from error
        sound = len(shape) <= MOST_AXES and all(type(value) is int and 0 <= value < 2**63 for value in (*shape, begin, end))
        if not sound or end < begin:
            raise cut(path, f"the tensor {name!r} has a shape or a place that is no number")
        form = form_of(NAMES.get(kind, "raw"))
        size = prod(shape) * form.size if form.name != "raw" else end - begin
        known = kind in NAMES or kind in _BYTES or kind in _HALF_BYTES
        if size != end - begin or not known:
            raise BadInput(
                f"{path}: the tensor {name!r} claims to be {kind} {list(shape)}, and has {end - begin:,} bytes.",
                advice="Take the file from its source again.",
            )
        if form.name == "raw":
            notes.append(f"{name}: numbers of type {kind} are compared, not read")
            shape = (end - begin,)
        yield Stored(name, form, shape, Span(path, start + begin))


def _filled(path: Path, header: Mapping[str, Any], size: int) -> None:
    at = 0
    for begin, end in sorted(tuple(entry["data_offsets"]) for entry in header.values()):
        if begin != at:
            raise cut(path, f"byte {min(begin, at):,} of its numbers belongs to {'two tensors' if begin < at else 'no tensor'}")
        at = end
    if at != size:
        raise cut(path, f"its header describes {at:,} bytes of numbers, and {size:,} are there")

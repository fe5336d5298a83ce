"""HDF5 as Keras writes it (.h5, and within .keras): tensors that lie in one piece, found without the HDF5 library.

Only headers are touched: a file that lies about its numbers costs nothing. Numbers in chunks, compressed ones and those of other files are
named as not read; Keras writes none.
Source: HDF5 File Format Specification 3.0, IV.A.2.b (shape), IV.A.2.d (type), IV.A.2.i (where the numbers lie).
"""

import mmap
from collections.abc import Iterator
from math import prod
from pathlib import Path

from untaint.models.formats import hdf5_blocks as blocks
from untaint.models.formats.hdf5_blocks import NOWHERE, Member
from untaint.models.formats.window import Broken, Window
from untaint.models.weights.archive import Archive
from untaint.models.weights.stored import Bytes, Held, NotRead, Span, Stored, Weights, cut, form_of, gathered
from untaint.numerics.number_formats import Format

KERAS = "model.weights.h5"
"""Where a .keras archive keeps its weights."""
_SHAPE, _TYPE, _LINK, _LAYOUT, _TABLE = 0x01, 0x03, 0x06, 0x08, 0x11
_WHOLE, _FLOAT, _NAMED = 0, 1, 8
_MOST_OBJECTS = 500_000


def opened(path: Path) -> Weights:
    """The tensors of an HDF5 file. Raises BadInput for one that is cut short, or is built as Keras builds none."""
    return _tensors_of(path, 0, path.stat().st_size)


def keras(path: Path) -> Weights:
    """The tensors of a .keras archive. Raises BadInput as `opened`, and when its weights are compressed."""
    member = Archive.read(path).members[KERAS]
    if not member.plain:
        raise NotRead(f"{path} keeps its weights compressed.", advice="Save it again with Keras.")
    return _tensors_of(path, member.offset, member.size)


def _tensors_of(path: Path, start: int, size: int) -> Weights:
    notes: list[str] = []
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
            tensors = list(_found(Window(whole, start, start + size), path, start, notes))
    except (Broken, ValueError) as error:
        raise cut(path, str(error)) from error
    return gathered(path, iter(tensors), {}, notes)


def _found(content: Window, path: Path, start: int, notes: list[str]) -> Iterator[Stored]:
    """Every tensor below the root, in the order of names."""
    waiting, seen = [("", _root(content))], set[int]()
    while waiting:
        name, header = waiting.pop()
        if header in seen:
            continue
        if len(seen) > _MOST_OBJECTS:
            raise Broken(f"it has more than {_MOST_OBJECTS:,} objects")
        seen.add(header)
        parts: dict[int, Window] = {}
        members: list[Member] = []
        for message in blocks.messages(content, header):
            if not message.shared:
                parts[message.type] = message.body
            if message.type == _TABLE and not message.shared:
                members += blocks.members(content, message.body.number(0, 8), message.body.number(8, 8))
            elif message.type == _LINK and not message.shared:
                members.append(blocks.link(message.body))
        inner = sorted((member for member in members if member.kind == "hard"), key=lambda member: member.name, reverse=True)
        waiting += [(f"{name}/{member.name}" if name else member.name, member.header) for member in inner]
        if _LAYOUT in parts:
            tensor = _tensor(name, parts, path, start)
            if isinstance(tensor, Stored):
                yield tensor
            else:
                notes.append(f"{name}: {tensor}, not read")


def _root(content: Window) -> int:
    version = content.number(8, 1)
    if version in {0, 1}:
        return content.number((24 if version == 0 else 28) + 40, 8)
    if version in {2, 3}:
        return content.number(36, 8)
    raise Broken(f"it is of version {version}")


def _tensor(name: str, parts: dict[int, Window], path: Path, start: int) -> Stored | str:
    """A tensor, or why it can't be read. Raises Broken for one that claims what is not there."""
    if _SHAPE not in parts or _TYPE not in parts:
        return "without a shape or a type of its own"
    form, shape, layout = _form(parts[_TYPE]), _shape(parts[_SHAPE]), parts[_LAYOUT]
    if form is None or shape is None:
        return "of a type that is not a number"
    size = prod(shape) * form.size
    kind = layout.number(1, 1) if layout.number(0, 1) in {3, 4} else -1
    at: Bytes
    if kind == 0:
        at, there = Held(layout.get(4, layout.number(2, 2))), layout.number(2, 2)
    elif kind == 1:
        address, there = layout.number(2, 8), layout.number(10, 8)
        if address == NOWHERE and size:
            return "never written"
        at = Span(path, start + address)
        if size and start + address + there > path.stat().st_size:
            raise Broken(f"the numbers of {name!r} lie beyond its end")
    else:
        return "kept in chunks"
    if there < size:
        raise Broken(f"{name!r} claims {list(shape)} numbers, and has {there:,} bytes")
    return Stored(name, form, shape, at)


def _shape(body: Window) -> tuple[int, ...] | None:
    version, rank = body.number(0, 1), body.number(1, 1)
    if version == 2 and body.number(3, 1) == 2:
        return None  # no numbers at all
    at = {1: 8, 2: 4}.get(version)
    if at is None:
        raise Broken(f"a shape is of version {version}")
    return tuple(body.number(at + 8 * place, 8) for place in range(rank))


def _form(body: Window) -> Format | None:
    """The format of its numbers, None = none that is read."""
    kind, bits, size = body.number(0, 1) & 15, body.number(1, 1), body.number(4, 4)
    if kind == _NAMED and size == 1:  # truth values, as h5py writes them
        return form_of("bool")
    if kind not in {_WHOLE, _FLOAT} or bits & 1 or size not in {1, 2, 4, 8}:
        return None
    if kind == _WHOLE:
        return form_of(f"{'int' if bits & 8 else 'uint'}{8 * size}")
    exponent = body.number(13, 1)
    names = {(2, 5): "float16", (2, 8): "bfloat16", (4, 8): "float32", (8, 11): "float64"}
    return form_of(names[size, exponent]) if (size, exponent) in names else None

"""Arrays and tensors out of files that are pickles at heart: PyTorch's, plain ones, joblib's. They are followed, not run.

What cannot be told, or is no array of plain numbers (quantised, sparse, masked), is left out with a note, never silently.
"""

import mmap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Final, final

import numpy as np
from typing_extensions import override

from untaint.errors import BadInput
from untaint.models.formats import contents, torch_legacy, torch_zip, zips
from untaint.models.formats.allowed_numpy import WRAPPER, format_of, named
from untaint.models.formats.allowed_torch import LEGACY_BYTES, MADE_TENSORS
from untaint.models.formats.notes import Notes
from untaint.models.formats.pickles import Pickles
from untaint.models.formats.stream import packing, unpacked
from untaint.models.formats.torch_zip import Checkpoint
from untaint.models.formats.values import Const, Made, Map, Ref, Seq, Storage, Unknown, Value, constant, whole, wholes
from untaint.models.formats.window import Broken, Window
from untaint.models.weights.stored import ADVICE, Bytes, Held, Stored, Weights, cut, form_of, gathered
from untaint.models.weights.strided import Strided, fortran

_DEEP: Final = 60
_LISTED: Final = 20
"""Names of what was left out that are told; of more, the number."""
_MAPS: Final = (*(("collections", name) for name in ("OrderedDict", "defaultdict", "Counter")), ("builtins", "dict"))
_ARRAYS: Final = tuple((f"{core}.multiarray", "_reconstruct") for core in ("numpy.core", "numpy._core"))
_BUFFERS: Final = tuple((f"{core}.numeric", "_frombuffer") for core in ("numpy.core", "numpy._core"))
_PARAMETERS: Final = {"_rebuild_parameter", "_rebuild_parameter_with_state"}
_TYPES: Final[Mapping[str, str]] = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64",
}
_PLAIN: Final = {"_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3"}


@final
@dataclass(frozen=True)
class Seen(Bytes):
    """A stretch of a file that stays mapped, or of memory."""

    content: Window

    @override
    def read(self, start: int, size: int) -> bytes:
        return self.content.get(start, size)


def opened(path: Path, kind: str) -> Weights:
    """The arrays and tensors of a file, by the path to each. kind: torch-zip, torch-legacy, pickle or compressed.

    Raises BadInput where there are none, or the file is damaged.
    """
    notes = Notes(contents.look)
    try:
        with path.open("rb") as file:
            content = Window(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), 0, path.stat().st_size)
        if kind.startswith("torch"):
            found = _checkpoint(content, kind, notes)
            source, root = _Source(Pickles(Window.of(b""), "", notes, 0), found), found.root
        else:
            packed = packing(content.head(16))
            pickles = Pickles(content if packed is None else unpacked(content, packed, notes)[0], "", notes, 0)
            root = pickles.scan()[0]
            source = _Source(pickles, Checkpoint(Unknown()))
        tensors = list(source.found("", root, 0))
        if not tensors:
            said = "; ".join(source.left()[:3]) or "it is empty"
            raise BadInput(f"{path} holds no tensor of plain numbers ({said}).", advice=ADVICE)
        return gathered(path, iter(tensors), {}, source.left())
    except Broken as error:
        raise cut(path, str(error)) from error


def _checkpoint(content: Window, kind: str, notes: Notes) -> Checkpoint:
    if kind == "torch-legacy":
        return torch_legacy.scan(content, "", notes, 0)
    found = torch_zip.scan(zips.read(content, "", notes), "", notes, 0)
    if not found.little:
        raise Broken("its numbers are big-endian, which is not read")
    return found


@final
@dataclass
class _Source:
    """Where values of a pickle have their numbers. odd, plain: what was left out, by name."""

    pickles: Pickles
    checkpoint: Checkpoint
    odd: list[str] = field(default_factory=list)
    plain: list[str] = field(default_factory=list)

    def left(self) -> list[str]:
        """What was left out, in words."""
        said = [f"{name}: no tensor of plain numbers, not read" for name in self.odd[:_LISTED]]
        said += [f"{len(self.odd) - _LISTED} more of the kind"] if len(self.odd) > _LISTED else []
        named = ", ".join(self.plain[:3])
        return [*said, f"{len(self.plain)} numbers and texts that are no tensors, such as {named}"] if self.plain else said

    def found(self, name: str, value: Value, depth: int) -> Iterator[Stored]:
        """Every tensor under a value."""
        if depth > _DEEP:
            raise Broken("it is nested too deep")
        if isinstance(value, Map):
            for key, part in value.pairs:
                yield from self.found(_joined(name, constant(key)), part, depth + 1)
        elif isinstance(value, Seq):
            for place, part in enumerate(value.items):
                yield from self.found(_joined(name, place), part, depth + 1)
        elif isinstance(value, Made):
            yield from self._made(name, value, depth)
        elif isinstance(value, Const):
            self.plain.append(name)
        else:
            self.odd.append(name)

    def _made(self, name: str, value: Made, depth: int) -> Iterator[Stored]:
        if value.is_a(*_MAPS):
            yield from self.found(name, Map([*_pairs(value), *value.added.pairs]), depth + 1)
            return
        if isinstance(value.target, Ref) and value.target.name in _PARAMETERS and value.args:
            yield from self.found(name, value.args[0], depth + 1)
            return
        made = self._array(name or "array", value) or self._tensor(name or "tensor", value)
        if made is None:
            self.odd.append(name)
        else:
            yield made

    def _array(self, name: str, value: Made) -> Stored | None:
        """An array of NumPy, in any of the ways it is pickled."""
        if value.is_a(*_ARRAYS) and isinstance(value.state, Seq) and len(value.state.items) >= 4:
            shape, kind, turned, raw = value.state.items[-4:]
            order = "F" if constant(turned) else "C"
            content = None if isinstance(raw, Seq) else self.pickles.bytes_of(raw)
        elif value.is_a(*_BUFFERS) and len(value.args) == 4:
            raw, kind, shape, way = value.args
            order, content = str(constant(way)), self.pickles.bytes_of(raw)
        elif value.is_a(WRAPPER) and value.state is not None:
            state = named(value.state)
            shape, kind, order = state["shape"], state["dtype"], str(constant(state["order"]))
            content = self.pickles.arrays.get(id(value))
        else:
            return None
        sides, numbers = wholes(shape), format_of(kind)
        if (
            content is None
            or sides is None
            or numbers is None
            or numbers.kind not in "biufc"
            or form_of(numbers.name).name == "raw"
        ):
            return None
        if prod(sides) * numbers.itemsize != content.size:
            raise Broken(f"the array {name} claims {sides} numbers, and has {content.size:,} bytes")
        at: Bytes = Seen(content)
        if numbers.byteorder == ">":
            at = Held(np.frombuffer(content.get(0, content.size), numbers).astype(numbers.newbyteorder("<")).tobytes())
        if order == "F" and len(sides) > 1 and content.size:
            at = Strided(at, content.size, tuple(sides), fortran(tuple(sides)), numbers.itemsize)
        return Stored(name, form_of(numbers.name), tuple(sides), at)

    def _tensor(self, name: str, value: Made) -> Stored | None:
        """A tensor of PyTorch. None = it is no plain one."""
        if not value.is_a(*MADE_TENSORS) or not isinstance(value.target, Ref) or value.target.name not in _PLAIN:
            return None
        offset, shape, strides = whole(value.args[1]), wholes(value.args[2]), wholes(value.args[3])
        storage, numbers = self._numbers(value.args[0])
        kind = _TYPES.get(storage.type, "raw") if storage is not None else "raw"
        if value.target.name.endswith("v3") and len(value.args) > 6 and isinstance(value.args[6], Ref):
            kind = value.args[6].name
        form = form_of(kind)
        if (
            numbers is None
            or offset is None
            or shape is None
            or strides is None
            or form.name == "raw"
            or len(shape) != len(strides)
        ):
            return None
        if 0 in shape:
            return Stored(name, form, tuple(shape), Held(b""))
        last = offset + sum((side - 1) * step for side, step in zip(shape, strides, strict=True))
        if (last + 1) * form.size > numbers.size or prod(shape) * form.size > numbers.size:
            raise Broken(f"the tensor {name} reaches beyond its numbers")
        whole_part = numbers.part(offset * form.size, (last + 1 - offset) * form.size)
        at: Bytes = Seen(whole_part)
        if not _row_major(shape, strides):
            at = Strided(at, whole_part.size, tuple(shape), tuple(strides), form.size)
        return Stored(name, form, tuple(shape), at)

    def _numbers(self, held: Value) -> tuple[Storage | None, Window | None]:
        """A storage and its numbers: beside the pickle, or in a file of PyTorch within it."""
        if isinstance(held, Storage):
            return held, self.checkpoint.numbers.get(held.key)
        if not isinstance(held, Made) or not held.is_a(LEGACY_BYTES):
            return None, None
        inner = torch_legacy.scan(self.pickles.bytes_of(held.args[0]), "", self.pickles.notes, 1)
        root = inner.root
        return (root, inner.numbers.get(root.key)) if isinstance(root, Storage) else (None, None)


def _row_major(shape: list[int], strides: list[int]) -> bool:
    apart = 1
    for side, step in zip(reversed(shape), reversed(strides), strict=True):
        if side != 1 and step != apart:
            return False
        apart *= side
    return True


def _joined(name: str, key: object) -> str:
    return f"{name}.{key}" if name else str(key)


def _pairs(value: Made) -> list[tuple[Value, Value]]:
    """What a dict was made of: pairs in a list, as Python 2 had it, or another dict."""
    first = value.args[0] if value.args else None
    if isinstance(first, Map):
        return first.pairs
    pairs = first.items if isinstance(first, Seq) else []
    return [(pair.items[0], pair.items[1]) for pair in pairs if isinstance(pair, Seq) and len(pair.items) == 2]

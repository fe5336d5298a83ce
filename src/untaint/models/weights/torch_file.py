"""PyTorch checkpoints, zip and legacy: tensors by name out of a state dict, a checkpoint that holds one, or a whole saved module.

The pickle inside is followed, not run (`pickled`). Names are the path to a tensor, joined by dots as `state_dict()` joins them.
Source: the formats that `torch.save` writes (torch/serialization.py): a zip with `data.pkl` and `data/KEY`, or five pickles and storages.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, final

from untaint.errors import BadInput
from untaint.models.weights.archive import Archive
from untaint.models.weights.pickled import Name, NotFollowed, Persistent, Unknown, followed
from untaint.models.weights.stored import ADVICE, MOST_AXES, NotRead, Span, Stored, Weights, cut, form_of, gathered
from untaint.models.weights.strided import laid_out
from untaint.numerics.number_formats import Format

_MOST_PICKLE = 500_000_000
"""Bytes of the pickle in a zip at most: the numbers lie beside it."""
_DEEP = 60
_MOST_PARTS = 2_000_000
"""Parts of a checkpoint at most: a few hundred bytes of pickle can describe more than any machine could walk through."""
_TYPES: Mapping[str, str] = {
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
    "Float8_e4m3fnStorage": "float8_e4m3fn",
    "Float8_e5m2Storage": "float8_e5m2",
    "UntypedStorage": "uint8",
}
_REBUILT = {"_rebuild_tensor_v2", "_rebuild_tensor", "_rebuild_tensor_v3"}
_WRAPPED = {"_rebuild_parameter", "_rebuild_parameter_with_state"}
_INSIDE = {"_parameters", "_buffers", "_modules"}
"""Where a module keeps its tensors; no part of their names."""
_MAGIC = 0x1950A86A20F9469CFC6C
"""First number of a legacy file."""

Placed = Callable[[str, int], tuple[int, int]]
"""Key and bytes of a number → first byte and bytes of a storage."""


@final
@dataclass(frozen=True)
class _Tensor:
    form: Format
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    key: str
    start: int
    unit: int  # bytes of what the length of its storage counts


def opened(path: Path) -> Weights:
    """The tensors of a zip that `torch.save` wrote. Raises BadInput for another archive, or one that is cut short or lies."""
    archive = Archive.read(path)
    listed = [name for name in archive.members if name == "data.pkl" or name.endswith("/data.pkl")]
    if len(listed) != 1:
        raise NotRead(f"{path} is a zip archive, and not one that PyTorch wrote.", advice=ADVICE)
    root = listed[0].removesuffix("data.pkl")
    if archive.members[listed[0]].size > _MOST_PICKLE:
        raise cut(path, "its pickle claims more than 500 MB")
    order = root + "byteorder"
    if order in archive.members:
        with archive.opened(order) as file:
            if file.read(6).strip() != b"little":
                raise BadInput(f"{path} holds big-endian numbers, which are not read.", advice=ADVICE)
    with archive.opened(listed[0]) as file:
        content = _followed(file, path)

    def place(key: str, _size: int) -> tuple[int, int]:
        member = archive.members.get(f"{root}data/{key}")
        if member is None or not member.plain:
            raise cut(path, f"the numbers data/{key[:40]} are not there, or compressed")
        return member.offset, member.size

    return _read(path, content, place)


def legacy(path: Path) -> Weights:
    """The tensors of a file that PyTorch before 1.6 wrote. Raises BadInput as `opened`."""
    with path.open("rb") as file:
        if _followed(file, path) != _MAGIC:
            raise NotRead(f"{path} is a pickle, and not one that PyTorch wrote.", advice=ADVICE)
        for _ in range(2):
            _followed(file, path)
        content = _followed(file, path)
        keys = _followed(file, path)
        start = file.tell()
    if not isinstance(keys, list):
        raise cut(path, "it does not list its numbers")
    sizes = {value.key: value.unit for _, value in _tensors(path, content) if isinstance(value, _Tensor)}
    return _read(path, content, _Sequence(path, [str(key) for key in keys if isinstance(key, str)], start, sizes))


@final
class _Sequence:
    """Storages one after the other, each after its length as 8 bytes."""

    def __init__(self, path: Path, keys: list[str], start: int, sizes: Mapping[str, int]) -> None:
        self.places: dict[str, tuple[int, int]] = {}
        total, at = path.stat().st_size, start
        with path.open("rb") as file:
            for key in keys:
                file.seek(at)
                size = int.from_bytes(file.read(8), "little") * sizes.get(key, 1)
                if at + 8 + size > total:
                    raise cut(path, f"the numbers {key[:40]!r} claim {size:,} bytes, which are not there")
                self.places[key] = (at + 8, size)
                at += 8 + size
        self.path = path

    def __call__(self, key: str, _size: int) -> tuple[int, int]:
        if key not in self.places:
            raise cut(self.path, f"the numbers {key[:40]!r} are not there")
        return self.places[key]


def _followed(file: IO[bytes], path: Path) -> object:
    try:
        return followed(file)
    except NotFollowed as error:
        raise cut(path, f"a pickle in it can't be followed: {error}") from error


def _read(path: Path, content: object, place: Placed) -> Weights:
    notes: list[str] = []

    def tensors() -> Iterator[Stored]:
        for name, value in _tensors(path, content):
            if isinstance(value, str):
                notes.append(f"{name}: {value}, not read")
                continue
            offset, size = place(value.key, value.form.size)
            at = laid_out(Span(path, offset), value.shape, value.strides, (value.start, size, value.form.size), path)
            yield Stored(name, value.form, value.shape, at)

    return gathered(path, tensors(), {}, notes)


def _tensors(path: Path, content: object) -> Iterator[tuple[str, "_Tensor | str"]]:
    """Every tensor of a checkpoint, by the path to it; in place of one that can't be read, why."""
    waiting: list[tuple[str, object, int]] = [("", content, 0)]
    for _ in range(_MOST_PARTS):
        if not waiting:
            return
        name, value, depth = waiting.pop()
        tensor = _tensor(value) if isinstance(value, Unknown) else None
        if tensor is not None:
            yield name or "tensor", tensor
        elif isinstance(value, Unknown) and "_rebuild" in _called(value) and _called(value) not in _WRAPPED:
            yield name, f"made by {value.function}"
        elif depth < _DEEP:
            waiting += [(inner, part, depth + 1) for inner, part in reversed(_parts(name, value))]
    raise cut(path, f"it describes more than {_MOST_PARTS:,} parts")


def _parts(name: str, value: object) -> list[tuple[str, object]]:
    """What may hold tensors, and what it would be called."""
    if isinstance(value, Unknown):
        if _called(value) in _WRAPPED and isinstance(value.arguments, tuple):
            return [(name, value.arguments[0])] if value.arguments else []
        return [(name, value.state), (name, value.items)]
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    return [(_joined(name, key), part) for key, part in pairs if isinstance(part, Unknown | dict | list | tuple)]


def _joined(name: str, key: Any) -> str:
    if key in _INSIDE:
        return name
    said = key if isinstance(key, str) else str(key) if isinstance(key, int) and abs(key) < 2**63 else type(key).__name__
    return f"{name}.{said}" if name else said


def _called(value: Unknown) -> str:
    return value.function.name if isinstance(value.function, Name) else ""


def _tensor(value: Unknown) -> _Tensor | None:
    arguments = value.arguments
    if _called(value) not in _REBUILT or not isinstance(arguments, tuple) or len(arguments) < 4:
        return None
    storage, start, shape, strides = arguments[:4]
    if isinstance(shape, Unknown) and isinstance(shape.arguments, tuple) and len(shape.arguments) == 1:
        shape = shape.arguments[0]  # torch.Size((...))
    key = storage.key if isinstance(storage, Persistent) else None
    if not isinstance(key, tuple) or len(key) < 5 or not isinstance(key[1], Name) or not isinstance(key[2], str):
        return None
    if not isinstance(shape, tuple) or not isinstance(strides, tuple) or len(shape) != len(strides):
        return None
    if len(shape) > MOST_AXES or not all(type(number) is int and 0 <= number < 2**63 for number in (start, *shape, *strides)):
        return None
    form = form_of(_TYPES.get(key[1].name, "raw"))
    unit = form.size
    if _called(value).endswith("v3") and len(arguments) > 6 and isinstance(arguments[6], Name):
        form = form_of(arguments[6].name)
    return _Tensor(form, shape, strides, key[2], start, unit)

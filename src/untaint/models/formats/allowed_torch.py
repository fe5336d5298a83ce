"""What of PyTorch a pickle may name, and how: tensors, their formats, and the functions that put them together.

Each tensor must lie within its storage, and nothing but a tensor may come out. Source: the functions `_rebuild_*` of `torch/_utils.py`.
"""

import re
from collections.abc import Mapping
from typing import Final

from untaint.models.formats.allowed import NAMED, Allowed, Key, Why
from untaint.models.formats.values import Blob, Made, Map, Ref, Seq, Storage, Value, constant, whole, wholes

SIZES: Final[Mapping[str, int]] = {
    "DoubleStorage": 8,
    "FloatStorage": 4,
    "HalfStorage": 2,
    "BFloat16Storage": 2,
    "LongStorage": 8,
    "IntStorage": 4,
    "ShortStorage": 2,
    "CharStorage": 1,
    "ByteStorage": 1,
    "BoolStorage": 1,
    "ComplexDoubleStorage": 16,
    "ComplexFloatStorage": 8,
    "QInt8Storage": 1,
    "QUInt8Storage": 1,
    "QInt32Storage": 4,
    "QUInt4x2Storage": 1,
    "QUInt2x4Storage": 1,
    "UntypedStorage": 1,
}
"""Bytes of an element of each class of storage."""
DTYPES: Final[Mapping[str, int]] = {
    **dict.fromkeys(("float64", "int64", "uint64", "complex64", "double", "long", "cfloat"), 8),
    **dict.fromkeys(("float32", "int32", "uint32", "qint32", "complex32", "float", "int", "chalf"), 4),
    **dict.fromkeys(("float16", "bfloat16", "int16", "uint16", "half", "short"), 2),
    **dict.fromkeys(("int8", "uint8", "bool", "qint8", "quint8", "quint4x2", "quint2x4", "float8_e4m3fn", "float8_e5m2"), 1),
    **dict.fromkeys(("float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu", "float4_e2m1fn_x2"), 1),
    **dict.fromkeys(("complex128", "cdouble"), 16),
}
"""Bytes of an element of each format, by its name in `torch`."""
_UTILS: Final = "torch._utils"
LEGACY_BYTES: Final = ("torch.storage", "_load_from_bytes")
_TENSORS: Final = {("torch", "Tensor"), ("torch.nn.parameter", "Parameter"), ("torch.nn", "Parameter")}
_SCHEMES: Final = ("per_tensor_affine", "per_tensor_symmetric", "per_channel_affine", "per_channel_symmetric")
_DEVICE: Final = re.compile(r"(?:cpu|meta|(?:cuda|xpu|mps|hpu|npu|xla)(?::\d{1,4})?)")
_VIEW: Final = {"conj", "neg"}
"""Marks that PyTorch sets on a tensor seen conjugated or negated."""
MADE_TENSORS: Final = frozenset(
    (_UTILS, name)
    for name in ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3", "_rebuild_qtensor", "_rebuild_parameter")
)


def _within(args: list[Value], width: int | None = None) -> Why:
    """A tensor of (storage, offset, size, stride) lies within its storage."""
    if len(args) < 4:
        return "its arguments are not a storage, an offset, a shape and strides"
    source, offset, size, stride = args[0], whole(args[1]), wholes(args[2]), wholes(args[3])
    if isinstance(source, Made):
        return None if source.is_a(LEGACY_BYTES) else "its storage is made by something else"
    if not isinstance(source, Storage) or offset is None or size is None or stride is None or len(size) != len(stride):
        return "its arguments are not a storage, an offset, a shape and strides"
    if 0 in size:
        return None
    last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    room = source.count * SIZES.get(source.type, 1) // width if width else source.count
    return None if last < room else f"it claims element {last:,} of a storage of {room:,}"


def _hooks(value: Value | None) -> Why:
    if isinstance(value, Made) and value.is_a(("collections", "OrderedDict")) and not value.args and not value.added.pairs:
        value.hooks = True
        return None
    return None if value is None or constant(value) is None else "it brings hooks that a gradient would run"


def _metadata(args: list[Value]) -> Why:
    keys = {constant(key) for key, _ in args[0].pairs} if args and isinstance(args[0], Map) else set()
    return None if keys <= _VIEW and len(args) < 2 else "it sets marks that are not PyTorch's"


def _tensor(args: list[Value]) -> Why:
    return _within(args) if len(args) == 4 else "it has too many arguments"


def _tensor_2(args: list[Value]) -> Why:
    if len(args) < 6:
        return "it has too few arguments"
    return _within(args[:4]) or _hooks(args[5]) or _metadata(args[6:])


def _tensor_3(args: list[Value]) -> Why:
    if len(args) < 7 or not isinstance(args[6], Ref) or args[6].module != "torch" or args[6].name not in DTYPES:
        return "its format is not one of PyTorch's"
    return _within(args[:4], DTYPES[args[6].name]) or _hooks(args[5]) or _metadata(args[7:])


def _quantised(args: list[Value]) -> Why:
    if len(args) != 7 or not isinstance(args[4], Seq) or not args[4].items or not isinstance(args[4].items[0], Ref):
        return "its arguments are not a quantised tensor's"
    return _within(args[:4]) or _hooks(args[6])


def _parameter(args: list[Value]) -> Why:
    return _hooks(args[2]) if len(args) == 3 and isinstance(args[0], Made) else "it makes a parameter of what is no tensor"


def _parameter_with_state(args: list[Value]) -> Why:
    return _parameter(args[:3]) or _attributes(args[3]) if len(args) == 4 else "it has too few arguments"


def _attributes(state: Value) -> Why:
    """Attributes of a tensor: data by plain names. A name with two underscores would change what the tensor is."""
    parts = state.items if isinstance(state, Seq) else [state]
    for part in parts:
        if not isinstance(part, Map):
            if constant(part) is None:
                continue
            return "it sets attributes that are not spelled out"
        names = [constant(name) for name, _ in part.pairs]
        if wrong := [name for name in names if not isinstance(name, str) or name.startswith("_")]:
            return f"it sets the attribute {wrong[0]}"
    return None


def _typed(args: list[Value]) -> Why:
    if len(args) != 4 or not all(isinstance(arg, Ref) for arg in args[:2]) or not isinstance(args[2], Seq):
        return "its arguments are not a function, a class, arguments and a state"
    function, kind = args[0], args[1]
    if not isinstance(function, Ref) or not isinstance(kind, Ref) or kind.key not in _TENSORS:
        return f"it makes a {kind}"
    used = TORCH.get(function.key)
    if used is None or used.call is None or function.module != _UTILS:
        return f"it calls {function}"
    return used.call(args[2].items) or _attributes(args[3])


def _sparse(args: list[Value]) -> Why:
    return None if len(args) == 2 and isinstance(args[1], Seq) else "its arguments are not a layout and tensors"


def _meta(args: list[Value]) -> Why:
    shapes = len(args) == 4 and isinstance(args[0], Ref) and wholes(args[1]) is not None and wholes(args[2]) is not None
    return None if shapes else "its arguments are not a format, a shape and strides"


def _moved(args: list[Value]) -> Why:
    return None if len(args) == 4 and isinstance(args[0], Made) else "it makes a tensor of what is no array"


def _size(args: list[Value]) -> Why:
    return None if len(args) == 1 and wholes(args[0]) is not None else "it is no shape"


def _device(args: list[Value]) -> Why:
    plain = bool(args) and isinstance(name := constant(args[0]), str) and _DEVICE.fullmatch(name) is not None
    return None if plain and len(args) <= 2 else "it is no device"


def _layout(args: list[Value]) -> Why:
    name = constant(args[0]) if len(args) == 1 else None
    return None if isinstance(name, str) and re.fullmatch(r"torch\.(?:strided|sparse_\w{3})", name) else "it is no layout"


def _loaded(args: list[Value]) -> Why:
    held = isinstance(args[0], Blob | Made) if len(args) == 1 else False
    return None if held else "its argument is not bytes spelled out"


def located(location: object) -> bool:
    """Whether this is a device that PyTorch knows by itself."""
    return isinstance(location, str) and _DEVICE.fullmatch(location) is not None


_REBUILD: Final = {
    "_rebuild_tensor": _tensor,
    "_rebuild_tensor_v2": _tensor_2,
    "_rebuild_tensor_v3": _tensor_3,
    "_rebuild_qtensor": _quantised,
    "_rebuild_parameter": _parameter,
    "_rebuild_parameter_with_state": _parameter_with_state,
    "_rebuild_sparse_tensor": _sparse,
    "_rebuild_meta_tensor_no_storage": _meta,
    "_rebuild_device_tensor_from_numpy": _moved,
    "_rebuild_device_tensor_from_cpu_tensor": _moved,
}
TORCH: Final[Mapping[Key, Allowed]] = {
    **{(_UTILS, name): Allowed(call) for name, call in _REBUILD.items()},
    **dict.fromkeys(
        (("torch", name) for name in (*SIZES, *DTYPES, *_SCHEMES, "per_channel_affine_float_qparams", "Tensor")), NAMED
    ),
    **dict.fromkeys((("torch.cuda", name) for name in SIZES), NAMED),
    **dict.fromkeys(_TENSORS, NAMED),
    ("torch.storage", "UntypedStorage"): NAMED,
    ("torch", "Size"): Allowed(_size),
    ("torch", "device"): Allowed(_device),
    ("torch.serialization", "_get_layout"): Allowed(_layout),
    ("torch._tensor", "_rebuild_from_type_v2"): Allowed(_typed),
    LEGACY_BYTES: Allowed(_loaded),
}

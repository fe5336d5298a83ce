"""What of NumPy and joblib a pickle may name, and how.

Shapes and formats are checked too: `_reconstruct(ndarray, (10**11,), 'b')` asks for 100 GB, and a format with made-up flags makes NumPy
take numbers for pointers.
"""

import re
from collections.abc import Mapping
from typing import Final

import numpy as np

from untaint.models.formats.allowed import NAMED, Allowed, Key, Why, is_bytes, whole_shape
from untaint.models.formats.values import Blob, Const, Made, Map, Ref, Seq, Value, constant, whole, wholes

ARRAY: Final = ("numpy", "ndarray")
DTYPE: Final = ("numpy", "dtype")
WRAPPER: Final = ("joblib.numpy_pickle", "NumpyArrayWrapper")
MASKED: Final = ("numpy.ma", "MaskedArray")
_MASKED: Final = {MASKED, ("numpy.ma.core", "MaskedArray")}
_CORES: Final = ("numpy.core", "numpy._core")
_FORMAT: Final = re.compile(r"[|<>=]?(?:[?bBhHiIlLqQefdgFDGO]|[biufcmMSaUVO]\d{1,6}(?:\[\w{1,4}\])?)")
"""Numbers, texts, times and records by their code and size. Lists of fields are written as state, not in the code."""
_SCALARS: Final = ("bool_", "bool", "object_", *(f"{kind}{size}" for kind in ("int", "uint") for size in (8, 16, 32, 64)))
_FLOATS: Final = ("float16", "float32", "float64", "complex64", "complex128", "str_", "bytes_")
_OBJECTS: Final = 63
"""Flags of the format of Python objects: they are counted, pickled, need zeroing and the interpreter. Source: numpy/ndarraytypes.h."""
_PLACES: Final = 7


def _reconstruct(args: list[Value]) -> Why:
    if len(args) != 3 or not isinstance(args[0], Ref) or args[0].key != ARRAY:
        return "it makes something other than an array"
    return None if wholes(args[1]) == [0] else "it asks for room before it says for what"


def _masked(args: list[Value]) -> Why:
    kinds = [arg.key for arg in args[:2] if isinstance(arg, Ref)]
    plain = len(args) == 4 and len(kinds) == 2 and kinds[0] in _MASKED and kinds[1] == ARRAY and wholes(args[2]) == [0]
    return None if plain else "it makes something other than an empty masked array"


def _from_buffer(args: list[Value]) -> Why:
    if len(args) != 4 or not is_bytes(args[0]) or not _is_format(args[1]):
        return "its arguments are not bytes, a format, a shape and an order"
    return whole_shape(args[2])


def _scalar(args: list[Value]) -> Why:
    plain = len(args) == 2 and _is_format(args[0]) and is_bytes(args[1])
    return None if plain and code_of(args[0])[-1:] != "O" else "its arguments are not a format and bytes"


def _dtype(args: list[Value]) -> Why:
    code = constant(args[0]) if args else None
    plain = isinstance(code, str) and _FORMAT.fullmatch(code) is not None and all(isinstance(arg, Const) for arg in args)
    return None if plain and len(args) <= 3 else "its code is not one of NumPy's"


def _dtype_state(made: Made, state: Value) -> Why:
    """Only records choose their size and flags; of everything else they follow from the code."""
    items = state.items if isinstance(state, Seq) else []
    if not _PLACES < len(items) + 1 <= _PLACES + 3:
        return "its description has parts that NumPy's has not"
    names, size, alignment, flags = (items[place] for place in (3, 5, 6, 7 if len(items) > _PLACES else 6))
    code = code_of(made)
    if code[-1:] == "O" or "O" in code:
        return None if constant(flags) == _OBJECTS else "its flags are not those of objects"
    if constant(names) is None and not re.search(r"[SUVa]\d", code):
        plain = (constant(size), constant(alignment), constant(flags)) == (-1, -1, 0)
        return None if plain else "its size or flags are not those of its code"
    return None if whole(size) is not None and isinstance(items[4], Map | Const) else "its size is none"


def _array_state(_made: Made, state: Value) -> Why:
    items = state.items if isinstance(state, Seq) and len(state.items) in {4, 5} else []
    if not items or not _is_format(items[-3]):
        return "its content is not a shape, a format, an order and bytes"
    if why := whole_shape(items[-4]):
        return why
    if isinstance(items[-1], Seq):
        return None if "O" in code_of(items[-3]) else "it lists objects where numbers belong"
    plain = is_bytes(items[-1]) or isinstance(items[-1], Blob) or isinstance(constant(items[-1]), str)  # text: of Python 2
    return None if plain and "O" not in code_of(items[-3]) else "its content is no bytes"


def _masked_state(_made: Made, state: Value) -> Why:
    items = state.items if isinstance(state, Seq) and len(state.items) == 7 else []
    plain = bool(items) and wholes(items[1]) is not None and _is_format(items[2]) and all(map(is_bytes, items[4:6]))
    return None if plain and isinstance(items[6], Const) else "its content is not a shape, a format, an order, bytes and a mask"


def _wrapper_state(_made: Made, state: Value) -> Why:
    found = named(state)
    kind = found.get("subclass")
    plain = isinstance(kind, Ref) and kind.key in {ARRAY, ("numpy", "memmap")} and _is_format(found.get("dtype"))
    return whole_shape(found["shape"]) if plain and "shape" in found else "it is not joblib's description of an array"


def _is_format(value: Value | None) -> bool:
    return isinstance(value, Made) and value.is_a(DTYPE)


def code_of(dtype: Value) -> str:
    """The code a format was made of, such as `f4`."""
    code = constant(dtype.args[0]) if isinstance(dtype, Made) and dtype.args else ""
    return code if isinstance(code, str) else ""


def _described(dtype: Value) -> list[Value]:
    """The parts of a format's state: version, byte order, inner format, names, fields, size, alignment, flags; [] = it has none."""
    items = dtype.state.items if isinstance(dtype, Made) and isinstance(dtype.state, Seq) else []
    return items if len(items) >= _PLACES else []


def format_of(dtype: Value) -> np.dtype | None:
    """The format itself, with its byte order; None = it is a record, or holds objects."""
    if not isinstance(dtype, Made) or not dtype.is_a(DTYPE) or _dtype(dtype.args):
        return None
    items = _described(dtype)
    if (items and constant(items[3]) is not None) or "O" in code_of(dtype):
        return None
    order = constant(items[1]) if items else "="
    found = np.dtype(code_of(dtype))
    return found.newbyteorder(order) if order in {"<", ">", "="} else found


def size_of(dtype: Value) -> int | None:
    """Bytes of one element; None = it cannot be told, or it holds objects."""
    plain = format_of(dtype)
    if plain is not None:
        return plain.itemsize
    items = _described(dtype)
    return whole(items[5]) if items and "O" not in code_of(dtype) and not has_objects(dtype) else None


def has_objects(dtype: Value) -> bool:
    """Whether an array of this format holds Python objects, in a field perhaps."""
    if "O" in code_of(dtype):
        return True
    items = _described(dtype)
    return len(items) > _PLACES and bool((whole(items[7]) or 0) & 1)


def named(state: Value) -> dict[str, Value]:
    """The pairs of a dict whose keys are texts; the last counts."""
    pairs = state.pairs if isinstance(state, Map) else []
    return {key: value for name, value in pairs if isinstance(key := constant(name), str)}


NUMPY: Final[Mapping[Key, Allowed]] = {
    ARRAY: NAMED,
    ("numpy", "memmap"): NAMED,
    MASKED: NAMED,
    ("numpy.ma.core", "MaskedArray"): NAMED,
    DTYPE: Allowed(_dtype, _dtype_state),
    **dict.fromkeys((("numpy", name) for name in (*_SCALARS, *_FLOATS)), NAMED),
    **{(f"{core}.multiarray", "_reconstruct"): Allowed(_reconstruct, _array_state) for core in _CORES},
    **{(f"{core}.multiarray", "scalar"): Allowed(_scalar) for core in _CORES},
    **{(f"{core}.numeric", "_frombuffer"): Allowed(_from_buffer) for core in _CORES},
    ("numpy.ma.core", "_mareconstruct"): Allowed(_masked, _masked_state),
    WRAPPER: Allowed(lambda args: "it is called with arguments" if args else None, _wrapper_state),
}

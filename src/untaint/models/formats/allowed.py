"""One entry of the list of what a pickle may name, and the entries for plain Python.

An entry is an exact module and name. What may be called says how: a call is checked by its arguments, not by its name alone, because
`bytearray(10**11)` is as plain as it is harmful. Everything not on the list is a finding.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias, final

from untaint.models.formats.values import Blob, Const, Made, Map, Ref, Seq, Value, constant, wholes

Why: TypeAlias = str | None
"""What is wrong with a use, None = nothing."""
Key: TypeAlias = tuple[str, str]


@final
@dataclass(frozen=True)
class Allowed:
    """How one name may be used. call: with which arguments, None = it may be named and not called.

    state: what may be set on what it made, None = nothing.  holds: what may be put into what it made: map, list, set, or nothing.
    """

    call: Callable[[list[Value]], Why] | None = None
    state: Callable[[Made, Value], Why] | None = None
    holds: str = ""


NAMED: Final = Allowed()
ENCODE: Final = ("_codecs", "encode")
_FACTORIES: Final = {
    *(("builtins", name) for name in ("list", "dict", "int", "float", "set", "str", "bool", "tuple")),
    ("collections", "OrderedDict"),
}


def _nothing(args: list[Value]) -> Why:
    return None if not args else "it is called with arguments"


def _container(args: list[Value]) -> Why:
    """Nothing, or one thing spelled out: what is computed could be endless."""
    return None if not args or (len(args) == 1 and isinstance(args[0], Seq | Map)) else "its argument is not spelled out"


def _constants(args: list[Value]) -> Why:
    return None if all(isinstance(arg, Const) for arg in args) else "its arguments are no constants"


def _factory(args: list[Value]) -> Why:
    plain = not args or constant(args[0]) is None or (isinstance(args[0], Ref) and args[0].key in _FACTORIES)
    return None if plain and len(args) < 2 else "it would call what it is given for every key it lacks"


def _latin(args: list[Value]) -> Why:
    text = bool(args) and (isinstance(args[0], Blob) or isinstance(constant(args[0]), str))
    return None if text and len(args) == 2 and constant(args[1]) in {"latin1", "latin-1"} else "it is not text as Latin-1"


def _bytes(args: list[Value]) -> Why:
    if not args or (len(args) == 1 and is_bytes(args[0])):
        return None
    text = isinstance(args[0], Blob) or isinstance(constant(args[0]), str)
    return (
        None
        if text and len(args) == 2 and constant(args[1]) in {"latin1", "latin-1"}
        else "its argument is not bytes spelled out"
    )


def _ordered_state(_made: Made, state: Value) -> Why:
    """PyTorch keeps versions of layers in `_metadata` of a state dict."""
    names = [constant(name) for name, _ in state.pairs] if isinstance(state, Map) else ["?"]
    return None if names in ([], ["_metadata"]) else f"it sets {', '.join(map(str, names))}"


def is_bytes(value: Value) -> bool:
    """Bytes spelled out, in any protocol's way."""
    if isinstance(value, Blob):
        return not value.text
    return isinstance(value, Made) and value.is_a(ENCODE, ("builtins", "bytes"), ("builtins", "bytearray"))


def whole_shape(value: Value) -> Why:
    """Why this is no shape, None = it is."""
    return None if wholes(value) is not None else "its shape is no list of whole numbers"


PLAIN: Final[Mapping[Key, Allowed]] = {
    ("builtins", "set"): Allowed(_container, holds="set"),
    ("builtins", "frozenset"): Allowed(_container),
    ("builtins", "list"): Allowed(_container, holds="list"),
    ("builtins", "tuple"): Allowed(_container),
    ("builtins", "dict"): Allowed(_container, holds="map"),
    ("builtins", "bytes"): Allowed(_bytes),
    ("builtins", "bytearray"): Allowed(_bytes),
    ("builtins", "complex"): Allowed(_constants),
    ("builtins", "slice"): Allowed(_constants),
    ("builtins", "range"): Allowed(_constants),
    **dict.fromkeys((("builtins", name) for name in ("int", "float", "str", "bool")), NAMED),
    ENCODE: Allowed(_latin),
    ("collections", "OrderedDict"): Allowed(_container, _ordered_state, "map"),
    ("collections", "defaultdict"): Allowed(_factory, holds="map"),
    ("collections", "Counter"): Allowed(_container, holds="map"),
    ("collections", "deque"): Allowed(_container, holds="list"),
}

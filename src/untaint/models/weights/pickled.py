"""A pickle followed as a list of instructions: dictionaries, lists and names are rebuilt, and nothing that it names is imported or called.

What a function would have returned becomes `Unknown`, with its name, its arguments and the state it was to get. That is enough to read the
tensors out of a checkpoint; whether the rest is harmless is another check's business.
Source: the machine that Python's `pickletools` describes.
"""

import pickletools
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, Final, final

_MOST_STEPS = 50_000_000
"""Instructions at most; a checkpoint of a hundred thousand tensors takes some three million."""


class NotFollowed(ValueError):
    """A pickle that ends early, or is built otherwise than picklers build."""


@final
@dataclass(frozen=True)
class Name:
    """What a pickle would import. module, name: as it writes them."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@final
@dataclass
class Unknown:
    """What calling `function` with `arguments` would have given. state: what would have been put into it.  items: set by key."""

    function: object
    arguments: object = ()
    state: object = None
    items: dict[Any, Any] = field(default_factory=dict)


@final
@dataclass(frozen=True)
class Persistent:
    """Something outside the pickle, by the key that is written there."""

    key: object


_MARK: Final = object()


@final
class _Machine:
    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def marked(self) -> list[Any]:
        """What lies above the last mark; the mark is taken off too."""
        at = len(self.stack) - 1
        while self.stack[at] is not _MARK:
            at -= 1
        found = self.stack[at + 1 :]
        del self.stack[at:]
        return found

    def top(self) -> Any:
        return self.stack[-1]


def followed(file: IO[bytes]) -> object:
    """What the pickle that begins here describes; the file stands behind it afterwards. Raises NotFollowed."""
    machine = _Machine()
    try:
        for step, (code, argument, _) in enumerate(pickletools.genops(file)):
            if step > _MOST_STEPS:
                raise NotFollowed(f"it has more than {_MOST_STEPS:,} instructions")
            if code.name == "STOP":
                return machine.stack.pop()
            _step(machine, code.name, argument)
    except NotFollowed:
        raise
    except Exception as error:  # a hostile pickle breaks the machine in more ways than can be listed
        raise NotFollowed(f"it is no sound pickle ({type(error).__name__}: {str(error)[:60]})") from error
    raise NotFollowed("it ends early")


def _step(machine: _Machine, code: str, argument: Any) -> None:
    stack = machine.stack
    if code in _IGNORED:
        return
    if code in _CONSTANTS:
        stack.append(_CONSTANTS[code]())
    elif code in _MADE:
        _MADE[code](machine, argument)
    elif code in {"BINPUT", "LONG_BINPUT", "PUT"}:
        machine.memo[int(argument)] = machine.top()
    elif code in {"BINGET", "LONG_BINGET", "GET"}:
        stack.append(machine.memo[int(argument)])
    elif argument is not None and not code.startswith("EXT"):
        stack.append(argument)
    else:
        raise NotFollowed(f"it uses {code}, which no checkpoint needs")


_IGNORED = {"PROTO", "FRAME"}
_CONSTANTS: Mapping[str, Callable[[], object]] = {
    "MARK": lambda: _MARK,
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_SET": list,
}


def _tuple(size: int) -> Callable[[_Machine, Any], None]:
    def make(machine: _Machine, _argument: Any) -> None:
        if len(machine.stack) < size:
            raise NotFollowed("a tuple has too few parts")
        machine.stack[-size:] = [tuple(machine.stack[-size:])]

    return make


def _sequence(kind: Callable[[list[Any]], Any]) -> Callable[[_Machine, Any], None]:
    def make(machine: _Machine, _argument: Any) -> None:
        machine.stack.append(kind(machine.marked()))

    return make


def _pairs(items: list[Any]) -> dict[Any, Any]:
    return dict(zip(items[::2], items[1::2], strict=True))


def _set(target: Any, pairs: dict[Any, Any]) -> None:
    if isinstance(target, Unknown):
        target.items.update(pairs)
    elif isinstance(target, dict):
        target.update(pairs)
    else:
        raise NotFollowed("it sets keys of something that has none")


def _setitems(machine: _Machine, _argument: Any) -> None:
    pairs = _pairs(machine.marked())
    _set(machine.top(), pairs)


def _setitem(machine: _Machine, _argument: Any) -> None:
    value, key = machine.stack.pop(), machine.stack.pop()
    if not isinstance(key, Hashable):
        raise NotFollowed("a key is no key")
    _set(machine.top(), {key: value})


def _extend(target: Any, items: list[Any]) -> None:
    if isinstance(target, list):
        target.extend(items)
    elif isinstance(target, Unknown):
        target.items.update({(len(target.items) + at): item for at, item in enumerate(items)})
    else:
        raise NotFollowed("it appends to something that is no list")


def _appends(machine: _Machine, _argument: Any) -> None:
    items = machine.marked()
    _extend(machine.top(), items)


def _append(machine: _Machine, _argument: Any) -> None:
    item = machine.stack.pop()
    _extend(machine.top(), [item])


def _global(machine: _Machine, argument: Any) -> None:
    machine.stack.append(Name(*str(argument).split(" ", 1)))


def _stack_global(machine: _Machine, _argument: Any) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    machine.stack.append(Name(str(module), str(name)))


def _call(machine: _Machine, _argument: Any) -> None:
    arguments, function = machine.stack.pop(), machine.stack.pop()
    machine.stack.append({} if _is_dictionary(function) and not arguments else Unknown(function, arguments))


def _is_dictionary(function: object) -> bool:
    return isinstance(function, Name) and (function.module, function.name) == ("collections", "OrderedDict")


def _call_with_names(machine: _Machine, _argument: Any) -> None:
    names, arguments, function = machine.stack.pop(), machine.stack.pop(), machine.stack.pop()
    machine.stack.append(Unknown(function, (arguments, names)))


def _instance(machine: _Machine, argument: Any) -> None:
    arguments = machine.marked()
    machine.stack.append(Unknown(Name(*str(argument).split(" ", 1)), tuple(arguments)))


def _object(machine: _Machine, _argument: Any) -> None:
    function, *arguments = machine.marked()
    machine.stack.append(Unknown(function, tuple(arguments)))


def _build(machine: _Machine, _argument: Any) -> None:
    state = machine.stack.pop()
    if isinstance(machine.top(), Unknown):
        machine.top().state = state


def _persistent(machine: _Machine, _argument: Any) -> None:
    machine.stack.append(Persistent(machine.stack.pop()))


def _pop(machine: _Machine, _argument: Any) -> None:
    machine.stack.pop()


def _pop_mark(machine: _Machine, _argument: Any) -> None:
    machine.marked()


def _duplicate(machine: _Machine, _argument: Any) -> None:
    machine.stack.append(machine.top())


def _memoize(machine: _Machine, _argument: Any) -> None:
    machine.memo[len(machine.memo)] = machine.top()


_MADE: Mapping[str, Callable[[_Machine, Any], None]] = {
    "TUPLE1": _tuple(1),
    "TUPLE2": _tuple(2),
    "TUPLE3": _tuple(3),
    "TUPLE": _sequence(tuple),
    "LIST": _sequence(list),
    "FROZENSET": _sequence(list),
    "DICT": _sequence(_pairs),
    "SETITEMS": _setitems,
    "SETITEM": _setitem,
    "APPENDS": _appends,
    "ADDITEMS": _appends,
    "APPEND": _append,
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    "INST": _instance,
    "OBJ": _object,
    "REDUCE": _call,
    "NEWOBJ": _call,
    "NEWOBJ_EX": _call_with_names,
    "BUILD": _build,
    "BINPERSID": _persistent,
    "POP": _pop,
    "POP_MARK": _pop_mark,
    "DUP": _duplicate,
    "MEMOIZE": _memoize,
}

"""What a pickle would make, as far as it can be told without making it."""

from dataclasses import dataclass, field
from typing import TypeAlias, final


@final
@dataclass(slots=True, eq=False)
class Const:
    """None, a truth, a number, or a short text."""

    value: bool | int | float | str | None


@final
@dataclass(slots=True, eq=False)
class Blob:
    """Bytes, or a long text (in UTF-8), by their place in the content."""

    start: int
    size: int
    text: bool = False


@final
@dataclass(slots=True, eq=False)
class Ref:
    """Something imported by name. raw: as the file spells it."""

    module: str
    name: str
    raw: str

    @property
    def key(self) -> tuple[str, str]:
        """Module and qualified name, as looked up on the list."""
        return self.module, self.name

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@final
@dataclass(slots=True, eq=False)
class Seq:
    """tuple, list, set or frozenset."""

    kind: str
    items: "list[Value]" = field(default_factory=list)


@final
@dataclass(slots=True, eq=False)
class Map:
    """A dict, its pairs in order, a key that comes again included."""

    pairs: "list[tuple[Value, Value]]" = field(default_factory=list)


@final
@dataclass(slots=True, eq=False)
class Made:
    """What a call gives. target: what is called.  state, added: what is set on it and put into it.  hooks: it holds hooks."""

    target: "Value"
    args: "list[Value]"
    state: "Value | None" = None
    added: Map = field(default_factory=Map)
    hooks: bool = False

    def is_a(self, *keys: tuple[str, str]) -> bool:
        """Whether it was made by one of these."""
        return isinstance(self.target, Ref) and self.target.key in keys


@final
@dataclass(slots=True, eq=False)
class Storage:
    """Numbers that PyTorch keeps beside the pickle. type: class of the storage, such as FloatStorage.  count: of its elements."""

    type: str
    key: str
    location: str
    count: int


@final
@dataclass(slots=True, eq=False)
class Unknown:
    """What cannot be told."""


Value: TypeAlias = Const | Blob | Ref | Seq | Map | Made | Storage | Unknown


def constant(value: Value) -> object:
    """The value of a constant; Ellipsis for anything else, which no pickle holds."""
    return value.value if isinstance(value, Const) else ...


def whole(value: Value) -> int | None:
    """A whole number that is not negative, None = it is none."""
    found = constant(value)
    return found if type(found) is int and found >= 0 else None


def wholes(value: Value) -> list[int] | None:
    """A tuple or list of whole numbers, none negative; None = it is none."""
    if isinstance(value, Made) and value.is_a(("torch", "Size")) and len(value.args) == 1:
        value = value.args[0]
    if not isinstance(value, Seq) or value.kind not in {"tuple", "list"}:
        return None
    found = [whole(item) for item in value.items]
    return None if None in found else [item for item in found if item is not None]

"""What the two layouts of PyTorch files share: tensors are a pickle, their numbers lie beside it."""

from collections.abc import Callable
from typing import Final

from untaint.models.formats.allowed_torch import SIZES, located
from untaint.models.formats.notes import Notes
from untaint.models.formats.values import Const, Ref, Seq, Storage, Value, constant, whole

_PLACES: Final = {5, 6}
"""Parts of a storage's id; the sixth, a view into another storage, is of the legacy layout."""


def storages(notes: Notes, where: str, found: dict[str, Storage], views: bool = False) -> Callable[[Value], Value | None]:
    """Reads persistent ids: `("storage", class, key, location, count)`. found: filled with each by its key.

    views: whether an id may say that it is part of another storage. A flaw is noted where one key has two sizes.
    """

    def read(value: Value) -> Value | None:
        items = value.items if isinstance(value, Seq) and len(value.items) in _PLACES else []
        if not items or constant(items[0]) not in {"storage", b"storage"} or not isinstance(items[1], Ref):
            return None
        key, location, count = constant(items[2]), constant(items[3]), whole(items[4])
        if not isinstance(key, str) or count is None or items[1].name not in SIZES or not isinstance(location, str):
            return None
        if not located(location):
            notes.flaw("medium", "pickle-reference", where, f"it asks for the device {location[:40]!r}")
        if len(items) == max(_PLACES) and not (views and isinstance(items[5], Seq | Const)):
            return None
        made = Storage(items[1].name, key, location, count)
        known = found.setdefault(key, made)
        if (known.type, known.count) != (made.type, made.count):
            notes.flaw("high", "pickle-reference", where, f"the storage {key[:40]!r} is described in two ways")
        return made

    return read


def room(storage: Storage) -> int:
    """Bytes a storage takes."""
    return storage.count * SIZES[storage.type]

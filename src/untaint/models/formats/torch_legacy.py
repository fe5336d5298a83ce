"""PyTorch's layouts before 1.6: five pickles with the storages behind them, and before 0.2 a tar of pickles.

Source: `torch.serialization._legacy_save` and `_legacy_load`.
"""

from typing import Final

from untaint.models.formats.allowed_torch import SIZES
from untaint.models.formats.machine import Around
from untaint.models.formats.notes import Notes
from untaint.models.formats.pickles import Pickles
from untaint.models.formats.torch_parts import room, storages
from untaint.models.formats.torch_zip import Checkpoint
from untaint.models.formats.values import Seq, Storage, Value, constant
from untaint.models.formats.window import Broken, Window

MAGIC: Final = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
"""The first pickle after its protocol: the number 0x1950a86a20f9469cfc6c."""
_COUNT: Final = 8


def is_one(content: Window) -> bool:
    """Whether it begins with the number that PyTorch begins with."""
    return MAGIC in content.head(16)


def scan(content: Window, where: str, notes: Notes, depth: int) -> Checkpoint:
    """What it holds, its flaws noted."""
    found: dict[str, Storage] = {}
    pickles = Pickles(content, where, notes, depth)
    at, parts = 0, list[Value]()
    for number in range(5):  # magic number, protocol, system, tensors, keys of storages
        around = Around(persistent=storages(notes, where, found, views=True)) if number == 3 else Around()
        value, at = pickles.one(at, around)
        parts.append(value)
    keys = [constant(item) for item in parts[4].items] if isinstance(parts[4], Seq) else []
    if not all(isinstance(key, str) for key in keys) or len(set(keys)) != len(keys):
        raise Broken("its list of storages is none")
    numbers: dict[str, Window] = {}
    for key in keys:
        storage = found.get(str(key))
        if storage is None:
            raise Broken(f"it lists the storage {str(key)[:40]!r}, which no tensor uses")
        numbers[storage.key], at = _storage(content, at, storage)
    if missing := sorted(set(found) - set(numbers)):
        notes.flaw("high", "truncated", where, f"the storage {missing[0][:40]!r} is not there")
    if at < content.size:
        notes.flaw("high", "trailing-data", where, f"{content.size - at:,} bytes follow its storages")
    return Checkpoint(parts[3], found, numbers, little=True)


def _storage(content: Window, at: int, storage: Storage) -> tuple[Window, int]:
    """Bytes of one storage behind their count, and where they end."""
    count = content.number(at, _COUNT)
    if count * SIZES[storage.type] != room(storage):
        raise Broken(
            f"the storage {storage.key[:40]!r} claims {count:,} elements in one place and {storage.count:,} in another",
            "oversize",
        )
    at += _COUNT
    return content.part(at, room(storage)), at + room(storage)

"""PyTorch's zip layout: one folder with `data.pkl` and one member a storage. Programs (TorchScript, packages) are findings.

Source: `torch.serialization` (`_save`, `_load`) and `caffe2/serialize/inline_container.cc`.
"""

import re
from dataclasses import dataclass, field
from typing import Final, final

from untaint.models.formats import zips
from untaint.models.formats.machine import Around
from untaint.models.formats.notes import Notes
from untaint.models.formats.pickles import Pickles
from untaint.models.formats.torch_parts import room, storages
from untaint.models.formats.values import Storage, Unknown, Value
from untaint.models.formats.window import Window
from untaint.models.formats.zips import Archive, Member

_OWN: Final = re.compile(
    r"data\.pkl|version|byteorder|\.format_version|\.storage_alignment|\.data/(?:serialization_id|version)|data/\d+"
)
_PROGRAM: Final = re.compile(
    r"code/|constants(?:\.pkl|/)|bytecode\.pkl|.*\.(?:py|so|cpp|debug_pkl)$|\.data/(?:extern_modules|python_version)|models/|data/aotinductor/"
)


@final
@dataclass(frozen=True)
class Checkpoint:
    """A file of tensors. root: what its pickle would give.  numbers: bytes of each storage by key.  little: their byte order."""

    root: Value
    storages: dict[str, Storage] = field(default_factory=dict)
    numbers: dict[str, Window] = field(default_factory=dict)
    little: bool = True


def is_one(archive: Archive) -> bool:
    """Whether PyTorch would take this archive for its own."""
    return any(
        re.fullmatch(r"(?:[^/]*/)?data\.pkl|[^/]+/(?:data\.pkl|constants\.pkl|version)", each.name) for each in archive.members
    )


def scan(archive: Archive, where: str, notes: Notes, depth: int) -> Checkpoint:
    """What it holds, its flaws noted."""
    sound = zips.checked(archive, where, notes)
    roots = {member.name.partition("/")[0] for member in archive.members}
    if len(roots) > 1:
        notes.flaw(
            "high", "archive-trick", where, "its members lie in more than one folder, and loaders differ in which they take"
        )
    inner = {member.name.partition("/")[2]: member for member in sound}
    _programs(inner, where, notes)
    found: dict[str, Storage] = {}
    root: Value = Unknown()
    if "data.pkl" in inner:
        place = _place(where, inner["data.pkl"])
        pickles = Pickles(inner["data.pkl"].inflated(notes), place, notes, depth)
        root, end = pickles.one(0, Around(persistent=storages(notes, place, found)))
        if end < pickles.content.size:
            said = f"{pickles.content.size - end:,} bytes follow the pickle"
            notes.flaw("high", "trailing-data", place, said)
    else:
        notes.flaw("high", "unread", where, "it has no data.pkl where PyTorch keeps one")
    others = {name: member for name, member in inner.items() if not _OWN.fullmatch(name)}
    for member in others.values():
        _other(member, where, notes, depth)
    numbers = _numbers(inner, found, where, notes)
    order = inner["byteorder"].inflated(notes).head(8) if "byteorder" in inner else b"little"
    return Checkpoint(root, found, numbers, order.strip() == b"little")


def _place(where: str, member: Member) -> str:
    return f"{where}: {member.name}" if where else member.name


def _programs(inner: dict[str, Member], where: str, notes: Notes) -> None:
    programs = sorted(name for name in inner if _PROGRAM.match(name))
    if any(name.endswith(".so") for name in programs):
        notes.flaw("critical", "native-code", where, "it holds a compiled library, which loading would run")
    if programs:
        for name in programs:
            notes.rides(f"{where}: {name}" if where else name)
        said = f"it holds a program ({len(programs)} members, such as {programs[0]}): PyTorch runs it instead of loading weights"
        notes.flaw("high", "torchscript", where, said)


def _other(member: Member, where: str, notes: Notes, depth: int) -> None:
    """A member that PyTorch does not write."""
    place = _place(where, member)
    if not _PROGRAM.match(member.name.partition("/")[2]) or member.name.endswith("pkl"):
        notes.flaw("medium", "archive-trick", place, "it is no part of a PyTorch file")
        notes.inside(member.inflated(notes), place, depth)


def _numbers(inner: dict[str, Member], found: dict[str, Storage], where: str, notes: Notes) -> dict[str, Window]:
    """Bytes of each storage that the pickle names; a flaw where they are not there, or not as many."""
    numbers: dict[str, Window] = {}
    for key, storage in found.items():
        member = inner.get(f"data/{key}")
        if member is None:
            if storage.location != "meta":
                notes.flaw("high", "truncated", where, f"the storage {key[:40]!r} is not there")
        elif member.size != room(storage):
            said = f"the storage {key[:40]!r} claims {room(storage):,} bytes, and has {member.size:,}"
            notes.flaw("high", "oversize", where, said)
        elif member.method == 0:
            numbers[key] = member.packed
        else:
            numbers[key] = member.inflated(notes)
    if unused := [name for name in inner if name.startswith("data/") and name[5:].isdigit() and name[5:] not in found]:
        notes.flaw("low", "trailing-data", where, f"{len(unused)} storages that no tensor uses, such as {unused[0]}")
    return numbers

"""HDF5 as Keras writes it, read without the library, which has run what crafted files told it: objects, links, filters, configuration.

What is kept in a way that is not read here (dense links or attributes, shared messages) is a finding, since something can hide there;
h5py and Keras do not write it unless asked.
"""

from collections.abc import Iterator
from typing import Final

from untaint.models.formats import hdf5_blocks as blocks
from untaint.models.formats import json_text, keras_objects
from untaint.models.formats.hdf5_blocks import NOWHERE, Member, Message
from untaint.models.formats.notes import Notes
from untaint.models.formats.window import Broken, Window

MAGIC: Final = b"\x89HDF\r\n\x1a\n"
_LINKS, _OUTSIDE, _LAYOUT, _LINK, _FILTERS, _ATTRIBUTE, _TABLE, _ATTRIBUTES = 0x02, 0x07, 0x08, 0x06, 0x0B, 0x0C, 0x11, 0x15
_OWN_FILTERS: Final = {1, 2, 3, 4, 5, 6, 32000}
"""Deflate, shuffle, checksum, szip, n-bit, scale-offset, and h5py's LZF. Any other is a library that is loaded when numbers are read."""
_CONFIGS: Final = {"model_config", "training_config", "config"}
_CONFIG_WORK: Final = 100_000
"""Work that one configuration counts for: a file has two or three."""
_MOST_OBJECTS: Final = 500_000
_FURTHEST: Final = 1 << 20


def begins(content: Window) -> int:
    """Where the file begins within some bytes; -1 = nowhere. A reader looks at 0, 512, 1024, and on by doubling."""
    at = 0
    while at < min(content.size, _FURTHEST):
        if content.size - at >= 8 and content.get(at, 8) == MAGIC:
            return at
        at = max(512, 2 * at)
    return -1


def scan(content: Window, where: str, notes: Notes) -> None:
    """Look at every object."""
    start = begins(content)
    if start:
        notes.flaw("high", "archive-trick", where, f"{start:,} bytes stand in front of it, which another loader may read")
        notes.look(content.part(0, start), f"{where}: what stands in front", notes, 1)
        content = content.part(start, content.size - start)
    root, end = _superblock(content)
    if end > content.size:
        raise Broken(f"it says it has {end:,} bytes, and has {content.size:,}")
    if end < content.size:
        notes.flaw("high", "trailing-data", where, f"{content.size - end:,} bytes follow it")
    waiting, seen = [("", root)], set[int]()
    while waiting:
        path, header = waiting.pop()
        if header in seen:
            continue
        if len(seen) > _MOST_OBJECTS:
            raise Broken(f"it has more than {_MOST_OBJECTS:,} objects", "oversize")
        seen.add(header)
        place = f"{where}: {path}" if where and path else path or where
        waiting += [(f"{path}/{member.name}", member.header) for member in _members(content, header, place, notes)]


def _members(content: Window, header: int, place: str, notes: Notes) -> list[Member]:
    """Objects that an object holds."""
    found: list[Member] = []
    for message in blocks.messages(content, header):
        notes.worked()
        found += _message(content, message, place, notes)
    for member in found:
        if member.kind == "outside":
            notes.flaw("critical", "outside-file", place, f"{member.name[:60]!r} is in another file: {member.to[:120]!r}")
    return [member for member in found if member.kind == "hard"]


def _superblock(content: Window) -> tuple[int, int]:
    """Address of the first object, and of the end."""
    version = content.number(8, 1)
    if version in {0, 1}:
        sizes, base = (content.number(13, 1), content.number(14, 1)), 24 if version == 0 else 28
        root = content.number(base + 40, 8)
        end = content.number(base + 16, 8)
    elif version in {2, 3}:
        sizes, base = (content.number(9, 1), content.number(10, 1)), 12
        root, end = content.number(36, 8), content.number(28, 8)
    else:
        raise Broken(f"it is of version {version}")
    if sizes != (8, 8) or content.number(base, 8) not in {0, NOWHERE}:
        raise Broken("it counts from somewhere else, or in other widths, than Keras writes")
    return root, end


def _message(content: Window, message: Message, place: str, notes: Notes) -> list[Member]:
    """Members that a message names; flaws are noted."""
    body = message.body
    if message.shared and message.type in {_OUTSIDE, _FILTERS, _ATTRIBUTE, _LINK}:
        notes.flaw("high", "unread", place, "a part of it lies elsewhere, and was not read")
    elif message.type == _TABLE:
        return _counted(blocks.members(content, body.number(0, 8), body.number(8, 8)), notes)
    elif message.type == _LINK:
        return [blocks.link(body)]
    elif message.type in {_LINKS, _ATTRIBUTES}:
        wide = body.number(1, 1) & 1
        at = 2 + (8 if message.type == _LINKS else 2) * wide
        if body.number(at, 8) != NOWHERE:
            what = "its members" if message.type == _LINKS else "its attributes"
            notes.flaw("high", "unread", place, f"{what} are kept in a way that was not read")
    elif message.type == _OUTSIDE:
        notes.flaw("critical", "outside-file", place, "its numbers are in another file")
    elif message.type == _LAYOUT and body.number(0, 1) >= 4 and body.number(1, 1) == 3:
        notes.flaw("critical", "outside-file", place, "its numbers are put together from other files")
    elif message.type == _FILTERS:
        _filters(body, place, notes)
    elif message.type == _ATTRIBUTE:
        _attribute(content, body, place, notes)
    return []


def _counted(members: Iterator[Member], notes: Notes) -> list[Member]:
    found = []
    for member in members:
        notes.worked()
        found.append(member)
    return found


def _filters(body: Window, place: str, notes: Notes) -> None:
    first = body.number(0, 1) == 1
    at = 8 if first else 2
    for _ in range(body.number(1, 1)):
        kind = body.number(at, 2)
        named = first or kind >= 256
        length = body.number(at + 2, 2) if named else 0
        at += 4 if named else 2
        count = body.number(at + 2, 2)
        at += 4 + (-(-length // 8) * 8 if first else length) + 4 * count + (4 if first and count % 2 else 0)
        if kind not in _OWN_FILTERS:
            notes.flaw("high", "native-code", place, f"its numbers pass through filter {kind}, a library that the reader loads")


def _attribute(content: Window, body: Window, place: str, notes: Notes) -> None:
    name = blocks.attribute_name(body)
    if name not in _CONFIGS:
        return
    notes.worked(_CONFIG_WORK)
    value = blocks.attribute_text(content, body)
    where = f"{place}: {name}" if place else name
    if value is None:
        notes.flaw("high", "unread", where, "its configuration is kept in a way that was not read")
        return
    keras_objects.scan(json_text.read(value), where, notes)

"""Blocks of an HDF5 file: headers of objects, their messages, the tables that name the members of a group.

Source: HDF5 File Format Specification 3.0, sections IV.A.1 (object headers), III.A.1 and III.B-E (groups).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple, final

from untaint.models.formats.window import Broken, Window

NOWHERE: Final = (1 << 64) - 1
"""An address that is not set."""
_CONTINUES: Final = 0x10
_MOST_BLOCKS: Final = 4096
_MOST_NAME: Final = 4096
_MOST_NODES: Final = 1 << 20


class Message(NamedTuple):
    """type: of the message.  shared: it lies elsewhere.  body: its bytes."""

    type: int
    shared: bool
    body: Window


@final
@dataclass(frozen=True)
class Member:
    """A member of a group. header: address of its object.  kind: hard, soft or outside.  to: where a link leads."""

    name: str
    header: int
    kind: str = "hard"
    to: str = ""


def messages(content: Window, at: int) -> Iterator[Message]:
    """All messages of the object at an address."""
    if content.get(at, 4) == b"OHDR":
        yield from _second(content, at)
        return
    if content.get(at, 1) != b"\x01":
        raise Broken(f"no object begins at {at:,}")
    blocks = [(at + 16, content.number(at + 8, 4))]
    for place in range(_MOST_BLOCKS):
        if place == len(blocks):
            return
        start, size = blocks[place]
        part, at = content.part(start, size), 0
        while at + 8 <= size:
            kind, length, flags = part.number(at, 2), part.number(at + 2, 2), part.number(at + 4, 1)
            body = part.part(at + 8, length)
            at += 8 + length
            if kind == _CONTINUES:
                blocks.append((body.number(0, 8), body.number(8, 8)))
            yield Message(kind, bool(flags & 2), body)
    raise Broken("an object has too many blocks", "oversize")


def _second(content: Window, at: int) -> Iterator[Message]:
    """Messages of an object in the newer layout."""
    flags = content.number(at + 5, 1)
    start = at + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
    width = 1 << (flags & 3)
    blocks = [(start + width, content.number(start, width))]
    head = 6 if flags & 4 else 4
    for place in range(_MOST_BLOCKS):
        if place == len(blocks):
            return
        first, size = blocks[place]
        part, at = content.part(first, size), 0
        while at + head <= size:
            kind, length, shared = part.number(at, 1), part.number(at + 1, 2), part.number(at + 3, 1)
            body = part.part(at + head, length)
            at += head + length
            if kind == _CONTINUES:
                begin, whole = body.number(0, 8), body.number(8, 8)
                if content.get(begin, 4) != b"OCHK" or whole < 8:
                    raise Broken("an object does not go on where it says")
                blocks.append((begin + 4, whole - 8))
            yield Message(kind, bool(shared & 2), body)
    raise Broken("an object has too many blocks", "oversize")


def members(content: Window, tree: int, heap: int) -> Iterator[Member]:
    """Members of a group that keeps them in a tree and a heap of names."""
    if content.get(heap, 4) != b"HEAP":
        raise Broken("a group has no names")
    names = content.part(content.number(heap + 24, 8), content.number(heap + 8, 8))
    waiting, seen = [tree], set[int]()
    while waiting:
        at = waiting.pop()
        if at in seen or len(seen) > _MOST_NODES:
            raise Broken("a group goes round in a circle")
        seen.add(at)
        kind = content.get(at, 4)
        if kind == b"TREE":
            count = content.number(at + 6, 2)
            waiting += [content.number(at + 24 + 8 + 16 * place, 8) for place in range(count)]
        elif kind == b"SNOD":
            for place in range(content.number(at + 6, 2)):
                yield _entry(content, at + 8 + 40 * place, names)
        else:
            raise Broken("a group has no members where it says")


def _entry(content: Window, at: int, names: Window) -> Member:
    name = _word(names, content.number(at, 8))
    if content.number(at + 16, 4) == 2:
        return Member(name, NOWHERE, "soft", _word(names, content.number(at + 24, 4)))
    return Member(name, content.number(at + 8, 8))


def _word(names: Window, at: int) -> str:
    end = names.find(b"\0", at, _MOST_NAME)
    if at > names.size or end < 0:
        raise Broken("a name has no end")
    return names.get(at, end - at).decode("utf-8", "backslashreplace")


def link(body: Window) -> Member:
    """A member of a group that keeps each in a message."""
    flags = body.number(1, 1)
    at = 2
    kind = body.number(at, 1) if flags & 8 else 0
    at += bool(flags & 8) + (8 if flags & 4 else 0) + bool(flags & 16)
    width = 1 << (flags & 3)
    length = body.number(at, width)
    name = body.get(at + width, length).decode("utf-8", "backslashreplace")
    at += width + length
    if kind == 0:
        return Member(name, body.number(at, 8))
    to = body.get(at + 2, body.number(at, 2)).decode("utf-8", "backslashreplace")
    return Member(name, NOWHERE, "soft" if kind == 1 else "outside", to.replace("\0", " "))


def _attribute(body: Window) -> tuple[Window, Window, int]:
    """Name and type of an attribute, and where its value begins."""
    version = body.number(0, 1)
    if version not in {1, 2, 3}:
        raise Broken(f"an attribute is of version {version}")
    at = 9 if version == 3 else 8
    parts = []
    for length in [body.number(place, 2) for place in (2, 4, 6)]:
        parts.append(body.part(at, length))
        at += -(-length // 8) * 8 if version == 1 else length
    return parts[0], parts[1], at


def attribute_name(body: Window) -> str:
    """What an attribute is called."""
    name = _attribute(body)[0]
    return name.get(0, name.size).rstrip(b"\0").decode("utf-8", "backslashreplace")


def attribute_text(content: Window, body: Window) -> bytes | None:
    """Value of an attribute; None = it is no single text, or kept in a way that is not read."""
    _, kind, at = _attribute(body)
    family = kind.number(0, 1) & 15
    if family == 3:
        return body.get(at, min(kind.number(4, 4), body.size - at)).rstrip(b"\0")
    if family == 9 and kind.number(1, 1) & 15 == 1 and at + 16 <= body.size:
        length, address, index = body.number(at, 4), body.number(at + 4, 8), body.number(at + 12, 4)
        return _kept(content, address, index).get(0, length).rstrip(b"\0")
    return None


def _kept(content: Window, at: int, wanted: int) -> Window:
    """An object of a global heap."""
    if content.get(at, 4) != b"GCOL":
        raise Broken("a text is not where it says")
    end = at + content.number(at + 8, 8)
    at += 16
    for _ in range(1 << 16):  # they are numbered with 16 bits
        if at + 16 > end:
            break
        index, size = content.number(at, 2), content.number(at + 8, 8)
        if index == wanted:
            return content.part(at + 16, size)
        if index == 0:
            break
        at += 16 + -(-size // 8) * 8
    raise Broken("a text is not where it says")

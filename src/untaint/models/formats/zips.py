"""Zip archives, read by their directory and checked against every member's own header, so that no two programs see different ones.

A flaw is: a name twice or in two spellings, a header that differs from the directory, bytes that belong to no member, members that
overlap, an encrypted or unknown method, a checksum that does not fit, a path that leaves the folder, a link, an archive within a prefix.
Source: PKWARE APPNOTE 6.3.10, sections 4.3 and 4.4.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, final

from untaint.evidence.finding import Severity
from untaint.models.formats.notes import Notes
from untaint.models.formats.window import Broken, Window

_END: Final = struct.Struct("<4s4H2IH")
_END_64: Final = struct.Struct("<4sQ2H2I4Q")
_LOCATOR: Final = struct.Struct("<4sIQI")
_CENTRAL: Final = struct.Struct("<4s6H3I5H2I")
_LOCAL: Final = struct.Struct("<4s5H3I2H")
_MOST_COMMENT: Final = 65_535
_MOST_MEMBERS: Final = 200_000
_MOST_NAME: Final = 1024
_WIDE: Final = 0xFFFFFFFF
_NARROW: Final = 0xFFFF
_ENCRYPTED: Final = 1 | 1 << 6 | 1 << 13
_LATER: Final = 1 << 3
"""Flag: sizes and checksum follow the member."""
_STORED, _DEFLATED = 0, 8
_LINK: Final = 0xA000
_OTHER_NAME: Final = 0x7075
"""Kind of extra field: a name in Unicode, beside the one that everybody reads."""
_RATIO: Final = 100
"""Times packed content may grow before it is a bomb. Weights grow by 1 to 3, a table of zeros by 1,000, which is why it also takes…"""
_LARGE: Final = 1 << 28
"""…this many bytes."""


@final
@dataclass(frozen=True)
class Member:
    """packed: its bytes as they lie there.  size: of its content.  header, end: its header begins, its bytes and what follows them end."""

    name: str
    packed: Window
    size: int
    crc: int
    method: int
    header: int
    end: int

    def inflated(self, notes: Notes) -> Window:
        """Its content. Raises Broken when it is not of the size or kind it says, or too much."""
        if self.method == _STORED:
            return self.packed
        notes.grew(self.size)
        content = b"".join(self.pieces())
        return Window.of(content)

    def first(self, size: int) -> Window:
        """The beginning of its content."""
        found = b""
        for piece in self.pieces():
            found += piece
            if len(found) >= size:
                break
        return Window.of(found[:size])

    def pieces(self) -> Iterator[bytes]:
        """Its content, piece by piece."""
        if self.method == _STORED:
            yield from self.packed.pieces()
            return
        stream, left = zlib.decompressobj(-15), self.size
        for piece in self.packed.pieces():
            waiting = piece
            while waiting:
                try:
                    found = stream.decompress(waiting, 1 << 20)
                except zlib.error as error:
                    raise Broken(f"{self.name} is not compressed as it says") from error
                waiting, left = stream.unconsumed_tail, left - len(found)
                if left < 0:
                    raise Broken(f"{self.name} grows beyond the {self.size:,} bytes it claims", "oversize")
                yield found
        if left or not stream.eof or stream.unused_data:
            raise Broken(f"{self.name} does not end where it says")


@final
@dataclass(frozen=True)
class Archive:
    """A zip archive whose listing was checked."""

    content: Window
    members: tuple[Member, ...]

    def member(self, name: str) -> Member | None:
        """The member of this name, None = there is none."""
        return next((each for each in self.members if each.name == name), None)


def read(content: Window, where: str, notes: Notes) -> Archive:
    """The archive, with its flaws noted. Raises Broken when it has no directory that can be followed."""
    start, size, count, end = _directory(content, where, notes)
    before = end - start - size
    if before and content.get(start, 4) != b"PK\x01\x02" and content.get(start + before, 4) == b"PK\x01\x02":
        notes.flaw("high", "archive-trick", where, f"{before:,} bytes stand in front of it, which another loader may read")
        notes.inside(content.part(0, before), f"{where}: what stands in front", 0)
        content, end = content.part(before, content.size - before), end - before
    if count > _MOST_MEMBERS:
        raise Broken(f"it lists {count:,} members")
    members: list[Member] = []
    at = start
    for _ in range(count):
        member, at = _entry(content, at, where, notes)
        members.append(member)
    if at != start + size or at != end:
        notes.flaw("high", "archive-trick", where, "bytes lie between its directory and its end")
    _names(members, where, notes)
    _places(members, start, where, notes)
    return Archive(content, tuple(member for member in members if member.size or not member.name.endswith("/")))


def checked(archive: Archive, where: str, notes: Notes) -> list[Member]:
    """The members whose content is what the directory says: checksum, size, and no bomb. The others are flaws."""
    sound = []
    packed = [member for member in archive.members if member.method != _STORED]
    room, grown = sum(member.packed.size for member in packed), sum(member.size for member in packed)
    if grown > _LARGE and grown > _RATIO * room:
        raise Broken(f"{room:,} packed bytes claim to become {grown:,}", "bomb")
    for member in archive.members:
        place = f"{where}: {member.name}" if where else member.name
        if member.method not in {_STORED, _DEFLATED}:
            notes.flaw("high", "archive-trick", place, f"it is packed by method {member.method}, and was not looked into")
            continue
        try:
            crc = 0
            for piece in member.pieces():
                crc = zlib.crc32(piece, crc)
        except Broken as error:
            notes.flaw("high", "archive-trick", place, str(error))
            continue
        if crc != member.crc:
            notes.flaw("high", "checksum", place, "its checksum does not fit its content")
        sound.append(member)
    return sound


def _directory(content: Window, where: str, notes: Notes) -> tuple[int, int, int, int]:
    """Start, size and members of the directory, and where what follows it begins."""
    at = content.rfind(b"PK\x05\x06", max(0, content.size - _END.size - _MOST_COMMENT))
    if at < 0 or at + _END.size > content.size:
        raise Broken("it has no directory: cut short, or no zip archive", "truncated")
    _, disk, first, here, count, size, start, comment = _END.unpack(content.get(at, _END.size))
    if at + _END.size + comment != content.size:
        notes.flaw("high", "trailing-data", where, "bytes follow the archive")
    if comment:
        severity: Severity = (
            "high" if b"PK" in content.get(at + _END.size, min(comment, content.size - at - _END.size)) else "medium"
        )
        notes.flaw(severity, "archive-trick", where, f"its comment has {comment:,} bytes, in which a second archive can hide")
    end = at
    if _locator(content, at):
        offset, wide = _wide_end(content, at)
        narrow = [(here, wide[2], _NARROW), (count, wide[3], _NARROW), (size, wide[4], _WIDE), (start, wide[5], _WIDE)]
        if any(value not in {other, most} for value, other, most in narrow):
            notes.flaw("high", "archive-trick", where, "its two ends describe two directories")
        disk, first, here, count, size, start = wide
        end = offset
    if disk or first or here != count:
        notes.flaw("high", "archive-trick", where, "it says it is one of several volumes")
    if start + size > end:
        raise Broken("its directory claims more than there is", "oversize")
    return start, size, count, end


def _wide_end(content: Window, at: int) -> tuple[int, tuple[int, int, int, int, int, int]]:
    """The end of an archive with 64-bit numbers: where it begins, and its numbers."""
    offset = _LOCATOR.unpack(content.get(at - _LOCATOR.size, _LOCATOR.size))[2]
    if offset + _END_64.size + _LOCATOR.size != at:
        raise Broken("its wide directory is not where it says")
    magic, _, _, _, disk, first, here, count, size, start = _END_64.unpack(content.get(offset, _END_64.size))
    if magic != b"PK\x06\x06":
        raise Broken("its wide directory is none")
    return offset, (disk, first, here, count, size, start)


def _locator(content: Window, at: int) -> bool:
    return at >= _LOCATOR.size and content.get(at - _LOCATOR.size, 4) == b"PK\x06\x07"


def _entry(content: Window, at: int, where: str, notes: Notes) -> tuple[Member, int]:
    """One entry of the directory, and where the next begins."""
    fields = _CENTRAL.unpack(content.get(at, _CENTRAL.size))
    magic, made, _, flags, method, _, _, crc, packed, size, length, extra, comment, _, _, attributes, header = fields
    if magic != b"PK\x01\x02" or length > _MOST_NAME:
        raise Broken(f"its directory has no entry at {at:,}")
    raw = content.get(at + _CENTRAL.size, length)
    more = content.get(at + _CENTRAL.size + length, extra)
    size, packed, header = _wide(more, [size, packed, header])
    other = _fields(more).get(_OTHER_NAME)
    following = at + _CENTRAL.size + length + extra + comment
    name = raw.decode("utf-8", "backslashreplace")
    place = f"{where}: {name}" if where else name
    if flags & _ENCRYPTED:
        notes.flaw("high", "archive-trick", place, "it is marked as encrypted, which some loaders ignore")
    if made >> 8 == 3 and (attributes >> 16) & 0xF000 == _LINK:
        notes.flaw("high", "link", place, "it is a link")
    if other is not None:
        notes.flaw("high", "archive-trick", place, "it has a second name, which some programs take")
    start, later = _local(content, header, (raw, flags, method, crc, packed, size), place, notes)
    if packed > content.size - start:
        raise Broken(f"{name} claims {packed:,} bytes, and {content.size - start:,} follow", "oversize")
    if method == _STORED and packed != size:
        raise Broken(f"{name} claims {size:,} bytes, stored as {packed:,}", "oversize")
    end = start + packed + (_descriptor(content, start + packed, (crc, packed, size), place, notes) if later else 0)
    return Member(name, content.part(start, packed), size, crc, method, header, end), following


def _local(content: Window, at: int, listed: tuple[bytes, int, int, int, int, int], place: str, notes: Notes) -> tuple[int, bool]:
    """Where the bytes of a member begin, and whether its sizes follow it. Differences from the directory are flaws."""
    raw, flags, method, crc, packed, size = listed
    magic, _, own_flags, own_method, _, _, own_crc, own_packed, own_size, length, extra = _LOCAL.unpack(
        content.get(at, _LOCAL.size)
    )
    if magic != b"PK\x03\x04":
        raise Broken(f"{place} has no header")
    own_raw = content.get(at + _LOCAL.size, length)
    more = content.get(at + _LOCAL.size + length, extra)
    own_size, own_packed, _ = _wide(more, [own_size, own_packed, 0])
    later = bool(own_flags & _LATER)
    same = own_raw == raw and own_flags == flags and own_method == method
    if later:
        same = same and own_crc in {0, crc} and own_packed in {0, packed} and own_size in {0, size}
    else:
        same = same and (own_crc, own_packed, own_size) == (crc, packed, size)
    if not same:
        notes.flaw("high", "archive-trick", place, f"its header ({own_raw[:60]!r}) is not what the directory says of it")
    return at + _LOCAL.size + length + extra, later


def _descriptor(content: Window, at: int, numbers: tuple[int, int, int], place: str, notes: Notes) -> int:
    """Bytes of what follows a member: checksum and sizes, narrow or wide, with or without a signature."""
    for signature in (b"PK\x07\x08", b""):
        for shape in ("<I2Q", "<I2I"):  # the narrow one of an empty member is the beginning of the wide one
            said = signature + struct.pack(shape, *numbers) if max(numbers) <= _WIDE or shape == "<I2Q" else b""
            if said and at + len(said) <= content.size and content.get(at, len(said)) == said:
                return len(said)
    notes.flaw("high", "archive-trick", place, "what follows it is not the checksum and sizes that the directory has")
    return 0


def _wide(extra: bytes, values: list[int]) -> tuple[int, int, int]:
    """Size, packed size and offset, from the extra field where they need 64 bits."""
    field, place = _fields(extra).get(1, b""), 0
    for index, value in enumerate(values):
        if value == _WIDE and place + 8 <= len(field):
            values[index] = int.from_bytes(field[place : place + 8], "little")
            place += 8
    return values[0], values[1], values[2]


def _fields(extra: bytes) -> dict[int, bytes]:
    """What the extra field of a header holds, by kind; of two of a kind the first."""
    found: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        found.setdefault(kind, extra[at + 4 : at + 4 + length])
        at += 4 + length
    return found


def _names(members: list[Member], where: str, notes: Notes) -> None:
    exact: set[str] = set()
    folded: set[str] = set()
    for member in members:
        name = member.name
        place = f"{where}: {name}" if where else name
        if name in exact:
            notes.flaw("high", "archive-trick", place, "it is listed twice")
        elif name.casefold() in folded:
            notes.flaw("medium", "archive-trick", place, "another member differs only in capitals")
        exact.add(name)
        folded.add(name.casefold())
        if escapes(name):
            notes.flaw("high", "path", place, "its name leads out of the folder")
        if not name.isprintable():
            notes.flaw("high", "archive-trick", place, "its name has signs that are not printed")


def escapes(name: str) -> bool:
    """Whether a relative path leads out of the folder it is unpacked into, on any system."""
    parts = name.replace("\\", "/").split("/")
    return ".." in parts or name[:1] in {"/", "\\"} or name[1:2] == ":" or "\x00" in name


def _places(members: list[Member], end: int, where: str, notes: Notes) -> None:
    """Members fill the archive up to its directory, without gap or overlap."""
    at = 0
    for member in sorted(members, key=lambda each: each.header):
        if member.header > at:
            before = "in front of" if at == 0 else "between"
            notes.flaw("high", "archive-trick", where, f"{member.header - at:,} bytes lie {before} its members")
        if member.header < at:
            raise Broken("its members overlap, so that each could be unpacked again and again", "bomb")
        at = member.end
    if at != end:
        notes.flaw("high", "archive-trick", where, f"{end - at:,} bytes lie between its members and its directory")

"""NumPy's .npy, alone or in a zip (.npz): a header in Python literals, then numbers, or for an array of objects a pickle.

Source: `numpy.lib.format`, versions 1 to 3.
"""

import ast
import re
from math import prod
from typing import Any, Final

from untaint.models.formats import zips
from untaint.models.formats.notes import Notes
from untaint.models.formats.pickles import Pickles
from untaint.models.formats.window import Broken, Window
from untaint.models.formats.zips import Archive, Member

MAGIC: Final = b"\x93NUMPY"
_MOST_HEADER: Final = 1 << 16
_SIMPLE: Final = re.compile(r"[|<>=]?(?:([?bBhHiIlLqQefdgFDG])|([biufcmMSaUV])(\d{1,9})(?:\[\w{1,6}\])?)")
_CODES: Final = {"?": 1, "b": 1, "B": 1, "h": 2, "H": 2, "i": 4, "I": 4, "l": 8, "L": 8, "q": 8, "Q": 8, "e": 2, "f": 4, "d": 8}
_DEEP: Final = 50
_LONG: Final = re.compile(r"(\d)L(?=[,)])")
"""Whole numbers as Python 2 wrote them."""


def is_one(content: Window) -> bool:
    """Whether it begins as one."""
    return content.head(6) == MAGIC


def is_archive(archive: Archive) -> bool:
    """Whether a zip archive holds arrays and nothing else of note."""
    return bool(archive.members) and archive.members[0].name.endswith(".npy")


def scan(content: Window, where: str, notes: Notes, depth: int) -> None:
    """Look at one array."""
    start, kind, count = _described(content)
    if _objects(kind):
        notes.flaw("medium", "object-array", where, "it holds Python objects: they are a pickle, which loading runs")
        Pickles(content.part(start, content.size - start), where, notes, depth).scan()
        return
    size = count * _size(kind)
    if size > content.size - start:
        raise Broken(f"its header claims {size:,} bytes of numbers, and {content.size - start:,} follow", "oversize")
    if size < content.size - start:
        notes.flaw("high", "trailing-data", where, f"{content.size - start - size:,} bytes follow its numbers")
        notes.inside(content.part(start + size, content.size - start - size), f"{where}: what follows", depth)


def scan_archive(archive: Archive, where: str, notes: Notes, depth: int) -> None:
    """Look at every array of an archive."""
    for member in zips.checked(archive, where, notes):
        place = f"{where}: {member.name}" if where else member.name
        if not member.name.endswith(".npy"):
            notes.flaw("medium", "archive-trick", place, "it is no array")
        if not _is_plain(member):
            notes.inside(member.inflated(notes), place, depth)


def _is_plain(member: Member) -> bool:
    """Whether a member is an array of numbers that fills it, as far as its beginning tells; then the rest need not be held."""
    try:
        start, kind, count = _described(member.first(_MOST_HEADER + 16))
        return not _objects(kind) and start + count * _size(kind) == member.size
    except Broken:
        return False


def _described(content: Window) -> tuple[int, Any, int]:
    """Where the numbers begin, their format, how many."""
    major, minor = content.get(6, 2)
    if (major, minor) not in {(1, 0), (2, 0), (3, 0)}:
        raise Broken(f"it is of version {major}.{minor}")
    width = 2 if major == 1 else 4
    length = content.number(8, width)
    if length > _MOST_HEADER:
        raise Broken(f"its header claims {length:,} bytes; at most {_MOST_HEADER:,} are read", "oversize")
    text = content.get(8 + width, length).decode("utf-8" if major == 3 else "latin-1", "replace")
    if max(text.count(bracket) for bracket in "([{") > _DEEP * 20:
        raise Broken("its header is nested too deep")
    try:
        header = ast.literal_eval(_LONG.sub(r"\1", text.strip()))
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError) as error:
        raise Broken("its header is no literal") from error
    if not isinstance(header, dict) or set(header) != {"descr", "fortran_order", "shape"}:
        raise Broken("its header has not the three parts that it must have")
    shape = header["shape"]
    if not isinstance(shape, tuple) or not all(type(side) is int and 0 <= side < 1 << 63 for side in shape):
        raise Broken("its shape is none")
    return 8 + width + length, header["descr"], prod(shape)


def _objects(kind: Any) -> bool:
    """Whether a format holds objects, in a field perhaps."""
    if isinstance(kind, str):
        return "O" in kind
    return isinstance(kind, list | tuple) and any(_objects(part) for part in kind)


def _size(kind: Any, depth: int = 0) -> int:
    """Bytes of one element of a format without objects."""
    if depth > _DEEP:
        raise Broken("its format is nested too deep")
    if isinstance(kind, str):
        match = _SIMPLE.fullmatch(kind)
        if match is None or (match[1] and match[1] not in _CODES):
            raise Broken(f"its format {kind[:40]!r} is not one of NumPy's")
        return _CODES[match[1]] if match[1] else int(match[3]) * (4 if match[2] == "U" else 1)
    if isinstance(kind, tuple) and len(kind) == 2 and isinstance(kind[1], int | tuple):
        sides = kind[1] if isinstance(kind[1], tuple) else (kind[1],)
        if not all(type(side) is int and 0 <= side < 1 << 63 for side in sides):
            raise Broken("its format has a shape that is none")
        return _size(kind[0], depth + 1) * prod(sides)
    if isinstance(kind, list):
        return sum(_field(field, depth) for field in kind)
    raise Broken("its format is not one of NumPy's")


def _field(field: Any, depth: int) -> int:
    if not isinstance(field, tuple) or len(field) not in {2, 3}:
        raise Broken("its format has a field without a name or a format")
    return _size(field[1] if len(field) == 2 else (field[1], field[2]), depth + 1)

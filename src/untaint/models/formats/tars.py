"""Tar archives, and compressed ones: members by their headers, without unpacking."""

import tarfile
from typing import IO, Final, cast

from untaint.evidence.finding import Severity
from untaint.models.formats.notes import Notes
from untaint.models.formats.stream import Reader
from untaint.models.formats.window import Broken, Window
from untaint.models.formats.zips import escapes

_MOST_MEMBERS: Final = 100_000
_PLACE: Final = 257
"""Where a header has its magic."""
_LEGACY: Final = {"sys_info", "pickle", "storages", "tensors"}


def is_one(content: Window) -> bool:
    """Whether it begins with a header of a tar archive, or an empty one of the oldest kind with a checksum that fits."""
    head = content.head(512)
    if len(head) < 512:
        return False
    if head[_PLACE : _PLACE + 5] == b"ustar":
        return True
    try:
        said = int(head[148:156].strip(b" \x00") or b"-1", 8)
    except ValueError:
        return False
    return said == sum(head[:148]) + 8 * 32 + sum(head[156:])


def scan(content: Window, where: str, notes: Notes, depth: int) -> None:
    """Look at every member."""
    names: set[str] = set()
    try:
        with tarfile.open(fileobj=cast(IO[bytes], Reader(content)), mode="r:") as archive:
            for number, member in enumerate(archive):
                if number >= _MOST_MEMBERS:
                    raise Broken(f"it lists more than {_MOST_MEMBERS:,} members", "oversize")
                _member(member, content, names, where, notes, depth)
    except (tarfile.TarError, ValueError, OverflowError, EOFError, RecursionError) as error:
        raise Broken(f"it is no sound tar archive ({str(error)[:80]})") from error
    if names >= {"pickle", "tensors"} and names <= _LEGACY:
        said = "it is of PyTorch's first layout, which is read without any check; releases before 2.6 even so with weights_only"
        notes.flaw("high", "pickle-stream", where, said)


def _member(member: tarfile.TarInfo, content: Window, names: set[str], where: str, notes: Notes, depth: int) -> None:
    place = f"{where}: {member.name}" if where else member.name
    if member.name in names:
        notes.flaw("high", "archive-trick", place, "it is listed twice")
    names.add(member.name)
    if escapes(member.name):
        notes.flaw("high", "path", place, "its name leads out of the folder")
    if member.issym() or member.islnk():
        severe: Severity = "high" if escapes(member.linkname) else "medium"
        notes.flaw(severe, "link", place, f"it is a link to {member.linkname[:80]!r}")
    elif member.isdev() or member.issparse():
        notes.flaw("high", "link", place, "it is a device, a pipe or a file with holes")
    elif member.isfile():
        notes.inside(content.part(member.offset_data, member.size), place, depth)

"""A zip archive as a list of members with the place of their bytes, checked against its own two listings."""

import struct
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, final

from untaint.models.weights.stored import cut

_LOCAL = struct.Struct("<4s5H3I2H")
"""The header before each member. Source: PKWARE APPNOTE 6.3, 4.3.7."""
_MOST_MEMBERS = 1_000_000


@final
@dataclass(frozen=True)
class Member:
    """size: bytes of it.  stored: bytes it takes.  offset: where they begin in the archive.  plain: not compressed."""

    size: int
    stored: int
    offset: int
    plain: bool


@final
@dataclass(frozen=True)
class Archive:
    """A zip archive and its members by name; only those that are not folders."""

    path: Path
    members: Mapping[str, Member]

    @staticmethod
    def read(path: Path) -> "Archive":
        """Raises BadInput for an archive that is no sound zip, names a member twice, or places one outside the file."""
        total = path.stat().st_size
        found: dict[str, Member] = {}
        try:
            with zipfile.ZipFile(path) as archive, path.open("rb") as file:
                if len(archive.infolist()) > _MOST_MEMBERS:
                    raise cut(path, "it lists too many members")
                for info in archive.infolist():
                    if info.is_dir():
                        continue
                    if info.filename in found:
                        raise cut(path, f"it lists {info.filename!r} twice")
                    found[info.filename] = _member(file, info, path, total)
        except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, struct.error, ValueError) as error:
            raise cut(path, f"it is no sound zip archive ({str(error)[:80]})") from error
        return Archive(path, found)

    @contextmanager
    def opened(self, name: str) -> Iterator[IO[bytes]]:
        """A member to read from its start."""
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(name) as file:
                yield file
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
            raise cut(self.path, f"{name}: {error}") from error


def _member(file: IO[bytes], info: zipfile.ZipInfo, path: Path, total: int) -> Member:
    file.seek(info.header_offset)
    magic, *fields = _LOCAL.unpack(file.read(_LOCAL.size))
    if magic != b"PK\x03\x04":
        raise cut(path, f"{info.filename!r} has no header")
    offset = info.header_offset + _LOCAL.size + fields[8] + fields[9]
    plain = info.compress_type == zipfile.ZIP_STORED
    if info.flag_bits & 1:
        raise cut(path, f"{info.filename!r} is encrypted")
    if offset + info.compress_size > total or (plain and info.file_size != info.compress_size):
        raise cut(path, f"{info.filename!r} claims {info.compress_size:,} bytes, which are not there")
    return Member(info.file_size, info.compress_size, offset, plain)

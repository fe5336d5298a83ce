"""Everything under a folder, nothing left out: names, sizes, modes, links, hidden and empty files, `.git`; and how a listed file is read.

Names are as Python holds them, a byte that is no UTF-8 as a lone surrogate. Links are listed and never followed,
so a loop of them ends; folders are visited in the order in which full names sort.
"""

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal, NamedTuple, TypeAlias, final

from untaint.errors import BadInput

Kind: TypeAlias = Literal["file", "folder", "link", "other"]
"""other: a pipe, a socket, a device; never opened."""
_BLOCK = 1 << 18
"""Bytes read at once: they stay in a core's cache until they are hashed, which larger ones do not."""
_SAFE = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
"""A file that became a link or a pipe after it was listed is not followed and not waited for."""


@final
class Entry(NamedTuple):
    """One name below the root. target: of a link.  mode: permission bits.  stamp: what tells cheaply that a file was written to."""

    name: str
    kind: Kind
    size: int
    mode: int
    target: str | None
    mtime_ns: int
    ctime_ns: int
    inode: int

    @property
    def stamp(self) -> tuple[int, int, int, int]:
        """Size, two times and inode. Whoever is root, or sets the clock, can restore them all."""
        return self.size, self.mtime_ns, self.ctime_ns, self.inode


def listed(root: Path) -> Iterator[Entry]:
    """Every entry below a folder in the order of full names; of a file, itself."""
    if not root.is_dir():
        yield _entry(root.name, os.stat(root))  # noqa: PTH116 - a link that the user names is followed
        return
    yield from _below(str(root), "")


def entry_at(root: Path, name: str) -> Entry:
    """One entry. Raises OSError when there is none."""
    path = f"{root}/{name}"
    return _entry(name, os.lstat(path), path)


def _below(folder: str, prefix: str) -> Iterator[Entry]:
    try:
        with os.scandir(folder) as found:
            names = sorted(_keyed(entry) for entry in found)
    except OSError as error:
        raise BadInput(f"{folder} cannot be listed: {error.strerror or error}.", advice="Check its permissions.") from error
    for key in names:
        name, path = prefix + key.rstrip("/"), os.path.join(folder, key.rstrip("/"))  # noqa: PTH118 - millions of them
        try:
            yield _entry(name, os.lstat(path), path)
        except FileNotFoundError as error:
            raise _changed(name) from error
        if key.endswith("/"):
            yield from _below(path, name + "/")


def _keyed(entry: os.DirEntry[str]) -> str:
    """A folder sorts as its name with a slash, as it stands in the names below it."""
    return entry.name + "/" if entry.is_dir(follow_symlinks=False) else entry.name


def _entry(name: str, found: os.stat_result, path: str = "") -> Entry:
    mode = found.st_mode
    kind: Kind = "file" if stat.S_ISREG(mode) else "folder" if stat.S_ISDIR(mode) else "link" if stat.S_ISLNK(mode) else "other"
    target = os.readlink(path) if kind == "link" else None
    size = found.st_size if kind == "file" else 0
    return Entry(name, kind, size, stat.S_IMODE(mode), target, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


@contextmanager
def opened(path: Path, entry: Entry) -> Iterator[IO[bytes]]:
    """A listed file, unbuffered. Raises BadInput when it is not the one that was listed, or was written to before it was read."""
    try:
        with open(os.open(path, _SAFE), "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor is no path
            _check(file.fileno(), entry)
            yield file
            _check(file.fileno(), entry)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _changed(entry.name) from error
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or error}.", advice="Check its permissions.") from error


def file_digest(path: str | Path, entry: Entry) -> bytes:
    """SHA-256 of a listed file, 32 bytes. Of a small one in as few calls as can be: there are millions of them."""
    if entry.size > _BLOCK:
        return _streamed(Path(path), entry)
    return hashlib.sha256(whole(path, entry)).digest()


def _streamed(path: Path, entry: Entry) -> bytes:
    hasher, block = hashlib.sha256(), memoryview(bytearray(_BLOCK))
    with opened(path, entry) as file:
        while count := file.readinto(block):  # type: ignore[attr-defined]  # unbuffered: a FileIO
            hasher.update(block[:count])
    return hasher.digest()


def whole(path: str | Path, entry: Entry) -> bytes:
    """The bytes of a listed file."""
    try:
        descriptor = os.open(path, _SAFE)
        try:
            found = _exactly(descriptor, entry)
        finally:
            os.close(descriptor)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _changed(entry.name) from error
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or error}.", advice="Check its permissions.") from error
    return found


def _exactly(descriptor: int, entry: Entry) -> bytes:
    """All its bytes, if it is the file that was listed before and after they are read."""
    _check(descriptor, entry)
    found = os.read(descriptor, entry.size + 1)
    while len(found) < entry.size and (more := os.read(descriptor, entry.size + 1 - len(found))):
        found += more
    _check(descriptor, entry)
    if len(found) != entry.size:
        raise _changed(entry.name)
    return found


def _check(descriptor: int, entry: Entry) -> None:
    found = os.fstat(descriptor)
    if (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino) != entry.stamp or not stat.S_ISREG(found.st_mode):
        raise _changed(entry.name)


def _changed(name: str) -> BadInput:
    return BadInput(f"{name} was changed while the data were being read.", advice="Run again on data that nobody is writing to.")

"""A window as a file that libraries read from, and what is compressed as a window, within bounds."""

import bz2
import io
import lzma
import zlib
from collections.abc import Iterator
from typing import Final, Protocol, final

from typing_extensions import override

from untaint.models.formats.notes import Notes
from untaint.models.formats.window import Broken, Window

_STEP: Final = 1 << 20
_MEMORY: Final = 1 << 28
"""Bytes LZMA may take for its dictionary: its strongest preset takes 64 MiB."""
_MAGICS: Final = {b"\x1f\x8b": "gzip", b"\xfd7zXZ\x00": "xz", b"\x04\x22\x4d\x18": "lz4", b"\x28\xb5\x2f\xfd": "zstd"}


@final
class Reader(io.RawIOBase):
    """A window, to read and seek in."""

    def __init__(self, content: Window) -> None:
        super().__init__()
        self._content, self._at = content, 0

    @override
    def readable(self) -> bool:
        return True

    @override
    def seekable(self) -> bool:
        return True

    @override
    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._content.size}[whence]
        if base + offset < 0:
            raise ValueError("a place before the start")
        self._at = base + offset
        return self._at

    @override
    def tell(self) -> int:
        return self._at

    @override
    def read(self, size: int = -1) -> bytes:
        left = max(self._content.size - self._at, 0)
        found = self._content.get(self._at, left if size < 0 else min(size, left)) if left else b""
        self._at += len(found)
        return found


class _Stream(Protocol):
    @property
    def eof(self) -> bool:
        """Whether its end was reached."""

    @property
    def unused_data(self) -> bytes:
        """What follows its end."""

    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes:
        """The next bytes, at most so many."""


def packing(head: bytes) -> str | None:
    """How content is compressed, by its first bytes; None = in no known way."""
    if (found := next((kind for magic, kind in _MAGICS.items() if head.startswith(magic)), None)) is not None:
        return found
    if head[:3] == b"BZh" and head[4:10] == b"1AY&SY":
        return "bzip2"
    if head[:3] == b"\x5d\x00\x00" and head[5:13] in {b"\xff" * 8, head[5:10] + bytes(3)}:
        return "lzma"
    deflated = len(head) > 1 and head[0] == 0x78 and head[1] in {0x01, 0x5E, 0x9C, 0xDA}
    return "zlib" if deflated and not int.from_bytes(head[:2], "big") % 31 else None


def unpacked(content: Window, kind: str, notes: Notes) -> tuple[Window, int]:
    """The content, and how many bytes follow what is compressed. Raises Broken for what is damaged, too large, or not read here."""
    parts: list[bytes] = []
    if kind in {"lz4", "zstd"}:
        return Window.of(b"".join(_by_arrow(content, kind, notes))), 0
    at = 0
    while at < content.size and (not parts or packing(content.part(at, content.size - at).head(16)) == kind):
        at = _member(content, at, kind, parts, notes)
    return Window.of(b"".join(parts)), content.size - at


def _member(content: Window, at: int, kind: str, parts: list[bytes], notes: Notes) -> int:
    """One compressed stretch, and where it ends."""
    stream = _opened(kind)
    waiting = b""
    try:
        while not stream.eof:
            if not waiting and getattr(stream, "needs_input", True):
                waiting = content.get(at, min(_STEP, content.size - at))
                at += len(waiting)
                if not waiting:
                    raise Broken(f"what {kind} compressed is cut short", "truncated")
            found = stream.decompress(waiting, _STEP)
            waiting = getattr(stream, "unconsumed_tail", b"")
            notes.grew(len(found))
            parts.append(found)
    except (zlib.error, OSError, lzma.LZMAError, EOFError, ValueError) as error:
        raise Broken(f"what {kind} compressed is damaged ({str(error)[:60]})") from error
    return at - len(stream.unused_data)


def _opened(kind: str) -> _Stream:
    if kind in {"zlib", "gzip"}:
        return zlib.decompressobj(15 if kind == "zlib" else 31)
    return bz2.BZ2Decompressor() if kind == "bzip2" else lzma.LZMADecompressor(lzma.FORMAT_AUTO, memlimit=_MEMORY)


def _by_arrow(content: Window, kind: str, notes: Notes) -> Iterator[bytes]:
    """What LZ4 or Zstandard compressed, which Arrow reads."""
    import pyarrow as pa

    try:
        with pa.CompressedInputStream(pa.PythonFile(Reader(content), mode="r"), kind) as stream:
            while found := stream.read(_STEP):
                notes.grew(len(found))
                yield found
    except (OSError, pa.ArrowException) as error:
        raise Broken(f"what {kind} compressed is damaged ({str(error)[:60]})") from error

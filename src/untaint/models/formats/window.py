"""A stretch of a file or of memory, looked at without copying it; positions in it count from its start."""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

_PIECE = 1 << 20
"""Bytes a checksum takes at a time: more is not faster."""


class Broken(Exception):
    """What is read is not what it says; the message says why, and `rule` what kind of flaw that is. Never leaves this package."""

    def __init__(self, why: str, rule: str = "malformed") -> None:
        super().__init__(why)
        self.rule = rule


@final
@dataclass(frozen=True, slots=True)
class Window:
    """Bytes `start` to `end` of `base`."""

    base: bytes | mmap.mmap
    start: int
    end: int

    @staticmethod
    def of(content: bytes) -> "Window":
        """All of some bytes."""
        return Window(content, 0, len(content))

    @property
    def size(self) -> int:
        """Bytes in it."""
        return self.end - self.start

    def get(self, at: int, size: int) -> bytes:
        """`size` bytes from `at`. Raises Broken where it ends before."""
        if at < 0 or size < 0 or self.start + at + size > self.end:
            raise Broken(f"{size:,} bytes should follow at {at:,}, and it ends at {self.size:,}", "truncated")
        return bytes(self.base[self.start + at : self.start + at + size])

    def head(self, size: int) -> bytes:
        """Its first bytes, fewer where it is shorter."""
        return self.get(0, min(size, self.size))

    def number(self, at: int, size: int) -> int:
        """An unsigned little-endian number."""
        return int.from_bytes(self.get(at, size), "little")

    def find(self, needle: bytes, at: int, most: int | None = None) -> int:
        """Where `needle` begins, from `at` on and within `most` bytes; -1 = nowhere."""
        last = self.end if most is None else min(self.end, self.start + at + most)
        found = self.base.find(needle, self.start + at, last)
        return found - self.start if found >= 0 else -1

    def rfind(self, needle: bytes, at: int) -> int:
        """Where the last `needle` from `at` on begins; -1 = nowhere."""
        found = self.base.rfind(needle, self.start + at, self.end)
        return found - self.start if found >= 0 else -1

    def part(self, at: int, size: int) -> "Window":
        """A stretch of it. Raises Broken where it ends before."""
        if at < 0 or size < 0 or at + size > self.size:
            raise Broken(f"{size:,} bytes should follow at {at:,}, and it ends at {self.size:,}", "truncated")
        return Window(self.base, self.start + at, self.start + at + size)

    def pieces(self) -> Iterator[bytes]:
        """All of it, piece by piece."""
        for at in range(self.start, self.end, _PIECE):
            yield bytes(self.base[at : min(at + _PIECE, self.end)])

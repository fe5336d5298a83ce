"""One hostile file: how it is made, which published class it is of, and whether loading it would leave a mark.

Every payload only makes a folder (the canary) whose path is chosen by whoever makes the file: a scan that leaves none has run none.
"""

import io
import struct
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

Build = Callable[[str], bytes | Mapping[str, bytes]]
"""Path of the canary → a file, or files of a folder by their names."""
STOP: Final = b"."


@final
@dataclass(frozen=True)
class Hostile:
    """One case. file: its name, or that of its folder.  kind: advisory or class it stands for.  live: `pickle.load` makes the canary."""

    name: str
    file: str
    kind: str
    build: Build
    live: bool = False

    def write(self, folder: Path, canary: Path) -> Path:
        """Write it below a folder; its path. Raises ModuleNotFoundError where a library that makes it is not installed."""
        made = self.build(str(canary))
        place = folder / self.name
        place.mkdir(parents=True, exist_ok=True)
        if isinstance(made, bytes):
            (place / self.file).write_bytes(made)
            return place / self.file
        for name, content in made.items():
            target = place / self.file / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        return place / self.file


def text(value: str) -> bytes:
    """Pushes a text."""
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def named(module: str, name: str) -> bytes:
    """Imports by name."""
    return f"c{module}\n{name}\n".encode()


def stacked(module: str, name: str) -> bytes:
    """Imports by names on the stack."""
    return text(module) + text(name) + b"\x93"


def called(module: str, name: str, *args: bytes) -> bytes:
    """Calls something with arguments that are pushed by other instructions."""
    return named(module, name) + b"(" + b"".join(args) + b"tR"


def pickled(body: bytes, protocol: int = 2) -> bytes:
    """A whole pickle."""
    return b"\x80" + bytes([protocol]) + body + STOP


def made(canary: str) -> bytes:
    """Makes the canary, and leaves what that gives on the stack."""
    return called("os", "mkdir", text(canary))


def archive(members: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """A zip archive."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as zipped:
        for name, content in members.items():
            zipped.writestr(zipfile.ZipInfo(name), content, method)
    return file.getvalue()


def checkpoint(body: bytes, others: Mapping[str, bytes] | None = None, method: int = zipfile.ZIP_STORED) -> bytes:
    """A zip archive as PyTorch writes it, with a pickle of one's own."""
    return archive({"model/data.pkl": body, "model/version": b"3\n", **(others or {})}, method)


def field(number: int, content: bytes | str | int) -> bytes:
    """A field of Protocol Buffers."""
    if isinstance(content, int):
        return _varint(number << 3) + _varint(content)
    raw = content.encode() if isinstance(content, str) else content
    return _varint(number << 3 | 2) + _varint(len(raw)) + raw


def _varint(value: int) -> bytes:
    found = b""
    while value > 0x7F:
        found += bytes([value & 0x7F | 0x80])
        value >>= 7
    return found + bytes([value])

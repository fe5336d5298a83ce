"""A JSON array of records, read element by element from where it lies."""

import mmap
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from untaint.data.readers._bytes import RandomBytes

_TOKEN = re.compile(rb'"(?:[^"\\]+|\\.)*(?:"|\Z)|[\[\]{},]', re.DOTALL)
"""A whole string (its brackets are no structure), or one mark of structure; a string nobody closes ends with the file."""
_SPACE = b" \t\r\n"
_HEAD = 4096
"""Bytes looked at for the first character that is no space."""
BOM = b"\xef\xbb\xbf"


def is_array(path: Path) -> bool:
    """Whether a file holds one array instead of a record per line."""
    with RandomBytes(path).open() as file:
        return begins_array(file)


def elements(file: IO[bytes]) -> Iterator[tuple[int, int, bytes]]:
    """(number from 1, offset, raw bytes) of every element; what stands where an element should, whatever it is."""
    if os.fstat(file.fileno()).st_size == 0:  # nothing cannot be mapped
        return
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        depth, start, number = 0, 0, 0
        for token in _TOKEN.finditer(data):
            mark = token[0][:1]
            if mark in b"[{":
                depth += 1
                start = token.end() if depth == 1 else start
            elif mark in b"]}":
                depth -= 1
            if (mark == b"," and depth == 1) or (mark in b"]}" and depth == 0):
                number += 1
                yield from _element(data, number, start, token.start())
                start = token.end()
                if depth == 0:
                    break
        yield from _element(data, number + 1, start, len(data))


def _element(data: mmap.mmap, number: int, start: int, end: int) -> Iterator[tuple[int, int, bytes]]:
    raw = data[start:end]
    kept = raw.strip(_SPACE)
    if kept:
        yield number, start + len(raw) - len(raw.lstrip(_SPACE)), kept


def begins_array(file: IO[bytes]) -> bool:
    """The same of an open file that stands at its start, and stands there again afterwards."""
    found = file.read(_HEAD).removeprefix(BOM).lstrip(_SPACE)[:1] == b"["
    file.seek(0)
    return found

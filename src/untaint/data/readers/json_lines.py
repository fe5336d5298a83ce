"""JSON lines or one JSON array, plain or compressed."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, ClassVar, final

from typing_extensions import override

from untaint.data.dataset import Dataset
from untaint.data.readers._bytes import COMPRESSED
from untaint.data.readers._json_array import begins_array, elements
from untaint.data.readers._lines import lines, opened, read_lines
from untaint.data.readers._recipe import Broken, Record
from untaint.data.readers.base import Reader, Request

SUFFIXES = (".jsonl", ".ndjson", ".json")
_BOM = b"\xef\xbb\xbf"


@final
@dataclass(frozen=True)
class JsonLines(Reader):
    """One JSON object per line, or one array of objects; blank lines are no rows, a broken line or element is an unreadable row."""

    id: ClassVar[str] = "jsonl"
    summary: ClassVar[str] = (
        "JSON lines or one JSON array (.jsonl, .json, also .gz and .zst): texts, instructions, image paths, or table columns"
    )

    @override
    def claims(self, path: Path) -> bool:
        plain = path.with_suffix("") if path.suffix.lower() in COMPRESSED else path
        return path.is_file() and plain.suffix.lower() in SUFFIXES

    @override
    def read(self, path: Path, request: Request) -> Dataset:
        file, recipe = opened(path, request, records, parse, None)
        return read_lines(file, recipe, records, parse, self.id)


def records(file: IO[bytes]) -> Iterator[tuple[int, int, bytes]]:
    """Lines that are not blank, or the elements of an array."""
    return elements(file) if begins_array(file) else lined(file)


def lined(file: IO[bytes]) -> Iterator[tuple[int, int, bytes]]:
    """Lines that are not blank, whatever the first one looks like."""
    return ((number, offset, line) for number, offset, line in lines(file) if not is_blank(line))


def is_blank(line: bytes) -> bool:
    """Whether a line is no row."""
    return not line.strip(b" \t\r\n" + _BOM)


def parse(raw: bytes) -> Record:
    """The object on a line or of an element."""
    try:
        found = json.loads(raw.removeprefix(_BOM).decode("utf-8"))
    except UnicodeDecodeError as error:
        return Broken(raw, f"not UTF-8 ({error.reason})")
    except (ValueError, RecursionError) as error:
        return Broken(raw, f"not JSON ({error})")
    return found if isinstance(found, dict) else Broken(raw, f"expected a JSON object, got {type(found).__name__}")

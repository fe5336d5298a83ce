"""Payloads in text files, a record at a known offset: what CSV and JSON lines share."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, TypeAlias, final

import numpy as np
from typing_extensions import override

from untaint.data.dataset import Dataset, Payload, Store
from untaint.data.readers._bytes import RandomBytes, Span
from untaint.data.readers._index import IndexBuilder
from untaint.data.readers._recipe import Broken, Recipe, Record
from untaint.data.readers.base import Request
from untaint.data.roles import Roles, choose
from untaint.errors import BadInput
from untaint.types import Rows

Parse: TypeAlias = Callable[[bytes], Record]
"""The raw bytes of one record as a record; Broken when they are none."""
Scan: TypeAlias = Callable[[IO[bytes]], Iterator[tuple[int, int, bytes]]]
"""(line number, offset, raw bytes) of every record of a file."""

SAMPLE = 200
"""Rows looked at to find the roles."""
LONGEST = 64 * 2**20
"""Bytes of one record; what is longer is no record of a training set, and must not fill the memory."""


@final
@dataclass(frozen=True)
class LineStore(Store):
    """Payloads parsed from the bytes of their record."""

    file: RandomBytes
    spans: np.ndarray
    parse: Parse
    recipe: Recipe

    @override
    def read(self, rows: Rows) -> list[Payload]:
        spans: list[Span] = [(int(offset), int(size)) for offset, size in self.spans[rows]]
        return [self.recipe.read(self.parse(raw))[0] for raw in self.file.read(spans)]


def opened(path: Path, request: Request, scan: Scan, parse: Parse, columns: list[str] | None) -> tuple[RandomBytes, Recipe]:
    """A file of records and what they mean; `columns` in their order where the format has a header."""
    file = RandomBytes(path)
    return file, Recipe(_roles(file, request, scan, parse, columns), path.parent)


def read_lines(file: RandomBytes, recipe: Recipe, scan: Scan, parse: Parse, format_id: str) -> Dataset:
    """The data set in a file of records."""
    builder, spans = IndexBuilder(), []
    with file.open() as plain:
        for number, offset, raw in scan(plain):
            recipe.add(builder, numbered(parse(raw), number), f"{file.path.name}:{number}")
            spans.append((offset, len(raw)))
    index = builder.finish(str(file.path), recipe.labelled)
    store = LineStore(file, np.array(spans, dtype=np.int64), parse, recipe)
    return Dataset(
        index, store, recipe.roles.modality, format_id, file.path, recipe.columns(), (recipe.roles.note, *builder.notes)
    )


def lines(file: IO[bytes]) -> Iterator[tuple[int, int, bytes]]:
    """(line number, offset, line) of a file; a line over the limit comes in pieces."""
    offset, number = 0, 0
    while line := file.readline(LONGEST):
        number += 1
        yield number, offset, line
        offset += len(line)


def _roles(file: RandomBytes, request: Request, scan: Scan, parse: Parse, columns: list[str] | None) -> Roles:
    with file.open() as opened:
        head = [parse(raw) for _, _, raw in islice(scan(opened), SAMPLE)]
    found = [record for record in head if not isinstance(record, Broken)]
    names = columns or list(dict.fromkeys(name for record in found for name in record))
    broken = [record.reason for record in head if isinstance(record, Broken)]
    if broken and not found:
        raise BadInput(
            f"{file.path}: none of the first {len(broken):,} records can be read: {broken[0]}.", advice="Check the encoding."
        )
    if not found:
        raise BadInput(f"{file.path} is empty: no record in it.", advice="Give data with at least two classes.")
    samples = {name: [record.get(name) for record in found] for name in names}
    return choose(samples, str(file.path), label=request.label, source=request.source, payload=request.payload, time=request.time)


def numbered(record: Record, number: int) -> Record:
    """A broken record says on which line it is."""
    return Broken(record.raw, f"line {number}: {record.reason}") if isinstance(record, Broken) else record

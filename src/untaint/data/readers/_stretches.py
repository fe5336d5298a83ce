"""Plain stretches of a delimited file as Arrow columns; what is not plain is left to whoever reads record after record.

Plain is a stretch of lines that a parser of columns cannot read in another way: one record a line, as many fields in each, valid
UTF-8, and quotes only around whole fields. Each stretch is judged for itself, so one odd line costs the speed of its own stretch.
"""

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO, TypeAlias, final

import numpy as np
import pyarrow as pa
import pyarrow.csv
from typing_extensions import override

from untaint.data.dataset import Payload, Store
from untaint.data.parts import Columnar, Run
from untaint.data.readers import _columnar
from untaint.data.readers._index import IndexBuilder
from untaint.data.readers._lines import LineStore
from untaint.data.readers._recipe import Recipe
from untaint.data.readers._rows import AHEAD, Made, add_rows, made, paths
from untaint.types import Rows

_BLOCK = 2**22  # bytes looked at at once, some ten thousand rows
_BOM = b"\xef\xbb\xbf"

Raw: TypeAlias = tuple[int, int, bytes]
"""Line number, offset and bytes of a record."""
Scan: TypeAlias = Callable[[IO[bytes]], Iterator[Raw]]


@final
@dataclass(frozen=True)
class Stretch:
    """lines: (m,) first line of each record.  spans: (m, 2) offset and size.  rows: their cells as texts; None = read `records`."""

    lines: np.ndarray
    spans: np.ndarray
    rows: pa.Table | None
    records: Sequence[Raw] = ()


def stretches(file: IO[bytes], columns: Sequence[str], delimiter: str, scan: Scan, *, header: bool) -> Iterator[Stretch]:
    """A file from its start. scan: every record from where a file stands, lines and offsets counted from there."""
    offset, line = 0, 1
    if header:
        number, start, raw = next(scan(file), (1, 0, b""))
        offset, line = start + len(raw), number + raw.count(b"\n")
    while True:
        file.seek(offset)
        block = file.read(_BLOCK)
        if not block:
            return
        end = len(block) if len(block) < _BLOCK else block.rfind(b"\n") + 1
        block = block[:end]
        rows = plain(block, columns, delimiter) if block and not (offset == 0 and block.startswith(_BOM)) else None
        if rows is None:
            found = _slowly(file, offset, line, max(1, end), scan)
        else:
            ends = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n")) + 1
            ends = ends if block.endswith(b"\n") else np.append(ends, end)
            sizes = np.diff(ends, prepend=0)
            found = Stretch(line + np.arange(len(ends)), np.stack([offset + ends - sizes, sizes], axis=1), rows)
        if len(found.lines) == 0:
            offset, line = offset + max(1, end), line + block.count(b"\n")
            continue
        yield found
        last = found.records[-1] if found.rows is None else (int(found.lines[-1]), int(found.spans[-1, 0]), b"\n")
        offset, line = int(found.spans[-1].sum()), last[0] + last[2].count(b"\n")


def _slowly(file: IO[bytes], offset: int, line: int, size: int, scan: Scan) -> Stretch:
    """Records one after another, until one ends at or after so many bytes."""
    file.seek(offset)
    records: list[Raw] = []
    for number, start, raw in scan(file):
        records.append((line + number - 1, offset + start, raw))
        if start + len(raw) >= size:
            break
    spans = np.array([(start, len(raw)) for _, start, raw in records], np.int64).reshape(-1, 2)
    return Stretch(np.array([number for number, _, _ in records], np.int64), spans, None, records)


def plain(block: bytes, columns: Sequence[str], delimiter: str) -> pa.Table | None:
    """Whole lines as columns of texts; None where they are not plain."""
    if b"\0" in block or block.count(b"\r") != block.count(b"\r\n"):
        return None
    if block.startswith((b"\n", b"\r")) or b"\n\n" in block or b"\n\r" in block or not _simply_quoted(block, delimiter):
        return None
    try:
        block.decode()
        rows = pa.csv.read_csv(
            pa.BufferReader(block),
            pa.csv.ReadOptions(use_threads=False, block_size=len(block) + 1, column_names=list(columns)),
            pa.csv.ParseOptions(delimiter=delimiter, ignore_empty_lines=False),
            pa.csv.ConvertOptions(column_types=dict.fromkeys(columns, pa.string()), strings_can_be_null=False, check_utf8=False),
        )
    except (UnicodeDecodeError, pa.ArrowInvalid):
        return None
    return rows if rows.num_rows == block.count(b"\n") + (not block.endswith(b"\n")) else None


def _simply_quoted(block: bytes, delimiter: str) -> bool:
    """Whether every quote is at an end of a field that has no other."""
    if b'"' not in block:
        return True
    mark = re.escape(delimiter.encode())
    return block.count(b'"') == 2 * len(re.findall(b'(?:^|%s)"[^"\r\n]*"(?=%s|\r?$)' % (mark, mark), block, re.MULTILINE))


def index_stretches(
    found: Iterator[Stretch],
    lines: LineStore,
    needed: Sequence[str],
    name: str,
    builder: IndexBuilder,
    add: Callable[[Raw], None],
) -> np.ndarray:
    """Index a file of a table; (n, 2) spans of its records. needed: columns that are read.  add: puts one record into the index."""
    spans, waiting = [np.empty((0, 2), np.int64)], deque[tuple[Stretch, Future[Made] | None]]()

    def settle() -> None:
        stretch, made_of = waiting.popleft()
        spans.append(stretch.spans)
        if made_of is not None:
            add_rows(made_of.result(), builder, paths(name, ":", stretch.lines))
        for record in stretch.records:
            add(record)

    with ThreadPoolExecutor(AHEAD) as pool:
        for stretch in found:
            rows = None if stretch.rows is None else stretch.rows.select(list(needed)).combine_chunks().to_batches()[0]
            waiting.append((stretch, None if rows is None else pool.submit(made, rows, lines.recipe)))
            if len(waiting) > AHEAD:
                settle()
        while waiting:
            settle()
    return np.concatenate(spans)


@final
@dataclass(frozen=True)
class TableLines(Store, Columnar):
    """Rows of a table in a delimited file. stretches: of the file, from its start."""

    lines: LineStore
    stretches: Callable[[IO[bytes]], Iterator[Stretch]]

    @property
    def recipe(self) -> Recipe:
        """How its rows become samples; whoever writes the file again asks for it."""
        return self.lines.recipe

    @override
    def read(self, rows: Rows) -> list[Payload]:
        return self.lines.read(rows)

    @override
    def runs(self) -> Iterator[Run]:
        names, row = self.lines.recipe.roles.payload, 0
        with self.lines.file.open() as file:
            for stretch in self.stretches(file):
                rows = np.arange(row, row + len(stretch.lines))
                row += len(rows)
                table = stretch.rows
                yield (
                    rows,
                    None if table is None else {name: _columnar.part(table.column(name).combine_chunks()) for name in names},
                )

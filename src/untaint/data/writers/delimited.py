"""CSV and TSV: every record as it was, quotes, line ends and header included."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, final

from typing_extensions import override

from untaint.data.readers._bytes import RandomBytes
from untaint.data.readers._recipe import Broken
from untaint.data.readers.delimited import Layout, find_layout
from untaint.data.writers.base import Part, Picks, Writer, changed
from untaint.data.writers.edits import Cells, Editor, Edits, Source, as_text
from untaint.data.writers.lines import chunks, write_ended, write_records
from untaint.data.writers.pictures import Pictures
from untaint.types import Rows


@final
@dataclass(frozen=True)
class DelimitedWriter(Writer):
    """Records may span lines; pictures named in the records are copied."""

    id: ClassVar[str] = "csv"
    writes: ClassVar[str] = "csv"

    @override
    def write(self, parts: Sequence[Part], picks: Picks, out: Path) -> Path:
        target = out / parts[0].source.name
        layouts = [_layout(part) for part in parts]
        pictures = Pictures([part.source.parent for part in parts], out)

        def see(part: int, raw: bytes) -> None:
            record = layouts[part].parse(raw)
            if not isinstance(record, Broken):
                pictures.bring(part, record.get(parts[part].payload or ""))

        heads = int(layouts[0].header)
        streams = [chunks(part.source, _whole(layout).records) for part, layout in zip(parts, layouts, strict=True)]
        write_records(streams, picks, target, heads=heads, see=see)
        return target


@final
@dataclass(frozen=True)
class DelimitedEditor(Editor):
    """Records that were not touched stay byte for byte; others keep delimiter and line end, with quotes where they are needed."""

    id: ClassVar[str] = "csv"

    @override
    def look(self, source: Source, rows: Rows) -> list[Cells]:
        layout, wanted = find_layout(source.path), set(rows.tolist())
        with RandomBytes(source.path).open() as file:
            found = [raw for row, (_, _, raw) in enumerate(layout.records(file)) if row in wanted]
        return [{} if isinstance(record, Broken) else record for record in map(layout.parse, found)]

    @override
    def write(self, source: Source, edits: Edits, out: Path) -> Path:
        target = out / source.path.name
        write_ended(target, _edited(source.path, edits))
        return target


def _edited(source: Path, edits: Edits) -> Iterator[bytes]:
    """The records as they are to be written."""
    layout = find_layout(source)
    kept, end = set(edits.rows.tolist()), b"\n"
    names = [*layout.columns, *edits.new]
    for number, (raw, whole) in enumerate(chunks(source, _whole(layout).records), start=-int(layout.header)):
        end = raw[len(raw.rstrip(b"\r\n")) :] or end
        if number < 0:
            more = dict(zip(edits.new, edits.new, strict=True))
            yield _line(dict(zip(layout.columns, layout.columns, strict=True)) | more, names, layout, end) if more else whole
        elif number in edits.cells or (edits.new and number in kept):
            record = layout.parse(raw)
            cells: Cells = {} if isinstance(record, Broken) else {**record, **edits.cells.get(number, {})}
            yield whole.removesuffix(raw) + (_line(cells, names, layout, end) if cells else raw)
        elif number in kept:
            yield whole
    for cells in edits.added:
        yield _line(cells, names, layout, end)


def _line(cells: Cells, names: Sequence[str], layout: Layout, end: bytes) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=layout.delimiter, lineterminator="")
    writer.writerow([as_text(cells.get(name)) for name in names])
    return text.getvalue().encode("utf-8", "backslashreplace") + end


def _layout(part: Part) -> Layout:
    """The layout, with the header decided by the count: the first record of a part may look like one without being it."""
    layout = find_layout(part.source)
    with RandomBytes(part.source).open() as file:
        n_records = sum(1 for _ in _whole(layout).records(file))
    if n_records - part.n_rows not in {0, 1}:
        raise changed(part.source, f"{n_records} records for {part.n_rows} samples")
    return replace(layout, header=n_records > part.n_rows)


def _whole(layout: Layout) -> Layout:
    return replace(layout, header=False)

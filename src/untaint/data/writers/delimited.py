"""CSV and TSV: every record as it was, quotes, line ends and header included."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, final

from typing_extensions import override

from untaint.data.readers._bytes import RandomBytes
from untaint.data.readers._recipe import Broken
from untaint.data.readers.delimited import Layout, find_layout
from untaint.data.writers.base import Part, Picks, Writer, changed
from untaint.data.writers.lines import chunks, write_records
from untaint.data.writers.pictures import Pictures


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

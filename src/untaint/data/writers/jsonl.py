"""JSON lines or one JSON array, plain or compressed: every record as it was."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, final

from typing_extensions import override

from untaint.data.readers._json_array import is_array
from untaint.data.readers._recipe import Broken
from untaint.data.readers.json_lines import parse, records
from untaint.data.writers.base import Part, Picks, Writer
from untaint.data.writers.edits import Cells, Editor, Edits, Source
from untaint.data.writers.lines import Chunk, chunks, opened_to_write, shown, write_ended, write_records
from untaint.data.writers.pictures import Pictures
from untaint.data.writers.shards import merged
from untaint.types import Rows


@final
@dataclass(frozen=True)
class JsonlWriter(Writer):
    """Blank lines stay with the record they stand before; pictures named in the records are copied."""

    id: ClassVar[str] = "jsonl"
    writes: ClassVar[str] = "jsonl"

    @override
    def write(self, parts: Sequence[Part], picks: Picks, out: Path) -> Path:
        target = out / parts[0].source.name
        pictures = Pictures([part.source.parent for part in parts], out)

        def see(part: int, raw: bytes) -> None:
            record = parse(raw)
            if not isinstance(record, Broken):
                pictures.bring(part, record.get(parts[part].payload or ""))

        streams = [chunks(part.source, records) for part in parts]
        if is_array(parts[0].source):
            _write_array(target, shown(merged(target, streams, picks), picks, see))
        else:
            write_records(streams, picks, target, heads=0, see=see)
        return target


@final
@dataclass(frozen=True)
class JsonlEditor(Editor):
    """Lines that were not touched stay byte for byte; others keep the order of their keys."""

    id: ClassVar[str] = "jsonl"

    @override
    def look(self, source: Source, rows: Rows) -> list[Cells]:
        wanted = set(rows.tolist())
        found = (raw for row, (raw, _) in enumerate(chunks(source.path, records)) if row in wanted)
        return [{} if isinstance(record, Broken) else record for record in map(parse, found)]

    @override
    def write(self, source: Source, edits: Edits, out: Path) -> Path:
        target = out / source.path.name
        if is_array(source.path):
            _write_array(target, _edited(source.path, edits))
        else:
            write_ended(target, (whole for _, whole in _edited(source.path, edits)))
        return target


def _edited(source: Path, edits: Edits) -> Iterator[Chunk]:
    kept = set(edits.rows.tolist())
    for row, (raw, whole) in enumerate(chunks(source, records)):
        if row in edits.cells:
            record = parse(raw)
            new = raw if isinstance(record, Broken) else _object({**record, **edits.cells[row]}, raw)
            yield new, whole.removesuffix(raw) + new
        elif row in kept:
            yield raw, whole
    for cells in edits.added:
        new = _object(cells, b"\n" if not is_array(source) else b"")
        yield new, new


def _object(cells: Cells, like: bytes) -> bytes:
    """An object with the line end of another."""
    return json.dumps(cells, ensure_ascii=False).encode("utf-8", "backslashreplace") + like[len(like.rstrip(b"\r\n")) :]


def _write_array(target: Path, records: Iterable[Chunk]) -> None:
    """The records between brackets, an element a line."""
    with opened_to_write(target) as file:
        for number, (raw, _) in enumerate(records):
            file.write((b",\n" if number else b"[\n") + raw)
        file.write(b"\n]\n")

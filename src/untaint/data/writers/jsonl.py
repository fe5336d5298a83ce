"""JSON lines or one JSON array, plain or compressed: every record as it was."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, final

from typing_extensions import override

from untaint.data.readers._json_array import is_array
from untaint.data.readers._recipe import Broken
from untaint.data.readers.json_lines import parse, records
from untaint.data.writers.base import Part, Picks, Writer
from untaint.data.writers.lines import Chunk, chunks, opened_to_write, shown, write_records
from untaint.data.writers.pictures import Pictures
from untaint.data.writers.shards import merged


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


def _write_array(target: Path, records: Iterable[Chunk]) -> None:
    """The records between brackets, an element a line."""
    with opened_to_write(target) as file:
        for number, (raw, _) in enumerate(records):
            file.write((b",\n" if number else b"[\n") + raw)
        file.write(b"\n]\n")

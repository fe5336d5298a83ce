"""JSON lines, plain or compressed: every line as it was."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, final

from typing_extensions import override

from untaint.data.readers._recipe import Broken
from untaint.data.readers.json_lines import parse, records
from untaint.data.writers.base import Part, Picks, Writer
from untaint.data.writers.lines import chunks, write_records
from untaint.data.writers.pictures import Pictures


@final
@dataclass(frozen=True)
class JsonlWriter(Writer):
    """Blank lines stay with the record they stand before; pictures named in the lines are copied."""

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
        write_records(streams, picks, target, heads=0, see=see)
        return target

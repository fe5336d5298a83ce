"""The reasons beside the quarantined samples, for a person (JSON lines) and for a program (Parquet)."""

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from untaint.quarantine.ledger import Record, lines

REASONS = pa.schema(
    [
        ("row", pa.int64()),
        ("id", pa.string()),
        ("path", pa.string()),
        ("label", pa.string()),
        ("finding", pa.string()),
        ("reason", pa.string()),
        ("suggested_label", pa.string()),
        ("risk", pa.float64()),
    ]
)


def write_reasons(folder: Path, held: Iterable[Record]) -> None:
    """`reasons.parquet` and `reasons.jsonl` in `folder`, one row per held sample, ordered by row."""
    rows = [{name: record.get(name) for name in REASONS.names} for record in held]
    pq.write_table(pa.Table.from_pylist(rows, schema=REASONS), folder / "reasons.parquet")
    (folder / "reasons.jsonl").write_bytes(lines(rows))

"""Rows that come as a stream, once: kept in an unnamed temporary file, mapped into memory as they are asked for."""

import os
import tempfile
from collections.abc import Iterable

import pyarrow as pa


def spooled(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> pa.Table:
    """The batches as one table that lies on disk; the file is gone when the table is."""
    handle, name = tempfile.mkstemp(prefix="untaint-")
    try:
        with os.fdopen(handle, "wb") as file, pa.ipc.new_stream(file, schema) as stream:
            for batch in batches:
                stream.write_batch(batch)
        with pa.memory_map(name) as mapped, pa.ipc.open_stream(mapped) as rows:
            return rows.read_all()
    finally:
        os.unlink(name)  # noqa: PTH108 - what is mapped stays until it is let go

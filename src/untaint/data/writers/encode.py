"""Samples as the Parquet layout of the Hugging Face hub holds them.

An image as the bytes of its file, a text as a string, an instruction as a column for each of its parts, a row of a table as its columns.
"""

import io
import json
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from untaint.data.dataset import INDEX, Columns, Dataset, Payload, content_id
from untaint.data.images import decode, encode_png
from untaint.data.instructions import FIELDS, Instruction, instruction_of
from untaint.data.readers._recipe import table_row
from untaint.data.writers.cells import columns_from, types_of
from untaint.errors import BadInput
from untaint.types import Rows

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
TIME = INDEX.field("collected_at").type
_FEATURES = {
    IMAGE: {"_type": "Image"},
    pa.string(): {"dtype": "string", "_type": "Value"},
    TIME: {"dtype": "timestamp[us, tz=UTC]", "_type": "Value"},
    pa.bool_(): {"dtype": "bool", "_type": "Value"},
    pa.int64(): {"dtype": "int64", "_type": "Value"},
    pa.float64(): {"dtype": "float64", "_type": "Value"},
}
"""What the `datasets` library calls these types."""


def stored(payload: Payload) -> bytes | str:
    """What is written for a payload: text and encoded images as they are, arrays as PNG.

    An array that is no image is kept as a `.npy` file, so that nothing is lost and nothing takes it for an image.
    """
    if isinstance(payload, str):
        return payload.encode("utf-8", "backslashreplace").decode()
    if isinstance(payload, bytes):
        return payload
    try:
        return encode_png(decode(payload))
    except BadInput:
        buffer = io.BytesIO()
        np.save(buffer, payload, allow_pickle=False)
        return buffer.getvalue()


def stored_ids(dataset: Dataset) -> list[str]:
    """The ids a reader gives to what is written of a data set."""
    if dataset.modality != "table":
        return [content_id(stored(payload)) for rows in dataset.batches() for payload in dataset.read(rows)]
    types, found = types_of(dataset), []
    for rows in dataset.batches():
        records = pa.table(columns_from(dataset.read(rows), types)).to_pylist() if types else []
        found += [content_id(table_row(record)[0]) for record in records]
    return found


def stored_names(index: pa.Table, column: str) -> pa.Array:
    """Labels or sources as written: an empty name is none."""
    return pa.array([name or None for name in index.column(column).to_pylist()], pa.string())


def columns_of(dataset: Dataset) -> Columns:
    """The columns written: label, source and time only when some sample has one; of a table under their own names."""
    names = _names(dataset)
    present = {role: names[role] if any(dataset.column(role)) else None for role in ("label", "source")}
    payload = {"image": "image", "text": "text"}.get(dataset.modality)
    timed = dataset.index.column("collected_at").null_count < len(dataset)
    return Columns(payload, present["label"], present["source"], time=names["collected_at"] if timed else None)


def _names(dataset: Dataset) -> dict[str, str]:
    """Column of the index → what it is called where it is written."""
    given = dataset.columns if dataset.modality == "table" else Columns()
    return {"label": given.label or "label", "source": given.source or "source", "collected_at": given.time or "collected_at"}


def schema_of(dataset: Dataset) -> pa.Schema:
    """The Arrow schema, with the features the `datasets` library reads."""
    columns = columns_of(dataset)
    fields = _payload_fields(dataset, columns)
    fields += [(name, pa.string()) for name in (columns.label, columns.source) if name]
    fields += [(columns.time, TIME)] if columns.time else []
    features = {name: _FEATURES[kind] for name, kind in fields}
    return pa.schema(fields, metadata={"huggingface": json.dumps({"info": {"features": features}})})


def _payload_fields(dataset: Dataset, columns: Columns) -> list[tuple[str, pa.DataType]]:
    """Raises BadInput where a column of a table is called like its labels, sources or times."""
    if dataset.modality != "table":
        parts = FIELDS if columns.payload is None else (columns.payload,)
        return [(part, IMAGE if part == "image" else pa.string()) for part in parts]
    types = types_of(dataset)
    if twice := sorted(name for name in (columns.label, columns.source, columns.time) if name in types and name is not None):
        raise BadInput(f"a column of the table is called {twice[0]!r} like another.", advice="Rename it.")
    return list(types.items())


def table_of(dataset: Dataset, rows: Rows, schema: pa.Schema) -> pa.Table:
    """Some rows in that schema."""
    payloads: Sequence[bytes | str] = [stored(payload) for payload in dataset.read(rows)]
    index, names = dataset.index.take(pa.array(rows)), _names(dataset)
    columns = {names[role]: stored_names(index, role) for role in ("label", "source") if names[role] in schema.names}
    if names["collected_at"] in schema.names:
        columns[names["collected_at"]] = index.column("collected_at")
    if dataset.modality == "table":
        columns |= columns_from(payloads, {field.name: field.type for field in schema if field.name not in columns})
    elif dataset.modality == "instruction":
        columns |= _parts(payloads)
    elif schema.field(0).type == IMAGE:
        paths = index.column("path").to_pylist()
        columns["image"] = pa.array([{"bytes": data, "path": path} for data, path in zip(payloads, paths, strict=True)], IMAGE)
    else:
        columns["text"] = pa.array(payloads, pa.string())
    return pa.table({name: columns[name] for name in schema.names}, schema=schema)


def _parts(payloads: Sequence[bytes | str]) -> dict[str, pa.Array]:
    """The parts of instructions by column; of a row that is none, what it was stands as the prompt, without an answer."""
    found = [_instruction(payload) for payload in payloads]
    return {part: pa.array([getattr(each, part) for each in found], pa.string()) for part in FIELDS}


def _instruction(payload: bytes | str) -> Instruction:
    try:
        return instruction_of(payload)
    except BadInput:
        return Instruction(None, str(payload), None)

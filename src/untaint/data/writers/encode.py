"""Samples as the Parquet layout of the Hugging Face hub holds them.

An image as the bytes of its file, a text as a string, an instruction as a column for each of its parts.
"""

import io
import json
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from untaint.data.dataset import INDEX, Columns, Dataset, Payload, content_id
from untaint.data.images import decode, encode_png
from untaint.data.instructions import FIELDS, Instruction, instruction_of
from untaint.errors import BadInput
from untaint.types import Rows

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
TIME = INDEX.field("collected_at").type
_FEATURES = {
    IMAGE: {"_type": "Image"},
    pa.string(): {"dtype": "string", "_type": "Value"},
    TIME: {"dtype": "timestamp[us, tz=UTC]", "_type": "Value"},
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


def stored_ids(dataset: Dataset, rows: Rows) -> list[str]:
    """The ids a reader gives to what is written for these rows."""
    return [content_id(stored(payload)) for payload in dataset.read(rows)]


def stored_names(index: pa.Table, column: str) -> pa.Array:
    """Labels or sources as written: an empty name is none."""
    return pa.array([name or None for name in index.column(column).to_pylist()], pa.string())


def columns_of(dataset: Dataset) -> Columns:
    """The columns written: label, source and time only when some sample has one."""
    present = {name: name if any(dataset.column(name)) else None for name in ("label", "source")}
    payload = {"image": "image", "instruction": None}.get(dataset.modality, "text")
    timed = dataset.index.column("collected_at").null_count < len(dataset)
    return Columns(payload, present["label"], present["source"], time="collected_at" if timed else None)


def schema_of(dataset: Dataset) -> pa.Schema:
    """The Arrow schema, with the features the `datasets` library reads."""
    columns = columns_of(dataset)
    parts = FIELDS if columns.payload is None else (columns.payload,)
    fields = [(part, IMAGE if part == "image" else pa.string()) for part in parts]
    fields += [(name, pa.string()) for name in (columns.label, columns.source) if name]
    fields += [(columns.time, TIME)] if columns.time else []
    features = {name: _FEATURES[kind] for name, kind in fields}
    return pa.schema(fields, metadata={"huggingface": json.dumps({"info": {"features": features}})})


def table_of(dataset: Dataset, rows: Rows, schema: pa.Schema) -> pa.Table:
    """Some rows in that schema."""
    payloads: Sequence[bytes | str] = [stored(payload) for payload in dataset.read(rows)]
    index = dataset.index.take(pa.array(rows))
    columns = {name: stored_names(index, name) for name in ("label", "source") if name in schema.names}
    if "collected_at" in schema.names:
        columns["collected_at"] = index.column("collected_at")
    if dataset.modality == "instruction":
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

"""How one record (a row of named values) becomes a sample; the same way at index time and when read again."""

import datetime as dt
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TypeAlias, final

import numpy as np

from untaint.data.dataset import Columns, Payload
from untaint.data.exchanges import Layout, Missing
from untaint.data.instructions import payload_of
from untaint.data.readers._index import IndexBuilder
from untaint.data.roles import Roles, is_missing

MAX_FILE = 256 * 2**20
"""Bytes; larger than any encoded picture under the pixel limit."""


@final
@dataclass(frozen=True)
class Broken:
    """A record that cannot be parsed, with its raw bytes so that nothing is lost."""

    raw: bytes
    reason: str


_PLAIN = frozenset({int, float, bool, type(None)})
"""Kinds of cells that JSON has."""
_JSON = json.JSONEncoder(ensure_ascii=False, default=str)

Record: TypeAlias = Mapping[str, object] | Broken
Read: TypeAlias = tuple[Payload, str | None]
"""A payload and why it cannot be used, None = nothing known against it."""


@final
@dataclass(frozen=True)
class Recipe:
    """Roles applied to records.

    root: folder that paths in the data are relative to; None = paths are not followed.  names: class names by column.
    """

    roles: Roles
    root: Path | None = None
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def add(self, builder: IndexBuilder, record: Record, path: str) -> None:
        """Index one record."""
        payload, reason = self.read(record)
        label, source = self.label(record), self.source(record)
        builder.add(payload, path=path, label=label, source=source, time=self.time(record), unreadable=reason)

    def read(self, record: Record) -> Read:
        """The payload of a record."""
        if isinstance(record, Broken):
            return self._kept(record.raw), record.reason
        if self.roles.shape:
            return self._pixels(record)
        if self.roles.layout is not None:
            return _instruction(self.roles.layout, record)
        if self.roles.modality == "table":
            return table_row({name: record.get(name) for name in self.roles.payload})
        if self.roles.modality == "text":
            return _text([record.get(name) for name in self.roles.payload])
        return self._image(record.get(self.roles.payload[0]))

    def label(self, record: Record) -> str | None:
        """The label of a record; a class code becomes the class's name where the data give one."""
        if isinstance(record, Broken) or self.roles.label is None:
            return None
        value, names = record.get(self.roles.label), self.names.get(self.roles.label)
        if names and isinstance(value, int):
            return None if value < 0 else names[value] if value < len(names) else str(value)
        return as_name(value)

    def source(self, record: Record) -> str | None:
        """The source of a record."""
        if isinstance(record, Broken) or self.roles.source is None:
            return None
        value, names = record.get(self.roles.source), self.names.get(self.roles.source)
        return names[value] if names and isinstance(value, int) and 0 <= value < len(names) else as_name(value)

    def time(self, record: Record) -> object:
        """What the record says of when it was collected, as it is; None = nothing."""
        return None if isinstance(record, Broken) or self.roles.time is None else record.get(self.roles.time)

    def columns(self) -> Columns:
        """What the data set says about its columns."""
        roles = self.roles
        payload = roles.payload[0] if len(roles.payload) == 1 else None
        return Columns(payload, roles.label, roles.source, roles.note, roles.time)

    @property
    def labelled(self) -> str | None:
        """The column of labels in words, None where the data have none and need none."""
        return None if self.roles.label is None else f"column {self.roles.label!r}"

    def _kept(self, raw: bytes) -> Payload:
        return raw if self.roles.modality == "image" else raw.decode("latin-1")

    def _image(self, value: object) -> Read:
        if isinstance(value, Mapping):
            value = value.get("bytes") if value.get("bytes") is not None else value.get("path")
        if is_missing(value):
            return b"", "no image"
        if isinstance(value, bytes):
            return value, None
        if isinstance(value, str):
            return picture_file(self.root, value)
        return as_array(value)

    def _pixels(self, record: Mapping[str, object]) -> Read:
        cells = [record.get(name) for name in self.roles.payload]
        try:
            values = np.array([float(cell) for cell in cells])  # type: ignore[arg-type]  # a cell that is no number is the except
        except (TypeError, ValueError):
            return json.dumps(cells, default=str).encode(), "a pixel is missing or not a number"
        if not ((values >= 0) & (values <= 255)).all():
            return values, "a pixel is not finite" if not np.isfinite(values).all() else "a pixel is outside 0..255"
        pixels = values.astype(np.uint8)
        if self.roles.planes:
            return np.ascontiguousarray(pixels.reshape(3, *self.roles.shape[:2]).transpose(1, 2, 0)), None
        return pixels.reshape(self.roles.shape), None


def as_name(value: object) -> str | None:
    """A label or source as text: whole numbers without a decimal point, nothing for an empty cell, a list of one as that one."""
    if isinstance(value, list | tuple | np.ndarray) and np.ndim(value) == 1 and len(value) < 2:
        return as_name(value[0]) if len(value) else None
    if is_missing(value):
        return None
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def table_row(cells: Mapping[str, object]) -> Read:
    """A row as JSON text; numbers written as text become numbers, empty cells null. A number that is NaN stays one."""
    values = {name: value if type(value) in _PLAIN else _number(value) for name, value in cells.items()}
    payload = _JSON.encode(values)
    if "Infinity" not in payload:
        return payload, None
    infinite = [name for name, value in values.items() if isinstance(value, float) and math.isinf(value)]
    return payload, f"not finite (column {infinite[0]!r})" if infinite else None


def picture_file(root: Path | None, name: str) -> Read:
    """The bytes of a file named in the data, which may not lead out of the data folder."""
    if root is None or "://" in name:
        return b"", f"{name!r} is not in the data; nothing is fetched"
    try:
        target = (root / name).resolve()
        if not target.is_relative_to(root.resolve()):
            return b"", f"{name!r} points outside the data folder"
        if not target.is_file():
            return b"", f"{name!r} is missing or not a regular file"
        if target.stat().st_size > MAX_FILE:
            return b"", f"{name!r} is larger than {MAX_FILE // 2**20} MiB"
        return target.read_bytes(), None
    except (OSError, ValueError, RuntimeError) as error:
        return b"", f"{name!r} cannot be read: {error}"


def as_array(value: object) -> Read:
    """Nested numbers as an image array; whole numbers of 0..255 as bytes."""
    try:
        array = np.array(_plain(value))
    except (TypeError, ValueError, OverflowError) as error:
        return b"", f"not an image: {error}"
    if array.dtype == object:
        return b"", f"expected an image, got {type(value).__name__}"
    if np.issubdtype(array.dtype, np.integer) and array.size and array.min() >= 0 and array.max() <= 255:
        array = array.astype(np.uint8)
    return channels_last(array), None


def channels_last(array: np.ndarray) -> np.ndarray:
    """One image with its colours on the last axis, as torch's (c, h, w) has them on the first."""
    planes = array.ndim == 3 and array.shape[0] in {1, 3} and array.shape[2] not in {1, 3, 4}
    return np.ascontiguousarray(np.moveaxis(array, 0, 2)) if planes else array


def _plain(value: object) -> object:
    """Arrays of arrays (as Arrow and pandas give nested lists) as nested lists."""
    if isinstance(value, np.ndarray):
        return value if value.dtype != object else [_plain(item) for item in value]
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _instruction(layout: Layout, record: Mapping[str, object]) -> Read:
    found = layout.read(record)
    if isinstance(found, Missing):
        return json.dumps({name: record.get(name) for name in layout.columns}, ensure_ascii=False, default=str), found.reason
    return payload_of(found), None


def _text(values: Sequence[object]) -> Read:
    if all(value is None or (not isinstance(value, str) and is_missing(value)) for value in values):
        return "", "no text"
    return "\n".join("" if value is None else str(value) for value in values), None


def _number(value: object) -> object:
    """A cell as JSON knows it."""
    if is_missing(value):
        return None
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal):
        return int(value) if value.is_finite() and value == value.to_integral_value() else float(value)
    if not isinstance(value, str):
        return value
    for kind in (int, float):
        try:
            return None if kind is float and math.isnan(float(value)) else kind(value)
        except (ValueError, OverflowError):
            continue
    return value

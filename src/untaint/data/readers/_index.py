"""Build a data set's index in one streaming pass: ids, and for every payload whether it can be used."""

import io
import warnings
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypeAlias, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from untaint.data.dataset import INDEX, Payload, content_id
from untaint.data.images import FORMATS, MAX_PIXELS
from untaint.data.roles import check_labels, is_missing
from untaint.data.times import moment
from untaint.errors import BadInput

Times: TypeAlias = pa.Array | Sequence[object]
"""Times that Arrow has as such, or what the data have."""
Reasons: TypeAlias = Mapping[int, str]

_CHUNK = 8192
"""Rows held as Python objects before they become an Arrow batch."""


@final
class IndexBuilder:
    """Collects rows in order; `finish` gives the index table."""

    def __init__(self) -> None:
        self._rows: list[tuple[str | datetime | None, ...]] = []
        self._batches: list[pa.RecordBatch] = []
        self._first_reason = ""
        self._timeless = 0
        self._first_timeless = ""

    def add(
        self,
        payload: Payload,
        *,
        path: str,
        label: str | None,
        source: str | None = None,
        time: object = None,
        unreadable: str | None = None,
    ) -> None:
        """One row. A payload nobody found fault with yet is checked here; a time is taken as the data have it."""
        reason = unreadable if unreadable is not None else problem(payload)
        self._first_reason = self._first_reason or reason or ""
        known = printable(path), printable(label), printable(source), self._moment(time, path), printable(reason)
        self._rows.append((content_id(payload), *known))
        if len(self._rows) >= _CHUNK:
            self._flush()

    def add_rows(
        self, ids: pa.Array, *, paths: pa.Array, labels: pa.Array, sources: pa.Array, times: Times, reasons: Reasons
    ) -> None:
        """Many rows whose payloads were checked. reasons: place → why a payload cannot be used."""
        self._flush()
        self._first_reason = self._first_reason or next(iter(reasons.values()), "")
        said = (
            pa.array([printable(reasons.get(place)) for place in range(len(ids))], pa.string()) if reasons else pa.nulls(len(ids))
        )
        when = (
            times
            if isinstance(times, pa.Array)
            else [self._moment(time, str(path)) for time, path in zip(times, paths, strict=True)]
        )
        columns = (ids, paths, labels, sources, when, said)
        arrays = [
            column.cast(field.type) if isinstance(column, pa.Array) else pa.array(column, field.type)
            for column, field in zip(columns, INDEX, strict=True)
        ]
        self._batches.append(pa.RecordBatch.from_arrays(arrays, schema=INDEX))

    def finish(self, where: str, label: str | None) -> pa.Table:
        """The index. label: where the labels come from, None for data that need none.

        Raises BadInput for an empty set, no readable row, or labels nothing can be learned from.
        """
        self._flush()
        table = pa.Table.from_batches(self._batches, schema=INDEX)
        if table.num_rows == 0:
            raise BadInput(f"{where} is empty: no sample in it.", advice="Give data with at least two classes.")
        if table.column("unreadable").null_count == 0:
            message = f"{where}: none of its {table.num_rows:,} samples can be read; the first: {self._first_reason}."
            raise BadInput(message, advice="Check the path, the format and the payload column.")
        if label is None:
            return table
        counts = pc.value_counts(table.column("label").drop_null()).to_pylist()
        check_labels({pair["values"]: pair["counts"] for pair in counts}, label, where)
        return table

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of the rows: values that were to be times and are none."""
        if self._timeless == 0:
            return ()
        return (f"time: {self._timeless:,} values are no times and count as unknown, the first is {self._first_timeless}",)

    def _moment(self, value: object, path: str) -> datetime | None:
        if is_missing(value):
            return None
        try:
            return moment(value)
        except ValueError:
            self._first_timeless = self._first_timeless or f"{str(value)[:40]!r} of {printable(path)}"
            self._timeless += 1
            return None

    def _flush(self) -> None:
        columns = zip(*self._rows, strict=True) if self._rows else [()] * len(INDEX)
        arrays = [pa.array(column, field.type) for column, field in zip(columns, INDEX, strict=True)]
        self._batches.append(pa.RecordBatch.from_arrays(arrays, schema=INDEX))
        self._rows = []


def problem(payload: Payload) -> str | None:
    """Why a payload cannot be used, as far as a cheap look tells; None = fine so far."""
    if isinstance(payload, bytes):
        return image_problem(payload)
    if isinstance(payload, str):
        return None if printable(payload) == payload else "text is not valid Unicode (a lone surrogate)"
    if not np.issubdtype(payload.dtype, np.number) and payload.dtype != np.bool_:
        return f"array of {payload.dtype}, not of numbers"
    if payload.ndim not in {2, 3} or 0 in payload.shape:
        return f"array of shape {payload.shape}, not an image (h, w) or (h, w, c)"
    return None if np.isfinite(payload).all() else "not finite (NaN or infinity)"


def image_problem(payload: bytes) -> str | None:
    """What an encoded image's header says against it: unknown format, too many pixels, broken or missing chunks."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Pillow.open(io.BytesIO(payload), formats=FORMATS) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    return f"image of {picture.width}x{picture.height} pixels is over the limit of {MAX_PIXELS:,}"
                picture.verify()
    except UnidentifiedImageError:
        return "not a readable image" if payload else "no image"
    except Exception as error:  # noqa: BLE001 - image plug-ins raise anything on crafted files; the row is unreadable then
        return f"not a readable image: {error}"
    return None


def printable(text: str | None) -> str | None:
    """Text that UTF-8 can carry; what it cannot is written as an escape."""
    return None if text is None else text.encode("utf-8", "backslashreplace").decode()

"""Images, texts or rows held as one array, with one label each: what .npz, IDX and arrays in Python share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from typing_extensions import override

from untaint.data.dataset import Payload, Store
from untaint.data.readers._index import IndexBuilder, problem
from untaint.data.readers._recipe import Read, as_name, table_row
from untaint.data.roles import pixel_shape
from untaint.errors import BadInput
from untaint.types import Modality, Rows

RANGES = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))
"""What float images are stored as, the narrowest first."""
_MAJORITY = 0.9
"""A few tampered images must not change how all are read."""
_SAMPLE = 1000
_TOLERANCE = 1e-3
"""Rounding of float32 arithmetic, in units of the range."""


@final
@dataclass(frozen=True)
class ArrayStore(Store):
    """Rows of one array, memory-mapped or in memory. low, high: range of float images."""

    array: np.ndarray
    modality: Modality
    low: float = 0.0
    high: float = 255.0

    @override
    def read(self, rows: Rows) -> list[Payload]:
        return [self.sample(int(row))[0] for row in rows]

    def sample(self, row: int) -> Read:
        """One payload and why it cannot be used."""
        value = self.array[row]
        if self.modality == "text":
            return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value), None
        if self.modality == "table":
            cells, reason = table_row({f"x{i}": cell for i, cell in enumerate(np.ravel(value).tolist())})
            return cells, reason or (None if np.isfinite(value).all() else "not finite (NaN)")
        if not np.issubdtype(value.dtype, np.floating):
            return value, problem(value)
        return self._floats(value)

    def _floats(self, value: np.ndarray) -> Read:
        reason = problem(value)
        if reason is None and not _within(value[None], self.low, self.high)[0]:
            reason = f"values outside {self.low:g}..{self.high:g}"
        return (value + 1) / 2 if self.low < 0 else value, reason


def array_store(array: np.ndarray, where: str) -> ArrayStore:
    """How an array of samples is read: (n, h, w[, c]) images, (n, pixels) images, (n,) texts, (n, features) a table.

    Raises BadInput for an array that is none of these, or whose float images are in no known range.
    """
    if array.dtype.kind in "US" and array.ndim == 1:
        return ArrayStore(array, "text")
    if array.dtype.kind not in "buif" or array.ndim not in {2, 3, 4}:
        message = f"{where}: an array of {array.dtype} and shape {array.shape} holds no samples that are known."
        raise BadInput(message, advice="Give images (n, h, w) or (n, h, w, c), rows (n, features), or texts (n,).")
    if array.ndim == 2:
        array, table = _unflatten(array)
        if table:
            return ArrayStore(array, "table")
    if array.ndim == 4 and array.shape[1] in {1, 3} and array.shape[3] not in {1, 3, 4}:
        array = np.moveaxis(array, 1, 3)
    low, high = _range(array, where) if array.dtype.kind == "f" else (0.0, 255.0)
    return ArrayStore(array, "image", low, high)


def index_array(
    store: ArrayStore,
    labels: Sequence[str | None],
    builder: IndexBuilder,
    *,
    sources: Sequence[str | None] | None = None,
    times: Sequence[object] | None = None,
) -> None:
    """Index every row of an array."""
    for row, label in enumerate(labels):
        payload, reason = store.sample(row)
        source = None if sources is None else sources[row]
        time = None if times is None else times[row]
        builder.add(payload, path=f"#{row}", label=label, source=source, time=time, unreadable=reason)


def checked_times(times: Sequence[object] | None, count: int, where: str) -> Sequence[object] | None:
    """Times as given. Raises BadInput when there are not as many as samples."""
    if times is not None and len(times) != count:
        raise BadInput(f"{where}: {count} samples and {len(times)} times.", advice="Give one time per sample, or none.")
    return times


def label_names(labels: np.ndarray, count: int, where: str) -> list[str | None]:
    """One label per sample; one column per class (one-hot) becomes the class number.

    Raises BadInput when there are not as many labels as samples.
    """
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2 and labels.dtype.kind in "buif" and _is_one_hot(labels):
        labels = labels.argmax(axis=1)
    if labels.ndim != 1 or len(labels) != count:
        message = f"{where}: {count} samples and labels of shape {labels.shape}."
        raise BadInput(message, advice="Give one label per sample.")
    return [as_name(label) for label in labels.tolist()]


def note_of(store: ArrayStore) -> str:
    """What a person should know about how an array was read."""
    shape = "x".join(map(str, store.array.shape[1:])) or "one text each"
    mapped = ", values -1..1 mapped to 0..1" if store.low < 0 else ""
    return f"payload: {store.modality}, {shape}{mapped}"


def _is_one_hot(labels: np.ndarray) -> bool:
    return labels.shape[1] > 1 and bool(np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all())


def _unflatten(array: np.ndarray) -> tuple[np.ndarray, bool]:
    """Rows of pixels as images, and whether they are no pixels but a table."""
    head = array[:_SAMPLE].astype(float)
    scaled = np.round(head * 255) if head.size and np.nanmax(head) <= 1 and array.dtype.kind == "f" else head
    shape, planes = pixel_shape({str(i): column.tolist() for i, column in enumerate(scaled.T)})
    if not shape:
        return array, True
    if planes:
        return np.moveaxis(array.reshape(-1, 3, *shape[:2]), 1, 3), False
    return array.reshape(-1, *shape), False


def _range(array: np.ndarray, where: str) -> tuple[float, float]:
    head = array[:: max(1, len(array) // _SAMPLE)]
    finite = np.isfinite(head).all(axis=tuple(range(1, head.ndim)))
    for low, high in RANGES:
        if not finite.any() or _within(head[finite], low, high).mean() >= _MAJORITY:
            return low, high
    message = f"{where}: float images with values from {np.nanmin(head):g} to {np.nanmax(head):g}."
    raise BadInput(message, advice="Undo the normalisation: give 0..1, -1..1 or 0..255.")


def _within(images: np.ndarray, low: float, high: float) -> np.ndarray:
    slack, axes = _TOLERANCE * (high - low), tuple(range(1, images.ndim))
    inside: np.ndarray = (images.min(axis=axes) >= low - slack) & (images.max(axis=axes) <= high + slack)
    return inside

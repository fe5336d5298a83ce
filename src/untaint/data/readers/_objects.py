"""Data sets from objects a program already holds; nothing is imported that the object did not bring along."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa

from untaint.data.dataset import Columns, Dataset, MemoryStore, Payload
from untaint.data.readers._arrays import array_store, checked_times, index_array, label_names, note_of
from untaint.data.readers._chunks import (
    SAMPLE,
    ChunkStore,
    in_batches,
    index_batches,
    names_of,
    needed,
    recipe_for,
    small_batches,
)
from untaint.data.readers._index import IndexBuilder, printable
from untaint.data.readers._recipe import Read, Recipe, as_array, as_name
from untaint.data.readers._spool import spooled
from untaint.data.readers._tf_data import collected
from untaint.data.readers.base import Request
from untaint.data.roles import choose, is_missing
from untaint.errors import BadInput
from untaint.types import Modality

FORMAT = "memory"
_CHUNK = 1000
_PAIR = 2


def from_python(
    data: object,
    *,
    label: str | None = None,
    source: str | None = None,
    payload: Sequence[str] | None = None,
    time: str | None = None,
    root: Path | None = None,
) -> Dataset:
    """A data set from an object.

    data: a `datasets.Dataset`; a pandas or polars frame, an Arrow table, or a relation of DuckDB; `(images, labels)`, also with
    sources and then with times behind them, as arrays or lists; a torch `Dataset` of (image, label), with images (c, h, w) as
    floats 0..1 or bytes; a finite tf.data.Dataset of (x, y), batched or not.
    root: folder that paths in a frame are relative to and must stay in; None = the working directory.
    Raises BadInput for anything else.
    """
    request = Request(label, source, tuple(payload) if payload else None, time)
    folder = (root or Path.cwd()).resolve()
    if isinstance(data, tuple) and len(data) in {_PAIR, _PAIR + 1, _PAIR + 2}:
        return _arrays(*data)
    if isinstance(data, pa.Table):
        return _table(data, request, folder)
    for origin, reading in _READINGS.items():
        if any(base.__module__.split(".")[0] == origin for base in type(data).__mro__):
            return reading(data, request, folder)
    message = f"expected a data set, got {type(data).__module__}.{type(data).__qualname__}."
    raise BadInput(
        message, advice="Give a path, a frame, a datasets.Dataset, a torch Dataset, a tf.data.Dataset, or (images, labels)."
    )


def _arrays(samples: object, labels: object, sources: object = None, times: object = None) -> Dataset:
    where = "the arrays"
    when = None if times is None else list(cast("Iterable[object]", times))
    if isinstance(samples, list) and samples and isinstance(samples[0], str | bytes):
        sent = None if sources is None else _names(sources, len(samples))
        return _listed(samples, _names(labels, len(samples)), sent, checked_times(when, len(samples), where))
    try:
        store = array_store(np.asarray(samples), where)
    except ValueError as error:
        raise BadInput(
            f"images of different shapes make no array: {error}.", advice="Give a frame with a column of arrays."
        ) from error
    builder = IndexBuilder()
    count = len(store.array)
    sent = None if sources is None else _names(sources, count)
    index_array(store, _names(labels, count), builder, sources=sent, times=checked_times(when, count, where))
    index = builder.finish(where, "the array of labels")
    return Dataset(
        index, store, store.modality, FORMAT, columns=Columns(note=note_of(store)), notes=(note_of(store), *builder.notes)
    )


def _names(labels: object, count: int) -> list[str | None]:
    if isinstance(labels, np.ndarray):
        return label_names(labels, count, "the arrays")
    named = [as_name(label.item() if hasattr(label, "item") else label) for label in cast("Iterable[Any]", labels)]
    if len(named) != count:
        raise BadInput(f"{count} samples and {len(named)} labels.", advice="Give one label per sample.")
    return named


def _listed(
    samples: Sequence[Payload],
    labels: Sequence[str | None],
    sources: Sequence[str | None] | None,
    times: Sequence[object] | None,
) -> Dataset:
    builder = IndexBuilder()
    for row, (sample, label) in enumerate(zip(samples, labels, strict=True)):
        time = times[row] if times else None
        builder.add(sample, path=f"#{row}", label=label, source=sources[row] if sources else None, time=time)
    modality: Modality = "text" if isinstance(samples[0], str) else "image"
    return Dataset(builder.finish("the list", "the list of labels"), MemoryStore(samples), modality, FORMAT, notes=builder.notes)


def _table(table: pa.Table, request: Request, root: Path) -> Dataset:
    recipe = recipe_for(table.slice(0, SAMPLE), request, "the table", root=root, names={})
    builder = IndexBuilder()
    return _finished(builder, replace(in_batches(table, recipe, builder, ""), whole=table), recipe)


def _hugging_face(data: Any, request: Request, root: Path) -> Dataset:
    if not hasattr(data, "with_format") or not hasattr(data, "num_rows") or isinstance(data, dict):
        raise BadInput(f"expected a datasets.Dataset, got {type(data).__name__}.", advice="Choose a split, not streamed.")
    plain = data.with_format("arrow")
    recipe = recipe_for(plain[:SAMPLE], request, "the data set", root=root, names=names_of(data.features.to_dict()))
    columns = plain.select_columns(list(recipe.roles.payload))
    starts = np.array([*range(0, len(data), _CHUNK), len(data)])
    builder = IndexBuilder()
    parts = (plain.select_columns(needed(recipe))[start : start + _CHUNK] for start in range(0, len(data), _CHUNK))
    index_batches((batch for part in parts for batch in small_batches(part)), recipe, builder, "")
    return _finished(
        builder, ChunkStore(starts, lambda number: columns[int(starts[number]) : int(starts[number + 1])], recipe), recipe
    )


def _pandas(data: Any, request: Request, root: Path) -> Dataset:
    names = [str(name) for name in data.columns]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise BadInput(f"the frame has two columns called {twice[0]!r}.", advice="Rename one of them.")
    head = {name: list(map(_present, data.iloc[:SAMPLE, i].tolist())) for i, name in enumerate(names)}
    asked = {"label": request.label, "source": request.source, "time": request.time}
    recipe = Recipe(choose(head, "the frame", payload=request.payload, **asked), root)
    if recipe.roles.modality == "table":
        return _table(pa.table({name: _column(data.iloc[:, i]) for i, name in enumerate(names)}), request, root)
    columns = {name: list(map(_present, data.iloc[:, i].tolist())) for i, name in enumerate(names)}
    builder, payloads = IndexBuilder(), []
    for row in range(len(data)):
        record = {name: columns[name][row] for name in needed(recipe)}
        recipe.add(builder, record, f"#{row}")
        payloads.append(recipe.read(record)[0])
    return _finished(builder, MemoryStore(payloads), recipe)


def _column(series: Any) -> pa.Array:
    """A column of a frame, NaN as missing; where it holds several kinds of things, each as text."""
    try:
        found = pa.array(series, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        cells = [None if is_missing(value) else str(value) for value in series.tolist()]
        found = pa.array([None if cell is None else printable(cell) for cell in cells], pa.string())
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


def _present(value: object) -> object:
    """A cell of a frame, where NaN is how a missing number is written."""
    return None if isinstance(value, float) and math.isnan(value) else value


def _polars(data: Any, request: Request, root: Path) -> Dataset:
    return _table(data.to_arrow(), request, root)


def _relation(data: Any, request: Request, root: Path) -> Dataset:
    if not hasattr(data, "columns") or not hasattr(data, "to_arrow_reader"):
        raise BadInput(f"expected a relation of DuckDB, got {type(data).__name__}.", advice="Give connection.sql('SELECT …').")
    with data.to_arrow_reader() as stream:
        return _table(spooled(stream, stream.schema), request, root)


def _torch(data: Any, request: Request, root: Path) -> Dataset:
    builder, payloads, texts = IndexBuilder(), [], False
    for row, (sample, label) in enumerate(_pairs(data)):
        payload, reason = (sample, None) if isinstance(sample, str | bytes) else _image(sample)
        texts = texts or isinstance(sample, str)
        payloads.append(payload)
        builder.add(payload, path=f"#{row}", label=as_name(_scalar(label)), unreadable=reason)
    index = builder.finish("the torch data set", "the second item of each sample")
    note = "payload: first item of each sample, floats 0..1 stored as bytes; label: second item; source: none"
    return Dataset(index, MemoryStore(payloads), "text" if texts else "image", FORMAT, columns=Columns(note=note), notes=(note,))


def _tensorflow(data: Any, request: Request, root: Path) -> Dataset:
    return _arrays(*collected(data))


def _pairs(data: Any) -> Iterator[tuple[Any, Any]]:
    items = (data[row] for row in range(len(data))) if hasattr(data, "__len__") else iter(data)
    for item in items:
        if not isinstance(item, tuple | list) or len(item) != _PAIR:
            raise BadInput("expected samples of a torch data set to be (image, label).", advice="Wrap the data set.")
        yield item[0], item[1]


def _image(sample: Any) -> Read:
    """One image as bytes (h, w[, c]): what a float of 0..1 holds of an 8-bit picture is exactly that."""
    array = np.asarray(sample.detach().cpu() if hasattr(sample, "detach") else sample)
    if array.ndim == 3 and array.shape[0] in {1, 3}:
        array = np.moveaxis(array, 0, 2)
    if array.dtype.kind != "f":
        return as_array(array)
    if not np.isfinite(array).all():
        return array, "not finite (NaN or infinity)"
    if array.size and (array.min() < 0 or array.max() > 1):
        return array, f"values from {array.min():g} to {array.max():g}, expected 0..1 (undo the normalisation)"
    return np.round(array * 255).astype(np.uint8), None


def _scalar(label: Any) -> object:
    return label.item() if hasattr(label, "item") else label


def _finished(builder: IndexBuilder, store: Any, recipe: Recipe) -> Dataset:
    index = builder.finish("the data set", recipe.labelled)
    return Dataset(
        index, store, recipe.roles.modality, FORMAT, columns=recipe.columns(), notes=(recipe.roles.note, *builder.notes)
    )


_READINGS: dict[str, Callable[[Any, Request, Path], Dataset]] = {
    "_duckdb": _relation,  # of its connections, and of relations in older releases
    "datasets": _hugging_face,
    "duckdb": _relation,
    "pandas": _pandas,
    "polars": _polars,
    "tensorflow": _tensorflow,
    "torch": _torch,
}
"""By the package an object's class, or one of its bases, comes from."""

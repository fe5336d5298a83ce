"""NumPy archives, never with pickled objects."""

import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.data.dataset import Columns, Dataset
from untaint.data.readers._arrays import array_store, checked_times, index_array, label_names, note_of
from untaint.data.readers._index import IndexBuilder
from untaint.data.readers.base import Reader, Request
from untaint.data.roles import SOURCES, TIMES, find_time, listed
from untaint.errors import BadInput

_SAMPLE = 200  # values looked at to tell times from other numbers
_PAYLOADS = (
    "x_train",
    "train_images",
    "train_x",
    "train_data",
    "images",
    "image",
    "x",
    "data",
    "features",
    "texts",
    "text",
    "arr_0",
)
_LABELS = ("y_train", "train_labels", "train_y", "labels", "label", "y", "targets", "target", "classes", "arr_1")


@final
@dataclass(frozen=True)
class Npz(Reader):
    """One array of samples and one of labels, found by name; of several splits, the training one."""

    id: ClassVar[str] = "npz"
    summary: ClassVar[str] = "NumPy .npz with an array of samples (images, x, x_train …) and one of labels (labels, y, y_train …)"

    @override
    def claims(self, path: Path) -> bool:
        return path.is_file() and path.suffix.lower() == ".npz"

    @override
    def read(self, path: Path, request: Request) -> Dataset:
        payload, label, source, time, arrays = _load(path, request)
        store = array_store(arrays[payload], f"{path}, array {payload!r}")
        labels = label_names(arrays[label], len(store.array), str(path))
        sources = label_names(arrays[source], len(store.array), str(path)) if source else None
        builder = IndexBuilder()
        times = checked_times(list(arrays[time]), len(store.array), str(path)) if time else None
        index_array(store, labels, builder, sources=sources, times=times)
        index = builder.finish(str(path), f"array {label!r}")
        note = f"label: array {label!r}; source: {f'array {source!r}' if source else 'none'}; payload: array {payload!r}"
        note += f"; time: array {time!r}" if time else ""
        columns = Columns(payload, label, source, note, time)
        left = sorted(name for name in arrays if name not in {payload, label, source, time})
        notes = (note, note_of(store), *builder.notes, *((f"arrays left out: {', '.join(left)}",) if left else ()))
        return Dataset(index, store, store.modality, self.id, path, columns, notes)


def _load(path: Path, request: Request) -> tuple[str, str, str | None, str | None, dict[str, np.ndarray]]:
    """The names of the four arrays, and them; arrays that are left out are named with no content."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            if not hasattr(archive, "files"):
                raise BadInput(f"{path} is one array, not an .npz archive.", advice="Write it with numpy.savez.")
            names = list(archive.files)
            payload = _pick(names, _PAYLOADS, (request.payload or (None,))[0], path, "--payload")
            label = _pick(names, _LABELS, request.label, path, "--label")
            found = _by_name(names, SOURCES)
            source = _pick(names, SOURCES, request.source, path, "--source") if request.source or found else None
            wanted = {name for name in names if name == request.time or (request.time is None and name.lower() in TIMES)}
            heads = {name: list(np.ravel(archive[name])[:_SAMPLE]) if name in wanted else [] for name in names}
            time, _ = find_time(heads, str(path), request.time, {payload, label, source})
            kept = {payload, label, source, time}
            return payload, label, source, time, {name: archive[name] if name in kept else np.empty(0) for name in names}
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, KeyError, MemoryError, NotImplementedError, OSError) as error:
        if isinstance(error, FileNotFoundError | PermissionError):
            raise
        if "allow_pickle" in str(error):
            advice = "Loading it would run code from the file: save plain arrays of numbers or text."
            raise BadInput(f"{path} holds pickled Python objects.", advice=advice) from error
        raise BadInput(
            f"{path} is not a readable .npz archive: {error}.", advice="It may be truncated: fetch it again."
        ) from error


def _by_name(names: Sequence[str], wanted: Sequence[str]) -> list[str]:
    return [name for candidate in wanted for name in names if name.lower() == candidate]


def _pick(names: Sequence[str], wanted: Sequence[str], asked: str | None, path: Path, flag: str) -> str:
    if asked in names:
        return asked  # type: ignore[return-value]  # a member of names is text
    found = _by_name(names, wanted) if asked is None else []
    if not found:
        missing = f"no array {asked!r}" if asked else f"no array called like one of {', '.join(wanted[:8])} …"
        raise BadInput(f"{path} has {missing}; it has {listed(names)}.", advice=f"Name one with {flag} NAME.")
    return found[0]

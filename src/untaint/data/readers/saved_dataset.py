"""A folder written by Hugging Face `save_to_disk`: Arrow streams, read without the `datasets` package."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
import pyarrow as pa
from typing_extensions import override

from untaint.data.dataset import Dataset
from untaint.data.readers._chunks import SAMPLE, ChunkStore, at_once, index_batches, names_of, needed, recipe_for, small_batches
from untaint.data.readers._index import IndexBuilder
from untaint.data.readers.base import Reader, Request
from untaint.errors import BadInput


@final
@dataclass(frozen=True)
class SavedDataset(Reader):
    """A `Dataset` or `DatasetDict` folder; of a `DatasetDict`, the split `train` or the only one."""

    id: ClassVar[str] = "hf-disk"
    summary: ClassVar[str] = "folder written by Hugging Face datasets' save_to_disk"

    @override
    def claims(self, path: Path) -> bool:
        return any((path / name).is_file() for name in ("state.json", "dataset_dict.json"))

    @override
    def read(self, path: Path, request: Request) -> Dataset:
        folder, notes = _split(path)
        files = _data_files(folder)
        tables = [_open_stream(file) for file in files]
        info = _json(folder / "dataset_info.json") if (folder / "dataset_info.json").is_file() else {}
        head = next((table for table in tables if table.num_rows), tables[0]).slice(0, SAMPLE)
        recipe = recipe_for(head, request, str(path), root=folder, names=names_of(info.get("features")))
        builder = IndexBuilder()
        for file, table in zip(files, tables, strict=True):
            if table.schema.names != tables[0].schema.names:
                raise BadInput(f"{file} has other columns than {files[0].name}.", advice="Save the data set again.")
            index_batches(small_batches(table.select(needed(recipe)), at_once(recipe)), recipe, builder, file.name)
        chunks = _Batches(tables, recipe.roles.payload)
        index = builder.finish(str(path), recipe.labelled)
        store = ChunkStore(chunks.starts(), chunks, recipe)
        said = (recipe.roles.note, *builder.notes, *notes)
        return Dataset(index, store, recipe.roles.modality, self.id, path, recipe.columns(), said)


@final
class _Batches:
    """Memory-mapped record batches, numbered through."""

    def __init__(self, tables: Sequence[pa.Table], columns: Sequence[str]) -> None:
        self._batches = [batch for table in tables for batch in table.select(list(columns)).to_batches()]

    def starts(self) -> np.ndarray:
        """First row of each batch, then the number of rows."""
        return np.cumsum([0, *(batch.num_rows for batch in self._batches)])

    def __call__(self, number: int) -> pa.Table:
        return pa.Table.from_batches([self._batches[number]])


def _split(path: Path) -> tuple[Path, tuple[str, ...]]:
    if not (path / "dataset_dict.json").is_file():
        return path, ()
    splits = [str(name) for name in _json(path / "dataset_dict.json").get("splits", [])]
    chosen = "train" if "train" in splits else splits[0] if len(splits) == 1 else None
    if chosen is None:
        raise BadInput(f"{path} holds the splits {', '.join(splits) or 'none'}.", advice="Name the folder of one of them.")
    others = [name for name in splits if name != chosen]
    return path / _plain(chosen, path), (f"split {chosen!r} was read, {', '.join(others) or 'nothing'} left out",)


def _data_files(folder: Path) -> list[Path]:
    state = _json(folder / "state.json")
    names = [str(entry["filename"]) for entry in state.get("_data_files", []) if isinstance(entry, dict) and "filename" in entry]
    files = [folder / _plain(name, folder) for name in names] or sorted(folder.glob("data-*.arrow"))
    if not files:
        raise BadInput(f"{folder} holds no data-*.arrow file.", advice="Save the data set again.")
    return files


def _plain(name: str, folder: Path) -> str:
    """A file name that stays in its folder: state files are data too."""
    if not name or Path(name).name != name or name == "..":
        raise BadInput(f"{folder} names the file {name!r}, outside the folder.", advice="Do not trust this folder.")
    return name


def _open_stream(file: Path) -> pa.Table:
    try:
        with pa.memory_map(str(file)) as mapped, pa.ipc.open_stream(mapped) as stream:
            return stream.read_all()
    except (pa.ArrowException, OSError) as error:
        raise BadInput(
            f"{file} is not a readable Arrow stream: {error}.", advice="It may be truncated: save it again."
        ) from error


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{path} is not readable JSON: {error}.", advice="Save the data set again.") from error
    if not isinstance(found, dict):
        raise BadInput(f"{path} is not a JSON object.", advice="Save the data set again.")
    return found

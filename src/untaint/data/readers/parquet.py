"""Parquet: one file or a folder of shards."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from typing_extensions import override

from untaint.data.dataset import Dataset
from untaint.data.readers._chunks import SAMPLE, ChunkStore, at_once, index_batches, needed, recipe_for
from untaint.data.readers._index import IndexBuilder
from untaint.data.readers._recipe import Recipe
from untaint.data.readers._shards import find_shards, one_split
from untaint.data.readers.base import Reader, Request
from untaint.errors import BadInput


@final
@dataclass(frozen=True)
class Parquet(Reader):
    """Parquet files with images (struct of bytes and path, or bytes), texts, or a table's columns."""

    id: ClassVar[str] = "parquet"
    summary: ClassVar[str] = "Parquet file or folder of shards: encoded images, texts, or table columns"

    @override
    def claims(self, path: Path) -> bool:
        if path.is_dir():
            return any(path.rglob("*.parquet"))
        if path.suffix.lower() in {".parquet", ".pq"}:
            return True
        with path.open("rb") as file:
            return file.read(4) == b"PAR1"

    @override
    def read(self, path: Path, request: Request) -> Dataset:
        folder = path if path.is_dir() else path.parent
        shards, notes = one_split(find_shards(path, [".parquet"]), path) if path.is_dir() else ([path], ())
        if not shards:
            raise BadInput(f"{path} holds no Parquet file.", advice="Name a .parquet file or a folder of them.")
        recipe = recipe_for(_head(shards), request, str(path), root=folder, names={})
        builder, groups, starts = IndexBuilder(), _Groups(recipe), [0]
        for shard in shards:
            starts += [starts[-1] + end for end in groups.add(shard, builder, shard.relative_to(folder).as_posix())]
        index = builder.finish(str(path), recipe.labelled)
        store = ChunkStore(np.array(starts), groups, recipe)
        return Dataset(
            index, store, recipe.roles.modality, self.id, path, recipe.columns(), (recipe.roles.note, *builder.notes, *notes)
        )


@final
class _Groups:
    """Row groups of all shards, numbered through; called with a number, decodes that one."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._places: list[tuple[Path, int]] = []

    def add(self, shard: Path, builder: IndexBuilder, name: str) -> list[int]:
        """Index a shard; the row numbers in it at which its row groups end."""
        columns = needed(self._recipe)
        with _open(shard) as file:
            if missing := [column for column in columns if column not in file.schema_arrow.names]:
                raise BadInput(f"{shard} has no column {missing[0]!r}, other shards do.", advice="Give shards of one schema.")
            index_batches(file.iter_batches(at_once(self._recipe), columns=columns), self._recipe, builder, name)
            sizes = [file.metadata.row_group(group).num_rows for group in range(file.metadata.num_row_groups)]
        self._places += [(shard, group) for group in range(len(sizes))]
        return [int(end) for end in np.cumsum(sizes)]

    def __call__(self, number: int) -> pa.Table:
        shard, group = self._places[number]
        with _open(shard) as file:
            return file.read_row_group(group, columns=list(self._recipe.roles.payload))


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    """An open Parquet file; broken content is a BadInput wherever it shows."""
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, FileNotFoundError | PermissionError):
            raise
        raise BadInput(
            f"{path} is not a readable Parquet file: {error}.", advice="It may be truncated: fetch it again."
        ) from error


def _head(shards: Sequence[Path]) -> pa.Table:
    """The first rows of the first shard that has any."""
    for shard in shards:
        with _open(shard) as file:
            batches = list(islice(file.iter_batches(SAMPLE), 1))
            table = pa.Table.from_batches(batches, schema=file.schema_arrow)
        if table.num_rows:
            return table
    return table

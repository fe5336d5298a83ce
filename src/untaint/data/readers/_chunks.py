"""Payloads in Arrow chunks (row groups, record batches), a chunk decoded when one of its rows is asked for."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import numpy as np
import pyarrow as pa
from typing_extensions import override

from untaint.data.dataset import Payload, Store
from untaint.data.parts import Columnar, Run
from untaint.data.readers import _columnar
from untaint.data.readers._index import IndexBuilder
from untaint.data.readers._recipe import Recipe
from untaint.data.readers._rows import index_rows
from untaint.data.readers.base import Request
from untaint.data.roles import choose
from untaint.errors import BadInput
from untaint.types import Rows

SAMPLE = 200
"""Rows looked at to find the roles."""
_KEPT = 2
"""Decoded chunks kept: batches in row order cross one border at a time."""


@final
@dataclass(frozen=True)
class ChunkStore(Store, Columnar):
    """Payloads of rows that lie in chunks.

    starts: first row of each chunk, then the number of rows.  load: the columns of one chunk.
    whole: every column of all rows, where a program holds them; None = they lie in a file.
    """

    starts: np.ndarray
    load: Callable[[int], pa.Table]
    recipe: Recipe
    whole: pa.Table | None = None
    _cache: dict[int, pa.Table] = field(default_factory=dict, repr=False, compare=False)

    @override
    def read(self, rows: Rows) -> list[Payload]:
        chunks = np.searchsorted(self.starts, rows, side="right") - 1
        found: dict[int, Payload] = {}
        for chunk in np.unique(chunks):
            wanted = np.unique(rows[chunks == chunk])
            records = self._chunk(int(chunk)).take(pa.array(wanted - self.starts[chunk])).to_pylist()
            found |= {int(row): self.recipe.read(record)[0] for row, record in zip(wanted, records, strict=True)}
        return [found[int(row)] for row in rows]

    @override
    def runs(self) -> Iterator[Run]:
        row = 0
        for chunk in range(len(self.starts) - 1):
            for batch in self.load(chunk).to_batches(max_chunksize=_columnar.ROWS):
                rows = np.arange(row, row + batch.num_rows)
                yield rows, {name: _columnar.part(batch.column(name)) for name in self.recipe.roles.payload}
                row += batch.num_rows

    def _chunk(self, chunk: int) -> pa.Table:
        if chunk not in self._cache:
            while len(self._cache) >= _KEPT:
                self._cache.pop(next(iter(self._cache)))
            self._cache[chunk] = self.load(chunk)
        return self._cache[chunk]


def recipe_for(head: pa.Table, request: Request, where: str, *, root: Path | None, names: Mapping[str, Sequence[str]]) -> Recipe:
    """The recipe for tables whose first rows are `head`. Raises BadInput for no row, two columns of one name, or unclear roles."""
    columns = head.schema.names
    if head.num_rows == 0:
        raise BadInput(f"{where} is empty: no row in it.", advice="Give data with at least two classes.")
    if twice := sorted({name for name in columns if columns.count(name) > 1}):
        raise BadInput(f"{where} has two columns called {twice[0]!r}.", advice="Rename one of them.")
    samples = {name: _plain(head.column(name), where) for name in columns}
    roles = choose(samples, where, label=request.label, source=request.source, payload=request.payload, time=request.time)
    return Recipe(roles, root, {**class_names(head.schema), **names})


def needed(recipe: Recipe) -> list[str]:
    """The columns a recipe reads."""
    roles = recipe.roles
    return list(dict.fromkeys([*roles.payload, *(name for name in (roles.label, roles.source, roles.time) if name)]))


def index_batches(batches: Iterable[pa.RecordBatch], recipe: Recipe, builder: IndexBuilder, name: str) -> int:
    """Index record batches of one file; the number of rows."""
    if recipe.roles.modality == "table":
        return index_rows(batches, recipe, builder, name)
    row = 0
    for batch in batches:
        for record in _plain(batch, name):
            recipe.add(builder, record, f"{name}#{row}")
            row += 1
    return row


def in_batches(table: pa.Table, recipe: Recipe, builder: IndexBuilder, name: str) -> ChunkStore:
    """Index a table that is at hand, and read its payloads batch by batch."""
    batches = [batch for batch in table.select(list(recipe.roles.payload)).to_batches() if batch.num_rows]
    index_batches(small_batches(table.select(needed(recipe)), at_once(recipe)), recipe, builder, name)
    starts = np.cumsum([0, *(batch.num_rows for batch in batches)])
    return ChunkStore(starts, lambda number: pa.Table.from_batches([batches[number]]), recipe)


def _plain(values: Any, where: str) -> list[Any]:
    """As Python objects. Raises BadInput for a time that no calendar knows."""
    try:
        found: list[Any] = values.to_pylist()
    except (OverflowError, ValueError) as error:
        message = f"{where} holds a value that cannot be read ({error}), such as a time after the year 9999."
        raise BadInput(message, advice="Mend that column or leave it out.") from error
    return found


def class_names(schema: pa.Schema) -> dict[str, list[str]]:
    """Class names that Hugging Face wrote into the schema, by column."""
    try:
        stored: Any = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        return names_of(stored.get("info", {}).get("features", {}))
    except (ValueError, AttributeError):
        return {}


def names_of(features: object) -> dict[str, list[str]]:
    """Class names in a Hugging Face `features` description, by column."""
    if not isinstance(features, Mapping):
        return {}
    names = {column: kind.get("names") for column, kind in features.items() if isinstance(kind, Mapping)}
    return {column: [str(name) for name in listed] for column, listed in names.items() if isinstance(listed, list)}


def small_batches(table: pa.Table, size: int = 256) -> Iterator[pa.RecordBatch]:
    """A table in batches small enough to hold as Python objects."""
    yield from table.to_batches(max_chunksize=size)


def at_once(recipe: Recipe) -> int:
    """Rows of a batch: few where each becomes Python objects, images for instance, many where columns stay whole."""
    return _columnar.ROWS if recipe.roles.modality == "table" else 256

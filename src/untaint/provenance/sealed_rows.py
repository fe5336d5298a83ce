"""Whether tree and manifest of a seal are those of data that were just read and came to its root: they may have been edited themselves."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from untaint.errors import BadInput
from untaint.provenance.manifest import Manifest, part_name
from untaint.provenance.merkle import SIZE
from untaint.provenance.seal import tool
from untaint.provenance.sealed import MANIFEST, TILES, Seal

_BOUND = ["id", "rest", "label", "source", "transform", "split"]
_DERIVED = ["url", "collected_at"]
"""What follows from the other fields of a record, which are bound, by rules that another release may have changed."""
_RUN = 256 * 512
"""Leaves compared at once, 4 MiB."""


def check_rows(seal: Seal, now: Manifest, leaves: Path) -> None:
    """now, leaves: of the data as they are. Raises BadInput where the seal holds another tree or other rows."""
    seal.manifest.check()
    for name in seal.sealed.tables:
        seal.table_path(name)
    size = seal.sealed.size
    with leaves.open("rb") as file:
        for start in range(0, size, _RUN):
            stop = min(start + _RUN, size)
            if seal.tiles.leaves(start, stop) != file.read((stop - start) * SIZE):
                raise _another_tree(seal)
    if seal.tiles.root_of_tiles().hex() != seal.sealed.root:
        raise _another_tree(seal)
    seal.tiles.check(level=1)
    if [part.sha256 for part in now.parts] == [part.sha256 for part in seal.sealed.parts]:
        return
    columns = _BOUND + (_DERIVED if seal.sealed.tool == tool() else [])
    for row, one, other in _side_by_side(seal.manifest.batches(columns), now.batches(columns)):
        if not one.equals(other):
            part = part_name(int(np.searchsorted(seal.manifest.starts, row, side="right")) - 1)
            message = f"{seal.folder / MANIFEST / part} has other rows than its root was made of."
            raise BadInput(message, advice="The seal was changed: restore it, and ask for a signature with --key.")


def _another_tree(seal: Seal) -> BadInput:
    return BadInput(f"the tree in {seal.folder / TILES} is not the one that was sealed.", advice="Restore the seal.")


def _side_by_side(
    one: Iterator[pa.RecordBatch], other: Iterator[pa.RecordBatch]
) -> Iterator[tuple[int, pa.RecordBatch, pa.RecordBatch]]:
    """The same rows of both, and the number of the first of them; batches need not be of one size."""
    row, first, second = 0, next(one, None), next(other, None)
    while first is not None and second is not None:
        size = min(first.num_rows, second.num_rows)
        yield row, first.slice(0, size), second.slice(0, size)
        row += size
        first = first.slice(size) if first.num_rows > size else next(one, None)
        second = second.slice(size) if second.num_rows > size else next(other, None)

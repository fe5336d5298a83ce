"""A spot check: some samples drawn at random, each proven to be in the sealed tree, and what that says about all of them.

If at least a share f of N sealed samples were changed, n drawn without replacement would all be unchanged with probability at most
(1 - f)^n. So n = ⌈ln(1 - confidence) / ln(1 - f)⌉ draws without a change rule that out: .99 and .001 take 4,603, whatever N is.
"""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from untaint.data.readers import json_lines
from untaint.data.readers._bytes import COMPRESSED
from untaint.errors import BadInput
from untaint.provenance.changes import Changes, SampleChange
from untaint.provenance.compare import claimed, path_of
from untaint.provenance.file_changes import compare_files
from untaint.provenance.listing import entry_at, listed, opened
from untaint.provenance.manifest import FILES, file_row
from untaint.provenance.merkle import SIZE, verify_inclusion
from untaint.provenance.records import Cutter, Lines, Parquet, PlainJson, Unreadable, unpacked
from untaint.provenance.seal import Reader
from untaint.provenance.sealed import Seal
from untaint.provenance.tasks import Damaged, Done, Records, Remark, Rows, WholeFiles, objects, readable

_LISTED = 200_000
"""Entries up to which names, sizes, modes and links are all compared as well: some seconds."""


@final
@dataclass(frozen=True)
class Ask:
    """How much is to be drawn. share: of all samples, None = as many as `confidence` and `below` take."""

    confidence: float = 0.99
    below: float = 0.001
    share: float | None = None

    def __post_init__(self) -> None:
        for name in ("confidence", "below", "share"):
            value = getattr(self, name)
            if value is not None and not 0 < value < 1 + (name == "share"):
                raise BadInput(f"{name} is {value:g}.", advice="Give a share between 0 and 1, such as 0.001.")

    def draws(self, total: int) -> int:
        """Samples to draw of so many."""
        if self.share is not None:
            return min(total, max(1, math.ceil(self.share * total)))
        return min(total, math.ceil(math.log(1 - self.confidence) / math.log1p(-self.below)))


def asked_spot(share: str | None, confidence: float | None, below: float | None) -> Ask | None:
    """What flags ask for, None = no spot check. share: `1%` or `0.01`. Raises BadInput for what is no share."""
    if share is None:
        asked = None if confidence is None and below is None else Ask()
    else:
        try:
            asked = Ask(share=float(share.removesuffix("%")) / (100 if share.endswith("%") else 1))
        except ValueError as error:
            raise BadInput(f"--spot {share} is no share.", advice="Write it as 1% or 0.01.") from error
    known = {name: value for name, value in (("confidence", confidence), ("below", below)) if value is not None}
    return None if asked is None else replace(asked, **known)


@final
@dataclass(frozen=True)
class Drawn:
    """What a spot check drew. changed: of those.  total: samples that were sealed."""

    drawn: int
    changed: int
    total: int
    confidence: float

    @property
    def below(self) -> float:
        """Largest share of changed samples that the draw does not rule out, at the stated confidence."""
        if self.drawn >= self.total:
            return self.changed / max(1, self.total)
        if self.changed == 0:
            return float(-math.expm1(math.log(1 - self.confidence) / self.drawn))
        from scipy.special import betaincinv  # Clopper and Pearson 1934, one-sided

        return float(betaincinv(self.changed + 1, self.drawn - self.changed, self.confidence))

    @property
    def statement(self) -> str:
        """In words, and no more than it supports."""
        what = f"{self.drawn:,} of {self.total:,} sealed samples were drawn at random; {self.changed:,} of them changed"
        if self.drawn >= self.total:
            return f"{what}: that is all of them"
        return f"{what}: with {self.confidence:.4g} confidence at most {self.below:.3%} of all did. What was added is not seen by this"


def draw(total: int, wanted: int, rng: np.random.Generator) -> np.ndarray:
    """Different rows, in ascending order."""
    return np.sort(rng.choice(total, wanted, replace=False, shuffle=False))


def spot(seal: Seal, reader: Reader, ask: Ask, changes: Changes, rng: np.random.Generator) -> Drawn:
    """Draw samples and add what changed in them. rng: nobody may know beforehand what it draws.

    Raises BadInput for a format whose samples cannot be read one by one, for nothing to draw from, or a seal that is damaged.
    """
    total = seal.sealed.size
    if total == 0:
        raise BadInput(f"{seal.folder} has no sample to draw from.", advice="Verify it in full.")
    rows = draw(total, ask.draws(total), rng)
    files = seal.files()
    places = seal.manifest.take(rows, ["file", "number", "offset", "size"])
    sealed = _proven(seal, rows)
    changed, remarks = 0, list[Remark]()
    for number, own in _by_file(places.column("file").to_numpy()):
        name = _name(files, number)
        found = _read(reader, number, name, places.take(pa.array(own)))
        other = [place for place, leaf in enumerate(_cut(found)) if leaf != sealed[own[place]]] if found else range(len(own))
        before = seal.manifest.take(rows[own[list(other)]]).to_pylist() if other else []
        for place, row in zip(other, before, strict=True):
            changes.add(_told(row, name, found.rows.slice(place, 1) if found else None))
        changed += len(other)
        remarks += found.remarks if found else ()
    if files.num_rows <= _LISTED:
        _compare_listing(files, reader, changes, remarks)
    return Drawn(len(rows), changed, total, ask.confidence)


def _proven(seal: Seal, rows: np.ndarray) -> list[bytes]:
    """The sealed leaves of rows. Raises BadInput for one that is not in the tree: then the seal was changed."""
    tiles, root, found = seal.tiles, bytes.fromhex(seal.sealed.root), []
    for row in rows.tolist():
        found.append(tiles.leaf(row))
        if not verify_inclusion(found[-1], row, seal.sealed.size, tiles.inclusion(row), root):
            message = f"leaf {row:,} in {seal.folder} is not in the sealed tree."
            raise BadInput(message, advice="The seal was changed: restore it.")
    return found


def _cut(found: Done) -> list[bytes]:
    return [found.leaves[place : place + SIZE] for place in range(0, len(found.leaves), SIZE)]


def _by_file(numbers: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Files, and the places of their rows; rows of one file follow each other."""
    starts = np.flatnonzero(np.diff(numbers, prepend=-1))
    for start, end in pairwise([*starts.tolist(), len(numbers)]):
        yield int(numbers[start]), np.arange(start, end)


def _name(files: Any, number: int) -> str:
    raw = files.column("raw")[number].as_py()
    return str(files.column("name")[number].as_py()) if raw is None else os.fsdecode(raw)


def _read(reader: Reader, number: int, name: str, places: pa.Table) -> Done | None:
    """Some samples of one file as they are now, in order; None = it holds none of them any more."""
    try:
        entry = entry_at(reader.context.root, name)
    except OSError:
        return None
    found = reader.plan.item(number, entry)
    if not isinstance(found, Cutter):
        done = WholeFiles(reader.context, [found]).run()
        return done if done.rows.num_rows else None
    try:
        return _cut_out(found, places)
    except Damaged:
        return None


def _cut_out(found: Cutter, places: pa.Table) -> Done | None:
    """Some records of a file. Raises Damaged where it cannot be read."""
    if isinstance(found, PlainJson | Lines):
        parse = found.parse if isinstance(found, Lines) else json_lines.parse
        spans = list(zip(*(places.column(column).to_pylist() for column in ("offset", "size")), strict=True))
        raw = zip(places.column("number").to_pylist(), [offset for offset, _ in spans], _spans(found, spans), strict=True)
        done = Records(found.where, list(raw), parse or json_lines.parse).run()
        return replace(done, remarks=found.remarks)
    if isinstance(found, Parquet):
        return _parquet_rows(found, places.column("number").to_numpy())
    if isinstance(found, Unreadable):
        return None
    message = f"samples such as those of {found.entry.name} cannot be read one by one."
    raise BadInput(message, advice="Verify in full, without --spot.")


def _spans(cutter: Cutter, spans: Sequence[tuple[int, int]]) -> list[bytes]:
    """Bytes at some places, fewer at the end of a file that became shorter."""
    if cutter.path.suffix.lower() in COMPRESSED:
        with unpacked(cutter.path) as plain:
            return [os.pread(plain.fileno(), size, offset) for offset, size in spans]
    with opened(cutter.path, cutter.entry) as file:
        return [os.pread(file.fileno(), size, offset) for offset, size in spans]


def _parquet_rows(cutter: Parquet, numbers: np.ndarray) -> Done | None:
    rows, where = Rows(cutter.context), cutter.where
    with opened(cutter.path, cutter.entry) as raw, readable(where.name), pq.ParquetFile(raw) as file:
        if numbers[-1] >= file.metadata.num_rows:
            return None
        ends = np.cumsum([file.metadata.row_group(group).num_rows for group in range(file.metadata.num_row_groups)])
        groups = np.searchsorted(ends, numbers, side="right")
        for group in np.unique(groups).tolist():
            own = numbers[groups == group]
            table = file.read_row_group(group, use_threads=False)
            chosen = table.take(pa.array(own - (ends[group] - table.num_rows))).combine_chunks().to_batches()
            for number, record in zip(own.tolist(), objects(chosen[0], where.name), strict=True):
                rows.add((where.number, number, -1, -1), where.name, where.reading.sample(record), where.split)
    return rows.done()


def _told(before: Mapping[str, Any], name: str, now: pa.RecordBatch | None) -> SampleChange:
    """What became of a sample that is not as it was sealed."""
    path = path_of(name, before)
    if now is None:
        return SampleChange("removed", path, id=before["id"].hex())
    return claimed(path, before, path, now.to_pylist()[0])


def _compare_listing(files: Any, reader: Reader, changes: Changes, remarks: Sequence[Remark]) -> None:
    """Names, sizes, modes and links of everything; no file is read."""
    rows = [file_row(entry, None, 0, 0) for entry in listed(reader.path)]
    now = pa.table(
        [pa.array(values, field.type) for values, field in zip(zip(*rows, strict=True), FILES, strict=True)], schema=FILES
    )
    place = FILES.get_field_index("sha256")
    compare_files(
        files.set_column(place, FILES.field(place), pa.nulls(files.num_rows, FILES.field(place).type)), now, changes, remarks
    )

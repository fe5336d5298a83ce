"""Clean and quarantine as two parts of one data set: written together, read back, and proven to add up to the input."""

import hashlib
import shutil
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, final

import numpy as np
import pyarrow as pa

from untaint.data.dataset import Dataset
from untaint.data.load import load
from untaint.data.writers.base import PACKAGE, Part, Picks, Writer, changed
from untaint.data.writers.cells import types_of
from untaint.data.writers.encode import columns_of, stored_ids, stored_names
from untaint.errors import BadInput, UntaintError
from untaint.quarantine.ledger import Record
from untaint.registry import members

CLEAN = "clean"
HELD = "quarantine/data"
"""The samples lie one folder deeper than the reasons, so that no reader takes the reasons for samples."""


@final
@dataclass(frozen=True)
class Place:
    """How both parts are read. entry: what a reader opens, relative to the part's folder; the rest as `load` takes it."""

    format: str
    entry: str
    payload: str | tuple[str, ...] | None
    label: str | None
    source: str | None
    time: str | None = None

    def record(self) -> dict[str, object]:
        """As the ledger keeps it."""
        columns = {"payload": self.payload, "label": self.label, "source": self.source, "time": self.time}
        return {"written_format": self.format, "entry": self.entry, "columns": columns}

    @classmethod
    def of(cls, header: Record) -> "Place":
        """As the ledger kept it. Raises BadInput when it is not all there."""
        columns, entry = header.get("columns"), header.get("entry")
        if (
            not isinstance(columns, Mapping)
            or not isinstance(entry, str)
            or ".." in PurePosixPath(entry).parts
            or entry.startswith("/")
        ):
            raise BadInput(
                "the ledger's header does not say how the samples are read.", advice="Put the ledger back from a copy."
            )
        names: Mapping[str, Any] = columns
        payload = names.get("payload")
        chosen = tuple(payload) if isinstance(payload, list) else payload
        roles = names.get("label"), names.get("source"), names.get("time")
        return cls(str(header.get("written_format")), entry, chosen, *roles)

    @property
    def column(self) -> str | None:
        """The one column that is the payload."""
        return self.payload if isinstance(self.payload, str) else None


@final
@dataclass(frozen=True)
class Split:
    """The rows of the input in each part, ascending."""

    clean: np.ndarray  # not Rows: the two differ in length
    held: np.ndarray

    @classmethod
    def of(cls, n: int, held: Iterable[int]) -> "Split":
        """`held` rows out of `n`; the others are clean."""
        mask = np.zeros(n, dtype=bool)
        mask[np.fromiter(held, dtype=np.int64)] = True
        return cls(np.flatnonzero(~mask), np.flatnonzero(mask))

    def sides(self) -> tuple[tuple[str, np.ndarray], tuple[str, np.ndarray]]:
        """Folder and rows of each part."""
        return (CLEAN, self.clean), (HELD, self.held)


def write(writer: Writer, pieces: Sequence[Part], where: Picks, split: Split, folder: Path) -> str:
    """Write both parts into `folder`; `where` says for every row of the input where it is now. Returns the entry."""
    entries = []
    for name, rows in split.sides():
        out = folder / name
        out.mkdir(parents=True)
        if len(rows):
            path = _written(writer, pieces, Picks(where.part[rows], where.row[rows]), out)
            entries.append(path.relative_to(out).as_posix())
    return entries[0]


def _written(writer: Writer, pieces: Sequence[Part], picks: Picks, out: Path) -> Path:
    try:
        return writer.write(pieces, picks, out)
    except (pa.ArrowException, zipfile.BadZipFile, FileNotFoundError) as error:
        raise changed(pieces[0].source, str(error)) from error


def located(folder: Path, place: Place, split: Split) -> tuple[list[Part], Picks]:
    """The parts that have samples, and where each row of the input is in them."""
    n = len(split.clean) + len(split.held)
    where = Picks(np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64))
    pieces: list[Part] = []
    for name, rows in split.sides():
        if len(rows):
            where.part[rows], where.row[rows] = len(pieces), np.arange(len(rows))
            pieces.append(Part(folder / name / place.entry, len(rows), place.column))
    return pieces, where


def verify(folder: Path, place: Place, split: Split, digest: str, then: Callable[[Dataset], None] | None = None) -> None:
    """Put both parts together again, read the result as the input was read, and compare.

    then: called with what was read, when it is the input.
    A part alone cannot be read the same way: it may have one class only, or values that look like another type.
    Raises UntaintError when a sample is missing, changed, doubled or out of order.
    """
    advice = "Was the data changed while untaint ran? If not, please report this with the format of the data."
    whole = folder / "check"
    whole.mkdir()
    try:
        path = _written(writer_of(place), *located(folder, place, split), whole)
        asked = {"label": place.label, "source": place.source, "time": place.time}
        found = load(path, payload=place.payload, format=place.format, **asked)
    except BadInput as error:
        message = f"what was written cannot be read back ({error.message}); it was removed and must not be used."
        raise UntaintError(message, advice=advice) from error
    if rows_digest(found.index) != digest:
        message = "clean and quarantine together are not the input; both were removed and must not be used."
        raise UntaintError(message, advice=advice)
    if then is not None:
        then(found)
    shutil.rmtree(whole)


def writer_of(place: Place) -> Writer:
    """The writer of the format both parts have."""
    known = members(Writer, PACKAGE)
    if place.format not in known:
        message = f"the ledger names the format {place.format!r}, which cannot be written."
        raise BadInput(message, advice="Use the release that wrote it, or install its plug-in.")
    writer: Writer = known[place.format]()
    return writer


def rows_digest(index: pa.Table) -> str:
    """SHA-256 over id, label and source of every row in order."""
    hasher = hashlib.sha256()
    for name in ("id", "label", "source"):
        for value in index.column(name).to_pylist():
            encoded = b"" if value is None else str(value).encode("utf-8", "surrogatepass")
            hasher.update((b"-" if value is None else b"+") + len(encoded).to_bytes(8, "big") + encoded)
    return hasher.hexdigest()


def as_written(dataset: Dataset, writer: Writer, entry: str) -> tuple[Place, str]:
    """How the data set will be read back, and the digest it must then have."""
    columns = dataset.columns
    if writer.keeps:
        return Place(writer.writes, entry, _payload(dataset), columns.label, columns.source, columns.time), rows_digest(
            dataset.index
        )
    columns = columns_of(dataset)
    index = {
        "id": stored_ids(dataset),
        "label": stored_names(dataset.index, "label"),
        "source": stored_names(dataset.index, "source"),
    }
    payload = columns.payload if dataset.modality != "table" else _cells(dataset)
    place = Place(writer.writes, entry, payload, columns.label, columns.source, columns.time)
    return place, rows_digest(pa.table(index))


def _cells(dataset: Dataset) -> tuple[str, ...] | None:
    """The columns of a table that was in memory; None where all are words, which, asked for by name, would be read as text."""
    types = types_of(dataset)
    return None if all(kind == pa.string() for kind in types.values()) else tuple(types)


def _payload(dataset: Dataset) -> str | tuple[str, ...] | None:
    """The payload to ask for so that it is read the same way again; None = what is found without asking.

    A column of a table that is asked for by name would be read as text.
    """
    roles = getattr(getattr(dataset.store, "recipe", None), "roles", None)
    if roles is None:
        return dataset.columns.payload
    asked = "(as asked)" in dataset.columns.note.rpartition("payload: ")[2]
    if dataset.columns.payload is not None and (asked or dataset.modality != "table"):
        return dataset.columns.payload
    return tuple(roles.payload) if asked else None

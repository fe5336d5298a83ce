"""Check samples as training reads them, and say afterwards which of them it read.

    checker = Checker(read_seal(Path("train.jsonl.untaint")))
    for text, label in DataLoader(checked(dataset, checker, payload="text", label="label"), num_workers=4): ...  # see `wrapped`
    checker.consumed().root        # equals the sealed root when every sample was read

A sample is looked up by its content, so any order will do: shuffled, sharded, repeated. What is checked is what an audit calls the
payload, and whatever of label, source, transform and split is given. Between the check and the use of a sample nobody can exchange it.
"""

import os
import tempfile
import weakref
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict, final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from typing_extensions import Unpack

from untaint.data.readers._recipe import as_name
from untaint.errors import BadInput, CannotWrite
from untaint.provenance.leaves import FIELDS, Field, text_digest
from untaint.provenance.manifest import sha256_of
from untaint.provenance.merkle import TileWriter
from untaint.provenance.reading import id_of
from untaint.provenance.sealed import STATEMENT, Seal

SCHEMA_KEY, SCHEMA = b"untaint", b"untaint.consumed/v1"
_KEPT = 1000  # wrong samples that are kept one by one; all are counted
_RUN = 1 << 16


@final
class Claimed(TypedDict, total=False):
    """What a sample is read with; None = nothing, and what is left out is not checked."""

    label: object
    source: object
    transform: object
    split: object


@final
class NotSealed(BadInput):
    """A sample that is not as it was sealed, met while it was read."""


@final
@dataclass(frozen=True)
class Consumed:
    """What was read. root: of the tree over the samples that were, each once, in sealed order.  rows: how many.  total: were sealed."""

    root: str
    rows: int
    total: int

    @property
    def complete(self) -> bool:
        """Whether every sealed sample was read; the root is then the sealed one."""
        return self.rows == self.total


@final
class Checker:
    """Checks samples against a seal, and marks those it met. Copies in worker processes mark in the same place.

    wrong: `raise` NotSealed at the first sample that is not as sealed, or `note` it and go on.  folder: for an index of 177 bytes a sample,
    None = a temporary one.  Raises BadInput for a seal that is damaged.
    """

    def __init__(self, seal: Seal, *, wrong: Literal["raise", "note"] = "raise", folder: Path | None = None) -> None:
        self.seal, self._wrong = seal, wrong
        if folder is None:
            temporary = tempfile.TemporaryDirectory(prefix="untaint-")
            self._finalizer = weakref.finalize(self, temporary.cleanup)
            folder = Path(temporary.name)
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        _index(seal, folder)
        self._open()

    def __getstate__(self) -> dict[str, Any]:
        return {"seal": self.seal, "_wrong": self._wrong, "_folder": self._folder}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()

    def check(self, payload: object, **claimed: Unpack[Claimed]) -> int | None:
        """The row of a sample; None for one that is not as sealed, where that is only noted. claimed: counts where it is given.

        Raises NotSealed, and BadInput for a payload that is no bytes, text or array.
        """
        known = np.frombuffer(id_of(_plain(payload)), np.uint8)
        rows = self._rows_of(known)
        if not len(rows):
            self._refuse("its content is not among the sealed samples")
            return None
        for field, index in self._claims.items():
            if field not in claimed:
                continue
            name = as_name(claimed[field])
            same = (index[rows] == np.frombuffer(text_digest(field, name), np.uint8)).all(axis=1)
            if not same.any():
                where = f"row {int(rows[0]):,} of the manifest"
                self._refuse(f"its {field} is {name!r}, and it was sealed with another one ({where})")
                return None
            rows = rows[same]
        unread = rows[self._seen[rows] == 0]
        row = int((unread if len(unread) else rows)[0])
        self._seen[row] = 1
        return row

    @property
    def wrong(self) -> list[str]:
        """What was wrong with the first thousand samples that were not as sealed, in this process."""
        return list(self._noted)

    def consumed(self) -> Consumed:
        """What was read so far, in all processes that share the index."""
        tree, rows = TileWriter(None), 0
        tiles = self.seal.tiles
        for start in range(0, self.seal.sealed.size, _RUN):
            stop = min(start + _RUN, self.seal.sealed.size)
            read = np.flatnonzero(self._seen[start:stop])
            rows += len(read)
            leaves = np.frombuffer(tiles.leaves(start, stop), np.uint8).reshape(-1, 32)
            tree.extend(leaves[read].tobytes())
        return Consumed(tree.root().hex(), rows, self.seal.sealed.size)

    def write(self, path: Path) -> Consumed:
        """Write down which samples were read, as runs of rows of the manifest, for `untaint trace`; what was read.

        A Parquet file with `start` and `stop`, and root and seal in its metadata. Raises CannotWrite.
        """
        done = self.consumed()
        edges = np.flatnonzero(np.diff(np.concatenate([[0], np.asarray(self._seen), [0]]).astype(np.int8)))
        runs = pa.table({"start": pa.array(edges[::2], pa.int64()), "stop": pa.array(edges[1::2], pa.int64())})
        digest = sha256_of(self.seal.folder / STATEMENT)
        facts = {SCHEMA_KEY: SCHEMA, b"root": done.root, b"seal": digest, b"rows": str(done.rows), b"total": str(done.total)}
        try:
            pq.write_table(runs.replace_schema_metadata(facts), path)
        except OSError as error:
            raise CannotWrite(f"{path} cannot be written: {error.strerror or error}.", advice="Name another file.") from error
        return done

    def _rows_of(self, known: np.ndarray) -> np.ndarray:
        """Rows with this content."""
        key = known[:8].view("<u8")[0]
        low, high = (int(np.searchsorted(self._keys, key, side=side)) for side in ("left", "right"))
        rows = np.sort(self._order[low:high])
        return rows[(self._ids[rows] == known).all(axis=1)]

    def _refuse(self, why: str) -> None:
        if self._wrong == "raise":
            raise NotSealed(
                f"a sample that was read is not as sealed: {why}.", advice="Stop, and run `untaint verify` on the data."
            )
        if len(self._noted) < _KEPT:
            self._noted.append(why)

    def _open(self) -> None:
        size = self.seal.sealed.size
        self._noted: list[str] = []
        self._keys = _mapped(self._folder / "keys.bin", "<u8", (size,))
        self._order = _mapped(self._folder / "rows.bin", "<i8", (size,))
        self._ids = _mapped(self._folder / "ids.bin", "u1", (size, 32))
        self._claims = {field: _mapped(_claims_file(self._folder, field), "u1", (size, 32)) for field in FIELDS}
        self._seen = _mapped(self._folder / "seen.bin", "u1", (size,), "r+")


def _plain(payload: object) -> bytes | str | np.ndarray:
    """A payload as a reader would give it."""
    if isinstance(payload, Mapping) and isinstance(payload.get("bytes"), bytes):  # an encoded picture of Hugging Face
        return bytes(payload["bytes"])
    if isinstance(payload, bytes | str | np.ndarray):
        return payload
    if hasattr(payload, "numpy"):
        return np.asarray(payload.numpy())
    message = f"a {type(payload).__name__} was read, which cannot be compared with what was sealed."
    raise BadInput(message, advice="Check bytes, texts or arrays: wrap the data set before images are decoded (decode=False).")


def _index(seal: Seal, folder: Path) -> None:
    """Ids, claims, and the rows in order of their ids. The manifest is checked first."""
    seal.check()
    if (folder / "seen.bin").exists():
        return
    keys = np.empty(seal.sealed.size, "<u8")
    start = 0
    with ExitStack() as files:
        ids = files.enter_context((folder / "ids.bin").open("wb"))
        claims = {field: files.enter_context(_claims_file(folder, field).open("wb")) for field in FIELDS}
        for batch in seal.manifest.batches(["id", *FIELDS]):
            raw = b"".join(batch.column("id").to_pylist())
            ids.write(raw)
            for field, file in claims.items():
                file.write(b"".join(text_digest(field, text) for text in batch.column(field).to_pylist()))
            keys[start : start + batch.num_rows] = np.frombuffer(raw, np.uint8).reshape(-1, 32)[:, :8].copy().view("<u8")[:, 0]
            start += batch.num_rows
    order = np.argsort(keys, kind="stable").astype("<i8")
    order.tofile(folder / "rows.bin")
    keys[order].tofile(folder / "keys.bin")
    with (folder / "seen.bin").open("wb") as file:
        os.truncate(file.fileno(), seal.sealed.size)


def _claims_file(folder: Path, field: Field) -> Path:
    return folder / f"{field}s.bin"


def _mapped(path: Path, kind: str, shape: tuple[int, ...], mode: Literal["r", "r+"] = "r") -> np.ndarray:
    return np.memmap(path, kind, mode, shape=shape) if shape[0] else np.empty(shape, kind)

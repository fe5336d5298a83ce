"""Read a data set once, from start to end, into a manifest, a table of files and a tree; memory stays the same for any number of samples.

A stopped scan goes on from the last part of the manifest that was finished, if the files it read before are still as they were.
"""

import hashlib
import json
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias, final

import numpy as np

from untaint.provenance.listing import Entry
from untaint.provenance.manifest import FileWriter, Part, PartWriter, file_row, part_name, streamed
from untaint.provenance.merkle import TileWriter
from untaint.provenance.sealed import FILES, MANIFEST, TILES
from untaint.provenance.tasks import Done, Remark, Task
from untaint.provenance.work import in_order

Report: TypeAlias = Callable[[str, int, int], None]
LEAVES = "leaves.bin"
_JOURNAL = "journal.json"


@final
@dataclass
class Scanned:
    """What a scan found. size, root: of the tree.  files: SHA-256 of the table of files.  remarks: the first of each file."""

    size: int = 0
    root: bytes = b""
    parts: list[Part] = field(default_factory=list)
    files: str = ""
    n_files: int = 0
    n_bytes: int = 0
    remarks: Sequence[Remark] = ()


@final
@dataclass
class _Mark:
    """How far a scan has come. tasks: whose results are kept.  seen: digest of the files they read from.  open: file whose rows come."""

    key: str
    tasks: int = 0
    rows: int = 0
    seen: str = ""
    parts: list[tuple[int, str]] = field(default_factory=list)
    open: tuple[int, int] = (-1, 0)
    n_files: int = 0
    n_bytes: int = 0


@final
class Scan:
    """One scan into a folder. leaves: also write the leaf hashes one after another.  tiles: whether the tree is wanted."""

    def __init__(self, folder: Path, key: str, report: Report, *, tiles: bool = True, leaves: bool = False) -> None:
        self._folder, self._report = folder, report
        self._mark = _read_mark(folder, key)
        self._tiles = folder / TILES if tiles else None
        self._leaves = (folder / LEAVES).open("wb") if leaves else None

    def run(self, tasks: Callable[[], Iterator[Task]], processes: int) -> Scanned:
        """Do every task. tasks: makes them anew, the same ones each time."""
        found = tasks()
        if self._mark.tasks:
            done = hashlib.sha256()
            for task in islice(found, self._mark.tasks):
                done.update(_stamps(task.entries))
            if done.hexdigest() != self._mark.seen:
                self._mark, found = _Mark(self._mark.key), tasks()
            else:
                return self._collect(found, done, processes)
        _emptied(self._folder)
        return self._collect(found, hashlib.sha256(), processes)

    def _collect(self, tasks: Iterator[Task], seen: Any, processes: int) -> Scanned:
        mark = self._mark
        parts = PartWriter(self._folder / MANIFEST, [Part(*part) for part in mark.parts])
        tree = TileWriter(self._tiles, mark.rows)
        files = _Files(self._folder, mark)
        waiting, remarks = deque[Task](), dict[tuple[str, str], Remark]()
        for done in in_order(_noted(tasks, waiting), processes):
            task = waiting.popleft()
            seen.update(_stamps(task.entries))
            files.add(task, done, mark.rows)
            for remark in done.remarks:
                remarks.setdefault((remark.name, remark.what), remark)
            if done.rows.num_rows:
                parts.add(done.rows)
                tree.extend(done.leaves)
                if self._leaves:
                    self._leaves.write(done.leaves)
            mark.tasks, mark.rows = mark.tasks + 1, mark.rows + done.rows.num_rows
            self._report("reading samples", mark.rows, mark.rows + 1)
            if parts.due:
                parts.cut()
                tree.close()
                files.cut(len(parts.parts))
                mark.seen, mark.parts = seen.hexdigest(), [(part.rows, part.sha256) for part in parts.parts]
                _write_mark(self._folder, mark)
        parts.cut()
        if self._leaves:
            self._leaves.close()
        digest = files.close(len(parts.parts))
        return Scanned(mark.rows, tree.close(), parts.parts, digest, mark.n_files, mark.n_bytes, list(remarks.values()))


@final
class _Files:
    """The table of files while it grows, in as many pieces as the manifest has parts; put together at the end."""

    def __init__(self, folder: Path, mark: _Mark) -> None:
        self._folder, self._mark = folder, mark
        self._pieces = len(mark.parts)
        self._writer = FileWriter(self._piece(self._pieces))

    def add(self, task: Task, done: Done, before: int) -> None:
        """The files that are finished, and the rows they have. before: rows of the files before."""
        numbers = done.rows.column("file").to_numpy()
        if not done.digests:
            if len(numbers):
                number, first = self._mark.open
                self._mark.open = (int(numbers[0]), first if number == int(numbers[0]) else before)
            return
        wanted = [number for number, _ in task.finishes]
        starts, ends = (np.searchsorted(numbers, wanted, side=side).tolist() for side in ("left", "right"))
        for (number, entry), sha256, start, end in zip(task.finishes, done.digests, starts, ends, strict=True):
            first, count = before + start, end - start
            if self._mark.open[0] == number:
                first, count = self._mark.open[1], before - self._mark.open[1]
            self._writer.add(file_row(entry, sha256, first, count))
            if sha256 is not None:
                self._mark.n_files += 1
                self._mark.n_bytes += entry.size

    def cut(self, pieces: int) -> None:
        """Finish a piece, so that it is safe on disk."""
        self._writer.close()
        self._pieces = pieces
        self._writer = FileWriter(self._piece(pieces))

    def close(self, _parts: int) -> str:
        """One table; its SHA-256."""
        self._writer.close()
        whole = FileWriter(self._folder / FILES)
        for number in range(self._pieces + 1):
            with streamed(self._piece(number)) as file:
                for batch in file.iter_batches():
                    whole.put(batch)
            self._piece(number).unlink()
        return whole.close()

    def _piece(self, number: int) -> Path:
        return self._folder / f"files-{part_name(number)}"


def _noted(tasks: Iterator[Task], waiting: deque[Task]) -> Iterator[Task]:
    for task in tasks:
        waiting.append(task)
        yield task


def _stamps(entries: Sequence[Entry]) -> bytes:
    return "".join(f"{entry!r}\n" for entry in entries).encode("utf-8", "surrogateescape")


def _read_mark(folder: Path, key: str) -> _Mark:
    """How far an earlier scan with the same key came; the beginning where there was none, or its mark cannot be read."""
    try:
        found = json.loads((folder / _JOURNAL).read_text(encoding="utf-8"))
        mark = _Mark(**{**found, "open": tuple(found["open"])})
    except (OSError, ValueError, TypeError, KeyError):
        return _Mark(key)
    return mark if mark.key == key else _Mark(key)


def _write_mark(folder: Path, mark: _Mark) -> None:
    new = folder / f"{_JOURNAL}.new"
    with new.open("w", encoding="utf-8") as file:
        json.dump(mark.__dict__, file)
        file.flush()
        os.fsync(file.fileno())
    new.replace(folder / _JOURNAL)


def _emptied(folder: Path) -> None:
    """Nothing of an earlier scan is left."""
    for name in (MANIFEST, TILES):
        shutil.rmtree(folder / name, ignore_errors=True)
    for path in [folder / FILES, folder / _JOURNAL, *folder.glob("files-*")]:
        path.unlink(missing_ok=True)

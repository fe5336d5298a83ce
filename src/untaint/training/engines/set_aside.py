"""What defences kept from the network, and why: nothing is lost without a word."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, final

import numpy as np

from untaint.errors import CannotWrite
from untaint.training.base import Dropped

FILE = "dropped.jsonl"
_KEPT = 1000
"""Samples without a row number whose values are written down; of further ones only the digest is."""


class Given(Protocol):
    """A batch of any loop."""

    def digest(self, position: int) -> str:
        """SHA-256 of one row's inputs."""

    def values(self, position: int) -> dict[str, np.ndarray]:
        """One row's inputs, by name."""


def digest_of(values: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of a row's inputs."""
    found = hashlib.sha256()
    for value in values.values():
        found.update(np.ascontiguousarray(value).tobytes())
    return found.hexdigest()


@final
class SetAside:
    """Rows dropped during a run, each once.

    folder: gets `dropped.jsonl` and, for rows without a number, `rows/DIGEST.npz`; None = memory only.
    Raises CannotWrite.
    """

    def __init__(self, folder: Path | None) -> None:
        self.rows: list[Dropped] = []
        self.reasons: Counter[str] = Counter()
        self.times = 0
        self._known: set[str] = set()
        self._written = 0
        self._folder = folder
        if folder is not None:
            _made(folder)

    def add(self, batch: Given, position: int, dropped: Dropped) -> None:
        """Note that a row was dropped."""
        self.times += 1
        digest = batch.digest(position)
        if digest in self._known:
            return
        self._known.add(digest)
        self.rows.append(dropped)
        self.reasons[dropped.reason] += 1
        if self._folder is not None:
            self._write(self._folder, batch, position, dropped, digest)

    def _write(self, folder: Path, batch: Given, position: int, dropped: Dropped, digest: str) -> None:
        line = {"row": None if dropped.row < 0 else dropped.row, "sha256": digest, "by": dropped.by, "reason": dropped.reason}
        line |= {"epoch": dropped.epoch, "step": dropped.step}
        try:
            with (folder / FILE).open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            if dropped.row < 0 and self._written < _KEPT:
                self._written += 1
                _made(folder / "rows")
                np.savez_compressed(folder / "rows" / f"{digest}.npz", **batch.values(position))  # type: ignore[arg-type]  # stub of a keyword
        except OSError as error:
            raise _unwritable(folder, error) from error


def _made(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(folder: Path, error: OSError) -> CannotWrite:
    return CannotWrite(f"cannot write to {folder}: {error.strerror or error}.", advice="Name another folder for what is dropped.")

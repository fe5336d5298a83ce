"""Costly features on disk: arrays as .npy, small facts as JSON, never pickle. A broken entry is computed again."""

import dataclasses
import json
import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, final, get_type_hints

import numpy as np

from untaint.errors import CannotWrite

T = TypeVar("T")
_BROKEN = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile)


@final
@dataclass(frozen=True)
class Cache:
    """A folder of entries, one folder each; None = keep nothing. Written aside and renamed, so an entry is whole or absent."""

    folder: Path | None

    def load(self, key: str, kind: type[T]) -> T | None:
        """The entry, or None when it is absent or broken. kind: an array, or a frozen dataclass of arrays and plain values."""
        if self.folder is None or not (self.folder / key).is_dir():
            return None
        try:
            return _load(self.folder / key, kind)
        except _BROKEN:
            shutil.rmtree(self.folder / key, ignore_errors=True)
            return None

    def store(self, key: str, value: object) -> None:
        """Keep an entry. Raises CannotWrite when the folder cannot be written or the disk is full."""
        if self.folder is None:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            aside = Path(tempfile.mkdtemp(prefix=".partial-", dir=self.folder))
            try:
                _store(aside, value)
                _settle(aside, self.folder / key)
            finally:
                shutil.rmtree(aside, ignore_errors=True)
        except OSError as error:
            message = f"cannot keep features in {self.folder}: {error.strerror or error}."
            raise CannotWrite(message, advice="Free some space or choose another --out folder.") from error


def _settle(aside: Path, entry: Path) -> None:
    """Give a finished entry its name. Another run may have finished the same one first: then that one stays."""
    try:
        aside.replace(entry)
    except OSError:
        if not entry.is_dir():
            raise


def _store(folder: Path, value: object) -> None:
    fields = {"value": value} if isinstance(value, np.ndarray) else _fields(value)
    plain = {}
    for name, item in fields.items():
        if isinstance(item, np.ndarray):
            np.save(folder / f"{name}.npy", item, allow_pickle=False)
        elif isinstance(item, dict) and all(isinstance(entry, np.ndarray) for entry in item.values()):
            np.savez(folder / f"{name}.npz", **item)
        else:
            plain[name] = item
    (folder / "plain.json").write_text(json.dumps(plain), encoding="utf-8")


def _fields(value: object) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}  # type: ignore[arg-type]


def _load(folder: Path, kind: type[T]) -> T:
    plain = json.loads((folder / "plain.json").read_text(encoding="utf-8"))
    if not dataclasses.is_dataclass(kind):
        return _array(folder / "value.npy")  # type: ignore[return-value]
    values = {name: _field(folder, name, plain) for name in get_type_hints(kind)}
    return kind(**values)


def _field(folder: Path, name: str, plain: dict[str, Any]) -> Any:
    if (folder / f"{name}.npy").exists():
        return _array(folder / f"{name}.npy")
    if (folder / f"{name}.npz").exists():
        with (folder / f"{name}.npz").open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {entry: archive[entry] for entry in archive.files}
    value = plain[name]
    return tuple(value) if isinstance(value, list) else value


def _array(path: Path) -> np.ndarray:
    array: np.ndarray = np.lib.format.open_memmap(path, mode="r")  # refuses objects, which would be pickled
    return array

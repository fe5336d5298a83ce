"""The front door: a path or an object in, a data set out."""

import os
import zipfile
from pathlib import Path

from typing_extensions import Unpack

from untaint.data.dataset import Dataset
from untaint.data.readers._objects import from_python
from untaint.data.readers.base import Asked, Reader, Request
from untaint.errors import BadInput
from untaint.registry import members

__all__ = ["from_python", "load", "readers"]

PACKAGE = "untaint.data.readers"
_PICKLES = frozenset({".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".joblib", ".dill"})
_PICKLE_MAGIC = tuple(b"\x80" + bytes([protocol]) for protocol in range(2, 6))


def load(data: object, *, format: str | None = None, **asked: Unpack[Asked]) -> Dataset:
    """The data set at a local path, or in a Python object.

    label, source, payload, time: column names, None = find them.  table, query: of a database, one of its tables, or SQL that makes the
    rows.  format: a reader's id, None = recognise it.
    Raises BadInput for what cannot be read; a path is never looked up on a hub, and a pickle is never opened.
    """
    request = Request.of(**asked)
    if not isinstance(data, str | os.PathLike):
        _refuse_unasked(request, frozenset(), "objects in Python")
        return from_python(data, label=request.label, source=request.source, payload=request.payload, time=request.time)
    path = Path(data)
    try:
        _check_path(path)
        reader = _reader(path, format)
        _refuse_unasked(request, reader.asks, f"data in the format {reader.id}")
        return reader.read(path, request)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or error}.", advice="Check the permissions.") from error


def _refuse_unasked(request: Request, known: frozenset[str], what: str) -> None:
    """Raises BadInput for a choice that would be passed over in silence."""
    for name in ("table", "query"):
        if getattr(request, name) is not None and name not in known:
            raise BadInput(f"{what} have no {name} to choose.", advice=f"Leave out --{name}, which is for databases.")
    if request.table is not None and request.query is not None:
        raise BadInput("a table and a query are both named.", advice="Give one of --table and --query.")


def readers() -> dict[str, Reader]:
    """Every known reader by id."""
    return {name: reader() for name, reader in members(Reader, PACKAGE).items()}


def _check_path(path: Path) -> None:
    if not path.exists():
        raise BadInput(f"no such file or folder: {path}.", advice="Give a local path; data from a hub must be downloaded first.")
    if path.is_dir():
        if not any(path.iterdir()):
            raise BadInput(f"{path} is an empty folder.", advice="Give a folder with data in it.")
    elif not path.is_file():
        raise BadInput(f"{path} is neither a file nor a folder.", advice="Give a regular file.")
    elif path.stat().st_size == 0:
        raise BadInput(f"{path} is an empty file.", advice="Fetch it again.")
    elif is_pickle(path):
        advice = "Convert it to Parquet or .npz where you trust it."
        raise BadInput(f"{path} is a pickle: loading it would run code from the file.", advice=advice)


def is_pickle(path: Path) -> bool:
    """Whether a file is a pickle, by its name, its first bytes, or (as torch writes them) a pickle in a zip."""
    if path.suffix.lower() in _PICKLES:
        return True
    with path.open("rb") as file:
        head = file.read(128)
    if head.startswith(b"\x93NUMPY"):
        return b"'|O'" in head
    if head.startswith(b"PK") and path.suffix.lower() != ".npz":
        return _holds_pickle(path)
    return head.startswith(_PICKLE_MAGIC)


def _holds_pickle(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith(".pkl") for name in archive.namelist())
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        return False


def _reader(path: Path, format_id: str | None) -> Reader:
    known = readers()
    if format_id is not None:
        if format_id not in known:
            raise BadInput(f"unknown format {format_id!r}.", advice=f"Known: {', '.join(known)}.")
        return known[format_id]
    claiming = [reader for reader in known.values() if reader.claims(path)]
    if len(claiming) == 1:
        return claiming[0]
    names = ", ".join(reader.id for reader in claiming)
    if claiming:
        raise BadInput(f"{path} could be read as {names}.", advice=f"Choose one: --format {claiming[0].id}.")
    if path.suffix.lower() == ".npy":
        raise BadInput(f"{path} holds one array and no labels.", advice="Write samples and labels into one .npz.")
    raise BadInput(f"{path} is of no known format.", advice=f"Known: {', '.join(known)}; of a folder, name the file in it.")

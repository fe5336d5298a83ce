"""Weights of a model file as safetensors: read only after the file passed, by following what it says and running none of it."""

import io
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from untaint.errors import BadInput, MissingExtra
from untaint.models.formats.notes import Flaw
from untaint.models.formats.scan import Scanned, scan
from untaint.models.weights import followed, opened, safetensors_written
from untaint.models.weights.stored import Held, Stored, Weights, form_of, gathered

_KERAS: Final = {"keras", "hdf5"}
_FOLLOWED: Final = {"torch-zip", "torch-legacy", "pickle", "compressed"}
_INNER: Final = "model.weights.h5"
_REFUSED: Final = "high"


@final
class UnsafeModel(BadInput):
    """A file that must not be converted, with what was found."""

    def __init__(self, path: Path, flaws: tuple[Flaw, ...]) -> None:
        first = flaws[0]
        super().__init__(
            f"{path} is not converted: {first.where}: {first.what}"
            + (f", and {len(flaws) - 1} more findings." if len(flaws) > 1 else "."),
            advice=first.advice,
        )
        self.flaws = flaws


@final
@dataclass(frozen=True)
class Converted:
    """What was written. tensors: how many.  shared: tensors that were one in the source, by the name they share; each is written whole.

    left_out: what was no tensor, or not asked for, and why.  digest: SHA-256 of the new file.
    """

    scanned: Scanned
    tensors: int
    shared: Mapping[str, tuple[str, ...]]
    left_out: tuple[str, ...]
    digest: str


def converted(path: Path, out: Path, *, only: str | None = None, metadata: Mapping[str, str] | None = None) -> Converted:
    """Write the tensors of a model at `path` to `out`, a new safetensors file.

    only: the beginning of names, cut off: of a checkpoint `{"model": …, "optimizer": …}`, `model` takes the weights alone.
    metadata: texts for its header.
    Raises UnsafeModel where the file has a finding of severity high or above, BadInput where it holds no tensors or cannot be read.
    """
    found = scan(path)
    if flaws := found.at_least(_REFUSED):
        raise UnsafeModel(path, flaws)
    weights = _weights(path, found)
    chosen, left = _chosen(weights, only, path)
    digest = safetensors_written.write(chosen, out, {"format": "pt", **(metadata or {})})
    return Converted(found, len(chosen), _shared(chosen), (*weights.notes, *left), digest)


def _weights(path: Path, found: Scanned) -> Weights:
    if path.is_dir():
        return opened.opened(path)
    kind = found.files[0].format
    if kind in _FOLLOWED:
        return followed.opened(path, kind)
    return _keras(path, kind) if kind in _KERAS else opened.opened(path)


def _chosen(weights: Weights, only: str | None, path: Path) -> tuple[dict[str, Stored], list[str]]:
    if only is None:
        return dict(weights.tensors), []
    start = f"{only}."
    chosen: dict[str, Stored] = {}
    for name, tensor in weights.tensors.items():
        if name.startswith(start):
            short = name.removeprefix(start)
            chosen[short] = Stored(short, tensor.form, tensor.shape, tensor.at)
    if not chosen:
        first = sorted({name.partition(".")[0] for name in weights.tensors})
        raise BadInput(f"no tensor of {path} is called {start}….", advice=f"Names begin with: {', '.join(first[:8])}.")
    count = len(weights.tensors) - len(chosen)
    return chosen, [f"{count} tensors outside {only}, not asked for"] if count else []


def _shared(tensors: Mapping[str, Stored]) -> dict[str, tuple[str, ...]]:
    """Names of tensors that lie in one place."""
    places: dict[object, list[str]] = {}
    for name, tensor in tensors.items():
        if isinstance(tensor.at, followed.Seen) and tensor.size:
            at = tensor.at.content
            places.setdefault((id(at.base), at.start, at.end), []).append(name)
    return {names[0]: tuple(names[1:]) for names in places.values() if len(names) > 1}


def _keras(path: Path, kind: str) -> Weights:
    """Arrays of a Keras file, by their path in it."""
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise MissingExtra("Reading weights of Keras", "tensorflow") from error
    source: object = path
    if kind == "keras":
        with zipfile.ZipFile(path) as archive:
            source = io.BytesIO(archive.read(_INNER))
    left: list[str] = []
    with h5py.File(source, "r") as file:
        return gathered(path, iter(list(_arrays(file, left))), {}, left)


def _arrays(file: Any, left: list[str]) -> Iterator[Stored]:
    found: list[tuple[str, Any]] = []
    file.visititems(lambda name, item: found.append((name, item)) if hasattr(item, "dtype") else None)
    for name, item in found:
        form = form_of(item.dtype.name)
        if form.name == "raw" or item.dtype.byteorder == ">":
            left.append(f"{name}: numbers of type {item.dtype}, not read")
            continue
        yield Stored(name.replace("/", "."), form, tuple(item.shape), Held(item[()].tobytes()))

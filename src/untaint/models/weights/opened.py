"""Weights of a file or folder, whatever it is: told by its first bytes, never by its name."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from untaint.errors import BadInput
from untaint.models.weights import hdf5_file, numpy_file, safetensors_file, torch_file
from untaint.models.weights.archive import Archive
from untaint.models.weights.stored import ADVICE, NotRead, Stored, Weights, cut, gathered

_INDEX = ("model.safetensors.index.json", "diffusion_pytorch_model.safetensors.index.json", "pytorch_model.bin.index.json")
_WHOLE = ("model.safetensors", "ensemble.safetensors", "pytorch_model.bin")
"""What a folder's weights are usually called."""
_ENDINGS = (".safetensors", ".bin", ".pt", ".pth", ".npz", ".npy", ".keras", ".h5")
_OTHERS = {b"GGUF": "a GGUF file"}
_OPTIMIZER = ("optimizer", "optim.", "optim_")
"""How names begin that an optimizer keeps its state under."""
_MOST_INDEX = 100_000_000  # bytes of an index


def opened(path: Path) -> Weights:
    """The tensors of a checkpoint, to be read piece by piece.

    Raises BadInput when there is none, the file is cut short or of another kind, or a folder holds several models.
    """
    if path.is_dir():
        return _folder(path)
    if not path.is_file():
        raise BadInput(f"no such file or folder: {path}.", advice=ADVICE)
    return _weights_only(_file(path))


def _weights_only(found: Weights) -> Weights:
    """Without the state of an optimizer, where a checkpoint holds both."""
    kept = {name: tensor for name, tensor in found.tensors.items() if not name.startswith(_OPTIMIZER)}
    if not kept or len(kept) == len(found.tensors):
        return found
    note = f"state of an optimizer: no part of the model, left out (tensors: {len(found.tensors) - len(kept):,})"
    return Weights(found.location, kept, found.metadata, (*found.notes, note))


def _file(path: Path) -> Weights:
    with path.open("rb") as file:
        first = file.read(16)
    if first[:4] == b"PK\x03\x04":
        names = Archive.read(path).members
        if hdf5_file.KERAS in names:
            return hdf5_file.keras(path)
        return numpy_file.many(path) if all(name.endswith(".npy") for name in names) else torch_file.opened(path)
    if first[:4] == b"\x89HDF":
        return hdf5_file.opened(path)
    if first[:6] == b"\x93NUMPY":
        return numpy_file.one(path)
    if len(first) > 8 and first[8:9] == b"{":
        return safetensors_file.opened(path)
    if first[:1] == b"\x80":
        return torch_file.legacy(path)
    found = _OTHERS.get(first[:4], "empty" if not first else "of no kind that is known")
    raise NotRead(f"{path} is {found}: its tensors can't be read one by one.", advice=ADVICE)


def _folder(folder: Path) -> Weights:
    index = next((folder / name for name in _INDEX if (folder / name).is_file()), None)
    if index is not None:
        return _sharded(index)
    whole = [folder / name for name in _WHOLE if (folder / name).is_file()]
    others = sorted(file for file in folder.iterdir() if file.is_file() and file.suffix in _ENDINGS)
    if whole or len(others) == 1:
        return _file((whole or others)[0])
    found = "no weights" if not others else f"several: {', '.join(file.name for file in others[:5])}"
    raise BadInput(f"{folder} holds {found}.", advice="Name one file." if others else ADVICE)


def _sharded(index: Path) -> Weights:
    """All shards that an index names. Raises BadInput for one that leads out of the folder, is not there, or holds other tensors."""
    listed = _listed(index)
    shards = {name: _file(_beside(index, name)) for name in dict.fromkeys(listed.values())}
    for name, shard in listed.items():
        if name not in shards[shard].tensors:
            raise cut(index, f"the tensor {name!r} is not in {shard}")
    more = {name for shard in shards.values() for name in shard.tensors} - set(listed)
    notes = [note for shard in shards.values() for note in shard.notes]
    notes += [f"{name}: in a shard, and not in the index" for name in sorted(more)]

    def tensors() -> Iterator[Stored]:
        for shard in shards.values():
            yield from shard.tensors.values()

    return gathered(index.parent, tensors(), {}, notes)


def _listed(index: Path) -> dict[str, str]:
    if index.stat().st_size > _MOST_INDEX:
        raise cut(index, "it is larger than an index can be")
    try:
        content: Any = json.loads(index.read_bytes())
        listed = content["weight_map"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise cut(index, "it does not say where the weights are") from error
    if not isinstance(listed, dict) or not listed or not all(isinstance(value, str) for value in listed.values()):
        raise cut(index, "it does not say where the weights are")
    return listed


def _beside(index: Path, name: str) -> Path:
    shard = index.parent / name
    if Path(name).name != name or not shard.is_file():
        raise BadInput(f"{index} names the shard {name!r}, which is not beside it.", advice="Take the whole folder.")
    return shard

"""Writes tensors as safetensors, piece by piece, so that memory does not grow with the model.

Source: the format's own description (huggingface/safetensors, README): numbers of the widest format first, then by name.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from untaint.errors import BadInput, CannotWrite
from untaint.models.weights.safetensors_file import NAMES
from untaint.models.weights.stored import Stored

_PIECE: Final = 1 << 24
"""Bytes read and written at a time."""
_ALIGN: Final = 8
_TYPES: Final = {form: name for name, form in NAMES.items()}


def write(tensors: Mapping[str, Stored], path: Path, metadata: Mapping[str, str]) -> str:
    """Write a new file; its SHA-256. The numbers are those of the tensors, bit by bit, in row-major order.

    Raises BadInput for a tensor whose format safetensors has not, or that cannot be read; CannotWrite when the file is there or cannot be.
    """
    order = sorted(tensors.values(), key=lambda each: (-each.form.size, each.name))
    for tensor in order:
        if tensor.form.name not in _TYPES:
            raise BadInput(
                f"the tensor {tensor.name} is of a format that safetensors has not ({tensor.form.name}).",
                advice="Leave it out with --only, or convert it to plain numbers first.",
            )
    head = _header(order, metadata)
    digest = hashlib.sha256()
    try:
        with path.open("xb") as file:
            for content in (len(head).to_bytes(8, "little"), head):
                digest.update(content)
                file.write(content)
            for tensor in order:
                for piece in _pieces(tensor):
                    digest.update(piece)
                    file.write(piece)
    except FileExistsError as error:
        raise CannotWrite(f"{path} is there already.", advice="Name another file with --out.") from error
    except OSError as error:
        path.unlink(missing_ok=True)
        raise CannotWrite(f"{path} cannot be written: {error.strerror}.", advice="Name another file with --out.") from error
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return digest.hexdigest()


def _header(order: list[Stored], metadata: Mapping[str, str]) -> bytes:
    document: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    at = 0
    for tensor in order:
        document[tensor.name] = {
            "dtype": _TYPES[tensor.form.name],
            "shape": list(tensor.shape),
            "data_offsets": [at, at + tensor.size],
        }
        at += tensor.size
    text = json.dumps(document, separators=(",", ":")).encode("ascii")
    return text + b" " * (-len(text) % _ALIGN)


def _pieces(tensor: Stored) -> Iterator[bytes]:
    step = max(1, _PIECE // tensor.form.size)
    for start in range(0, tensor.count, step):
        yield tensor.raw(start, min(step, tensor.count - start)).tobytes()

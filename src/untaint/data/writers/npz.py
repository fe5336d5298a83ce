"""NumPy archives: arrays with one entry per sample are filtered, all others copied."""

import json
import zipfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.data.writers.base import Part, Picks, Writer, changed
from untaint.errors import BadInput

MARK = "untaint rows"
"""Key of the archive comment that names the arrays with one entry per sample: lengths alone stop telling once parts are small."""


@final
@dataclass(frozen=True)
class NpzWriter(Writer):
    """One array in memory at a time; every member keeps its name and compression."""

    id: ClassVar[str] = "npz"
    writes: ClassVar[str] = "npz"

    @override
    def write(self, parts: Sequence[Part], picks: Picks, out: Path) -> Path:
        target = out / parts[0].source.name
        with ExitStack() as stack:
            archives = [stack.enter_context(zipfile.ZipFile(part.source)) for part in parts]
            per_row = _per_row(archives[0], parts[0])
            file = stack.enter_context(zipfile.ZipFile(target, "w"))
            for member in archives[0].infolist():
                arrays = [_array(archive, member.filename, part.source) for archive, part in zip(archives, parts, strict=True)]
                name = member.filename
                chosen = _picked(arrays, picks, parts) if name in per_row else arrays[0]
                info = zipfile.ZipInfo(name)
                info.compress_type = member.compress_type
                with file.open(info, "w", force_zip64=True) as stream:
                    np.lib.format.write_array(stream, chosen, allow_pickle=False)
            file.comment = json.dumps({MARK: sorted(per_row)}).encode()
        return target


def _per_row(archive: zipfile.ZipFile, part: Part) -> set[str]:
    try:
        return {str(name) for name in json.loads(archive.comment)[MARK]}
    except (ValueError, KeyError, TypeError):
        names = [member.filename for member in archive.infolist()]
        return {name for name in names if _array(archive, name, part.source).shape[:1] == (part.n_rows,)}


def _array(archive: zipfile.ZipFile, name: str, source: Path) -> np.ndarray:
    try:
        with archive.open(name) as stream:
            return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))
    except (KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        advice = "Save the arrays again without Python objects: numpy.savez(path, images=..., labels=...)."
        raise BadInput(f"{source}: {name} is not a plain array: {error}.", advice=advice) from error


def _picked(arrays: Sequence[np.ndarray], picks: Picks, parts: Sequence[Part]) -> np.ndarray:
    for array, part in zip(arrays, parts, strict=True):
        if array.shape[:1] != (part.n_rows,):
            raise changed(part.source, f"an array of shape {array.shape} for {part.n_rows} samples")
    starts = np.cumsum([0, *(len(array) for array in arrays)])
    whole = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
    chosen: np.ndarray = whole[starts[picks.part] + picks.row]
    return chosen

"""NumPy archives: arrays with one entry per sample are filtered, all others copied."""

import json
import shutil
import zipfile
import zlib
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.data.writers.base import Part, Picks, Writer, changed
from untaint.errors import BadInput

MARK = "untaint: one entry per sample"
"""Key of the archive comment that names the filtered arrays: their lengths alone stop telling once parts are small."""


@final
@dataclass(frozen=True)
class NpzWriter(Writer):
    """One array in memory at a time; every member keeps its name and whether it is compressed."""

    id: ClassVar[str] = "npz"
    writes: ClassVar[str] = "npz"

    @override
    def write(self, parts: Sequence[Part], picks: Picks, out: Path) -> Path:
        target = out / parts[0].source.name
        with ExitStack() as stack:
            archives = [stack.enter_context(zipfile.ZipFile(part.source)) for part in parts]
            per_row = _per_row(archives[0], parts[0])
            written = stack.enter_context(zipfile.ZipFile(target, "w"))
            written.comment = json.dumps({MARK: sorted(per_row)}).encode()
            for member in archives[0].infolist():
                _write_member(archives, parts, member, written, picks if member.filename in per_row else None)
        return target


def _write_member(
    archives: Sequence[zipfile.ZipFile],
    parts: Sequence[Part],
    member: zipfile.ZipInfo,
    written: zipfile.ZipFile,
    picks: Picks | None,
) -> None:
    info = zipfile.ZipInfo(member.filename)
    info.compress_type = member.compress_type
    if picks is None:
        with archives[0].open(member) as source, written.open(info, "w", force_zip64=True) as stream:
            shutil.copyfileobj(source, stream)
        return
    arrays = [_array(archive, member.filename, part) for archive, part in zip(archives, parts, strict=True)]
    starts = np.cumsum([0, *map(len, arrays)])
    chosen = (arrays[0] if len(arrays) == 1 else np.concatenate(arrays))[starts[picks.part] + picks.row]
    with written.open(info, "w", force_zip64=True) as stream:
        np.lib.format.write_array(stream, chosen, allow_pickle=False)


def _per_row(archive: zipfile.ZipFile, part: Part) -> set[str]:
    names = {member.filename for member in archive.infolist()}
    try:
        found = names & {str(name) for name in json.loads(archive.comment)[MARK]}
    except (ValueError, KeyError, TypeError):
        found = {name for name in names if _length(archive, name) == part.n_rows}
    if not found:
        raise changed(part.source, f"no array has {part.n_rows} entries")
    return found


def _length(archive: zipfile.ZipFile, name: str) -> int | None:
    """First dimension of an array, from its header; None for a scalar and for what is no array."""
    try:
        with archive.open(name) as stream:
            version = np.lib.format.read_magic(stream)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, _ = read(stream)
    except ValueError:
        return None
    return int(shape[0]) if shape else None


def _array(archive: zipfile.ZipFile, name: str, part: Part) -> np.ndarray:
    try:
        with archive.open(name) as stream:
            array = np.asarray(np.lib.format.read_array(stream, allow_pickle=False))
    except (KeyError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        advice = "Save it again without Python objects: numpy.savez(path, images=..., labels=...)."
        raise BadInput(f"{part.source}: {name} is not a plain array: {error}.", advice=advice) from error
    if array.shape[:1] != (part.n_rows,):
        raise changed(part.source, f"{name} has the shape {array.shape} for {part.n_rows} samples")
    return array

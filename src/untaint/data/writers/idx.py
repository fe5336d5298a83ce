"""IDX, the format of MNIST: the file of images and the file of labels, with the counts in their headers brought up to date."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.data.readers.idx import _array, _choose, _labels_beside
from untaint.data.writers.base import Part, Picks, Writer, changed
from untaint.data.writers.lines import opened_to_write

UNSIGNED_BYTE = 0x08


@final
@dataclass(frozen=True)
class IdxWriter(Writer):
    """Both files keep their names and their compression."""

    id: ClassVar[str] = "idx"
    writes: ClassVar[str] = "idx"

    @override
    def write(self, parts: Sequence[Part], picks: Picks, out: Path) -> Path:
        pairs = [_pair(part) for part in parts]
        for files in zip(*pairs, strict=True):
            arrays = [_array(path) for path in files]
            for array, part in zip(arrays, parts, strict=True):
                if len(array) != part.n_rows:
                    raise changed(part.source, f"{len(array)} entries instead of {part.n_rows}")
            starts = np.cumsum([0, *map(len, arrays)])
            _write(np.concatenate(arrays)[starts[picks.part] + picks.row], out / files[0].name)
        return out if parts[0].source.is_dir() else out / pairs[0][0].name


def _pair(part: Part) -> tuple[Path, Path]:
    images, _ = _choose(part.source)
    labels = _labels_beside(images)
    if labels is None:
        raise changed(part.source, "the file of labels is gone")
    return images, labels


def _write(array: np.ndarray, path: Path) -> None:
    header = struct.pack(f">HBB{array.ndim}I", 0, UNSIGNED_BYTE, array.ndim, *array.shape)
    with opened_to_write(path) as file:
        file.write(header + array.tobytes())

"""IDX, the format of MNIST: a file of images and a file of labels."""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.data.dataset import Columns, Dataset
from untaint.data.readers._arrays import array_store, index_array, label_names
from untaint.data.readers._bytes import open_compressed
from untaint.data.readers._index import IndexBuilder
from untaint.data.readers._shards import split_of
from untaint.data.readers.base import Reader, Request
from untaint.errors import BadInput

_IMAGES = re.compile(r"(?P<stem>.*)images(?P<mark>[-._]idx)[34](?P<rest>[-._]ubyte(\.gz)?)", re.IGNORECASE)
_BLOCK = 1 << 20
_UBYTE = 0x08
"""Type code of unsigned bytes; the format knows others, images and class codes use this one."""


@final
@dataclass(frozen=True)
class Idx(Reader):
    """A pair `…images-idx3-ubyte[.gz]` and `…labels-idx1-ubyte[.gz]`; of several pairs in a folder, `train`."""

    id: ClassVar[str] = "idx"
    summary: ClassVar[str] = "IDX pair as of MNIST (…-images-idx3-ubyte[.gz] and …-labels-idx1-ubyte[.gz]), file or folder"

    @override
    def claims(self, path: Path) -> bool:
        return bool(_pairs(path))

    @override
    def read(self, path: Path, request: Request) -> Dataset:
        images, notes = _choose(path)
        labels = _labels_beside(images)
        if labels is None:
            raise BadInput(f"{images} has no file of labels beside it.", advice="Put …-labels-idx1-ubyte next to the images.")
        store = array_store(_array(images), str(images))
        builder = IndexBuilder()
        index_array(store, label_names(_array(labels), len(store.array), str(path)), builder)
        index = builder.finish(str(path), f"the file {labels.name}")
        note = f"label: file {labels.name!r}; source: none; payload: file {images.name!r}"
        return Dataset(index, store, "image", self.id, path, Columns(note=note), (note, *notes))


def _pairs(path: Path) -> list[Path]:
    """Files of images."""
    candidates = sorted(path.iterdir()) if path.is_dir() else [path]
    return [file for file in candidates if _IMAGES.fullmatch(file.name) and file.is_file()]


def _choose(path: Path) -> tuple[Path, tuple[str, ...]]:
    pairs = _pairs(path)
    if not pairs:
        raise BadInput(f"{path} holds no IDX file of images.", advice="Name a file like train-images-idx3-ubyte.gz.")
    train = [file for file in pairs if split_of(file.name) == "train"]
    if len(pairs) > 1 and len(train) != 1:
        raise BadInput(f"{path} holds several sets: {', '.join(file.name for file in pairs)}.", advice="Name one of these files.")
    chosen = train[0] if len(pairs) > 1 else pairs[0]
    left = ", ".join(file.name for file in pairs if file != chosen)
    return chosen, (f"{chosen.name} was read, {left} left out",) if left else ()


def _labels_beside(images: Path) -> Path | None:
    match = _IMAGES.fullmatch(images.name)
    if match is None:
        return None
    plain = match["rest"].removesuffix(".gz")
    names = [f"{match['stem']}labels{match['mark']}1{plain}{packed}" for packed in ("", ".gz")]
    return next((images.parent / name for name in names if (images.parent / name).is_file()), None)


def _array(path: Path) -> np.ndarray:
    """The array of one file. Raises BadInput when the header and the length disagree."""
    with _plain(path) as file:
        header = file.read(4)
        if len(header) < 4 or header[:2] != b"\0\0" or header[2] != _UBYTE or header[3] not in {1, 3, 4}:
            raise BadInput(f"{path} is not an IDX file of bytes: it begins with {header!r}.", advice="Fetch the file again.")
        shape = [int.from_bytes(file.read(4), "big") for _ in range(header[3])]
        data = _up_to(file, math.prod(shape) + 1)
    if len(data) != math.prod(shape):
        message = (
            f"{path} is truncated or broken: its header says {'x'.join(map(str, shape))}, it holds {len(data):,} bytes or more."
        )
        raise BadInput(message, advice="Fetch the file again.")
    return np.frombuffer(memoryview(data).toreadonly(), np.uint8).reshape(shape)


def _up_to(file: IO[bytes], limit: int) -> bytearray:
    """At most `limit` bytes, taking memory only for what is there: both a header and a compressed file can lie."""
    data = bytearray()
    while len(data) < limit and (block := file.read(min(_BLOCK, limit - len(data)))):
        data += block
    return data


@contextmanager
def _plain(path: Path) -> Iterator[IO[bytes]]:
    with open_compressed(path) if path.suffix == ".gz" else path.open("rb") as file:
        yield file

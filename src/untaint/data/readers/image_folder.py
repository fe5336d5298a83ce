"""A folder of images: `root/<class>/…/picture.png`, or described by metadata.csv or metadata.jsonl."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar, final

from typing_extensions import override

from untaint.data.dataset import Dataset
from untaint.data.readers._folders import Kind, file_below, files_below, read_folder
from untaint.data.readers.base import Reader, Request
from untaint.data.roles import IMAGE_SUFFIXES


@final
@dataclass(frozen=True)
class ImageFolder(Reader):
    """Rows in order of their relative paths; the first folder is the label unless a metadata file gives one."""

    id: ClassVar[str] = "image-folder"
    summary: ClassVar[str] = "folder of images, root/<class>/…/picture.png, optionally with metadata.csv or metadata.jsonl"

    @override
    def claims(self, path: Path) -> bool:
        return path.is_dir() and any(is_image(name) for name in files_below(path))

    @override
    def read(self, path: Path, request: Request) -> Dataset:
        return read_folder(path, request, Kind(self.id, "image", "images", is_image, file_below))


def is_image(name: str) -> bool:
    """Whether a file is called like an image. A linked folder counts: what is not followed must be seen."""
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES or name.endswith("/")

"""A folder of texts: `root/<class>/…/text.txt`, or described by metadata.csv or metadata.jsonl."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar, final

from typing_extensions import override

from untaint.data.dataset import Dataset
from untaint.data.readers._folders import METADATA, Kind, file_below, files_below, read_folder
from untaint.data.readers._recipe import Read
from untaint.data.readers.base import Reader, Request
from untaint.data.readers.image_folder import is_image


@final
@dataclass(frozen=True)
class TextFolder(Reader):
    """Rows in order of their relative paths; the first folder is the label unless a metadata file gives one.

    Texts are UTF-8, kept to the character; a file that is not is a row that cannot be read.
    """

    id: ClassVar[str] = "text-folder"
    summary: ClassVar[str] = "folder of texts, root/<class>/…/text.txt, optionally with metadata.csv or metadata.jsonl"

    @override
    def claims(self, path: Path) -> bool:
        """Most files in folders of classes are texts, or metadata speak of texts; a readme beside other data is none."""
        if not path.is_dir():
            return False
        found = list(files_below(path))
        inner = [name for name in found if "/" in name.rstrip("/") or any(file in found for file in METADATA)]
        inner = [name for name in inner if name not in METADATA]
        texts = sum(is_text(name) and not name.endswith("/") for name in inner)
        return 2 * texts > len(inner) and not any(is_image(name) and not name.endswith("/") for name in found)

    @override
    def read(self, path: Path, request: Request) -> Dataset:
        return read_folder(path, request, Kind(self.id, "text", "texts", is_text, text_below))


def is_text(name: str) -> bool:
    """Whether a file is called like a text. A linked folder counts: what is not followed must be seen."""
    return PurePosixPath(name).suffix.lower() == ".txt" or name.endswith("/")


def text_below(root: Path, name: str) -> Read:
    """One text, and why it cannot be used; what is not UTF-8 is kept byte by byte as Latin-1."""
    raw, reason = file_below(root, name)
    data = raw if isinstance(raw, bytes) else b""
    if reason is not None:
        return "", reason
    try:
        return data.decode("utf-8"), None
    except UnicodeDecodeError as error:
        return data.decode("latin-1"), f"not UTF-8: byte {error.object[error.start]:#04x} at place {error.start:,}"

"""A folder of texts: the same files under the same names, and the lines of the metadata file that speak of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, final

from typing_extensions import override

from untaint.data.readers.text_folder import is_text
from untaint.data.writers.base import Part, Picks, Writer
from untaint.data.writers.image_folder import write_folder


@final
@dataclass(frozen=True)
class TextFolderWriter(Writer):
    """Files that are no samples stay behind. Links that were not followed are written as links."""

    id: ClassVar[str] = "text-folder"
    writes: ClassVar[str] = "text-folder"

    @override
    def write(self, parts: Sequence[Part], picks: Picks, out: Path) -> Path:
        return write_folder(parts, picks, out, is_text)

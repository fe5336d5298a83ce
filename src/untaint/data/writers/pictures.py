"""Pictures that a table only names: they go along, under the same names, so that what is written stands alone."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import final

from untaint.data.roles import IMAGE_SUFFIXES
from untaint.data.writers.base import inside
from untaint.errors import BadInput

SUFFIXES = tuple(sorted(IMAGE_SUFFIXES))


@final
class Pictures:
    """Copies the pictures that cells name from the folders the tables lie in. Cells that name none are passed over."""

    def __init__(self, roots: Iterable[Path | None], out: Path) -> None:
        self._roots = [None if root is None else root.resolve() for root in roots]
        self._out = out

    def bring(self, part: int, cell: object) -> None:
        """Copy what this cell of that part names.

        Raises BadInput for an absolute path into the data, which would lead back to the input from the copy.
        """
        if isinstance(cell, dict):
            cell = None if cell.get("bytes") is not None else cell.get("path")
        root = self._roots[part]
        if root is None or not isinstance(cell, str) or not cell.lower().endswith(SUFFIXES) or "://" in cell:
            return
        found = _file_in(root, cell)
        if found is None:
            return
        if Path(cell).is_absolute():
            message = f"the data name a picture by its absolute path, {cell!r}: a copy would still use the input."
            raise BadInput(message, advice="Make the paths in the data relative to the data file.")
        target = inside(self._out, os.path.normpath(cell))
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(found, target)


def _file_in(root: Path, name: str) -> Path | None:
    """The file of this name, unless it is none or lies outside; any text may end like a picture's name."""
    try:
        found = (root / name).resolve()
        return found if found.is_relative_to(root) and found.is_file() else None
    except (OSError, ValueError, RuntimeError):
        return None

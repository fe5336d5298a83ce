"""A folder of images: the same files under the same names, and the lines of the metadata file that speak of them."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar, TypeAlias, final

from typing_extensions import override

from untaint.data.readers import delimited, json_lines
from untaint.data.readers._folders import METADATA, files_below
from untaint.data.readers._recipe import Broken, Record
from untaint.data.readers.image_folder import is_image
from untaint.data.writers.base import Part, Picks, Writer, changed, inside
from untaint.data.writers.lines import Chunk, chunks, write_ended
from untaint.errors import BadInput

Line: TypeAlias = tuple[str, bytes]
"""The file a line of metadata speaks of, and the line."""


@final
@dataclass(frozen=True)
class ImageFolderWriter(Writer):
    """Files that are no samples stay behind. Links that were not followed are written as links."""

    id: ClassVar[str] = "image-folder"
    writes: ClassVar[str] = "image-folder"

    @override
    def write(self, parts: Sequence[Part], picks: Picks, out: Path) -> Path:
        return write_folder(parts, picks, out, is_image)


@final
@dataclass(frozen=True)
class _Metadata:
    """A metadata file; `file` is empty when there is none, `head` its line of column names."""

    file: str = ""
    head: tuple[bytes, ...] = ()
    lines: tuple[Line, ...] = ()

    @classmethod
    def of(cls, root: Path) -> "_Metadata":
        file = next((name for name in METADATA if (root / name).is_file()), "")
        if not file:
            return cls()
        head, found = _scan(root / file)
        return cls(file, head, tuple(found))


def write_folder(parts: Sequence[Part], picks: Picks, out: Path, belongs: Callable[[str], bool]) -> Path:
    """Copy the files picked and the metadata that speak of them; belongs: which files, by name, are samples."""
    metadata = [_Metadata.of(part.source) for part in parts]
    names = [_names(part, found, belongs) for part, found in zip(parts, metadata, strict=True)]
    chosen = [(part, names[part][row]) for part, row in picks]
    for part, name in chosen:
        _copy(parts[part].source, name, out)
    if metadata[0].file:
        _write_metadata(metadata, chosen, out / metadata[0].file)
    return out


def _scan(path: Path) -> tuple[tuple[bytes, ...], list[Line]]:
    if path.suffix == ".csv":
        layout = delimited.find_layout(path)
        whole = list(chunks(path, delimited.Layout(layout.columns, layout.delimiter, header=False).records))
        return (whole[0][1],), [_line(layout.parse(chunk[0]), chunk) for chunk in whole[1:]]
    return (), [_line(json_lines.parse(chunk[0]), chunk) for chunk in chunks(path, json_lines.records)]


def _line(record: Record, chunk: Chunk) -> Line:
    name = "" if isinstance(record, Broken) else str(record.get("file_name"))
    return PurePosixPath(name).as_posix(), chunk[1]


def _names(part: Part, metadata: _Metadata, belongs: Callable[[str], bool]) -> list[str]:
    names = sorted({*filter(belongs, files_below(part.source)), *(name for name, _ in metadata.lines)})
    if len(names) != part.n_rows:
        raise changed(part.source, f"{len(names)} files instead of {part.n_rows}")
    return names


def _copy(root: Path, name: str, out: Path) -> None:
    """Copy one file; a name without a file (metadata may list any) has nothing to copy."""
    source = root / name.rstrip("/")
    if "\0" in name or not os.path.lexists(source):
        return
    followed = source.resolve().is_relative_to(root.resolve()) and not name.endswith("/")
    if not followed and not source.is_symlink():
        return
    target = inside(out, name.rstrip("/"))
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_symlink() and not (followed and source.is_file()):
        target.symlink_to(source.readlink())
    elif source.is_file():
        _copy_bytes(source, target)
    else:
        raise BadInput(f"{source} is not a regular file.", advice="Remove it, then audit again.")


def _copy_bytes(source: Path, target: Path) -> None:
    try:
        opened = source.open("rb")
    except OSError as error:
        raise BadInput(
            f"{source} cannot be read: {error.strerror}.", advice="Make it readable, or remove it and audit again."
        ) from error
    with opened, target.open("wb") as file:
        shutil.copyfileobj(opened, file)


def _write_metadata(metadata: Sequence[_Metadata], chosen: Sequence[tuple[int, str]], out: Path) -> None:
    heads = next((found.head for found in metadata if found.head), ())
    write_ended(out, [*heads, *_lines(metadata, chosen)])


def _lines(metadata: Sequence[_Metadata], chosen: Sequence[tuple[int, str]]) -> Iterator[bytes]:
    """In the order of the file; lines of several files in the order of the samples, the only one they share."""
    if len(metadata) == 1:
        wanted = {name for _, name in chosen}
        yield from (line for name, line in metadata[0].lines if name in wanted)
        return
    by_name: list[dict[str, list[bytes]]] = [{} for _ in metadata]
    for found, grouped in zip(metadata, by_name, strict=True):
        for name, line in found.lines:
            grouped.setdefault(name, []).append(line)
    for part, name in chosen:
        yield from by_name[part].get(name, [])

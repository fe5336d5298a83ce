"""The plan of a folder with a file per sample, as `image-folder` and `text-folder` read it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from typing_extensions import override

from untaint.data.readers._folders import METADATA, metadata_file, metadata_of, metadata_rows
from untaint.data.readers._recipe import as_name
from untaint.data.readers._shards import split_of
from untaint.data.readers.base import Request
from untaint.data.roles import IMAGE_SUFFIXES
from untaint.errors import BadInput
from untaint.provenance.listing import Entry
from untaint.provenance.pins import FolderPin, MetadataPin, Pins
from untaint.provenance.plan_base import Plan
from untaint.provenance.reading import SPLITS, TRANSFORMS, URLS, Sample, moment_of, rest_digest
from untaint.provenance.tasks import How, Item, Remark
from untaint.provenance.upstream import NAMES, upstream_of

IMAGES, TEXTS = "image-folder", "text-folder"
PICTURES = tuple(sorted(IMAGE_SUFFIXES))


@final
@dataclass(frozen=True)
class Folder(Plan):
    """A file per sample, as `image-folder` and `text-folder` read them. splits: whether the first folders are."""

    format: str
    note: str
    how: How
    suffixes: tuple[str, ...]
    metadata: Mapping[str, Sample]
    pins: Pins
    labelled: bool = False
    splits: bool = False
    now: str = ""
    remarks: Sequence[Remark] = ()

    @override
    def item(self, number: int, entry: Entry) -> Item:
        name = entry.name
        said = self.metadata.get(name)
        hidden = name.startswith(".") or "/." in name
        if entry.kind not in {"file", "link"} or (said is None and (hidden or not name.lower().endswith(self.suffixes))):
            return Item(number, entry)
        first, _, inner = name.partition("/")
        split = split_of(first + "." if self.splits else name) or None
        sample = said or Sample(b"")
        if not self.labelled:
            label, below, _ = (inner if self.splits else name).partition("/")
            sample = Sample(b"", sample.rest, label if below else None, *sample[3:])
        return Item(number, entry, self.how, sample, split)


def folder_plan(root: Path, format_id: str, request: Request, pin: FolderPin | None) -> Folder:
    """Of a folder of splits, each split is such a folder. pin: as it was sealed, None = it is found; damage is then an error."""
    found = pin or _found(root, request)
    said, remarks = dict[str, Sample](), []
    for prefix, metadata in found.metadata.items():
        try:
            said |= _said(root / prefix, prefix, metadata)
        except BadInput as error:
            if pin is None:
                raise
            remarks.append(Remark("damaged", f"{prefix}{metadata.file}", error.message))
    labelled = any(metadata.label for metadata in found.metadata.values())
    notes = [f"label: {'the metadata' if labelled else 'the first folder of each path'}"]
    notes += ["the first folders are splits"] if found.splits else []
    how: How = "bytes" if format_id == IMAGES else "text"
    suffixes = PICTURES if format_id == IMAGES else (".txt",)
    now = "" if pin is None else _now(root, pin)
    return Folder(format_id, "; ".join(notes), how, suffixes, said, Pins(folder=found), labelled, found.splits, now, remarks)


def _found(root: Path, request: Request) -> FolderPin:
    first = sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    named = len(first) > 1 and all(split_of(name + ".") and name.isalpha() for name in first)
    splits = named and not any((root / name).is_file() for name in METADATA)
    below = {f"{name}/": root / name for name in first} if splits else {"": root}
    return FolderPin(splits, {prefix: _metadata(folder, request) for prefix, folder in below.items()})


def _metadata(folder: Path, request: Request) -> MetadataPin:
    found, file = metadata_of(folder, request), metadata_file(folder)
    columns = dict.fromkeys(name for row in found.rows.values() for name in row)
    free = {name.strip().lower(): name for name in reversed(columns)}
    url, split, transform = (next((free[name] for name in names if name in free), None) for names in (URLS, SPLITS, TRANSFORMS))
    return MetadataPin(None if file is None else file.name, found.label, found.source, found.time, url, split, transform)


def _said(folder: Path, prefix: str, metadata: MetadataPin) -> Mapping[str, Sample]:
    """What the metadata claim, by name below the root. Raises BadInput where they cannot be read, or are gone."""
    if metadata.file is None:
        return {}
    path = folder / metadata.file
    if not path.is_file():
        raise BadInput(f"{path} is gone.", advice="Put it back.")
    _, rows, _ = metadata_rows(path)
    return {prefix + name: _sample(row, metadata) for name, row in rows.items()}


def _sample(row: Mapping[str, object], metadata: MetadataPin) -> Sample:
    roles = (metadata.label, metadata.source, metadata.transform, metadata.split, metadata.url)
    rest = rest_digest({name: value for name, value in row.items() if name not in {"file_name", *roles[:4]}})
    label, source, change, part, address = (as_name(row.get(name)) if name else None for name in roles)
    time = moment_of(row.get(metadata.time)) if metadata.time else None
    return Sample(b"", rest, label, source, change, part, address, time, upstream_of(row, NAMES & row.keys()))


def _now(root: Path, pin: FolderPin) -> str:
    """Which files of metadata a reader would take now that were not there, or not taken; empty = the same ones."""
    others = [
        f"{prefix}{file.name}"
        for prefix, metadata in pin.metadata.items()
        if (file := metadata_file(root / prefix)) is not None and file.name != metadata.file
    ]
    return f"with what {', '.join(others)} says" if others else ""

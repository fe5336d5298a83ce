"""How data were read when they were sealed: which column is what, how fields are parted. It stands in the statement.

A verification reads them in the same way, whatever their first records look like by then; otherwise whoever edits a few of those could
make another column the label, and every sample would seem changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, final

from pydantic import TypeAdapter, ValidationError

from untaint.data.readers._recipe import Recipe
from untaint.data.readers.base import Request
from untaint.data.readers.delimited import Layout
from untaint.data.roles import Roles
from untaint.errors import BadInput
from untaint.provenance.reading import Reading, reading_with


@final
@dataclass(frozen=True)
class Pin:
    """How one file of records is read, or all of a set. url, split, transform, joined: of `Reading`.

    array: one JSON array, no lines.  layout: of CSV, None = it is none.
    """

    roles: Roles
    url: str | None = None
    split: str | None = None
    transform: str | None = None
    joined: bool = True
    array: bool = False
    layout: Layout | None = None

    def __post_init__(self) -> None:
        roles = self.roles
        if not roles.payload and roles.modality != "table":
            raise ValueError("there is no payload")
        if roles.shape and (prod(roles.shape) != len(roles.payload) or len(roles.shape) not in {2, 3}):
            raise ValueError("pixels are more or fewer than columns")

    def reading(self, root: Path | None, names: Mapping[str, Any] | None = None) -> Reading:
        """The same of records whose paths lie below `root`, None = paths are not followed. names: class names by column."""
        return reading_with(Recipe(self.roles, root, names or {}), self.url, self.split, self.transform, joined=self.joined)


def pin_of(reading: Reading, *, array: bool = False, layout: Layout | None = None) -> Pin:
    """What of a reading is kept."""
    return Pin(reading.recipe.roles, reading.url, reading.split, reading.transform, reading.joined, array, layout)


@final
@dataclass(frozen=True)
class MetadataPin:
    """Columns of the metadata file of a folder, and which file it is; None = there was none."""

    file: str | None = None
    label: str | None = None
    source: str | None = None
    time: str | None = None
    url: str | None = None
    split: str | None = None
    transform: str | None = None


@final
@dataclass(frozen=True)
class FolderPin:
    """A folder of files. metadata: by the first folder with a slash, where those are splits; else by nothing."""

    splits: bool
    metadata: Mapping[str, MetadataPin]


@final
@dataclass(frozen=True)
class WholePin:
    """Columns of a set that only its reader can cut, and how it said they were found."""

    note: str
    label: str | None = None
    source: str | None = None
    time: str | None = None
    payload: str | None = None


@final
@dataclass(frozen=True)
class _Group:
    """Files that are read alike. pin: None = each is one sample."""

    pin: Pin | None
    names: tuple[str, ...]


@final
@dataclass(frozen=True)
class _Document:
    """As the statement has it. every: how all files of records are read.  files: where each is by itself.  whole: by one reader."""

    every: Pin | None = None
    files: tuple[_Group, ...] = ()
    folder: FolderPin | None = None
    whole: WholePin | None = None


_DOCUMENT = TypeAdapter(_Document)


@final
@dataclass
class Pins:
    """All of a set; it fills while a set is sealed. files: where each is read by itself, None = that one is no file of records."""

    every: Pin | None = None
    files: dict[str, Pin | None] = field(default_factory=dict)
    folder: FolderPin | None = None
    whole: WholePin | None = None

    def again(self, request: Request) -> Request:
        """What a reader of the whole set is to be asked for: what a user asked, and the columns found then."""
        roles = None if self.every is None or self.every.roles.layout is not None else self.every.roles
        found = self.whole or (roles and WholePin("", roles.label, roles.source, roles.time))
        if found is None:
            return request
        names = (roles.payload if roles else ()) or ((found.payload,) if found.payload is not None else ())
        asked = (request.label or found.label, request.source or found.source, request.payload or names or None)
        return Request(*asked, request.time or found.time, request.table, request.query)

    def document(self) -> dict[str, Any]:
        """As the statement has it."""
        groups: dict[Pin | None, list[str]] = {}
        for name, pin in self.files.items():
            groups.setdefault(pin, []).append(name)
        files = tuple(_Group(pin, tuple(names)) for pin, names in groups.items())
        found: dict[str, Any] = _DOCUMENT.dump_python(
            _Document(self.every, files, self.folder, self.whole), mode="json", exclude_defaults=True
        )
        return found


def pins_in(document: Mapping[str, Any], what: str) -> Pins:
    """The pins of a statement. what: how errors call it. Raises BadInput for what this release does not know."""
    try:
        found = _DOCUMENT.validate_python(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        message = f"{what} says how the data are read in words this release does not know: {where}: {first['msg']}."
        raise BadInput(message, advice="Update untaint, or restore the seal.") from error
    files = {name: group.pin for group in found.files for name in group.names}
    return Pins(found.every, files, found.folder, found.whole)

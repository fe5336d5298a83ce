"""The statement of a seal: the few numbers that say what was sealed, which are signed; and the folder they lie in.

`DATA.untaint/` holds statement.json, manifest/, files.parquet, tiles/, sources.toml; beside them what signing adds.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, final

from untaint.errors import BadInput
from untaint.provenance import json_text
from untaint.provenance.manifest import Manifest, Part, read_files, sha256_of
from untaint.provenance.merkle import Tiles

SCHEMA: Final = "untaint.seal/v1"
STATEMENT, MANIFEST, FILES, TILES, SOURCES = "statement.json", "manifest", "files.parquet", "tiles", "sources.toml"
_PREFIX = "untaint.seal/v"
_LATER = frozenset({"tables", "reading"})
"""Facts that came after the first release of v1: left out where there are none, so that older statements repeat byte by byte."""
_TABLE = ".parquet"
_SKEW = timedelta(minutes=5)
"""Clocks of honest machines differ by less."""


@final
@dataclass(frozen=True)
class Sealed:
    """What a seal states.

    name: of the data.  created: when, ISO 8601 in UTC.  root, size: of the tree over the samples.  parts: of the manifest.
    files: SHA-256 of files.parquet.  n_files, n_bytes: of regular files.  format, note: how the data were read.  asked: what the
    user asked of the reader.  sources: SHA-256 of sources.toml, None = there was none.  tool: that made it.
    reading: which column is what, see `pins`; a seal of an earlier release says nothing.
    tables: SHA-256 of the tables beside the manifest that only some seals have, by file name.
    """

    name: str
    created: str
    root: str
    size: int
    parts: tuple[Part, ...]
    files: str
    n_files: int
    n_bytes: int
    format: str
    note: str
    asked: Mapping[str, Any] = field(default_factory=dict)
    sources: str | None = None
    tool: str = "untaint"
    tables: Mapping[str, str] = field(default_factory=dict)
    reading: Mapping[str, Any] = field(default_factory=dict)

    @property
    def manifest(self) -> str:
        """SHA-256 over the digests of the manifest's parts, one a line."""
        return hashlib.sha256("".join(f"{part.sha256}\n" for part in self.parts).encode()).hexdigest()

    def statement(self) -> bytes:
        """The bytes that are signed."""
        facts = {name: value for name, value in asdict(self).items() if name != "parts" and (name not in _LATER or value)}
        parts = [{"rows": part.rows, "sha256": part.sha256} for part in self.parts]
        return json_text.canonical({"schema": SCHEMA, **facts, "manifest": self.manifest, "parts": parts}) + b"\n"


def from_statement(content: bytes, what: str) -> Sealed:
    """The facts in a statement. Raises BadInput for what is none, or of a newer version."""
    found = json_text.parse(content, what)
    schema = found.pop("schema", None)
    if schema != SCHEMA:
        newer = isinstance(schema, str) and schema.startswith(_PREFIX)
        message = f"{what} has the schema {schema!r}, this release reads {SCHEMA}."
        raise BadInput(message, advice="Update untaint." if newer else "Name a folder that `untaint seal` wrote.")
    manifest = found.pop("manifest", None)
    try:
        parts = tuple(Part(_count(part["rows"]), _hex(part["sha256"])) for part in found.pop("parts"))
        sealed = Sealed(parts=parts, **found)
        for value in (sealed.root, sealed.files, *sealed.tables.values()):
            _hex(value)
        if not all(name.endswith(_TABLE) and name.removesuffix(_TABLE).isalnum() for name in sealed.tables):
            raise ValueError("a table beside the manifest is called as no table is")
        sound = sealed.manifest == manifest and sum(part.rows for part in parts) == _count(sealed.size)
        if not sound or datetime.fromisoformat(sealed.created).tzinfo is None:
            raise ValueError("its parts do not add up")
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise BadInput(f"{what} is no statement of a seal: {error}.", advice="Restore the seal, or seal again.") from error
    return sealed


@final
@dataclass(frozen=True)
class Seal:
    """A seal on disk."""

    folder: Path
    sealed: Sealed

    @property
    def manifest(self) -> Manifest:
        """Its rows."""
        return Manifest(self.folder / MANIFEST, self.sealed.parts)

    @property
    def tiles(self) -> Tiles:
        """Its tree."""
        return Tiles(self.folder / TILES, self.sealed.size)

    @property
    def created(self) -> datetime:
        """When it was made."""
        return datetime.fromisoformat(self.sealed.created)

    def files(self, columns: Sequence[str] | None = None) -> Any:
        """Its table of files, an Arrow table. Raises BadInput when it is not the one that was sealed."""
        path = self.folder / FILES
        if not path.is_file() or sha256_of(path) != self.sealed.files:
            raise BadInput(f"{path} is not the table that was sealed.", advice="Restore the seal, or seal again.")
        return read_files(path, columns)

    def table(self, name: str) -> Any | None:
        """One of the tables that only some seals have, an Arrow table; None = this one has none of that name.

        Raises BadInput when it is not the one that was sealed.
        """
        path = self.table_path(name)
        return None if path is None else read_files(path)

    def table_path(self, name: str) -> Path | None:
        """Where such a table lies, to be read as a stream. Raises BadInput as `table` does."""
        sealed = self.sealed.tables.get(name)
        if sealed is None:
            return None
        path = self.folder / name
        if not path.is_file() or sha256_of(path) != sealed:
            raise BadInput(f"{path} is not the table that was sealed.", advice="Restore the seal, or seal again.")
        return path

    def check(self) -> None:
        """Raises BadInput where manifest, files, tree or the tables beside them are not those of the statement."""
        self.manifest.check()
        self.files(["kind"])
        for name in self.sealed.tables:
            self.table_path(name)
        self.tiles.check()
        if self.tiles.root().hex() != self.sealed.root:
            raise BadInput(f"the tree in {self.folder / TILES} is not the one that was sealed.", advice="Restore the seal.")


def folder_for(data: Path) -> Path:
    """Where the seal of data lies unless told otherwise: beside them."""
    whole = data.resolve()
    return whole.with_name(f"{whole.name}.untaint")


def read_seal(folder: Path) -> Seal:
    """The seal in a folder; its statement only, the rest is read when asked for.

    Raises BadInput when there is none, it cannot be read, or it was made later than this machine's clock says.
    """
    path = folder / STATEMENT
    if not path.is_file():
        raise BadInput(f"{folder} holds no seal.", advice="Make one with `untaint seal DATA`, or name its folder with --seal.")
    seal = Seal(folder, from_statement(path.read_bytes(), str(path)))
    now = datetime.now(UTC)
    if seal.created > now + _SKEW:
        message = f"{path} was made at {seal.sealed.created}, and the clock here says {now.isoformat(timespec='seconds')}."
        raise BadInput(message, advice="Set the clock: what expires cannot be judged by it.")
    return seal


def _hex(value: object) -> str:
    if not isinstance(value, str) or len(value) != 64 or set(value) - set("0123456789abcdef"):
        raise ValueError(f"{value!r} is no SHA-256")
    return value


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{value!r} is no count")
    return value

"""Check data against their seal: all of them, or only what looks as if it had been written to."""

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, final

import numpy as np

from untaint.data.readers.base import Request
from untaint.errors import BadInput
from untaint.provenance.changes import Changes, count
from untaint.provenance.compare import FILE_COLUMNS, Version, compare
from untaint.provenance.file_changes import compare_files
from untaint.provenance.folder_plan import IMAGES, TEXTS
from untaint.provenance.manifest import Manifest, read_files, sha256_of
from untaint.provenance.matching import Stored
from untaint.provenance.pins import pins_in
from untaint.provenance.quick import Unread
from untaint.provenance.scan import LEAVES, Scanned
from untaint.provenance.seal import Reader, Settings, reader_for
from untaint.provenance.sealed import FILES, MANIFEST, SOURCES, STATEMENT, Seal, folder_for, read_seal
from untaint.provenance.sealed_rows import check_rows
from untaint.provenance.sources import Sources, read_sources
from untaint.provenance.spot import Ask, Drawn, spot

Tier: TypeAlias = Literal["full", "quick", "spot"]
_DEFAULT = Settings()
_RUN = 512 * 256
"""Leaves copied at once."""


@final
@dataclass(frozen=True)
class Verified:
    """What a verification found.

    tier: how it looked.  size, n_files, n_bytes: at how much.  root: of the data as they are, empty for a spot check.  notes: what it
    could not see.  drawn: of a spot check.
    """

    seal: Seal
    changes: Changes
    tier: Tier
    size: int
    root: str
    n_files: int
    n_bytes: int
    notes: tuple[str, ...] = ()
    drawn: Drawn | None = None

    @property
    def sound(self) -> bool:
        """Whether nothing changed."""
        return not self.changes

    def document(self) -> dict[str, Any]:
        """The same for programs, `untaint.verify/v1`."""
        facts: dict[str, Any] = {"root": self.root, "size": self.size, "n_files": self.n_files, "n_bytes": self.n_bytes}
        sealed = {"root": self.seal.sealed.root, "size": self.seal.sealed.size, "created": self.seal.sealed.created}
        head = {"schema": "untaint.verify/v1", "sound": self.sound, "tier": self.tier, "sealed": sealed}
        if self.drawn is not None:
            facts["spot"] = asdict(self.drawn) | {"below": self.drawn.below, "statement": self.drawn.statement}
        return head | facts | {"changes": self.changes.document(), "notes": list(self.notes)}


def verify(
    data: Path, folder: Path | None = None, chosen: Settings = _DEFAULT, tier: Tier = "full", ask: Ask | None = None
) -> Verified:
    """Check data. folder: of the seal, None = beside the data.  ask: of the tier `spot`, how many samples are drawn.

    Raises BadInput when there is no seal, it is damaged, or the data cannot be read; what changed in the data is no error.
    """
    if not data.exists():
        raise BadInput(f"no such file or folder: {data}.", advice="Give the path of the data that were sealed.")
    seal = read_seal(folder or folder_for(data))
    chosen = asked_again(seal, chosen)
    if data.resolve().name != seal.sealed.name and folder is None:
        raise BadInput(f"{seal.folder} is the seal of {seal.sealed.name!r}.", advice="Name the folder of the seal with --seal.")
    changes = Changes()
    reader = reader_for(data, chosen, sources_of(seal))
    if reader.plan.note != seal.sealed.note or reader.plan.format != seal.sealed.format:
        sealed, now = (f"{found.format}, {found.note}" for found in (seal.sealed, reader.plan))
        changes.reading = (sealed, now)
    edited = _sources_digest(seal) != seal.sealed.sources
    notes = [f"{SOURCES} was edited since the data were sealed"] if edited else []
    if reader.plan.now not in {"", seal.sealed.note}:
        notes.append(f"read as sealed; from their first records alone they would now be read otherwise: {reader.plan.now}")
    if tier == "spot":
        drawn = spot(seal, reader, ask or Ask(), changes, np.random.default_rng())  # seeded by the system
        return Verified(seal, changes, tier, drawn.drawn, "", 0, 0, (drawn.statement, *notes), drawn)
    quick = Unread(seal, records=not changes.reading and not edited) if tier == "quick" else None
    found = _read(seal, reader, chosen, changes, quick)
    if quick is not None:
        unread = count(quick.believed, "file was not read", "files were not read")
        notes.append(f"{unread}: size, times and inode are as sealed, which root and the clock can fake")
    notes += [remark.after for remark in (*reader.plan.remarks, *found.remarks) if remark.what == "damaged"]
    return Verified(seal, changes, tier, found.size, found.root.hex(), found.n_files, found.n_bytes, tuple(notes))


def _read(seal: Seal, reader: Reader, chosen: Settings, changes: Changes, quick: Unread | None) -> Scanned:
    """Read everything, or what `quick` does not know, and add what changed."""
    with tempfile.TemporaryDirectory(prefix="untaint-") as name:
        new = Path(name)
        found = reader.scan(new, chosen, tiles=False, trusted=quick or (lambda _entry: None))
        old_files = seal.files()
        if found.root.hex() != seal.sealed.root:
            seal.check()
            compare(*_versions(seal, new, found), changes, ordered=reader.plan.format not in {IMAGES, TEXTS})
        else:
            check_rows(seal, Manifest(new / MANIFEST, found.parts), new / LEAVES)
        compare_files(old_files, read_files(new / FILES), changes, found.remarks)
    if found.root.hex() != seal.sealed.root and not changes:  # names alone put samples in another order
        changes.samples["order"] = 1
    return found


def asked_again(seal: Seal, settings: Settings) -> Settings:
    """The reading that was asked for when the data were sealed, in the format that was found then: a file that is added changes neither."""
    asked = dict(seal.sealed.asked)
    format_id = asked.pop("format", None) or seal.sealed.format
    payload = asked.pop("payload", None)
    try:
        request = Request(payload=tuple(payload) if payload else None, **asked)
    except TypeError as error:
        raise BadInput(f"{seal.folder} asks for what this release does not know: {error}.", advice="Update untaint.") from error
    pins = pins_in(seal.sealed.reading, str(seal.folder / STATEMENT))
    return Settings(request, format_id, settings.processes, settings.report, pins)


def sources_of(seal: Seal) -> Sources:
    """The sources as they are said to be now; whoever edits them changes what samples are claimed from."""
    path = seal.folder / SOURCES
    return read_sources(path) if path.exists() else Sources()


def _sources_digest(seal: Seal) -> str | None:
    path = seal.folder / SOURCES
    return sha256_of(path) if path.exists() else None


def _versions(seal: Seal, new: Path, found: Scanned) -> tuple[Version, Version]:
    leaves = new / "sealed.bin"
    with leaves.open("wb") as file:
        for start in range(0, seal.sealed.size, _RUN):
            file.write(seal.tiles.leaves(start, min(start + _RUN, seal.sealed.size)))
    old = Version(seal.manifest, Stored(leaves, seal.sealed.size), lambda: seal.files(FILE_COLUMNS))
    now = Version(
        Manifest(new / MANIFEST, found.parts), Stored(new / LEAVES, found.size), lambda: read_files(new / FILES, FILE_COLUMNS)
    )
    return old, now

"""A witness: a second machine that remembers how far a log had come, and countersigns only what goes on from there.

It needs the log's files (a copy, a mount, a clone), the log's public key, an Ed25519 key of its own, and a folder to remember in.
A log that shows different people different histories cannot get both countersigned.
Source: C2SP tlog-witness and tlog-cosignature, without their HTTP.
"""

import hashlib
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import final

from untaint.errors import BadInput, CannotWrite
from untaint.provenance import notes
from untaint.provenance.keys import PrivateKey, PublicKey
from untaint.provenance.log import CHECKPOINT, Log
from untaint.provenance.notes import Checkpoint, Note
from untaint.provenance.policy import SKEW, stamp


@final
@dataclass(frozen=True)
class Witness:
    """Who countersigns. name: what it calls itself, such as example.com/w1.  key: Ed25519.  memory: its folder, one file a log."""

    name: str
    key: PrivateKey
    memory: Path

    def countersign(self, log: Log, log_key: PublicKey, *, now: datetime, out: Path | None = None) -> tuple[str, ...]:
        """Countersign the newest checkpoint, and remember it; or the reasons why the log cannot be vouched for.

        out: file for the countersigned checkpoint, None = in place of the log's.  Reasons are: the log's own signature, tiles or
        entries do not fit, it has become shorter, or it does not begin with what was remembered.
        Raises BadInput when what is remembered was not signed by this key, or the clock is before it; CannotWrite.
        """
        checked = log.check(log_key, {})
        reasons = checked.problems or self._reasons(log, checked.checkpoint, now)
        if reasons:
            return reasons
        note = log.note.seen(self.name, self.key, now)
        try:
            _put(self._path(checked.checkpoint), note)
            _put(out or log.folder / CHECKPOINT, note)
        except OSError as error:
            raise CannotWrite(f"{error.filename} cannot be written: {error.strerror}.", advice="Name another place.") from error
        return ()

    def _reasons(self, log: Log, newest: Checkpoint, now: datetime) -> tuple[str, ...]:
        path = self._path(newest)
        if not path.exists():
            return ()
        older = notes.read(path.read_bytes(), str(path))
        before, seen = notes.checkpoint(older, str(path)), older.seen_by(self.name, self.key.public)
        if seen is None:
            raise BadInput(
                f"{path} was not written by the witness {self.name}.", advice="Give the folder and the key of this witness."
            )
        if seen > now + SKEW:
            raise BadInput(f"{path} was countersigned at {stamp(seen)}, after now ({stamp(now)}).", advice="Set the clock.")
        if newest.size < before.size:
            return (f"the log has {newest.size:,} entries, and had {before.size:,} at {stamp(seen)}: it was rolled back",)
        if not log.follows(before):
            return (
                f"the log does not begin with the {before.size:,} entries it had at {stamp(seen)}: its history was rewritten",
            )
        return ()

    def _path(self, checkpoint: Checkpoint) -> Path:
        return self.memory / hashlib.sha256(checkpoint.origin.encode()).hexdigest()


def _put(path: Path, note: Note) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    with staged.open("wb") as file:
        file.write(note.dump())
        file.flush()
        os.fsync(file.fileno())
    staged.replace(path)

"""A witness: a second machine that remembers how far a log had come, and countersigns only what goes on from there.

It needs the log's files (a copy, a mount, a clone), the log's public key, an Ed25519 key of its own, and a folder to remember in.
A log that shows different people different histories cannot get both countersigned.
Source: C2SP tlog-witness and tlog-cosignature, without their HTTP.
"""

import hashlib
import os
from datetime import datetime
from pathlib import Path

from untaint.errors import BadInput
from untaint.provenance import notes
from untaint.provenance.keys import PrivateKey, PublicKey
from untaint.provenance.log import Log
from untaint.provenance.notes import Note
from untaint.provenance.policy import SKEW, stamp


def countersign(
    log: Log, log_key: PublicKey, *, name: str, key: PrivateKey, memory: Path, now: datetime
) -> Note | tuple[str, ...]:
    """The newest checkpoint countersigned, and remembered; or, where the log cannot be vouched for, the reasons.

    name: what the witness calls itself, such as example.com/w1.  memory: its folder, one file a log.  Reasons are: the
    log's own signature, tiles or entries do not fit, it has become shorter, or it does not begin with what was remembered.
    Raises BadInput when what is remembered was not signed by this key, or the clock is before it.
    """
    checked = log.check(log_key, {})
    if checked.problems:
        return checked.problems
    newest, path = checked.checkpoint, memory / hashlib.sha256(checked.checkpoint.origin.encode()).hexdigest()
    if path.exists():
        older = notes.read(path.read_bytes(), str(path))
        before = notes.checkpoint(older, str(path))
        seen = older.seen_by(name, key.public)
        if seen is None:
            raise BadInput(
                f"{path} was not written by the witness {name}.", advice="Give the folder and the key of this witness."
            )
        if seen > now + SKEW:
            raise BadInput(f"{path} was countersigned at {stamp(seen)}, after now ({stamp(now)}).", advice="Set the clock.")
        if newest.size < before.size:
            return (f"the log has {newest.size:,} entries, and had {before.size:,} at {stamp(seen)}: it was rolled back",)
        if not log.follows(before):
            return (
                f"the log does not begin with the {before.size:,} entries it had at {stamp(seen)}: its history was rewritten",
            )
    note = log.note.seen(name, key, now)
    _remember(path, note)
    return note


def _remember(path: Path, note: Note) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_suffix(f".{os.getpid()}")
    with staged.open("wb") as file:
        file.write(note.dump())
        file.flush()
        os.fsync(file.fileno())
    staged.replace(path)

"""A proof that an entry is in a log, in one file that needs no network and no log to verify (C2SP tlog-proof)."""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from untaint.errors import BadInput
from untaint.provenance import notes
from untaint.provenance.keys import PublicKey
from untaint.provenance.log import Log
from untaint.provenance.merkle import SIZE, leaf_hash, verify_inclusion
from untaint.provenance.notes import Note

_HEAD = "c2sp.org/tlog-proof@v1"
_MAX_PATH = 63
"""Hashes; a tree of 2**63 leaves has a path of so many."""


@final
@dataclass(frozen=True)
class LogProof:
    """index: number of the entry, from 0.  path: audit path, nearest sibling first.  note: the checkpoint, signed."""

    index: int
    path: tuple[bytes, ...]
    note: Note

    def dump(self) -> bytes:
        """As a `.tlog-proof` file has it."""
        hashes = [base64.b64encode(sibling).decode("ascii") for sibling in self.path]
        return "\n".join([_HEAD, f"index {self.index}", *hashes, "", ""]).encode("ascii") + self.note.dump()

    def problems(self, entry: bytes, key: PublicKey, witnesses: Mapping[str, PublicKey], least: int = 0) -> tuple[str, ...]:
        """Why this does not prove that `entry` was logged; nothing = it does.

        key: of the log.  witnesses, least: who may have countersigned, and how many must have.
        """
        try:
            checkpoint = notes.checkpoint(self.note, "the proof")
            found = [] if self.note.signed_by(checkpoint.origin, key) else ["the checkpoint is not signed by the key of the log"]
            seen = notes.witnessed(self.note, witnesses)
        except BadInput as error:
            return (error.message.rstrip("."),)
        if len(seen) < least:
            found.append(f"{least} witnesses are required, and {' and '.join(seen) or 'nobody'} countersigned")
        if not verify_inclusion(leaf_hash(entry), self.index, checkpoint.size, self.path, checkpoint.root):
            found.append(f"the entry is not number {self.index} of the log")
        return tuple(found)


def prove(log: Log, index: int) -> LogProof:
    """A proof for one entry. Raises BadInput when the log has no such entry."""
    return LogProof(index, tuple(log.tiles().inclusion(index)), log.note)


def read(content: bytes, what: str) -> LogProof:
    """A proof in a file. what: how errors call it. Raises BadInput; nothing is verified here."""
    head, found, rest = content.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise _bad(what, "it is not ASCII") from error
    if not found or lines[0] != _HEAD:
        raise _bad(what, f"it does not begin with {_HEAD!r}, or has no checkpoint")
    del lines[0]
    if lines and lines[0].startswith("extra "):
        del lines[0]  # not signed by anybody, and of no use to us
    index = re.fullmatch(r"index (0|[1-9][0-9]{0,18})", lines[0] if lines else "")
    if index is None:
        raise _bad(what, "it does not say which entry it is about")
    if len(lines) - 1 > _MAX_PATH:
        raise _bad(what, f"its path has more than {_MAX_PATH} hashes")
    return LogProof(int(index[1]), tuple(_hash(line, what) for line in lines[1:]), notes.read(rest, what))


def _hash(line: str, what: str) -> bytes:
    try:
        found = base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _bad(what, f"{line[:80]!r} is not base64") from error
    if len(found) != SIZE:
        raise _bad(what, f"a hash has {len(found)} bytes, not {SIZE}")
    return found


def _bad(what: str, why: str) -> BadInput:
    return BadInput(f"{what} is not a proof of a log entry: {why}.", advice="Make it again from the log.")

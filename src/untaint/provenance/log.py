"""An append-only log in plain files: what was sealed, signed, cleaned and trained, in an order that cannot be changed unseen.

    checkpoint                  how many entries, the root of their tree, signed by the log and its witnesses
    tile/0/…, tile/1/…          the tree: 256 hashes a file (C2SP tlog-tiles)
    tile/entries/…              the entries, 256 a file

Whoever holds the log's key and the only copy can write another history. Whoever kept an older checkpoint, or a witness on
another machine, then sees it: the new tree does not begin with the old one.
"""

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, final

from untaint.errors import BadInput, CannotWrite
from untaint.provenance import json_text, notes
from untaint.provenance.keys import PrivateKey, PublicKey
from untaint.provenance.merkle import WIDTH, Tiles, TileWriter, leaf_hash, root_of, tile_name
from untaint.provenance.notes import Checkpoint, Note
from untaint.provenance.policy import SKEW, stamp
from untaint.provenance.sealed import STATEMENT

CHECKPOINT = "checkpoint"
MAX_ENTRY = (1 << 16) - 1
"""Bytes; C2SP writes the length of an entry in 16 bits."""


@final
@dataclass(frozen=True)
class Checked:
    """size: entries.  witnesses: who countersigned.  problems: what does not fit; empty = every entry is where it was signed."""

    checkpoint: Checkpoint
    witnesses: tuple[str, ...]
    problems: tuple[str, ...]


@final
@dataclass(frozen=True)
class Log:
    """A log in a folder, and the key that signs its checkpoints. Nothing read is believed before `check`."""

    folder: Path

    @property
    def note(self) -> Note:
        """The newest checkpoint with its signatures. Raises BadInput when there is none."""
        path = self.folder / CHECKPOINT
        try:
            return notes.read(path.read_bytes(), str(path))
        except OSError as error:
            raise BadInput(
                f"no log at {self.folder}: {error.strerror}.", advice="Give the folder that has `checkpoint`."
            ) from error

    @property
    def checkpoint(self) -> Checkpoint:
        """What the newest checkpoint says."""
        return notes.checkpoint(self.note, str(self.folder / CHECKPOINT))

    def tiles(self, size: int | None = None) -> Tiles:
        """The tree over the first `size` entries, None = all."""
        return Tiles(self.folder / "tile", self.checkpoint.size if size is None else size)

    def entries(self, start: int = 0) -> Iterator[bytes]:
        """Entries from number `start` on. Raises BadInput for a file of them that is absent or cut short."""
        size = self.checkpoint.size
        for number in range(start // WIDTH, -(-size // WIDTH)):
            found = _bundle(self.folder, number, min(WIDTH, size - number * WIDTH))
            yield from found[max(0, start - number * WIDTH) :]

    def append(self, entries: Sequence[bytes], key: PrivateKey, *, origin: str | None = None) -> Checkpoint:
        """Add entries and sign the new checkpoint; a log that is not there yet is begun.

        origin: what a new log calls itself; None = a name of its own, made by chance, so that no two logs pass for one.
        Raises BadInput when the log has another key or its files do not fit its checkpoint, so that nothing changed is ever
        signed again; CannotWrite when the folder cannot be written.
        """
        if not entries or any(len(entry) > MAX_ENTRY for entry in entries):
            raise BadInput(f"an entry of a log has at most {MAX_ENTRY:,} bytes, and there must be one.", advice="Log its digest.")
        if key.public.kind == "mldsa65":
            raise BadInput("checkpoints have no signatures of kind mldsa65.", advice="Give a p256 or ed25519 key as well.")
        with _locked(self.folder):
            before = self._mine(key, origin)
            writer = TileWriter(self.folder / "tile", before.size)
            if writer.root() != before.root:
                raise BadInput(f"the log in {self.folder} was changed since it was signed.", advice="Put it back from a copy.")
            held = self._open_bundle(before.size, Tiles(self.folder / "tile", before.size))
            writer.extend(b"".join(leaf_hash(entry) for entry in entries))
            self._write_entries(before.size - len(held), [*held, *entries])
            after = Checkpoint(before.origin, writer.size, writer.close())
            self.publish(after.note().signed(after.origin, key))
            return after

    def publish(self, note: Note) -> None:
        """Put a checkpoint in place of the one there, at once: a reader sees either."""
        staged = self.folder / f".{CHECKPOINT}.{os.getpid()}"
        with staged.open("wb") as file:
            file.write(note.dump())
            file.flush()
            os.fsync(file.fileno())
        staged.replace(self.folder / CHECKPOINT)

    def check(self, key: PublicKey, witnesses: Mapping[str, PublicKey], least: int = 0) -> Checked:
        """Verify the signatures, every tile and every entry.

        witnesses: name → key of those that are trusted.  least: how many of them must have countersigned.
        Raises BadInput when there is no log, or its checkpoint cannot be read.
        """
        note, checkpoint = self.note, self.checkpoint
        problems: list[str] = []
        seen: tuple[str, ...] = ()
        try:
            if not note.signed_by(checkpoint.origin, key):
                problems.append(f"the checkpoint of {checkpoint.origin} is not signed by this key")
            seen = notes.witnessed(note, witnesses)
            problems += list(self._contents(checkpoint))
        except BadInput as error:
            problems.append(error.message.rstrip("."))
        if len(seen) < least:
            problems.append(f"{least} witnesses are required, and {' and '.join(seen) or 'nobody'} countersigned")
        return Checked(checkpoint, seen, tuple(problems))

    def claims(self, key: PublicKey) -> bool:
        """Whether the checkpoint says it was signed with this key; `check` says whether it was."""
        origin = self.checkpoint.origin
        return (origin, notes.key_id(origin, key)) in {(line.name, line.id) for line in self.note.lines}

    def follows(self, older: Checkpoint) -> bool:
        """Whether this log begins with what an older checkpoint of it says. Its own root must have been checked."""
        newest = self.checkpoint
        if older.origin != newest.origin or older.size > newest.size:
            return False
        return self.tiles().root(older.size) == older.root

    def _contents(self, checkpoint: Checkpoint) -> Iterator[str]:
        tiles = self.tiles()
        if tiles.root() != checkpoint.root:
            yield "the tree has another root than its checkpoint"
            return
        tiles.check()
        wrong = [index for index, entry in enumerate(self.entries()) if leaf_hash(entry) != tiles.leaf(index)]
        if wrong:
            more = f", and {len(wrong) - 1:,} more are not those" if wrong[1:] else ""
            yield f"entry {wrong[0]} is not the one that was logged{more}"

    def _mine(self, key: PrivateKey, origin: str | None) -> Checkpoint:
        if not (self.folder / CHECKPOINT).exists():
            return Checkpoint(origin or f"untaint/{secrets.token_hex(8)}", 0, root_of([]))
        note, checkpoint = self.note, self.checkpoint
        if not note.signed_by(checkpoint.origin, key.public):
            raise BadInput(
                f"the log in {self.folder} is signed with another key.", advice="Give its own key, or begin another log."
            )
        if origin not in (None, checkpoint.origin):
            raise BadInput(
                f"the log in {self.folder} calls itself {checkpoint.origin}, not {origin}.", advice="Leave the name out."
            )
        return checkpoint

    def _open_bundle(self, size: int, tiles: Tiles) -> list[bytes]:
        """The entries in the last file that is not whole. Raises BadInput when they are not those that were logged."""
        number, width = divmod(size, WIDTH)
        held = _bundle(self.folder, number, width) if width else []
        if [leaf_hash(entry) for entry in held] != tiles.last(0):
            raise BadInput(f"entries of the log in {self.folder} were changed.", advice="Put it back from a copy.")
        return held

    def _write_entries(self, start: int, entries: Sequence[bytes]) -> None:
        """Files of entries from number `start` on, which is the first of a file."""
        for place in range(0, len(entries), WIDTH):
            held = entries[place : place + WIDTH]
            target = _bundle_path(self.folder, (start + place) // WIDTH, len(held))
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(b"".join(len(entry).to_bytes(2, "big") + entry for entry in held))
            if len(held) == WIDTH:
                shutil.rmtree(target.with_name(f"{target.name}.p"), ignore_errors=True)  # the whole file begins alike


def found_in(folder: Path) -> Log:
    """The log of a seal in this folder, whether it was begun or not, or the log that this folder is."""
    inside = folder / "log"
    return Log(inside if inside.is_dir() or (folder / STATEMENT).is_file() else folder)


def record(log: Log, document: Mapping[str, Any], key: PrivateKey, *, now: datetime, origin: str | None = None) -> Checkpoint:
    """Log one JSON record with the time beside it. Raises BadInput when the clock is before the newest record there is."""
    if (log.folder / CHECKPOINT).exists() and (size := log.checkpoint.size):
        last = json_text.parse(next(log.entries(size - 1)), f"the newest entry of {log.folder}").get("time")
        if isinstance(last, str) and _moment(last, log.folder) > now + SKEW:
            raise BadInput(
                f"the newest entry of the log in {log.folder} is of {last}, after now ({stamp(now)}).", advice="Set the clock."
            )
    return log.append([json_text.canonical({**document, "time": stamp(now)})], key, origin=origin)


def _moment(text: str, folder: Path) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise BadInput(f"the newest entry of the log in {folder} has no time: {text!r}.", advice="Begin another log.") from error


def _bundle_path(folder: Path, number: int, width: int) -> Path:
    return folder / "tile" / "entries" / tile_name(0, number, width).removeprefix("0/")


def _bundle(folder: Path, number: int, width: int) -> list[bytes]:
    """The first `width` entries of a file of them; where it has become whole since, of that one."""
    path, held = _bundle_path(folder, number, width), width
    if not path.exists():
        path, held = _bundle_path(folder, number, WIDTH), WIDTH
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} is missing.", advice="Entries of the log are gone: restore them from a copy.") from error
    found, place = [], 0
    while place < len(content):
        end = place + 2 + int.from_bytes(content[place : place + 2], "big")
        found.append(content[place + 2 : end])
        place = end
    if place != len(content) or len(found) != held:
        raise BadInput(f"{path} was cut short, or grew.", advice="Entries of the log are gone: restore them from a copy.")
    return found[:width]


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One writer at a time."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise CannotWrite(f"the log in {folder} cannot be written: {error.strerror}.", advice="Choose another folder.") from error

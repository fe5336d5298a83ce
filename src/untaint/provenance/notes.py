"""Signed notes and checkpoints of a transparency log, in the formats of C2SP (signed-note, tlog-checkpoint, tlog-cosignature).

A note is text, a blank line, and one line `— name base64(key id ‖ signature)` for each signature. A checkpoint is a note that
says how many entries a log has and what the root of its tree is. Any C2SP tool can read and verify both.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import final

from untaint.errors import BadInput
from untaint.provenance.keys import PrivateKey, PublicKey
from untaint.provenance.merkle import SIZE

_ED25519, _COSIGNATURE = b"\x01", b"\x04"
"""Signature types of signed-note. ECDSA, type 2, has its key id from the DER of the key instead."""
MAX_SIGNATURES = 64
"""The format asks readers to accept 16 at least, and to have a limit."""
_MAX_NOTE = 1 << 20
"""Bytes; a checkpoint has a few hundred."""
_DASH = "— "
_LAST_SECOND = 253_402_300_799
"""9999-12-31, the last that Python's clock can say; the format allows 2**63 - 1."""


@final
@dataclass(frozen=True)
class Line:
    """A signature line.  id: 4 bytes that tell the key of this name.  value: the signature, a witness's with 8 bytes of time first."""

    name: str
    id: bytes
    value: bytes

    def text(self) -> str:
        """As the note has it, with its line end."""
        return f"{_DASH}{self.name} {base64.b64encode(self.id + self.value).decode('ascii')}\n"


@final
@dataclass(frozen=True)
class Note:
    """text: ends in a line end; what is signed."""

    text: str
    lines: tuple[Line, ...] = ()

    def dump(self) -> bytes:
        """As a file has it."""
        return (self.text + "\n" + "".join(line.text() for line in self.lines)).encode("utf-8")

    def signed_by(self, name: str, key: PublicKey) -> bool:
        """Whether the owner of `key` signed as `name`. Raises BadInput when a line claims so and does not verify."""
        mine = [line for line in self.lines if (line.name, line.id) == (name, key_id(name, key))]
        if not all(key.verifies(line.value, self.text.encode("utf-8")) for line in mine):
            raise BadInput(
                f"the signature of {name!r} does not fit the note.", advice="The note was changed after it was signed."
            )
        return bool(mine)

    def seen_by(self, name: str, key: PublicKey) -> datetime | None:
        """When the witness `name` countersigned, None = it has not. Raises BadInput when a line claims so and does not verify."""
        seen = None
        for line in self.lines:
            if (line.name, line.id) != (name, witness_id(name, key)):
                continue
            time = int.from_bytes(line.value[:8], "big")
            if time > _LAST_SECOND or not key.verifies(line.value[8:], _seen_text(self.text, time)):
                raise BadInput(f"the countersignature of {name!r} does not fit the checkpoint.", advice="It was changed since.")
            seen = datetime.fromtimestamp(time, UTC)
        return seen

    def signed(self, name: str, key: PrivateKey) -> "Note":
        """The same with the signature of `key` under this name."""
        return self.with_line(Line(_name(name), key_id(name, key.public), key.sign(self.text.encode("utf-8"))))

    def seen(self, name: str, key: PrivateKey, now: datetime) -> "Note":
        """The same, countersigned by a witness. Raises BadInput for a key that is not Ed25519."""
        time = int(now.timestamp())
        value = time.to_bytes(8, "big") + key.sign(_seen_text(self.text, time))
        return self.with_line(Line(_name(name), witness_id(name, key.public), value))

    def with_line(self, line: Line) -> "Note":
        """The same with one more line, in place of an older one of the same key."""
        others = tuple(other for other in self.lines if (other.name, other.id) != (line.name, line.id))
        return replace(self, lines=(*others, line))


@final
@dataclass(frozen=True)
class Checkpoint:
    """origin: which log.  size: entries it has.  root: of the tree over them, 32 bytes."""

    origin: str
    size: int
    root: bytes

    def note(self) -> Note:
        """As a note nobody has signed yet."""
        return Note(f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode('ascii')}\n")


def read(content: bytes, what: str) -> Note:
    """A note. what: how errors call it. Raises BadInput; nothing is verified here."""
    if len(content) > _MAX_NOTE:
        raise _bad(what, f"it has more than {_MAX_NOTE:,} bytes")
    try:
        whole = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _bad(what, "it is not UTF-8") from error
    text, found, rest = whole.rpartition("\n\n")
    if not found or not rest.endswith("\n") or re.search(r"[\x00-\x09\x0b-\x1f]", whole):
        raise _bad(what, "it needs text, a blank line and signature lines, without control characters")
    lines = rest.removesuffix("\n").split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise _bad(what, f"it has more than {MAX_SIGNATURES} signatures")
    return Note(text + "\n", tuple(_line(line, what) for line in lines))


def checkpoint(note: Note, what: str) -> Checkpoint:
    """What a note says as a checkpoint. Raises BadInput when it is none."""
    origin, *rest = note.text.removesuffix("\n").split("\n")
    if len(rest) < 2 or not origin or not all(rest):
        raise _bad(what, "a checkpoint needs an origin, a size and a root, one a line")
    if not re.fullmatch(r"0|[1-9][0-9]{0,18}", rest[0]):
        raise _bad(what, f"{rest[0]!r} is no number of entries")
    root = _base64(rest[1], what)
    if len(root) != SIZE:
        raise _bad(what, f"its root has {len(root)} bytes, not {SIZE}")
    return Checkpoint(origin, int(rest[0]), root)


def key_id(name: str, key: PublicKey) -> bytes:
    """The 4 bytes by which a note tells the key that signed it."""
    if key.kind != "ed25519":
        return hashlib.sha256(key.der).digest()[:4]
    return _typed_id(name, _ED25519, key)


def witness_id(name: str, key: PublicKey) -> bytes:
    """The 4 bytes by which a checkpoint tells the witness that countersigned it. Raises BadInput for a key that is not Ed25519."""
    return _typed_id(name, _COSIGNATURE, key)


def verifier(name: str, key: PublicKey, *, witness: bool = False) -> str:
    """A key in one line, as C2SP tools take it: `name+id+base64(type ‖ key)`. Raises BadInput for a key that is not Ed25519."""
    id = witness_id(name, key) if witness else key_id(name, key)
    kind = _COSIGNATURE if witness else _ED25519
    return f"{_name(name)}+{id.hex()}+{base64.b64encode(kind + key.raw).decode('ascii')}"


def witnessed(note: Note, witnesses: Mapping[str, PublicKey]) -> tuple[str, ...]:
    """Which of these witnesses countersigned a checkpoint; the same key under two names counts once."""
    found = {key: name for name, key in witnesses.items() if note.seen_by(name, key) is not None}
    return tuple(found.values())


def _typed_id(name: str, kind: bytes, key: PublicKey) -> bytes:
    return hashlib.sha256(name.encode("utf-8") + b"\n" + kind + key.raw).digest()[:4]


def _seen_text(text: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def _name(name: str) -> str:
    if not name or re.search(r"[\s+\x00-\x1f]", name):
        raise BadInput(f"{name!r} cannot be the name of a signer of notes.", advice="No spaces and no +; such as example.com/w1.")
    return name


def _line(line: str, what: str) -> Line:
    name, found, value = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not found or not name or re.search(r"[\s+]", name):
        raise _bad(what, f"{line[:80]!r} is no signature line")
    raw = _base64(value, what)
    if len(raw) <= 4:
        raise _bad(what, f"the signature of {name!r} is too short")
    return Line(name, raw[:4], raw[4:])


def _base64(text: str, what: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _bad(what, f"{text[:80]!r} is not base64") from error


def _bad(what: str, why: str) -> BadInput:
    return BadInput(f"{what} is not a signed note: {why}.", advice="Get it again from the log, or restore it from a copy.")

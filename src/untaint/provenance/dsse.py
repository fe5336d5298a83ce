"""DSSE envelopes (Dead Simple Signing Envelope 1.0.2): a payload, its type, and any number of signatures over both.

The signed bytes are the pre-authentication encoding `DSSEv1 <len> <type> <len> <payload>`, so neither half can be passed off
as the other. Key ids in an envelope are hints: a signature counts for whichever trusted key verifies it, and for no other.
"""

import base64
import binascii
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from untaint.errors import BadInput, CannotWrite
from untaint.provenance import json_text
from untaint.provenance.keys import PrivateKey, PublicKey

IN_TOTO = "application/vnd.in-toto+json"
"""Type of every payload we sign: an in-toto Statement v1."""
MAX_SIGNATURES = 64
"""More than any set of roles needs; each is tried with every trusted key, and an attacker may send as many as we read."""

_MAX_FILE = 1 << 24
"""Bytes of an attestation: 64 signatures, and a few hundred materials."""


@final
@dataclass(frozen=True)
class Signature:
    """One signature.  keyid: a hint written by whoever made the envelope, not to be trusted."""

    keyid: str
    value: bytes


@final
@dataclass(frozen=True)
class Envelope:
    """payload: the bytes that are signed, exactly as they were.  type: its media type."""

    payload: bytes
    type: str
    signatures: tuple[Signature, ...]

    def signers(self, keys: Iterable[PublicKey]) -> tuple[PublicKey, ...]:
        """Those of `keys` that signed, each once, in the order given."""
        message = pae(self.type, self.payload)
        return tuple(
            key for key in dict.fromkeys(keys) if any(key.verifies(signature.value, message) for signature in self.signatures)
        )

    def also_signed(self, keys: Iterable[PrivateKey]) -> "Envelope":
        """The same with one more signature for each key that has not signed yet."""
        message = pae(self.type, self.payload)
        fresh = [key for key in keys if key.public not in self.signers([key.public])]
        added = tuple(Signature(key.public.fingerprint, key.sign(message)) for key in fresh)
        if len(self.signatures) + len(added) > MAX_SIGNATURES:
            raise BadInput(f"an envelope has at most {MAX_SIGNATURES} signatures.", advice="Start a new seal.")
        return Envelope(self.payload, self.type, self.signatures + added)

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "payload": base64.b64encode(self.payload).decode("ascii"),
            "payloadType": self.type,
            "signatures": [
                {"keyid": signature.keyid, "sig": base64.b64encode(signature.value).decode("ascii")}
                for signature in self.signatures
            ],
        }

    def dump(self) -> bytes:
        """As a file has it."""
        return json_text.canonical(self.document()) + b"\n"


def sign(payload: bytes, signers: Sequence[PrivateKey], type: str = IN_TOTO) -> Envelope:
    """An envelope around `payload`. Raises BadInput when nobody signs."""
    if not signers:
        raise BadInput("nobody signs.", advice="Give at least one key: --key FILE.")
    return Envelope(payload, type, ()).also_signed(signers)


def pae(type: str, payload: bytes) -> bytes:
    """The pre-authentication encoding: what is signed."""
    name = type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(name), name, len(payload), payload)


def read(content: bytes, what: str) -> Envelope:
    """The envelope in JSON text.  what: how errors call it. Raises BadInput; nothing is verified here."""
    return parse(json_text.parse(content, what), what)


def load(path: Path) -> Envelope:
    """The envelope around a statement in a file. Raises BadInput when there is none; nothing is verified here."""
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_FILE + 1)
    except OSError as error:
        raise BadInput(f"no attestation at {path}: {error.strerror}.", advice="Make one with `untaint attest new`.") from error
    if len(content) > _MAX_FILE:
        raise BadInput(f"{path} is larger than {_MAX_FILE:,} bytes.", advice="It is no attestation.")
    envelope = read(content, str(path))
    if envelope.type != IN_TOTO:
        raise BadInput(f"{path} is an envelope around {envelope.type!r}, not around a statement.", advice="Attest again.")
    return envelope


def save(envelope: Envelope, about: Path, out: Path | None, ending: str = "attest") -> Path:
    """Write an envelope; where it went. out: None = `ABOUT.<ending>.json` beside what it is about. Raises CannotWrite."""
    target = out or about.resolve().with_name(f"{about.resolve().name}.{ending}.json")
    try:
        target.write_bytes(envelope.dump())
    except OSError as error:
        raise CannotWrite(f"{target} cannot be written: {error.strerror}.", advice="Name another file for it.") from error
    return target


def parse(document: object, what: str) -> Envelope:
    """The envelope in a JSON object. Fields that DSSE does not know are ignored, as it says. Raises BadInput."""
    match document:
        case {"payload": str(payload), "payloadType": str(type), "signatures": list(signatures)}:
            pass
        case _:
            raise _bad(what, "it must have `payload`, `payloadType` and a list of `signatures`")
    if not 0 < len(signatures) <= MAX_SIGNATURES:
        raise _bad(what, f"it has {len(signatures)} signatures; 1 to {MAX_SIGNATURES} are read")
    try:
        type.encode("utf-8")
    except UnicodeEncodeError as error:
        raise _bad(what, "its type is no text") from error
    numbered = zip(itertools.count(1), signatures, strict=False)
    return Envelope(decoded(payload, what, "payload"), type, tuple(_signature(entry, what, n) for n, entry in numbered))


def decoded(text: str, what: str, field: str) -> bytes:
    """Base64 in the standard or the URL-safe alphabet, which DSSE both allows, and nothing else. Raises BadInput."""
    safe = "-" in text or "_" in text
    try:
        return base64.b64decode(text, altchars=b"-_" if safe else None, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _bad(what, f"its {field} is not base64") from error


def _signature(entry: object, what: str, number: int) -> Signature:
    match entry:
        case {"sig": str(value), "keyid": str(keyid)} if value:
            return Signature(keyid, decoded(value, what, f"signature {number}"))
        case {"sig": str(value)} if value:
            return Signature("", decoded(value, what, f"signature {number}"))
    raise _bad(what, f"its signature {number} has no `sig`")


def _bad(what: str, why: str) -> BadInput:
    return BadInput(f"{what} is not a signed envelope: {why}.", advice="Get it again from whoever signed it, or sign again.")

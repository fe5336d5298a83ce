"""Signing a seal, and checking who signed it. Beside what `sealed` says lies in the folder:

    envelope.json   the strict statement, signed by any number of keys (DSSE)
    keyless.sigstore.json   the same statement, signed by an identity instead (see `keyless`)
    bundle.sig      an OpenSSF model signing v1.0 bundle of the same files, for other tools
    log/            what happened to the seal, append-only (see `log`)

No network is used, whatever the keys; only `sign_keyless` needs it.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import final

from untaint.errors import BadInput, CannotWrite
from untaint.provenance import dsse, keyless, oms, oms_names, policy, strict
from untaint.provenance.keyless import Identity
from untaint.provenance.keys import PrivateKey
from untaint.provenance.log import CHECKPOINT, Log
from untaint.provenance.log_search import absent, enter
from untaint.provenance.policy import Decision, Policy
from untaint.provenance.sealed import STATEMENT, Seal
from untaint.provenance.strict import Facts

ENVELOPE, BUNDLE, LOG, KEYLESS = "envelope.json", "bundle.sig", "log", "keyless.sigstore.json"
_MAX_ENVELOPE = 1 << 20
"""Bytes; 64 signatures of a statement have some 15,000, and it is read before anything is verified."""


@final
@dataclass(frozen=True)
class Verified:
    """facts: what was signed.  decision: whether the policy is met, and by whom."""

    facts: Facts
    decision: Decision


def sign(statement: bytes, signers: Sequence[PrivateKey]) -> bytes:
    """A strict statement as a signed envelope, as a file has it. Raises BadInput when nobody signs, or it is another statement."""
    strict.parse(statement, "the statement")
    return dsse.sign(statement, signers).dump()


def verify(envelope: bytes, asked: Policy, *, now: datetime, what: str = ENVELOPE) -> Verified:
    """Who signed an envelope, and whether that is enough. Raises BadInput when it cannot be read at all."""
    found = dsse.read(envelope, what)
    if found.type != dsse.IN_TOTO:
        raise BadInput(f"{what} is an envelope around {found.type!r}, not around a statement.", advice="Seal and sign again.")
    facts = strict.parse(found.payload, f"the statement in {what}")
    return Verified(facts, policy.decide(found, asked, created=facts.created, now=now, expires=facts.expires))


def sign_seal(
    seal: Seal, signers: Sequence[PrivateKey], *, now: datetime, data: Path | None = None, expires: datetime | None = None
) -> tuple[str, ...]:
    """Sign a seal; notes for a person come back.

    Signatures that are there stay: a vetter adds theirs to the collector's, and both stand under the same words.
    data: what was sealed, for the OpenSSF bundle, None = without one; the first key on P-256 signs it.  expires: after which
    the seal no longer counts. Raises BadInput when nobody signs, or the envelope there is of another seal; CannotWrite.
    """
    before = _envelope(seal)
    facts = _facts(seal, expires)
    after = before.also_signed(signers) if before else dsse.sign(strict.statement(facts), signers)
    notes = [note for key in signers for note in key.notes]
    _write(seal.folder / ENVELOPE, after.dump())
    if data is not None and not (before and (seal.folder / BUNDLE).exists()):
        notes += _write_bundle(seal, data, signers)
    what = {
        "type": "sign" if before else "seal",
        "seal": facts.seal.hex(),
        "root": facts.root.hex(),
        "keys": [key.public.fingerprint for key in signers],
    }
    why = enter(Log(seal.folder / LOG), what, signers, now=now)
    return (*notes, *([f"not in the log: {why}"] if why else []))


def verify_seal(seal: Seal, asked: Policy, *, now: datetime) -> Verified:
    """Who signed a seal, and whether that is enough; its log is checked too, where there is one.

    Raises BadInput when nothing is signed, or a file cannot be read.
    """
    path = seal.folder / ENVELOPE
    if not path.exists():
        advice = "Sign it with `untaint seal DATA --key KEY`, or verify without a key: then nobody vouches for it."
        raise BadInput(f"{seal.folder} is not signed.", advice=advice)
    found = verify(_read(path), asked, now=now, what=str(path))
    problems = list(found.decision.problems)
    if found.facts != _facts(seal, found.facts.expires):
        problems.append(f"{STATEMENT} is not the seal that was signed")
    problems += _log_problems(seal.folder / LOG, found.facts, asked)
    return Verified(found.facts, Decision(found.decision.signers, tuple(problems)))


def sign_keyless(seal: Seal, *, token: str | None = None, roots: Path | None = None, expires: datetime | None = None) -> None:
    """Sign a seal by Sigstore, over the network: keyless.sigstore.json beside the envelope. See `keyless.sign` for what is raised."""
    _write(seal.folder / KEYLESS, keyless.sign(strict.statement(_facts(seal, expires)), token=token, roots=roots))


def verify_keyless(seal: Seal, identity: Identity, *, now: datetime) -> Decision:
    """Whether this identity signed a seal by Sigstore. Raises BadInput when nobody did, or the bundle cannot be read."""
    path = seal.folder / KEYLESS
    if not path.exists():
        raise BadInput(f"{seal.folder} is not signed by Sigstore.", advice="Sign it with `untaint sign SEAL --keyless`.")
    found = keyless.verify(_read(path), identity, str(path))
    if isinstance(found, str):
        return Decision((), (found,))
    facts = strict.parse(found.payload, f"the statement in {path}")
    problems = policy.time_problems(facts.created, now, facts.expires)
    problems += [] if facts == _facts(seal, facts.expires) else [f"{STATEMENT} is not the seal that was signed"]
    return Decision((identity.name,), tuple(problems))


def _facts(seal: Seal, expires: datetime | None) -> Facts:
    content = (seal.folder / STATEMENT).read_bytes()
    return strict.facts(content, seal.sealed, strict.listing_digest(strict.rows_of_table(seal.files(strict.COLUMNS))), expires)


def _log_problems(folder: Path, facts: Facts, asked: Policy) -> list[str]:
    """Of a log that one of the trusted keys signed. One that nobody trusted signed is like none: a problem where one is required."""
    log = Log(folder)
    if not (folder / CHECKPOINT).exists():
        return [f"{asked.what} requires a log, and there is none in {folder}"] if asked.log else []
    if not any(asked.standing(trusted.key) and log.claims(trusted.key) for trusted in asked.keys):
        return [f"{asked.what} requires a log, and none of its keys signed the one in {folder}"] if asked.log else []
    return absent(log, {"seal": facts.seal.hex()}, asked, "this seal")


def _envelope(seal: Seal) -> dsse.Envelope | None:
    path = seal.folder / ENVELOPE
    if not path.exists():
        return None
    found = dsse.read(_read(path), str(path))
    if strict.parse(found.payload, str(path)).seal != hashlib.sha256((seal.folder / STATEMENT).read_bytes()).digest():
        raise BadInput(f"{path} is around another seal than {STATEMENT}.", advice="Seal again with --replace, then sign.")
    return found


def _write_bundle(seal: Seal, data: Path, signers: Sequence[PrivateKey]) -> list[str]:
    able = [key for key in signers if key.public.kind.startswith("p")]
    if not able:
        return [f"no {BUNDLE} for other tools was written: it takes a key on P-256, and {ENVELOPE} covers more"]
    listed = oms_names.manifest(seal.files(strict.COLUMNS), seal.sealed.name, whole=data.is_file())
    if isinstance(listed, str):
        return [f"no {BUNDLE} for other tools was written: {listed}"]
    _write(seal.folder / BUNDLE, oms.sign(listed, able[0]))
    return []


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(_MAX_ENVELOPE + 1)
    if len(content) > _MAX_ENVELOPE:
        raise BadInput(f"{path} is larger than {_MAX_ENVELOPE:,} bytes.", advice="It is not what `untaint seal` wrote.")
    return content


def _write(path: Path, content: bytes) -> None:
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with staged.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        staged.replace(path)
    except OSError as error:
        raise CannotWrite(f"{path} cannot be written: {error.strerror}.", advice="Choose a folder you may write to.") from error

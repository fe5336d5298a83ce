"""How the flags of whatever signs or checks signatures become keys, policies and decisions."""

import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import typer

from untaint.cli.options import PASSWORD
from untaint.errors import BadInput
from untaint.provenance import dsse, keys, policy, policy_file, svr
from untaint.provenance.attest import Material
from untaint.provenance.keyless import Identity
from untaint.provenance.keys import PrivateKey, PublicKey
from untaint.provenance.manifest import sha256_of
from untaint.provenance.oms_check import Checked, check_bundle
from untaint.provenance.policy import Decision, Policy
from untaint.provenance.seal import tool
from untaint.provenance.sealed import Seal, folder_for, read_seal
from untaint.provenance.sign import sign_keyless, sign_seal, verify_keyless, verify_seal
from untaint.provenance.verify import Verified
from untaint.provenance.x509_chain import Roots, read_roots


def private_keys(paths: Sequence[Path], password_file: Path | None) -> list[PrivateKey]:
    """Keys to sign with; a password is asked for where a key needs one. Warnings about them go to stderr.

    Raises BadInput for a key that cannot be used, or a password that is needed and cannot be asked for.
    """
    found = [_private_key(path, password_file) for path in paths]
    for key in found:
        for note in key.notes:
            typer.echo(f"warning: {note}", err=True)
    return found


def new_password(password_file: Path | None, *, unencrypted: bool) -> bytes | None:
    """The password of a new key, None = it is to have none. Raises BadInput when there is none and nobody can be asked."""
    if unencrypted and password_file is not None:
        raise BadInput("--unencrypted and --password-file exclude each other.", advice="Give one of them.")
    if unencrypted:
        return None
    if (given := _given(password_file)) is not None:
        return given
    if not sys.stdin.isatty():
        raise BadInput(f"a new key needs a password, from --password-file or {PASSWORD}.", advice="Or say --unencrypted.")
    asked: str = typer.prompt("Password of the new key", hide_input=True, confirmation_prompt=True, err=True)
    return asked.encode()


def asked_policy(paths: Sequence[Path], file: Path | None) -> Policy | None:
    """What signatures are to be checked against, None = nothing was asked. Raises BadInput when both are given."""
    if paths and file is not None:
        raise BadInput("--key and --policy exclude each other.", advice="A policy names the keys itself.")
    if file is not None:
        return policy_file.read(file)
    return policy.of_keys({str(path): keys.load_public(path) for path in paths}) if paths else None


def policies(paths: Sequence[Path], file: Path | None) -> list[Material]:
    """What `asked_policy` is made of, by digest: the file, or the keys with their fingerprints."""
    if file is not None:
        return [Material(file.name, {"sha256": sha256_of(file)})]
    return [Material(path.name, {"sha256": keys.load_public(path).fingerprint}) for path in paths]


def sign(seal: Seal, signers: Sequence[PrivateKey], *, data: Path | None, expires: datetime | None) -> tuple[str, ...]:
    """Sign a seal, if anybody does; notes for a person. expires: the last day on which it counts."""
    if not signers:
        if expires is not None:
            raise BadInput("--expires without a signature means nothing.", advice="Sign the seal: --key.")
        return ()
    return sign_seal(seal, signers, now=datetime.now(UTC), data=data, expires=_last_second(expires))


def sign_by_sigstore(seal: Seal, expires: datetime | None) -> None:
    """Sign a seal over the network. expires: the last day on which it counts."""
    sign_keyless(seal, expires=_last_second(expires))


def _last_second(day: datetime | None) -> datetime | None:
    return None if day is None else day.replace(hour=23, minute=59, second=59, tzinfo=UTC)


def checked(data: Path, seal: Path | None, asked: Policy | Identity) -> Decision:
    """Who signed the seal of data, and whether that is enough. seal: its folder, None = beside the data."""
    found, now = read_seal(seal or folder_for(data)), datetime.now(UTC)
    return verify_keyless(found, asked, now=now) if isinstance(asked, Identity) else verify_seal(found, asked, now=now).decision


def identity(name: str | None, issuer: str | None, roots: Path | None = None) -> Identity | None:
    """Who must have signed by Sigstore, None = nobody was named. Raises BadInput when half of it is missing, and for roots."""
    if roots is not None:
        raise BadInput("--roots is of a bundle that was signed by certificate.", advice="Name it with --bundle.")
    if (name is None) != (issuer is None):
        raise BadInput("--identity and --issuer go together.", advice="Anybody can have any name at an issuer of their own.")
    return None if name is None or issuer is None else Identity(name, issuer)


def bundle_signer(name: str | None, issuer: str | None, roots: Path | None) -> Identity | Roots | None:
    """Who must have signed a bundle: by Sigstore, or by a certificate of one of these authorities. Raises BadInput as `identity` does."""
    if roots is None:
        return identity(name, issuer)
    if name is None or issuer is not None:
        raise BadInput("--roots takes --identity, the name in the certificate.", advice="An authority vouches for many.")
    return read_roots(roots, name)


def bundle(data: Path, path: Path, public: Sequence[Path], who: Identity | Roots | None) -> Checked:
    """Check data against an OpenSSF bundle. Raises BadInput when nobody was named who may have signed it, or two kinds of them."""
    if bool(public) == (who is not None):
        message = "a bundle is checked against --key, or against --identity with --issuer or --roots."
        raise BadInput(message, advice="Give one of them.")
    return check_bundle(data, path, [keys.load_public(key) for key in public], who)


def attested(found: Verified, signed: Decision | None, held: Sequence[Material], signers: Sequence[PrivateKey]) -> dsse.Envelope:
    """The result of a verification that found nothing, signed. held: what signatures were held against."""
    result = svr.result_of(found, signed, held, now=datetime.now(UTC), tool=tool())
    return dsse.sign(svr.statement(result), signers)


def document(signed: Decision | None) -> dict[str, object]:
    """What was found about signatures, for programs."""
    if signed is None:
        return {"checked": False}
    return {"checked": True, "accepted": signed.accepted, "signers": list(signed.signers), "problems": list(signed.problems)}


def named_keys(texts: Sequence[str], flag: str) -> dict[str, PublicKey]:
    """`NAME=FILE` as name → key. Raises BadInput."""
    found = {}
    for text in texts:
        name, equals, path = text.partition("=")
        if not name or not equals or not path:
            raise BadInput(f"{flag} {text} is not NAME=FILE.", advice=f"Such as {flag} example.com/w1=w1.pub.")
        found[name] = keys.load_public(Path(path))
    return found


def _private_key(path: Path, password_file: Path | None) -> PrivateKey:
    if not keys.is_encrypted(path):
        return keys.load_private(path)
    given = _given(password_file)
    if given is None and sys.stdin.isatty():
        given = str(typer.prompt(f"Password of {path}", hide_input=True, err=True)).encode()
    return keys.load_private(path, given)


def _given(password_file: Path | None) -> bytes | None:
    if password_file is not None:
        try:
            return password_file.read_bytes().rstrip(b"\r\n")
        except OSError as error:
            raise BadInput(f"no password in {password_file}: {error.strerror}.", advice="Name another file.") from error
    found = os.environ.get(PASSWORD)
    return found.encode() if found else None

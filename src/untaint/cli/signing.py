"""Flags of whatever signs or checks signatures, and how they become keys and policies."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from untaint.errors import BadInput
from untaint.provenance import keys, policy
from untaint.provenance.keys import PrivateKey, PublicKey
from untaint.provenance.policy import Policy

PASSWORD = "UNTAINT_KEY_PASSWORD"  # noqa: S105 - the name of a variable

SigningKeys: TypeAlias = Annotated[
    list[Path] | None, typer.Option("--key", help="Private key to sign with (`untaint key new`). Repeatable.", show_default=False)
]
PasswordFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--password-file", help=f"File with the password of the keys, else {PASSWORD}, else you are asked.", show_default=False
    ),
]
TrustedKeys: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option("--key", help="Public key that must have signed. Repeatable: then all of them must have.", show_default=False),
]
PolicyFile: TypeAlias = Annotated[
    Path | None, typer.Option("--policy", help="File that says who must have signed, in which role.", show_default=False)
]


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
        return policy.read(file)
    return policy.of_keys({str(path): keys.load_public(path) for path in paths}) if paths else None


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

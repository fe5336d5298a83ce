"""`untaint key`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from untaint.cli.options import PasswordFile, Quiet


class Action(StrEnum):
    """What to do."""

    new = "new"
    show = "show"


class KeyKind(StrEnum):
    """Kinds of keys."""

    p256 = "p256"
    ed25519 = "ed25519"
    mldsa65 = "mldsa65"


def key(
    action: Annotated[Action, typer.Argument(help="Make a key, or show one.", show_default=False)],
    path: Annotated[
        Path, typer.Argument(help="File of the private key; the public one lies beside it as .pub.", show_default=False)
    ],
    kind: Annotated[
        KeyKind,
        typer.Option(
            "--kind", help="p256 signs everything; a witness of a log needs ed25519; no quantum computer forges mldsa65."
        ),
    ] = KeyKind.p256,
    password_file: PasswordFile = None,
    unencrypted: Annotated[bool, typer.Option("--unencrypted", help="Write the new key without a password.")] = False,
    quiet: Quiet = False,
) -> None:
    """Make a key to sign seals with, or show a key's public half.

    A new key is encrypted with a password and readable by its owner only; nothing is overwritten, nothing leaves the machine.
    Give the .pub file to those who verify, by a way that nobody can tamper with; read its fingerprint to them.

    Examples:  `untaint key new alice.pem`   `untaint key show alice.pub`
    """
    from untaint.cli import signing
    from untaint.provenance import keys  # not through `api`, which takes two seconds to load

    if action == Action.new:
        password = signing.new_password(password_file, unencrypted=unencrypted)
        public = keys.new(path, kind=kind.value, password=password).public
        if not quiet:
            typer.echo(f"private key: {path}\npublic key:  {path.with_suffix('.pub')}\nkind:        {public.kind}")
            typer.echo(f"fingerprint: {public.fingerprint}")
        return
    alone = keys.is_alone(path)
    public = signing.private_keys([path], password_file)[0].public if alone else keys.public_half(path)
    typer.echo(f"kind:        {public.kind}\nfingerprint: {public.fingerprint}\n{public.pem.decode('ascii')}", nl=False)

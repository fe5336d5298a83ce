"""`untaint sign`."""

from pathlib import Path
from typing import Annotated

import typer

from untaint.cli.options import Expires, PasswordFile, Quiet, SigningKeys


def sign(
    seal: Annotated[Path, typer.Argument(help="Folder that `untaint seal` wrote.", show_default=False)],
    keys: SigningKeys = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", help="What was sealed: writes bundle.sig too, for tools that read OpenSSF bundles.", show_default=False
        ),
    ] = None,
    expires: Expires = None,
    keyless: Annotated[
        bool,
        typer.Option("--keyless", help="Sign as yourself, by Sigstore. Uses the network, and tells the world that you signed."),
    ] = False,
    password_file: PasswordFile = None,
    quiet: Quiet = False,
) -> None:
    """Add signatures to a seal: whoever vetted the data signs beside whoever collected them.

    Nothing is signed but what the seal says; check the data first (`untaint verify DATA`). Who must have signed, and in which
    role, is up to the policy of whoever verifies. What was done is added to the seal's log.

    Example:  `untaint sign set.untaint --key vetter.pem`
    """
    from untaint.cli import signing
    from untaint.cli.summary import one_line
    from untaint.errors import BadInput
    from untaint.provenance.sealed import read_seal  # not through `api`, which takes two seconds to load

    signers = signing.private_keys(keys or [], password_file)
    if not signers and not keyless:
        raise BadInput("nobody signs.", advice="Give at least one key: --key FILE.")
    found = read_seal(seal)
    notes = signing.sign(found, signers, data=data, expires=expires) if signers else ()
    if keyless:
        signing.sign_by_sigstore(found, expires)
    if not quiet:
        for note in notes:
            typer.echo(f"note: {one_line(note)}")
        for key in signers:
            typer.echo(f"signed by {key.public.fingerprint}")

"""`untaint convert`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from untaint.cli.options import PasswordFile, Quiet, SigningKeys
from untaint.report.text import visible

if TYPE_CHECKING:
    from untaint.models.formats.notes import Flaw

_MODEL = "Model: a PyTorch, pickle, joblib, NumPy or Keras file, or a folder. It is followed, never run."
_OUT = "The new file, such as model.safetensors."
_ONLY = "Beginning of the names to take, cut off: of a checkpoint with weights under `model` and an optimizer, `model`."
_SHOWN = 10
"""Findings told of a file that is refused; `untaint inspect` tells all."""


def convert(
    model: Annotated[Path, typer.Argument(help=_MODEL, show_default=False)],
    out: Annotated[Path, typer.Option("--out", help=_OUT, show_default=False)],
    only: Annotated[str | None, typer.Option("--only", help=_ONLY, show_default=False)] = None,
    key: SigningKeys = None,
    password_file: PasswordFile = None,
    quiet: Quiet = False,
) -> None:
    """Write the weights of a model as safetensors, which can hold no code, and bind the new file to the old one.

    The model is scanned first; with a finding of severity high or above nothing is written, the findings are told, and the exit code is
    1. What is no tensor of plain numbers is left out, and told. Beside the new file goes a record with both digests; with `--key` also
    a signed attestation that names the old file as what the new one was made of (`untaint attest check`).

    Examples:

    `untaint convert pytorch_model.bin --out model.safetensors`

    `untaint convert checkpoint.pt --only model --out model.safetensors --key me.pem`
    """
    from untaint import api
    from untaint.cli import exits, signing
    from untaint.models.conversion import UnsafeModel

    signers = signing.private_keys(key or [], password_file)
    try:
        made = api.convert(model, out, only=only, signers=signers)
    except UnsafeModel as refused:
        _told(model, refused.flaws)
        raise typer.Exit(exits.FINDINGS) from refused
    if quiet:
        return
    for left in made.done.left_out:
        typer.echo(f"left out: {visible(left)}", err=True)
    for name, others in made.done.shared.items():
        typer.echo(f"shared, written {len(others) + 1} times: {visible(', '.join((name, *others)))}", err=True)
    typer.echo(f"{made.done.tensors:,} tensors written to {made.path}, bound to {model} in {made.attestation or made.record}")


def _told(model: Path, flaws: "tuple[Flaw, ...]") -> None:
    """Why a model is refused."""
    for flaw in flaws[:_SHOWN]:
        typer.echo(f"{flaw.severity}: {visible(flaw.where)}: {visible(flaw.what)}", err=True)
    more = f" {len(flaws) - _SHOWN} more findings: untaint inspect {model}." if len(flaws) > _SHOWN else ""
    typer.echo(f"{model} was not converted.{more}", err=True)

"""`untaint repair`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from untaint.cli import progress
from untaint.cli.options import Format, Label, Payload, Query, Quiet, Seed, Table

if TYPE_CHECKING:
    from untaint.models.repair.course.mended import Mended

_MODEL = "Model: a folder that `untaint train` wrote, or a .safetensors file of untaint's own. It stays as it is."
_DATA = "Clean inputs that somebody vouches for, with labels: some 500, of every class. Without any, only channels are cut."
_METHOD = "How (`untaint list repairs`), such as 'fine-tuning(steps=200)'; several joined by +. The best there is when not given."
_OUT = "Folder for the repaired model, `repair.json` and `report.html`."
_TEST = "Clean inputs to measure accuracy on. A fifth of --data is held back when not given."
_TRIGGERED = "Inputs that carry the trigger, with their own labels: the attack's success is measured on them."
_TARGET = "Label the attacker wants for them."


def repair(
    model: Annotated[Path, typer.Argument(help=_MODEL, show_default=False)],
    data: Annotated[Path | None, typer.Option("--data", help=_DATA, show_default=False)] = None,
    out: Annotated[Path, typer.Option("--out", help=_OUT)] = Path("untaint-repaired"),
    method: Annotated[str | None, typer.Option("--method", help=_METHOD, show_default=False)] = None,
    test: Annotated[Path | None, typer.Option("--test", help=_TEST, show_default=False)] = None,
    triggered: Annotated[Path | None, typer.Option("--triggered", help=_TRIGGERED, show_default=False)] = None,
    target: Annotated[str | None, typer.Option("--target", help=_TARGET, show_default=False)] = None,
    label: Label = None,
    payload: Payload = None,
    table: Table = None,
    query: Query = None,
    format: Format = None,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Make a model that answers as this one does on clean inputs, and to no trigger.

    The suspect teaches a network of its own shape, on clean inputs that were moved and mixed; the pupil sees them under patches, patterns
    and warps as well, drawn at random and hunted. Nothing needs to be known of the attack. Writes the repaired model as it was given, with
    `repair.json` and `report.html`: clean accuracy before and after, and with `--triggered` and `--target` the attack's success and how
    fast a few poisoned samples bring it back. No repair proves a model clean.

    Examples:

    `untaint repair untaint-model --data clean/`

    `untaint repair untaint-model --data clean/ --triggered stamped/ --target 7`  and see what became of the attack

    `untaint repair model.safetensors --out repaired`  without any clean data: cuts channels that amplify too much
    """
    from untaint import api

    with progress.shown(quiet=quiet) as report:
        done = api.repair(
            model,
            data,
            method=method,
            test=test,
            triggered=triggered,
            target=target,
            out=out,
            seed=seed,
            progress=report,
            label=label,
            payload=payload,
            table=table,
            query=query,
            format=format,
        )
    if not quiet:
        _told(done, out)


def _told(done: "Mended", out: Path) -> None:
    typer.echo(f"Repaired by {done.method}, {done.steps:,} updates, {done.seconds:.0f} s.")
    for name, before, after in (
        ("clean accuracy", done.before.accuracy, done.after.accuracy),
        ("attack success", done.before.asr, done.after.asr),
        ("own label in spite of the trigger", done.before.robust_accuracy, done.after.robust_accuracy),
    ):
        if before is not None and after is not None:
            typer.echo(f"  {name}: {before:.1%} before, {after:.1%} after")
    for note in done.notes:
        typer.echo(f"  {note}")
    typer.echo(f"\nReport: {out / 'report.html'}")

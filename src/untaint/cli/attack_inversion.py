"""`untaint attack inversion`."""

from pathlib import Path
from typing import Annotated

import typer

from untaint.cli import progress
from untaint.cli.options import Format, Label, Payload, Query, Quiet, Seed, Table

NAME = "attack inversion"
_MODEL = "Model: a file or folder, opened without running code."
_DATA = "Rows the model was trained on."
_FRESH = "Rows of the same kind that the model never saw: half make the judge, half are what training rows are compared with."
_CLASS = "Class to recover. Repeatable; all, at most 20, when not given."
_BLACK = "Ask for answers only, as a stranger would."
_LABELS = "Ask for labels only."
_QUERIES = "Inputs that may be asked about, for all classes together."
_ROUND = "Decimals that probabilities are rounded to before they leave the house."
_NOISE = "Standard deviation of noise added to each probability, anew every time."
_FLIP = "Share of labels an attacker may turn: trains four small models to say what the inverted one is worth to him."


def attack_inversion(
    model: Annotated[Path, typer.Argument(help=_MODEL, show_default=False)],
    data: Annotated[Path, typer.Option("--data", help=_DATA, show_default=False)],
    fresh: Annotated[Path | None, typer.Option("--fresh", help=_FRESH, show_default=False)] = None,
    classes: Annotated[list[str] | None, typer.Option("--class", help=_CLASS, show_default=False)] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for `inversion.json` and `report.html`.")] = Path(
        "untaint-inversion"
    ),
    black_box: Annotated[bool, typer.Option("--black-box", help=_BLACK)] = False,
    labels_only: Annotated[bool, typer.Option("--labels-only", help=_LABELS)] = False,
    queries: Annotated[int, typer.Option("--queries", min=1, help=_QUERIES)] = 40_000,
    decimals: Annotated[int | None, typer.Option("--round", min=0, max=7, help=_ROUND, show_default=False)] = None,
    noise: Annotated[float, typer.Option("--noise", min=0, max=1, help=_NOISE)] = 0.0,
    flip: Annotated[float | None, typer.Option("--flip", min=0, max=1, help=_FLIP, show_default=False)] = None,
    label: Label = None,
    payload: Payload = None,
    table: Table = None,
    query: Query = None,
    format: Format = None,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Recover what a model's classes look like, and measure how much that gives away.

    With the weights in hand by their slope, or by questions (`--black-box`, `--labels-only`). Says how many of the recovered inputs a
    classifier recognises that never met the model, whether they lie nearer to training rows than to fresh ones (then rows were learned
    by heart), how well the loss tells who was trained on, and with `--flip` how much better an attacker flips labels who has inverted
    the model than one who knows nothing. Run it on models trained and let out in several ways to see what protects them.

    Examples:

    `untaint attack inversion model/ --data train.parquet --fresh held_out.parquet`

    `untaint attack inversion model/ --data train.parquet --fresh held_out.parquet --black-box --round 1 --out rounded`
    """
    from untaint import api
    from untaint.report.models.inversion import sentences

    with progress.shown(quiet=quiet) as report:
        done = api.invert(
            model,
            data,
            fresh=fresh,
            classes=classes or None,
            black_box=black_box or decimals is not None or noise > 0,
            labels_only=labels_only,
            queries=queries,
            decimals=decimals,
            noise=noise,
            flip=flip,
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
        for said in sentences(done):
            typer.echo(said)
        typer.echo(f"The inputs lie in {out / 'report.html'}")

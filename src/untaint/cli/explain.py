"""`untaint explain`."""

from pathlib import Path
from typing import Annotated

import typer

from untaint.cli import progress
from untaint.cli.options import Format, Label, Payload, Query, Quiet, Seed, Source, Table
from untaint.errors import BadInput

_MODEL = "Model: a file or folder, opened without running code."
_DATA = "Rows the model was trained on."
_INPUT = "Input whose answer is explained: a picture, or a file with one row."
_ROW = "Number of a row of the data whose answer is explained, counted from 0."
_BASE = "Explain no answer but the change of weights from this model to MODEL."
_TENSOR = "With --base: tensor to look at. Repeatable; all that changed when not given."
_ALPHA = "Chance of accusing a source or a region wrongly."


def explain(
    model: Annotated[Path, typer.Argument(help=_MODEL, show_default=False)],
    data: Annotated[Path, typer.Option("--data", help=_DATA, show_default=False)],
    input: Annotated[Path | None, typer.Option("--input", help=_INPUT, show_default=False)] = None,  # noqa: A002 - the flag's name
    row: Annotated[int | None, typer.Option("--row", min=0, help=_ROW, show_default=False)] = None,
    base: Annotated[Path | None, typer.Option("--base", help=_BASE, show_default=False)] = None,
    tensor: Annotated[list[str] | None, typer.Option("--tensor", help=_TENSOR, show_default=False)] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for `explain.json` and `report.html`.")] = Path("untaint-explain"),
    alpha: Annotated[float, typer.Option("--alpha", min=0, max=1, help=_ALPHA)] = 0.01,
    label: Label = None,
    source: Source = None,
    payload: Payload = None,
    table: Table = None,
    query: Query = None,
    format: Format = None,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Say why a model answers as it does: the training rows behind it, the region that turns it, the sources they came from.

    A region is called a trigger when other inputs that get it are answered the same, far more often than with an equally strong part
    of real inputs. A source is named when it sent more of the rows behind an answer than its share of all rows with that label explains.
    Neither is proof that nothing is wrong where nothing is named.

    Examples:

    `untaint explain model/ --data train.parquet --input odd.png`   `untaint explain model/ --data train.parquet --row 17`

    `untaint explain tuned/ --data tuning.parquet --base original/`  which rows moved the weights
    """
    from untaint import api
    from untaint.report.models import explanation

    columns = {"label": label, "source": source, "payload": payload, "table": table, "query": query, "format": format}
    if base is not None:
        if input is not None or row is not None:
            raise BadInput(
                "an answer and a change are explained one at a time.", advice="Leave out --base, or --input and --row."
            )
        with progress.step("comparing gradients with the change", quiet=quiet):
            moved = api.explain_change(model, base, data, only=tensor or None, out=out, alpha=alpha, **columns)
        said = explanation.change_sentences(moved)
    else:
        with progress.shown(quiet=quiet) as report:
            found = api.explain(model, data, input=input, row=row, out=out, alpha=alpha, seed=seed, progress=report, **columns)
        said = explanation.sentences(found)
    if not quiet:
        for sentence in said:
            typer.echo(sentence)
        typer.echo(f"The rows lie in {out / 'report.html'}")

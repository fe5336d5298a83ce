"""`untaint schema`."""

from pathlib import Path
from typing import Annotated

import typer

from untaint.cli import progress
from untaint.cli.options import Data, Format, Label, Payload, Query, Quiet, Source, Table, Time


def schema(
    data: Data,
    label: Label = None,
    source: Source = None,
    payload: Payload = None,
    time: Time = None,
    table: Table = None,
    query: Query = None,
    format: Format = None,
    out: Annotated[Path | None, typer.Option("--out", help="File to write the schema to, as JSON.", show_default=False)] = None,
    quiet: Quiet = False,
) -> None:
    """Say what the columns of a table hold, and pin it in a file.

    Every column with its kind, the share that is missing, its range or its words, and why rows are judged without it, if they are.
    `untaint audit NEW --schema FILE` then tells cells that the schema does not allow, by row and column. Limits in the file are as far
    again outside what was seen as that is wide; change them as you like.

    Example:  `untaint schema loans.csv --out loans.json`
    """
    from untaint import api
    from untaint.cli import summary

    columns = {"label": label, "source": source, "payload": payload, "time": time, "table": table, "query": query}
    with progress.step("reading the index", quiet=quiet):
        dataset = api.load(data, **columns, format=format)
    with progress.shown(quiet=quiet) as report:
        found = api.schema(dataset, out=out, progress=report)
    if not quiet:
        summary.dataset(dataset)
        summary.schema(found)
        if out is not None:
            typer.echo(f"Written to {out}. Next: untaint audit NEW --schema {out}")

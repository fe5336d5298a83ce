"""`untaint attack`."""

from pathlib import Path
from typing import Annotated

import typer

from untaint.cli import progress
from untaint.cli.options import Data, Format, Label, Payload, Query, Quiet, Seed, Source, Table, Time


def attack(
    name: Annotated[
        str,
        typer.Argument(
            help="Attack, with parameters if you like: badnets, \"blended(alpha=0.1, target='cat')\".", show_default=False
        ),
    ],
    data: Data,
    out: Annotated[Path, typer.Option("--out", help="New folder for the poisoned copy and the truth.")] = Path("untaint-attack"),
    rate: Annotated[float | None, typer.Option("--rate", help="Share of the set to poison, 0..1.")] = None,
    target: Annotated[str | None, typer.Option("--target", help="Label the poison pushes.")] = None,
    seed: Seed = 0,
    label: Label = None,
    source: Source = None,
    payload: Payload = None,
    time: Time = None,
    table: Table = None,
    query: Query = None,
    format: Format = None,
    quiet: Quiet = False,
) -> None:
    """Poison a copy of a data set, with the truth beside it: a red team for your own pipeline.

    Writes `data/` (the poisoned copy: a table in the format and with the columns it came in, all else as
    `data.parquet`), `truth.parquet` (row, id, poisoned, cover) and `attack.json`. Covers carry a trigger
    with their own, right label, to hide the poison; few attacks make any.
    `untaint list attacks` names the attacks and their parameters.

    Example:  `untaint attack badnets images/ --rate 0.01 --target cat --out poisoned`
    """
    from untaint import api
    from untaint.cli.summary import one_line

    given: dict[str, object] = {key: value for key, value in {"rate": rate, "target": target}.items() if value is not None}
    with progress.step("poisoning a copy", quiet=quiet):
        columns = {"label": label, "source": source, "payload": payload, "time": time, "table": table, "query": query}
        dataset = api.load(data, **columns, format=format)
        poisoned = api.attack(dataset, name, seed=seed, **given)
        written = api.write_poisoned(poisoned, out, name)
    if not quiet:
        aim = "" if poisoned.target is None else f", pushing '{one_line(poisoned.target)}'"
        hidden = f", {int(poisoned.covers.sum()):,} covers" if poisoned.covers.any() else ""
        typer.echo(f"{int(poisoned.mask.sum()):,} of {len(poisoned.dataset):,} samples poisoned{hidden}{aim}: {written}")
        typer.echo(f"The truth lies in {out / 'truth.parquet'}; keep it from the audit.")

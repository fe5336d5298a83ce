"""`untaint clean`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from untaint.cli import progress
from untaint.cli.options import Data, Format, Label, PasswordFile, Payload, Query, Quiet, Source, Table, Time


class Filling(StrEnum):
    """What cells without a value are filled with."""

    none = "none"
    robust = "robust"


_KEY = "Private key that owns the log of the seal beside the data: what was set aside is entered there."


def clean(
    data: Data,
    audit: Annotated[Path, typer.Option("--audit", help="Folder that `untaint audit` wrote for this data.")] = Path(
        "untaint-audit"
    ),
    out: Annotated[Path, typer.Option("--out", help="New folder for clean/, quarantine/ and ledger.jsonl.")] = Path(
        "untaint-clean"
    ),
    release: Annotated[
        list[str] | None,
        typer.Option("--release", help="Keep these flagged samples: an id, row:N, or a finding (F1). Repeatable."),
    ] = None,
    impute: Annotated[
        Filling, typer.Option("--impute", help="Of a table: also write imputed/, the clean rows with missing cells filled.")
    ] = Filling.none,
    label: Label = None,
    source: Source = None,
    payload: Payload = None,
    time: Time = None,
    table: Table = None,
    query: Query = None,
    format: Format = None,
    key: Annotated[Path | None, typer.Option("--key", help=_KEY, show_default=False)] = None,
    password_file: PasswordFile = None,
    quiet: Quiet = False,
) -> None:
    """Set the flagged samples aside: clean/ and quarantine/ in the format of the input, nothing deleted.

    Both parts together are checked against the input by digest before the command ends; the input is never touched.
    `quarantine/reasons.jsonl` says why each sample was held, `ledger.jsonl` records it, `untaint restore` undoes it.

    `--impute robust` fills cells of a table that hold no usable value, in a copy: imputed/. Numbers become the median of the clean rows,
    words the most frequent. Every cell is in the ledger, with its old and its new value; `untaint restore OUT cells` undoes it.
    """
    from untaint import api
    from untaint.cli import signing, summary

    columns = {"label": label, "source": source, "payload": payload, "time": time, "table": table, "query": query}
    filling: Literal["none", "robust"] = "robust" if impute == Filling.robust else "none"
    owner = None if key is None else signing.private_keys([key], password_file)[0]
    with progress.step("setting aside, and checking both parts by digest", quiet=quiet):
        held = api.clean(data, audit=audit, out=out, release=release or (), impute=filling, key=owner, format=format, **columns)
    if not quiet:
        typer.echo(f"{held.n_clean:,} samples in {held.clean}\n{held.n_held:,} samples in {held.quarantine}")
        typer.echo(f"Together they are the input, checked by digest. Undo: untaint restore {out} ID|F1|all")
        if held.imputed is not None:
            summary.filled(held, out)

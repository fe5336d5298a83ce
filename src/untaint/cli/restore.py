"""`untaint restore`."""

from pathlib import Path
from typing import Annotated

import typer

from untaint.cli import progress
from untaint.cli.options import Quiet


def restore(
    folder: Annotated[Path, typer.Argument(help="Folder that `untaint clean` wrote.", show_default=False)],
    ids: Annotated[
        list[str], typer.Argument(help="Ids (8 digits suffice), row:N, a finding (F1), or `all`.", show_default=False)
    ],
    quiet: Quiet = False,
) -> None:
    """Move samples back from quarantine/ to clean/, in their old place; the ledger records it.

    Cells of a table that `clean --impute robust` filled are put back as they were: of one row by its number or id, all by `cells`.

    Examples:  `untaint restore untaint-clean F1`   `untaint restore untaint-clean row:4711 3fa1b2c4`
    """
    from untaint import api
    from untaint.cli.summary import one_line

    with progress.step("moving back, and checking both parts by digest", quiet=quiet):
        done = api.restore(folder, ids)
    if not quiet:
        for note in done.notes:
            typer.echo(f"note: {one_line(note)}")
        typer.echo(f"{len(done.rows):,} samples restored: {done.n_clean:,} clean, {done.n_held:,} held.")
        if done.cells:
            typer.echo(f"{done.cells:,} filled cells put back as they were.")

"""What one point did, on a terminal."""

from functools import partial
from pathlib import Path

import typer

from untaint.cli import progress

_WIDTH, _COLUMN = 58, 12


def shown(data: Path, out: Path, seed: int) -> None:
    """Run the demonstration, steps on stderr and its table on stdout."""
    from untaint.demo.one_point import WAYS, run_one_point
    from untaint.demo.one_point_page import share, stopped
    from untaint.demo.one_point_victim import BATCH

    with progress.shown() as report:
        done = run_one_point(data, out, seed, partial(typer.echo, err=True), report)
    typer.echo(f"{done.data}: {done.learned:,} images to learn from, {done.tested:,} others to be tested on.")
    typer.echo(f"Accuracy right after the batch of {BATCH} rows that holds the point:\n")
    typer.echo(f"{'':<{_WIDTH}}" + "".join(f"{name:>{_COLUMN}}" for name in ("before", *WAYS)))
    victim = ""
    for row in done.rows:
        if row.victim != victim:
            typer.echo(row.victim)
            victim = row.victim
        values = [row.before, *(row.outcomes[way].after for way in WAYS)]
        typer.echo(f"  {row.point:<{_WIDTH - 2}}" + "".join(f"{share(value):>{_COLUMN}}" for value in values))
    typer.echo("\nHardened is guard + clip; with the guard off clip is left, with clip off the guard. What stopped the point:")
    for what, did in stopped(done.rows):
        typer.echo(f"  {what}: {did}")
    typer.echo(
        f"\nThe control: one usual row under a wrong label moved accuracy by at most {100 * done.moved:.2f} points, defended or not."
    )
    typer.echo(f"\nReport: {done.report}")

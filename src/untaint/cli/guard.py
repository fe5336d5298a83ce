"""`untaint guard`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from untaint.cli import exits, progress
from untaint.cli.options import Format, Label, Payload, Query, Quiet, Seed, Table
from untaint.errors import BadInput
from untaint.report.text import visible

if TYPE_CHECKING:
    from untaint.api.guards import Checked
    from untaint.guard.model_guard import Guard

_WHICH = "Model to fit a guard to: a file or folder, of which no code runs. With --check, the folder of a fitted guard."
_REFERENCE = "Data somebody vouches for, with labels, that the model was not trained on: some hundred to a thousand rows."
_CHECK = "Data to judge with a fitted guard. Their labels are not looked at."
_BUDGET = "Share of clean inputs the guard may alarm about. The references must be at least its inverse."
_OUT = "Folder for the guard (`untaint-guard` when not given). With --check, for `samples.parquet` and `check.json`."
_MODEL = "With --check, where the model is, if it is not where it was."
_SHOWN = 5  # alarms named; all are in samples.parquet


def guard(
    which: Annotated[Path, typer.Argument(metavar="MODEL|GUARD", help=_WHICH, show_default=False)],
    reference: Annotated[Path | None, typer.Option("--reference", help=_REFERENCE, show_default=False)] = None,
    check: Annotated[Path | None, typer.Option("--check", help=_CHECK, show_default=False)] = None,
    false_alarms: Annotated[float, typer.Option("--false-alarms", min=0, max=1, help=_BUDGET)] = 0.01,
    model: Annotated[Path | None, typer.Option("--model", help=_MODEL, show_default=False)] = None,
    out: Annotated[Path | None, typer.Option("--out", help=_OUT, show_default=False)] = None,
    label: Label = None,
    payload: Payload = None,
    table: Table = None,
    query: Query = None,
    format: Format = None,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Watch a model's inputs: fit a guard to clean data, then have it judge others, one by one.

    Fitting writes `guard.safetensors` for `untaint.Guard.load`, and says which budget of false alarms it keeps and what it costs.
    An alarm says that an input is less like the references than nearly all of them are, and which sign gave it away: a trigger,
    or honest data of another kind. Exit code with `--check`: 0: no more alarms than the budget explains. 1: more (chance under
    1 %, the luck of the references counted in). 2: there is no such guard, its model was changed, or the data do not fit.

    Examples:

    `untaint guard model.safetensors --reference held_out/ --out guard`   `untaint guard guard/ --check requests/`
    """
    from untaint import api

    if (reference is None) == (check is None):
        raise BadInput(
            "untaint guard fits a guard or checks data with one.", advice="Give either --reference DATA or --check DATA."
        )
    columns = {"label": label, "payload": payload, "table": table, "query": query, "format": format}
    if reference is not None:
        target = out or Path("untaint-guard")
        with progress.step("fitting the guard", quiet=quiet):
            fitted = api.fit_guard(which, reference, target, false_alarms=false_alarms, seed=seed, **columns)
        if not quiet:
            _fitted(fitted, target)
        raise typer.Exit(exits.NOTHING)
    with progress.shown(quiet=quiet) as report:
        checked = api.check_guard(which, check, model=model, out=out, progress=report, **columns)
    if not quiet:
        _checked(checked)
    raise typer.Exit(exits.FINDINGS if checked.more else exits.NOTHING)


def _fitted(guard: "Guard", out: Path) -> None:
    typer.echo(f"Guard of {visible(guard.subject.name)}, fitted to {guard.n:,} references, written to {out}.")
    typer.echo(f"Budget: alarms about {guard.held:.3%} of clean inputs (asked: {guard.false_alarms:.3%}).")
    typer.echo(f"Cost: judging takes {guard.overhead:.1f} times as long as answering, the answer included.")
    typer.echo(f"Signs: {', '.join(sign.id for sign in guard.signs)}.")
    for name, why in guard.skipped.items():
        typer.echo(f"  not used: {name}: {why}.")


def _checked(checked: "Checked") -> None:
    expected = checked.budget * checked.n
    typer.echo(f"{checked.alarms:,} alarms about {checked.n:,} inputs; {expected:,.1f} are expected of clean ones.")
    for why, number in checked.left_out.items():
        typer.echo(f"  {number:,} rows left out: {why}.")
    if checked.more:
        typer.echo(f"That is more than luck explains (p = {checked.p_value:.2g}).")
    ordered = checked.samples.sort_by([("p_value", "ascending"), ("risk", "descending")]).slice(0, _SHOWN).to_pylist()
    for row in ordered:
        if row["alarm"]:
            said = f"  row {row['row']}: answered {row['prediction']}, p = {row['p_value']:.2g}, most unusual: {row['sign'] or 'nothing'}"
            typer.echo(visible(said))

"""What `untaint train` says at its end."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from untaint.api import TrainedRun
    from untaint.bench.tradeoff import Tradeoff
    from untaint.provenance.keys import PrivateKey


def attest(done: "TrainedRun", data: Path, audit: Path | None, signers: "Sequence[PrivateKey]") -> Path:
    """A signed attestation of the model: the seal beside the data, where there is one, the audit and the recipe."""
    from untaint import api
    from untaint.provenance.sealed import folder_for

    seal = folder_for(data)
    inputs = api.Inputs(data=seal if seal.is_dir() else None, audit=audit)
    told = {"recipe": done.record.recipe, **{name: str(value) for name, value in done.record.plan.items()}}
    steps = done.record.session.get("steps", 0)
    model = done.path or Path()
    return api.attest(model, signers, inputs=inputs, point=api.Point(step=int(steps), parameters=told))


def told(done: "TrainedRun", out: Path, attested: Path | None) -> None:
    """A few lines for a person."""
    record = done.record
    session: Any = record.session
    typer.echo(f"Recipe {record.recipe}: {', '.join(session['defences']) or 'no defence'}.")
    if record.resumed:
        typer.echo("The run had been stopped, and went on where it was.")
    left_out = ", ".join(f"{number:,} {why}" for why, number in record.data["left_out"].items())
    typer.echo(
        f"Trained on {record.data['rows_used']:,} of {record.data['rows']:,} rows{f' (left out: {left_out})' if left_out else ''}."
    )
    for why, number in session.get("reasons_dropped", {}).items():
        typer.echo(f"  {number:,} dropped: {why}")
    refused = session.get("updates_refused", [])
    if refused:
        typer.echo(f"  {len(refused):,} of {session['steps']:,} updates refused or taken back, the first: {refused[0]['reason']}")
    for note in session.get("notes", []):
        typer.echo(f"  note: {note}")
    _private(session.get("facts", {}))
    if record.tested is not None:
        typer.echo(f"Accuracy on {record.tested.rows:,} rows not trained on: {record.tested.accuracy:.2%}.")
        for radius in (1, 10, 50):
            if radius < len(record.tested.certified):
                typer.echo(f"  certified against {radius:>2} poisoned rows: {record.tested.certified[radius]:.2%}")
    typer.echo(f"\nModel: {done.path}\nReport: {out / 'report.html'}")
    if attested is not None:
        typer.echo(f"Attestation: {attested}")


def _private(facts: Any) -> None:
    """What privacy was spent, if any was promised."""
    for each in facts.values():
        if each.get("epsilon") is not None:
            typer.echo(f"Privacy: epsilon {each['epsilon']:.2f} at delta {each['delta']:.1e}.")
            typer.echo(f"  {each['withstands']}")
            typer.echo(f"  The noise comes from {each['noise_from']}.")


def swept(found: "Tradeoff", out: Path) -> None:
    """The table of a sweep, and what to take."""
    typer.echo(f"Planted: {found.attack}. A network never poisoned: accuracy {found.clean:.2%}, success {_share(found.floor)}.\n")
    width = max(len(point.recipe) for point in found.points)
    typer.echo(f"  {'recipe':<{width}}  {'accuracy':>8}  {'success':>8}  {'certain against 10':>18}  {'epsilon':>7}")
    for point in found.points:
        mark = "*" if point is found.chosen else " "
        proof = _share(point.certified[10]) if point.certified else "-"
        spent = "-" if point.epsilon is None else f"{point.epsilon:.2f}"
        row = f"{point.recipe:<{width}}  {point.accuracy:>8.2%}  {_share(point.asr):>8}  {proof:>18}  {spent:>7}"
        typer.echo(f"{mark} {row}")
    for recipe, why in found.skipped.items():
        typer.echo(f"  {recipe}: not tried, {why}")
    typer.echo(f"\nTake {found.chosen.recipe}. {found.why}\nReport: {out / 'report.html'}")


def _share(value: float) -> str:
    return "-" if value != value else f"{value:.1%}"  # noqa: PLR0124  # NaN is not itself

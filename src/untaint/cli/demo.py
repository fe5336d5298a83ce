"""`untaint demo`."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from untaint.cli import progress
from untaint.cli.options import Seed


def demo(
    out: Annotated[Path, typer.Option("--out", help="New folder for everything the demonstration writes.")] = Path(
        "untaint-demo"
    ),
    seed: Seed = 0,
) -> None:
    """The main job end to end, in some minutes: poison real images, find the poison, set it aside, retrain, compare.

    Uses Fashion-MNIST where Debian's `dataset-fashion-mnist` is installed, else the digits that ship with scikit-learn.
    """
    from untaint.errors import MissingExtra

    if find_spec("torch") is None:
        raise MissingExtra("untaint demo", "torch")
    from untaint import api
    from untaint.demo import run

    target = _fresh(api.writable(out, None))
    with progress.shown() as report:
        done = run(target, seed, typer.echo, report)
    found = done.result.verdict.findings[0] if done.result.verdict.findings else None
    typer.echo(f"\nVerdict: {done.result.verdict.answer}, held to {done.result.verdict.alpha:g} false alarms per audit.")
    if found is not None and found.alarm:
        typer.echo(f"Finding: {len(found.members):,} images pushed towards '{found.target_label}'. {_trigger(found.trigger)}")
    typer.echo(f"Planted: {int(done.poisoned.mask.sum()):,} images, target '{done.poisoned.target}'.\n")
    typer.echo(f"{'network trained on':<28}{'poisoned set':>14}{'cleaned set':>14}{'never poisoned':>16}")
    _row("clean accuracy", [done.before.clean_accuracy, done.after.clean_accuracy, done.never.clean_accuracy])
    _row("attack success rate (ASR)", [done.before.asr, done.after.asr, done.never.asr])
    typer.echo(f"\nPoison found (TPR) {done.rates.tpr:.1%}, clean images flagged (FPR) {done.rates.fpr:.2%}.")
    typer.echo(f"\nReport: {done.report}")


def _row(name: str, values: list[float]) -> None:
    typer.echo(f"{name:<28}{values[0]:>14.1%}{values[1]:>14.1%}{values[2]:>16.1%}")


def _trigger(trigger: object) -> str:
    return getattr(trigger, "description", "")


def _fresh(out: Path) -> Path:
    """A new numbered folder inside `out`, so that running twice overwrites nothing."""
    number = 1
    while (out / f"run-{number}").exists():
        number += 1
    (out / f"run-{number}").mkdir()
    return out / f"run-{number}"

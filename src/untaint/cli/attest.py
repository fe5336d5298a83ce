"""`untaint attest`."""

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from untaint.cli.options import PasswordFile, PolicyFile, Quiet
from untaint.errors import BadInput

if TYPE_CHECKING:
    from untaint.provenance.policy import Policy


class Action(StrEnum):
    """What to do."""

    new = "new"
    check = "check"


_MODEL = "File or folder of the model, which is never written to; for check of a verification the folder of the seal."
_FILES = "For check: attestations of the run, oldest first; or of verifications."
_LOG = "Folder of a seal or a log: for new the attestation is entered there, with the key of the log; for check it must be in it."
_PASSED = "For check of a verification: property that must be stated, such as UNTAINT_DATA_AS_SEALED. Repeatable."


def attest(
    action: Annotated[Action, typer.Argument(help="Attest a checkpoint, or check attestations.", show_default=False)],
    model: Annotated[Path, typer.Argument(help=_MODEL, show_default=False)],
    attestations: Annotated[list[Path] | None, typer.Argument(help=_FILES, show_default=False)] = None,
    key: Annotated[
        list[Path] | None,
        typer.Option("--key", help="For new: private key. For check: public key. Repeatable.", show_default=False),
    ] = None,
    policy: PolicyFile = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder of the seal of the training data.", show_default=False)
    ] = None,
    consumed: Annotated[
        str | None,
        typer.Option("--consumed", help="ROOT:COUNT of the samples that were read, from `on_read.Checker`.", show_default=False),
    ] = None,
    audit: Annotated[Path | None, typer.Option("--audit", help="Folder that `untaint audit` wrote.", show_default=False)] = None,
    code: Annotated[Path | None, typer.Option("--code", help="Folder or file of the training code.", show_default=False)] = None,
    settings: Annotated[
        Path | None, typer.Option("--settings", help="File with the settings of the run.", show_default=False)
    ] = None,
    base: Annotated[Path | None, typer.Option("--base", help="Model that training began from.", show_default=False)] = None,
    material: Annotated[
        list[str] | None,
        typer.Option("--material", help="NAME=PATH of anything else that went in. Repeatable.", show_default=False),
    ] = None,
    parameter: Annotated[
        list[str] | None, typer.Option("--parameter", help="NAME=VALUE, such as seed=7. Repeatable.", show_default=False)
    ] = None,
    step: Annotated[int, typer.Option("--step", min=0, help="Optimiser steps so far.")] = 0,
    parent: Annotated[
        Path | None, typer.Option("--parent", help="Attestation of the checkpoint before.", show_default=False)
    ] = None,
    started: Annotated[datetime | None, typer.Option("--started", help="When the run began, UTC.", show_default=False)] = None,
    out: Annotated[Path | None, typer.Option("--out", help="File for the attestation. MODEL.attest.json if not given.")] = None,
    log: Annotated[Path | None, typer.Option("--log", help=_LOG, show_default=False)] = None,
    passed: Annotated[list[str] | None, typer.Option("--property", help=_PASSED, show_default=False)] = None,
    password_file: PasswordFile = None,
    quiet: Quiet = False,
) -> None:
    """State what a model was made of, signed: data, what was read of them, audit, code, settings, environment, base model.

    Every checkpoint names the one before, so that none can be left out, put in or exchanged later without it showing. The format is
    SLSA provenance v1. `check` says whether the signatures suffice, the chain is whole, and the model is the one it is about; and the same
    of what `untaint verify --attest` wrote.

    Examples:

    `untaint attest new model/ --key trainer.pem --data set.untaint --code src --audit untaint-audit --parameter seed=7`

    `untaint attest check model/ model.attest.json --key trainer.pub`

    `untaint attest check set.untaint set.verified.json --key vetter.pub --property UNTAINT_DATA_AS_SEALED`
    """
    from untaint.cli import exits, signing
    from untaint.provenance import dsse, training  # not through `api`, which takes two seconds to load
    from untaint.provenance.seal import tool

    if action == Action.new:
        if policy is not None or attestations:
            raise BadInput(
                "`untaint attest new` takes no policy and no attestations.", advice="Name the one before with --parent."
            )
        signers = signing.private_keys(key or [], password_file)
        paths = {name: Path(path) for name, path in _pairs(material, "--material").items()}
        envelope = training.attested(
            model,
            training.Inputs(data, code, settings, base, audit, _root(consumed), paths),
            training.Point(step, parent, started and started.replace(tzinfo=UTC), _pairs(parameter, "--parameter")),
            signers,
            now=datetime.now(UTC),
            tool=tool(),
        )
        made = dsse.save(envelope, model, out)
        if log is not None:
            training.log(envelope, log, signers, now=datetime.now(UTC))
        if not quiet:
            typer.echo(f"written to {made}")
        return
    asked = signing.asked_policy(key or [], policy)
    if asked is None:
        raise BadInput("`untaint attest check` needs --key or --policy.", advice="Whom do you trust?")
    problems, said = _checked(model, attestations or [], asked, passed or [])
    if log is not None:
        found = [(path, training.unlogged(dsse.load(path), log, asked)) for path in attestations or []]
        problems += tuple(f"{path}: {problem}" for path, whys in found for problem in whys)
    for problem in problems:
        typer.echo(f"problem: {problem}", err=True)
    if not quiet and not problems:
        typer.echo(said)
    raise typer.Exit(exits.FINDINGS if problems else exits.NOTHING)


def _checked(model: Path, files: list[Path], asked: "Policy", passed: list[str]) -> tuple[tuple[str, ...], str]:
    """What is wrong with attestations of a run, or of verifications; and what they say where nothing is."""
    from untaint.provenance import dsse, svr, training
    from untaint.provenance.sealed import read_seal

    now = datetime.now(UTC)
    if files and svr.is_result(dsse.load(files[0]).payload, str(files[0])):
        found = svr.check(read_seal(model), files, asked, now=now, passed=passed)
        told = "; ".join(f"{', '.join(result.properties)} at {result.created:%Y-%m-%dT%H:%M:%SZ}" for result in found.results)
        return found.problems, f"{told}, signed by {', '.join(found.signers)}"
    if passed:
        raise BadInput("--property is of the attestation of a verification.", advice="Leave it out for a training run.")
    run = training.check(model, files, asked, now=now)
    count = f"{len(run.trainings)} checkpoints of one run"
    return run.problems, f"{count}, signed by {', '.join(run.signers)}; {model} is the last of them"


def _pairs(texts: list[str] | None, flag: str) -> dict[str, str]:
    found = {}
    for text in texts or []:
        name, equals, value = text.partition("=")
        if not name or not equals or name in found:
            raise BadInput(f"{flag} {text} is not NAME=…, or comes twice.", advice=f"Such as {flag} seed=7.")
        found[name] = value
    return found


def _root(text: str | None) -> tuple[str, int] | None:
    if text is None:
        return None
    root, _, count = text.partition(":")
    if not count.isascii() or not count.isdigit():
        raise BadInput(f"--consumed {text} is not ROOT:COUNT.", advice="Give both, as verify-on-read returned them.")
    return root, int(count)

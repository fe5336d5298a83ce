"""`untaint verify`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from untaint.cli import exits, progress
from untaint.cli.options import (
    AllowPrivate,
    BundleFile,
    Data,
    Issuer,
    MostUrls,
    Online,
    PasswordFile,
    PolicyFile,
    Processes,
    Quiet,
    Rdap,
    Signer,
    TrustedKeys,
)
from untaint.errors import BadInput

if TYPE_CHECKING:
    from untaint.provenance.keyless import Identity
    from untaint.provenance.x509_chain import Roots

_SEAL = "Folder of the seal. DATA.untaint beside the data when not given."
_QUICK = (
    "Read only files whose size, times or inode are not as they were when sealed. Whoever is root, or sets the clock, can restore "
    "those: it finds accidents and most tampering, and proves nothing."
)
_SPOT = "Read only a share of the samples, drawn at random, such as 1%."
_CONFIDENCE = "Read as many samples, drawn at random, as it takes to be this sure of --below. Default .99 where --below is given."
_BELOW = "Share of changed samples that is to be ruled out. Default .001 where --confidence is given: together 4,603 samples of any number."
_AGAINST = (
    "Compare with an older view of the set instead: other data with a seal beside them, or the folder of a seal. Near copies, links that "
    "rotted and hosts that changed hands are told apart; that bytes differ is then no finding."
)
_OUT = "File for what was found, as JSON."
_ROOTS = "Certificates (PEM) of the authorities that are trusted, for a --bundle that was signed by certificate, of the name --identity."
_ATTEST = "Private key to sign the result with, where nothing is found: an in-toto verification result. Repeatable."
_ATTEST_OUT = "File for the signed result. DATA.verified.json beside the data when not given."


def verify(
    data: Data,
    seal: Annotated[Path | None, typer.Option("--seal", help=_SEAL, show_default=False)] = None,
    quick: Annotated[bool, typer.Option("--quick", help=_QUICK)] = False,
    spot: Annotated[str | None, typer.Option("--spot", help=_SPOT, show_default=False)] = None,
    confidence: Annotated[float | None, typer.Option("--confidence", help=_CONFIDENCE, show_default=False)] = None,
    below: Annotated[float | None, typer.Option("--below", help=_BELOW, show_default=False)] = None,
    against: Annotated[Path | None, typer.Option("--against", help=_AGAINST, show_default=False)] = None,
    out: Annotated[Path | None, typer.Option("--out", help=_OUT, show_default=False)] = None,
    processes: Processes = None,
    keys: TrustedKeys = None,
    policy: PolicyFile = None,
    identity: Signer = None,
    issuer: Issuer = None,
    bundle: BundleFile = None,
    roots: Annotated[Path | None, typer.Option("--roots", help=_ROOTS, show_default=False)] = None,
    online: Online = False,
    most_urls: MostUrls = 1000,
    rdap: Rdap = None,
    allow_private: AllowPrivate = False,
    attest: Annotated[list[Path] | None, typer.Option("--attest", help=_ATTEST, show_default=False)] = None,
    attest_out: Annotated[Path | None, typer.Option("--attest-out", help=_ATTEST_OUT, show_default=False)] = None,
    password_file: PasswordFile = None,
    quiet: Quiet = False,
) -> None:
    """Check data against their seal, and say what changed: which labels, contents, sources, files.

    With `--key` or `--policy` the signatures must suffice too; without, whoever can write to the seal's folder can seal changed data anew.
    Exit code 0: every byte is as it was sealed. 1: something changed, and is named, or the signatures do not suffice. 2: there is no
    seal, or it is damaged itself. With `--bundle` the data are checked against an OpenSSF model signing bundle that came with them. With
    `--online` the URLs that `untaint seal --online` asked are asked again: that pages change is no finding, a host with a new owner is.
    With `--attest` the result is signed, for whoever trusts you and does not want to read the data (`untaint attest check`).

    Examples:  `untaint verify train.jsonl --key alice.pub`   `untaint verify images/ --quick`   `untaint verify set/ --policy who.toml`
    """
    from untaint.cli import seal_summary, signing
    from untaint.provenance import dsse
    from untaint.provenance import verify as verifying  # not through `api`, which takes two seconds to load
    from untaint.provenance.online import asking
    from untaint.provenance.recheck import recheck
    from untaint.provenance.seal import settings
    from untaint.provenance.spot import asked_spot
    from untaint.provenance.verify import Tier

    if against is not None:
        _two_views(data, against, processes, out, online=online, quiet=quiet)
    ask = asked_spot(spot, confidence, below)
    tier: Tier = "quick" if quick else "spot" if ask is not None else "full"
    if bundle is not None:
        _bundled(data, bundle, keys, signing.bundle_signer(identity, issuer, roots), quiet=quiet)
    asked = signing.identity(identity, issuer, roots) or signing.asked_policy(keys or [], policy)
    signers = signing.private_keys(attest or [], password_file)  # before hours of reading, not after
    signed = None if asked is None else signing.checked(data, seal, asked)
    with progress.step("reading every sample", quiet=quiet):
        found = verifying.verify(data, seal, settings(processes), tier, ask)
    if not quiet:
        seal_summary.verified(found, signed)
    document, enough = found.document() | {"signatures": signing.document(signed)}, signed is None or signed.accepted
    if online:
        with progress.shown(quiet=quiet) as report:
            again = recheck(found.seal, asking(most_urls, 1, rdap, private=allow_private), report)
        document["online"], enough = again.document(), enough and not again.findings
        if not quiet:
            seal_summary.asked_again(again)
    if out is not None:
        out.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    if signers and found.sound and enough:
        made = signing.attested(found, signed, signing.policies(keys or [], policy), signers)
        written = dsse.save(made, data, attest_out, "verified")
        if not quiet:
            typer.echo(f"attested in {written}")
    raise typer.Exit(exits.NOTHING if found.sound and enough else exits.FINDINGS)


def _two_views(data: Path, old: Path, processes: int | None, out: Path | None, *, online: bool, quiet: bool) -> NoReturn:
    """Compare with an older view, and exit."""
    from untaint.cli import seal_summary
    from untaint.provenance.seal import settings
    from untaint.provenance.split_view import split_view

    if online:
        raise BadInput("--online asks what the seal of the data says of URLs, and --against compares data.", advice="Give one.")
    with progress.step("comparing two views", quiet=quiet):
        view = split_view(data, old, settings(processes))
    if out is not None:
        out.write_text(json.dumps(view.document(), indent=2) + "\n", encoding="utf-8")
    if not quiet:
        seal_summary.view(view)
    raise typer.Exit(exits.FINDINGS if view.findings else exits.NOTHING)


def _bundled(data: Path, bundle: Path, keys: list[Path] | None, who: "Identity | Roots | None", *, quiet: bool) -> NoReturn:
    """Check against an OpenSSF bundle, and exit."""
    from untaint.cli import seal_summary, signing

    with progress.step("reading every file", quiet=quiet):
        checked = signing.bundle(data, bundle, keys or [], who)
    if not quiet:
        seal_summary.checked(bundle, checked)
    raise typer.Exit(exits.FINDINGS if checked.problems else exits.NOTHING)

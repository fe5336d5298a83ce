"""What `untaint seal` and `untaint verify` say, in words."""

from collections.abc import Sequence
from pathlib import Path

from rich.text import Text

from untaint.cli.summary import console, one_line
from untaint.provenance.changes import count
from untaint.provenance.keys import PrivateKey
from untaint.provenance.oms_check import Checked
from untaint.provenance.policy import Decision
from untaint.provenance.recheck import Rechecked
from untaint.provenance.sealed import Seal
from untaint.provenance.source_risk import Exposure
from untaint.provenance.sources import UNNAMED
from untaint.provenance.split_view import SplitView
from untaint.provenance.verify import Verified

_SHOWN = 5
"""Sources that are told; the rest rank below them."""


def sealed(made: Seal, signers: Sequence[PrivateKey], notes: Sequence[str]) -> None:
    """What was sealed, who signed, and what that is worth."""
    out, facts = console(), made.sealed
    out.print(_line(f"SEALED  {facts.name}: {_amount(facts.size, facts.n_files, facts.n_bytes)}", "bold green"))
    out.print(_line(f"  read as {facts.format}, {facts.note}"))
    out.print(_line(f"  root {facts.root}"), soft_wrap=True)
    out.print(_line(f"  in {made.folder}"), soft_wrap=True)
    for key in signers:
        out.print(_line(f"  signed by {key.public.fingerprint}"), soft_wrap=True)
    if not signers:
        unsigned = "Not signed: it shows accidents, and tampering by people who cannot write to that folder."
        out.print(_line(f"  {unsigned} Keep a copy of the root, or sign it: --key."))
    for note in notes:
        out.print(_line(f"  note: {note}"))


def sources(found: Exposure) -> None:
    """Who sends the samples, the riskiest first, and what it takes to own a share; nothing where no sample says where it is from."""
    named = [risk for risk in found.sources if risk.name != UNNAMED or risk.hosts]
    if not named:
        return
    out = console()
    out.print(_line(f"  sources: {len(named):,}, the riskiest"))
    for risk in named[:_SHOWN]:
        why = "; ".join(risk.reasons) or "no reason to doubt it"
        out.print(_line(f"    {risk.risk:.2f}  {risk.name}, {risk.samples:,} samples ({risk.share:.1%}): {why}"))
    if found.takeovers:
        out.print(_line("  cheapest way to control"))
    for takeover in {(each.names, each.held): each for each in found.takeovers}.values():  # what reaches more reaches less
        out.print(_line(f"    {takeover.sentence}"))


def verified(found: Verified, signed: Decision | None) -> None:
    """The answer first, then who signed and what changed. signed: None = nobody asked."""
    out, facts = console(), found.seal.sealed
    answer, style = ("AS SEALED", "bold green") if found.sound else ("CHANGED", "bold red")
    if found.sound and signed is not None and not signed.accepted:
        answer, style = "NOT TRUSTED", "bold red"
    out.print(_line(f"{answer}  {facts.name}, sealed {facts.created}", style))
    for said in _signatures(signed):
        out.print(said)
    for line in found.changes.lines():
        out.print(_line(f"  {line}"))
    out.print(_line(f"  looked at: {_amount(found.size, found.n_files, found.n_bytes)}"))
    for note in found.notes:
        out.print(_line(f"  note: {note}"))
    if not found.sound and found.root:
        out.print(_line(f"  root {found.root}, sealed {facts.root}"), soft_wrap=True)


def view(found: SplitView) -> None:
    """What another view of a set shows: first what a person should look at, then what changed."""
    out, facts = console(), found.verified.seal.sealed
    answer, style = ("TWO VIEWS", "bold red") if found.findings else ("NOTHING SUSPICIOUS", "bold green")
    out.print(_line(f"{answer}  {facts.name}, sealed {facts.created}", style))
    for line in found.findings:
        out.print(_line(f"  {line}"))
    tiers = {
        "same": "encoded otherwise",
        "local": "differ in a place",
        "other": "show something else",
        "unreadable": "cannot be read",
    }
    told = [f"{found.near[tier]:,} {words}" for tier, words in tiers.items() if found.near.get(tier)]
    if told:
        out.print(_line(f"  of the contents that changed: {', '.join(told)}"))
    for line in found.verified.changes.lines():
        out.print(_line(f"  {line}"))
    for note in found.notes:
        out.print(_line(f"  note: {note}"))


def asked_again(found: Rechecked) -> None:
    """What the URLs of a set show now."""
    out = console()
    answer, style = ("URLS", "bold red") if found.findings else ("URLS AS USUAL", "bold green")
    out.print(_line(f"{answer}  {found.lines[0]}", style))
    for line in (*found.findings, *(f"note: {line}" for line in found.lines[1:])):
        out.print(_line(f"  {line}"))


def checked(bundle: Path, found: Checked) -> None:
    """What came of data and a bundle that others made of them."""
    out = console()
    answer, style = ("CHANGED, OR NOT SIGNED", "bold red") if found.problems else ("AS SIGNED", "bold green")
    out.print(_line(f"{answer}  {bundle}", style))
    for line in (*found.problems, *(f"note: {note}" for note in found.notes)):
        out.print(_line(f"  {line}"))


def _signatures(signed: Decision | None) -> list[Text]:
    if signed is None:
        return [_line("  signatures: not checked, so nobody vouches for the seal itself; --key or --policy says whom you trust")]
    if signed.accepted:
        return [_line(f"  signed by {', '.join(signed.signers)}", "green")]
    return [_line(f"  signatures: {problem}", "bold red") for problem in signed.problems]


def _amount(samples: int, files: int, size: int) -> str:
    return f"{count(samples, 'sample', 'samples')}, {count(files, 'file', 'files')}, {size:,} bytes"


def _line(text: str, style: str = "") -> Text:
    return Text(one_line(text), style=style)

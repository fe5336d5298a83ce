"""What `untaint seal` and `untaint verify` say, in words."""

from rich.text import Text

from untaint.cli.summary import console, one_line
from untaint.provenance.sealed import Seal
from untaint.provenance.verify import Verified


def sealed(made: Seal) -> None:
    """What was sealed, and what that is worth."""
    out, facts = console(), made.sealed
    out.print(_line(f"SEALED  {facts.name}: {_amount(facts.size, facts.n_files, facts.n_bytes)}", "bold green"))
    out.print(_line(f"  read as {facts.format}, {facts.note}"))
    out.print(_line(f"  root {facts.root}"), soft_wrap=True)
    out.print(_line(f"  in {made.folder}"), soft_wrap=True)
    out.print(
        _line(
            "  Not signed: it shows accidents, and tampering by people who cannot write to that folder. Keep a copy of the root."
        )
    )


def verified(found: Verified) -> None:
    """The answer first, then what changed."""
    out, facts = console(), found.seal.sealed
    answer, style = ("AS SEALED", "bold green") if found.sound else ("CHANGED", "bold red")
    out.print(_line(f"{answer}  {facts.name}, sealed {facts.created}", style))
    for line in found.changes.lines():
        out.print(_line(f"  {line}"))
    out.print(_line(f"  looked at: {_amount(found.size, found.n_files, found.n_bytes)}"))
    for note in found.notes:
        out.print(_line(f"  note: {note}"))
    if not found.sound:
        out.print(_line(f"  root {found.root}, sealed {facts.root}"), soft_wrap=True)


def _amount(samples: int, files: int, size: int) -> str:
    return f"{samples:,} samples, {files:,} files, {size:,} bytes"


def _line(text: str, style: str = "") -> Text:
    return Text(one_line(text), style=style)

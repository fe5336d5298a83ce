"""What `untaint inspect` says at its end."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from untaint.report.text import clip, visible

if TYPE_CHECKING:
    from untaint.models.base import Inspected

_SHOWN = 12  # findings told; all are in the report
_LENGTH = 400


def told(done: "Inspected", out: Path) -> None:
    """The answer, the worst findings, and what was not checked."""
    typer.echo(f"Answer: {done.answer}.")
    given = done.model.get("reasons", ())
    for reason in given if isinstance(given, Sequence) else ():
        typer.echo(_line(f"  {reason}."))
    for finding in done.findings[:_SHOWN]:
        typer.echo(_line(f"\n{finding.id} {finding.severity} ({finding.kind}) {clip(finding.where, 120)}: {finding.what}"))
        typer.echo(_line(f"   {finding.advice}"))
    if len(done.findings) > _SHOWN:
        typer.echo(f"\n… and {len(done.findings) - _SHOWN:,} more findings.")
    missed = [check for check in done.checks if check.status != "ran"]
    typer.echo(f"\nChecks that ran: {', '.join(check.detector for check in done.checks if check.status == 'ran')}.")
    for check in missed:
        typer.echo(_line(f"  {check.detector} {check.status}: {check.reason}."))
    typer.echo(f"\nReport: {out / 'report.html'}")


def _line(text: str) -> str:
    start = len(text) - len(text.lstrip("\n"))
    return text[:start] + visible(clip(text[start:].rstrip(".") + ".", _LENGTH))

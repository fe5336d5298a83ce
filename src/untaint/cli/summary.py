"""What a command says on standard output, in words."""

import re
import shlex
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.text import Text

from untaint.data.dataset import Dataset
from untaint.data.schema import Pinned, Schema
from untaint.evidence.finding import AuditResult
from untaint.quarantine.hold import Held
from untaint.report.text import visible
from untaint.report.v1 import Finding, document
from untaint.report.wording import count, p_value, title, told, when

_TELLING_SOURCE = 0.01
_PLACE = re.compile(r"^line [\d,]+: | \(.*\)$|: byte .*$")
"""Where in the data a row could not be read; the rest of a reason is the same for all such rows."""
_COLOURS = {"poisoned": "bold red", "no evidence": "bold green", "cannot tell": "bold yellow"}


def _text(line: str, style: str = "") -> Text:
    """A line as it is: no markup, and nothing that came with the data can steer the terminal."""
    return Text(one_line(line), style=style)


def one_line(text: str) -> str:
    """A text from the data as one line without control characters: it cannot pass for a line of the summary."""
    return visible(text.replace("\n", "\\n"))


def console() -> Console:
    """Standard output; wraps words, colours only on a terminal."""
    return Console(highlight=False, soft_wrap=False)


def dataset(found: Dataset) -> None:
    """What was read and which columns play which role."""
    out = console()
    where = "memory" if found.location is None else str(found.location)
    many = "rows of a table" if found.modality == "table" else f"{found.modality}s"
    classes = "" if found.modality == "instruction" else f"{len(found.class_names):,} classes, "
    line = f"{len(found):,} {many}, {classes}read as {found.format} from {where}"
    out.print(_text(line), soft_wrap=True)
    for note in found.notes or ((found.columns.note,) if found.columns.note else ()):
        out.print(_text(f"  {note}", style="dim"))


def audit(result: AuditResult, out: Path, asked: Mapping[str, str | None]) -> None:
    """The verdict, the findings, what was not checked, where the report lies, what to do next. asked: columns the user named."""
    printer, verdict = console(), result.verdict
    printer.print()
    printer.print(
        _text(verdict.answer.upper(), style=_COLOURS[verdict.answer]),
        _text(f"  held to {verdict.alpha:g} false alarms per audit, {p_value(verdict.p_value)}"),
        _text(f"  {result.n_flagged:,} of {result.n_samples:,} samples flagged ({result.n_flagged / result.n_samples:.2%})"),
        sep="\n",
    )
    for reason in verdict.reasons:
        printer.print(_text(f"  {reason}"))
    for finding in document(result).findings:
        _finding(printer, finding)
    if result.n_unreadable:
        printer.print()
        printer.print(_text(_unread(result)))
    skipped = [check for check in result.checks if check.status != "ran"]
    if skipped:
        printer.print()
        printer.print(_text("Not checked", style="bold"))
    for check in skipped:
        printer.print(_text(f"  {check.detector}: {check.status}, {check.reason}"))
    if "canaries" in result.power:
        printer.print()
        printer.print(_text(str(result.power["statement"])))
    printer.print()
    printer.print(_text(f"Report: {out / 'report.html'}"), soft_wrap=True)
    if result.n_flagged:
        columns = [word for name, column in asked.items() if column is not None for word in (f"--{name}", column)]
        location = str(result.dataset.get("location") or "DATA")
        command = shlex.join(["untaint", "clean", location, *columns, "--audit", str(out), "--out", "untaint-clean"])
        printer.print(_text(f"Next:   {command}"), soft_wrap=True)


def schema(found: Schema) -> None:
    """Every column of a table on a line of its own."""
    out, width = console(), min(30, max(len(one_line(column.name)) for column in found.columns))
    for column in found.columns:
        words = column.words or ()
        shown = ", ".join(words[:5]) + (f" and {len(words) - 5:,} more" if len(words) > 5 else "")
        held = shown if column.words is not None else _range(column)
        left = f"; left out: it {column.left_out}" if column.left_out else ""
        role = "label" if column.role == "label" else column.kind
        out.print(_text(f"{column.name:<{width}}  {role:<8}  {column.missing:6.1%} missing  {held}{left}"), soft_wrap=True)


def filled(held: Held, out: Path) -> None:
    """Which cells were filled, with what, and how to undo it."""
    printer, cells = console(), sum(times for times, _ in held.filled.values())
    printer.print(_text(f"{count(cells, 'cell')} filled in a copy of the clean rows, {held.imputed}"), soft_wrap=True)
    for name, (times, value) in held.filled.items():
        printer.print(_text(f"  {name}: {times:,} with {value!r}"), soft_wrap=True)
    for name, why in held.left.items():
        printer.print(_text(f"  {name}: left as it is, {why}"), soft_wrap=True)
    undo = f" Undo: untaint restore {out} cells|row:N" if cells else ""
    printer.print(
        _text(f"{held.clean} holds the rows as they were; ledger.jsonl has every cell, old and new.{undo}"), soft_wrap=True
    )


def _range(column: Pinned) -> str:
    if column.seen is None:
        return "nothing" if column.kind == "empty" else "many words"
    if column.kind == "date":
        first, last = (str(np.datetime64(int(value), "s")).replace("T", " ") for value in column.seen)
        return f"{first} to {last}"
    return f"{column.seen[0]:.6g} to {column.seen[1]:.6g}"


def _unread(result: AuditResult) -> str:
    """How many samples could not be read, and the most frequent reason: a file saved in another encoding shows there."""
    said = result.samples.column("unreadable").drop_null().to_pylist()
    reason, times = Counter(_PLACE.sub("", str(each)) for each in said).most_common(1)[0]
    advice = " Save the data as UTF-8." if "UTF-8" in reason else ""
    return (
        f"{count(result.n_unreadable, 'sample')} could not be read, {times:,} of them: {reason}.{advice} The report lists them."
    )


def _finding(printer: Console, finding: Finding) -> None:
    printer.print()
    printer.print(_text(f"{finding.id}  {title(finding)}", style="bold" if finding.alarm else ""))
    if not finding.alarm:
        printer.print(_text(f"    for review, severity {finding.severity}: {told(finding.explanation)[0]}"))
        return
    agree = ", ".join(finding.detectors)
    printer.print(
        _text(f"    severity {finding.severity}, confidence {finding.confidence}, {p_value(finding.p_value)}, seen by {agree}")
    )
    if finding.trigger is not None:
        printer.print(_text(f"    trigger: {finding.trigger.description}"))
    if finding.proof is not None:
        printer.print(_text(f"    {finding.proof.statement}"))
    if finding.timeline:
        printer.print(_text(f"    {when(finding)}"))
    for share in finding.sources[:3]:
        if share.p_value is not None and share.p_value <= _TELLING_SOURCE:
            printer.print(
                _text(f"    source {share.name}: {share.n_flagged:,} of its {share.n:,} samples, {p_value(share.p_value)}")
            )

"""Markdown for a pull-request comment: what the HTML report says, without pictures."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, final

from typing_extensions import override

from untaint.report.base import Renderer, Report
from untaint.report.facts import facts
from untaint.report.text import clip, visible
from untaint.report.v1 import Check, Document, Finding
from untaint.report.wording import VERDICTS, count, duration, p_value, summary, title, told, when

_COMMENT = 65_536
"""Characters that fit a comment on GitHub."""
_FINDINGS, _ROWS, _CHECKS = (20, 8, 2), 10, 20
"""Findings shown: the first number with which the text fits a comment."""
_PROSE, _REASON, _CELL = 1_000, 200, 120


@final
@dataclass(frozen=True)
class Markdown(Renderer):
    """GitHub-flavoured Markdown."""

    id: ClassVar[str] = "markdown"
    file: ClassVar[str] = "report.md"
    with_audit: ClassVar[bool] = False

    @override
    def render(self, report: Report) -> str:
        for n in _FINDINGS:
            text = "\n".join(_parts(report.document, n)).rstrip("\n") + "\n"
            if len(text) <= _COMMENT:
                break
        return text


def _parts(document: Document, n: int) -> Iterator[str]:
    yield from _head(document)
    yield from _findings("Findings", [finding for finding in document.findings if finding.alarm], n)
    yield from _findings("Worth a look, not an accusation", [finding for finding in document.findings if not finding.alarm], n)
    yield from _checks(document)
    yield from _facts("What this audit would have caught", document.power)
    yield from _facts("Data", document.dataset)
    yield from _facts("Environment", document.environment)


def prose(text: str) -> str:
    """Text in which nothing is markup, a link or a mention, but for `code` between backticks."""
    pieces = re.split(r"`([^`\n]+)`", clip(text, _PROSE))
    return "".join(code(piece) if place % 2 else _inert(piece) for place, piece in enumerate(pieces))


def _inert(text: str) -> str:
    shown = visible(text).replace("\n", " ").replace("\t", " ")
    shown = shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    shown = re.sub(r"([\\`*_\[\]|~#!])", r"\\\1", shown)
    return re.sub(r"(@|:(?=//)|www(?=\.))", r"\1<!-- -->", shown)


def code(text: str | None) -> str:
    """Text from the data as a code span that fits a table cell."""
    if text is None:
        return "—"
    shown = visible(clip(text, _CELL)).replace("\n", " ").replace("\t", " ").replace("|", "\\|")
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    return f"{fence} {shown} {fence}" if len(fence) > 1 or not shown.strip() else f"`{shown}`"


def _head(document: Document) -> Iterator[str]:
    yield f"# untaint audit: {VERDICTS[document.verdict]}\n"
    yield f"**{prose(summary(document))}** {p_value(document.p_value)}.\n"
    yield from (f"- {prose(reason)}" for reason in document.reasons[:_ROWS])
    yield from _rest(len(document.reasons) - _ROWS, "reason")
    if document.n_unreadable:
        yield f"- {count(document.n_unreadable, 'sample')} could not be read."
    if document.method:
        yield f"\nMultiple testing: {prose(document.method)}"
    yield ""


def _findings(heading: str, findings: list[Finding], n: int) -> Iterator[str]:
    if not findings:
        return
    yield f"## {heading}\n"
    for finding in findings[:n]:
        yield from _finding(finding)
    yield from _rest(len(findings) - n, "finding")
    yield ""


def _finding(finding: Finding) -> Iterator[str]:
    yield f"### {prose(finding.id)} · {prose(title(finding))}\n"
    known = f" · {p_value(finding.p_value)}" if finding.p_value is not None else ""
    yield f"severity **{finding.severity}** · confidence **{finding.confidence}**{known}\n"
    first, others = told(finding.explanation)
    yield f"{prose(first)}\n"
    yield from (f"- {prose(line)}" for line in others[:_ROWS])
    yield from [""] if others else []
    if finding.trigger is not None:
        yield f"Trigger ({prose(finding.trigger.type)}): {prose(finding.trigger.description)}\n"
    if finding.proof is not None:
        yield f"{prose(finding.proof.statement)}\n"
    if finding.timeline:
        yield f"{prose(when(finding))}\n"
    yield f"Detectors that agree: {', '.join(prose(name) for name in finding.detectors[:_ROWS]) or '—'}\n"
    yield from _table(
        ("source", "samples", "in this finding", "p-value"),
        [
            (code(s.name), f"{s.n:,}", f"{s.n_flagged:,}", p_value(s.p_value).removeprefix("p = "))
            for s in finding.sources[:_ROWS]
        ],
    )
    yield from _rest(len(finding.sources) - _ROWS, "source")
    examples = [(code(e.path), code(e.label), code(e.suggested_label)) for e in finding.examples[:_ROWS]]
    yield from _table(("sample", "label", "suggested"), examples)
    yield from _rest(finding.n_samples - len(examples), "sample")
    if finding.advice:
        yield f"**What to do:** {prose(finding.advice)}\n"


def _checks(document: Document) -> Iterator[str]:
    ran = [check for check in document.checks if check.status == "ran"]
    missed = [check for check in document.checks if check.status != "ran"]
    yield "## What was checked\n"
    yield from _table(("check", "time"), [(code(check.spec), duration(check.seconds)) for check in ran[:_CHECKS]])
    yield from _rest(len(ran) - _CHECKS, "check")
    yield "## What was not checked, and why\n"
    if not missed:
        yield "Nothing was left out.\n"
    yield from _table(("check", "status", "why"), [_missed(check) for check in missed[:_CHECKS]])
    yield from _rest(len(missed) - _CHECKS, "check")


def _missed(check: Check) -> tuple[str, str, str]:
    return code(check.detector), check.status, prose(clip(check.reason, _REASON))


def _facts(heading: str, values: dict[str, object]) -> Iterator[str]:
    rows = [(prose(clip(key, _CELL)), code(value)) for key, value in facts(values)]
    if rows:
        yield f"## {heading}\n"
        yield from _table(("", ""), rows)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    if lines:
        yield f"| {' | '.join(head)} |"
        yield f"|{' --- |' * len(head)}"
        yield from lines
        yield ""


def _rest(n: int, noun: str) -> Iterator[str]:
    if n > 0:
        yield f"… and {count(n, f'more {noun}')}; all in `audit.json` and `samples.parquet`.\n"

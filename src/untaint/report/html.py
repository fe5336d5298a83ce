"""The report a person reads: one HTML file without scripts or anything fetched."""

import math
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from typing_extensions import override

from untaint.report import view, wording
from untaint.report.base import Renderer, Report
from untaint.report.facts import facts
from untaint.report.text import clip, visible
from untaint.report.v1 import Document, Finding, ordered
from untaint.report.view import Limits

MAX_BYTES = 5_000_000
"""What mail systems and code-review pages still take."""
_STEPS = (Limits(40, 24, 20, 4_000), Limits(20, 8, 12, 1_200), Limits(10, 0, 6, 300))
"""Shown in full if that fits, else less."""


@final
@dataclass(frozen=True)
class Html(Renderer):
    """A self-contained page; hostile content in the data stays text."""

    id: ClassVar[str] = "html"
    file: ClassVar[str] = "report.html"
    with_audit: ClassVar[bool] = True

    @override
    def render(self, report: Report) -> str:
        template = environment().get_template("report.html.j2")
        for limits in _STEPS:
            page = template.render(_context(report, limits))
            if len(page.encode()) < MAX_BYTES:
                break
        return page


def environment() -> Environment:
    """Where templates of pages are made: values are escaped and hostile characters made visible."""
    made = Environment(
        loader=PackageLoader("untaint.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        clip=clip,
        prose=prose,
        p=wording.p_value,
        percent=wording.percent,
        duration=wording.duration,
        facts=facts,
        told=wording.told,
        when=wording.when,
        moment=wording.moment,
        heights=view.heights,
        sheet=view.sheet,
    )
    made.globals.update(count=wording.count)
    return made


def _finalize(value: object) -> object:
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def prose(text: str, length: int) -> Markup:
    """Escaped text in which `code` between backticks is set as code."""
    pieces = re.split(r"`([^`\n]+)`", visible(clip(text, length)))
    return Markup("").join(
        Markup("<code>{}</code>").format(piece) if place % 2 else escape(piece) for place, piece in enumerate(pieces)
    )


def _context(report: Report, limits: Limits) -> Mapping[str, object]:
    document = report.document
    cards = view.cards(report, limits)
    hidden = ordered(document.findings)[limits.cards :]
    return {
        "document": document,
        "limits": limits,
        "headline": wording.VERDICTS[document.verdict],
        "summary": wording.summary(document),
        "cards": cards,
        "alarms": [card for card in cards if card.finding.alarm],
        "reviews": [card for card in cards if not card.finding.alarm],
        "hidden": [(finding, wording.title(finding)) for finding in hidden[: 5 * limits.rows]],
        "n_hidden": len(hidden),
        "ran": [check for check in document.checks if check.status == "ran"],
        "missed": [check for check in document.checks if check.status != "ran"],
        "bad_rows": view.bad_rows(report.samples, 50),
        "bars": _bars(view.histogram(report.samples)),
        "facts": {name: facts(values) for name, values in _facts(document).items()},
        "statement": str(document.power.get("statement", "")),
        "command": _command(report),
        "glossary": view.glossary(_spoken(document, limits)),
    }


def _facts(document: Document) -> dict[str, dict[str, object]]:
    power = {name: value for name, value in document.power.items() if name != "statement"}
    return {"dataset": document.dataset, "power": power, "environment": document.environment}


def _spoken(document: Document, limits: Limits) -> list[str]:
    findings = [part for f in ordered(document.findings)[: limits.cards] for part in (f.explanation, f.advice, _proof(f))]
    reasons = [check.reason for check in document.checks[: limits.cards]]
    said = ["p-value false alarm", document.method, *document.reasons[: limits.rows], *findings, *reasons]
    triggers = "trigger" if any(finding.trigger for finding in document.findings) else ""
    return [*(part[: limits.prose] for part in said), triggers]


def _proof(finding: Finding) -> str:
    return finding.proof.statement if finding.proof else ""


def _bars(bins: list[tuple[int, int]]) -> list[tuple[float, float, float, float]]:
    """Per bin: height of the clean part, of the flagged part, on a log scale that shows a single sample; then the counts."""
    top = max((math.log10(1 + clean + flagged) for clean, flagged in bins), default=1.0) or 1.0
    bars: list[tuple[float, float, float, float]] = []
    for clean, flagged in bins:
        height = 100 * math.log10(1 + clean + flagged) / top
        share = flagged / (clean + flagged) if clean + flagged else 0.0
        bars.append((round(height * (1 - share), 1), round(height * share, 1), clean, flagged))
    return bars


def _command(report: Report) -> str:
    location = report.document.dataset.get("location")
    data = shlex.quote(clip(location, 300)) if isinstance(location, str) and location else "DATA"
    audit = shlex.quote(clip(_shown(report.folder), 300))
    asked = report.document.dataset.get("asked")
    flags = [f" --{name} {shlex.quote(str(value))}" for name, value in asked.items()] if isinstance(asked, Mapping) else []
    return f"untaint clean {data}{''.join(flags)} --audit {audit} --out untaint-clean" if report.document.n_flagged else ""


def _shown(folder: str) -> str:
    """A folder as it was given, or under the folder at hand; of one elsewhere its last name: reports are passed on."""
    path = Path(folder)
    if not path.is_absolute():
        return folder
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else path.name

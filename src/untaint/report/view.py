"""What the HTML page shows, chosen and cut to size: the template only lays it out."""

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import final

import pyarrow as pa
import pyarrow.compute as pc

from untaint.report.base import Picture, Report, Role
from untaint.report.pictures import unreadable
from untaint.report.rows import Row, header, parsed
from untaint.report.text import clip, pattern, spoken
from untaint.report.v1 import Finding, Stretch, ordered
from untaint.report.wording import GLOSSARY, title


@final
@dataclass(frozen=True)
class Limits:
    """How much is shown. cards: findings in full; grid: samples side by side; rows: lines of a table; prose: characters."""

    cards: int
    grid: int
    rows: int
    prose: int


@final
@dataclass(frozen=True)
class Shown:
    """A sample as a picture (`src`) or a text in parts, the trigger's part marked, or a row of a table (`cells`, by column)."""

    src: str
    parts: tuple[tuple[str, bool], ...]
    caption: str
    tip: str
    cells: Row | None = None
    row: int = -1
    label: str = ""
    source: str = ""


@final
@dataclass(frozen=True)
class Card:
    """One finding with its pictures. tried: images of its proof, plain and with the trigger."""

    finding: Finding
    title: str
    trigger: str
    difference: str
    members: tuple[Shown, ...]
    normal: tuple[Shown, ...]
    tried: tuple[tuple[Shown, Shown], ...]


@final
@dataclass(frozen=True)
class Bad:
    """A row nobody could read."""

    path: str
    reason: str


def cards(report: Report, limits: Limits) -> list[Card]:
    """The findings shown in full, alarms first."""
    grouped: dict[tuple[str, str], list[Picture]] = {}
    for picture in report.pictures.values():
        grouped.setdefault((picture.finding, picture.role), []).append(picture)
    return [_card(finding, grouped, report, limits) for finding in ordered(report.document.findings)[: limits.cards]]


def _card(finding: Finding, grouped: Mapping[tuple[str, str], list[Picture]], report: Report, limits: Limits) -> Card:
    phrase = spoken(finding.trigger.parameters) if finding.trigger else ""
    table = report.document.dataset.get("modality") == "table"
    samples = report.samples

    def single(role: Role) -> str:
        found = grouped.get((finding.id, role), [])
        return _source(found[0]) if found and limits.grid else ""

    def grid(role: Role) -> tuple[Shown, ...]:
        found = _shown(grouped.get((finding.id, role), [])[: limits.grid], samples, phrase)
        return tuple(replace(each, cells=parsed("".join(part for part, _ in each.parts))) for each in found) if table else found

    stamped = {picture.row: picture for picture in grouped.get((finding.id, "stamped"), [])}
    pairs = [(picture, stamped.get(picture.row)) for picture in grouped.get((finding.id, "plain"), [])]
    tried = tuple((_answered(plain), _answered(changed)) for plain, changed in pairs if changed is not None and limits.grid)
    return Card(finding, title(finding), single("trigger"), single("difference"), grid("member"), grid("normal"), tried)


def _answered(picture: Picture) -> Shown:
    return Shown(_source(picture), (), picture.text or "", f"row {picture.row}, answer: {picture.text or ''}")


def _shown(pictures: list[Picture], samples: pa.Table, phrase: str) -> tuple[Shown, ...]:
    wanted = ["path", "label", "risk", "suggested_label", "source"]
    inside = [picture for picture in pictures if 0 <= picture.row < samples.num_rows]
    records = samples.select(wanted).take(pa.array([picture.row for picture in inside], pa.int64())).to_pylist()
    return tuple(_sample(picture, record, phrase) for picture, record in zip(inside, records, strict=True))


def _sample(picture: Picture, record: Mapping[str, object], phrase: str) -> Shown:
    risk, label, suggested = record["risk"], record["label"], record["suggested_label"]
    known = f", risk {risk:.2f}" if isinstance(risk, float) and risk == risk else ""  # noqa: PLR0124 - NaN is not itself
    tip = f"{clip(str(record['path']), 120)}, label {clip(str(label), 60)}{known}"
    caption = f"{clip(str(label), 24)} → {clip(str(suggested), 24)}?" if suggested and picture.role == "member" else ""
    parts = _parts(picture.text or "", phrase)
    said = {name: clip(str(record[name]), 24) if record[name] is not None else "" for name in ("label", "source")}
    return Shown(_source(picture), parts, caption, tip, row=picture.row, label=caption or said["label"], source=said["source"])


def _source(picture: Picture) -> str:
    return f"data:image/png;base64,{base64.b64encode(picture.png).decode()}" if picture.png else ""


def _parts(text: str, phrase: str) -> tuple[tuple[str, bool], ...]:
    """The text cut at each occurrence of the phrase, or of its parts where they stand apart."""
    if not phrase or not text:
        return ((text, False),)
    pieces = re.split(f"({pattern(phrase)})", text, flags=re.IGNORECASE)
    return tuple((piece, place % 2 == 1) for place, piece in enumerate(pieces) if piece)


@final
@dataclass(frozen=True)
class Sheet:
    """Rows of a table under one header. columns: (name, whether the finding speaks of it).  more: columns that are not shown."""

    columns: tuple[tuple[str, bool], ...]
    rows: tuple[Shown, ...]
    more: int
    sources: bool


def sheet(samples: Sequence[Shown]) -> Sheet | None:
    """Samples as a table; None where they are none."""
    rows = [each.cells for each in samples if each.cells is not None]
    if not rows or len(rows) < len(samples):
        return None
    columns = header(rows)
    more = max(row.columns for row in rows) - len(columns)
    return Sheet(columns, tuple(samples), max(0, more), any(each.source for each in samples))


def bad_rows(samples: pa.Table, limit: int) -> list[Bad]:
    """The first rows that could not be read."""
    found = samples.filter(unreadable(samples)).slice(0, limit)
    return [
        Bad(str(record["path"]), str(record["reason"] or "no reason given"))
        for record in found.select(["path", "reason"]).to_pylist()
    ]


def histogram(samples: pa.Table, n_bins: int = 40) -> list[tuple[int, int]]:
    """Per bin of risk 0–1: samples not flagged, samples flagged. Empty when nothing was assessed."""
    risk = samples.column("risk").cast(pa.float64())
    place = pc.min_element_wise(pc.floor(pc.multiply(risk, float(n_bins))), float(n_bins - 1))
    counts = [[0, 0] for _ in range(n_bins)]
    valid = pc.fill_null(pc.and_(pc.is_finite(risk), pc.greater_equal(risk, 0.0)), False)
    table = pa.table({"bin": place, "flagged": samples.column("flagged")}).filter(valid)
    for record in table.group_by(["bin", "flagged"]).aggregate([([], "count_all")]).to_pylist():
        counts[int(record["bin"])][bool(record["flagged"])] = record["count_all"]
    return [(clean, flagged) for clean, flagged in counts] if table.num_rows else []


def heights(timeline: Sequence[Stretch]) -> list[float]:
    """Of each stretch, the part of the finding collected then, beside that of the fullest, in percent."""
    most = max((stretch.n_flagged for stretch in timeline), default=0) or 1
    return [round(100 * stretch.n_flagged / most, 1) for stretch in timeline]


def glossary(prose: Iterable[str]) -> dict[str, str]:
    """The words explained, of those that occur."""
    spoken = " ".join(prose).lower()
    return {term: meaning for term, meaning in GLOSSARY.items() if term.lower() in spoken}

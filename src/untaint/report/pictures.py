"""Which samples a person gets to see beside each finding, small enough to mail."""

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from untaint.data.dataset import Dataset, Payload
from untaint.data.images import encode_png
from untaint.errors import BadInput
from untaint.evidence.finding import AuditResult, Finding
from untaint.report import rasters
from untaint.report.base import Picture, Role
from untaint.report.exchanges import exchange
from untaint.report.rows import excerpt
from untaint.report.text import around, clip, spoken, storable
from untaint.report.v1 import illustrated, ranked
from untaint.types import Image, Rows

PER_GRID = 24
AVERAGED = 256
"""Images averaged for a difference: noise falls to 1/16 of a pixel's spread."""
AT_ONCE = 16
"""Images decoded together: few enough for camera pictures, many enough for stores that read in blocks."""
SNIPPET = 300
BUDGET = 2_600_000
"""Bytes of PNG in all; base64 makes them 3.5 MB, the report stays under 5."""
FEW = 8
"""Findings up to which thumbnails are full size and means are taken over many samples."""
SCHEMA = pa.schema(
    [
        ("name", pa.string()),
        ("finding", pa.string()),
        ("role", pa.string()),
        ("row", pa.int64()),
        ("png", pa.binary()),
        ("text", pa.string()),
    ]
)


def choose(result: AuditResult, dataset: Dataset) -> dict[str, Picture]:
    """Pictures or snippets for the findings that get some, by name: riskiest members, normal samples, trigger, difference."""
    findings = illustrated(result.verdict.findings)
    chosen: dict[str, Picture] = {}
    left = BUDGET
    for position, finding in enumerate(findings):
        share = left // (len(findings) - position)
        for picture in _within(share, _of_finding(finding, result, dataset, len(findings))):
            chosen[picture.name] = picture
            left -= len(picture.png or b"")
    return chosen


def to_table(pictures: Mapping[str, Picture]) -> pa.Table:
    """As `pictures.parquet` holds them."""
    records = [{"name": name, **vars(picture)} for name, picture in pictures.items()]
    return pa.Table.from_pylist(records, schema=SCHEMA)


def from_table(table: pa.Table) -> dict[str, Picture]:
    """As read from `pictures.parquet`."""
    records = table.select(SCHEMA.names).to_pylist()
    return {str(record.pop("name")): Picture(**record) for record in records}


def _within(share: int, pictures: Iterator[Picture]) -> Iterator[Picture]:
    for picture in pictures:
        share -= len(picture.png or b"")
        if share < 0:
            return
        yield picture


def _of_finding(finding: Finding, result: AuditResult, dataset: Dataset, n_findings: int) -> Iterator[Picture]:
    members = ranked(result.samples, finding.members)
    normal = _normal(finding, result.samples)
    if dataset.modality != "image":
        shown = members[:PER_GRID], normal[:PER_GRID]
        whole = dataset.modality == "table"
        yield from _rows(finding, result.samples, dataset, *shown) if whole else _snippets(finding, dataset, *shown)
        return
    if finding.trigger is not None and finding.trigger.steps is not None:
        yield _png(finding.id, "trigger", -1, rasters.warp(finding.trigger.steps))
    elif finding.trigger is not None and finding.trigger.picture is not None:
        yield _png(finding.id, "trigger", -1, rasters.trigger(finding.trigger.picture, finding.trigger.mask))
    yield from _proof(finding)
    n = AVERAGED if finding.alarm and n_findings <= FEW else PER_GRID
    seen, usual = _decoded(dataset, members[:n]), _decoded(dataset, normal[:n])
    change = rasters.difference(list(seen.values()), list(usual.values()))
    if change is not None and finding.alarm:  # a review list has nothing in common to show
        yield _png(finding.id, "difference", -1, change)
    yield from _thumbnails(finding.id, seen, usual, rasters.THUMBNAIL if n_findings <= FEW else rasters.THUMBNAIL // 2)


def _thumbnails(finding: str, seen: Mapping[int, Image], usual: Mapping[int, Image], edge: int) -> Iterator[Picture]:
    """Members and normal samples in turn, so that both are there when the budget ends."""
    pairs = (list(seen.items())[:PER_GRID], list(usual.items())[:PER_GRID])
    for place in range(PER_GRID):
        for role, images in (("member", pairs[0]), ("normal", pairs[1])):
            if place < len(images):
                row, image = images[place]
                yield _png(finding, "member" if role == "member" else "normal", row, rasters.thumbnail(image, edge))


def _proof(finding: Finding) -> Iterator[Picture]:
    """Images of the proof with what networks answered, plain and with the trigger in turn."""
    for tried in finding.proof.examples if finding.proof is not None else ():
        plain, stamped, cured = (None if answer is None else clip(answer, 40) for answer in tried.answers)
        after = "" if cured is None else f"; without the accused: {cured}"
        yield Picture(finding.id, "plain", tried.row, encode_png(rasters.thumbnail(tried.plain)), str(storable(plain)))
        text = str(storable(f"{stamped}{after}"))
        yield Picture(finding.id, "stamped", tried.row, encode_png(rasters.thumbnail(tried.stamped)), text)


def _png(finding: str, role: Role, row: int, image: Image) -> Picture:
    return Picture(finding, role, row, png=encode_png(image))


def _snippets(finding: Finding, dataset: Dataset, members: Rows, normal: Rows) -> Iterator[Picture]:
    roles: tuple[tuple[Role, Rows], ...] = (("member", members), ("normal", normal))
    phrase = spoken(finding.trigger.parameters) if finding.trigger is not None else ""
    shown = _exchange if dataset.modality == "instruction" else _snippet
    for role, rows in roles:
        for row in rows:
            text = shown(_payload(dataset, int(row)), phrase)
            if text is not None:
                yield Picture(finding.id, role, int(row), text=text)


def _rows(finding: Finding, samples: pa.Table, dataset: Dataset, members: Rows, normal: Rows) -> Iterator[Picture]:
    """Of rows of a table the columns that the finding, or what is said of its rows, speaks of, and some others."""
    values = str(finding.trigger.parameters.get("values", "")) if finding.trigger is not None else ""
    reasons = samples.column("reason").take(pa.array(members)).to_pylist()
    said = [values, finding.explanation, *(reason for reason in reasons if reason)]
    roles: tuple[tuple[Role, Rows], ...] = (("member", members), ("normal", normal))
    for role, rows in roles:
        for row in rows:
            payload = _payload(dataset, int(row))
            if isinstance(payload, str):
                yield Picture(finding.id, role, int(row), text=str(storable(excerpt(payload, said))))


def _snippet(payload: Payload | None, phrase: str) -> str | None:
    if isinstance(payload, np.ndarray) and payload.ndim <= 1:
        payload = ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in payload[:100].tolist())
    return str(storable(around(payload, phrase, SNIPPET))) if isinstance(payload, str) else None


def _exchange(payload: Payload | None, phrase: str) -> str | None:
    return str(storable(exchange(payload, phrase))) if isinstance(payload, str) else None


def _payload(dataset: Dataset, row: int) -> Payload | None:
    try:
        return dataset.read([row])[0]
    except (BadInput, OSError):
        return None


def _decoded(dataset: Dataset, rows: Rows) -> dict[int, Image]:
    """Images by row, reduced as they come; a file that vanished or broke since the audit is left out."""
    images: dict[int, Image] = {}
    for start in range(0, len(rows), AT_ONCE):
        images |= _reduced(dataset, rows[start : start + AT_ONCE].tolist())
    return images


def _reduced(dataset: Dataset, rows: list[int]) -> dict[int, Image]:
    try:
        return {row: rasters.thumbnail(image, rasters.ENLARGED) for row, image in zip(rows, dataset.images(rows), strict=True)}
    except (BadInput, OSError):
        if len(rows) == 1:
            return {}
    return {key: image for row in rows for key, image in _reduced(dataset, [row]).items()}


def _normal(finding: Finding, samples: pa.Table) -> Rows:
    """Up to `AVERAGED` samples nothing accuses, of the class aimed at, spread evenly over the data."""
    usable = pc.and_(pc.invert(samples.column("flagged")), pc.invert(unreadable(samples)))
    if finding.target_label is not None:
        usable = pc.and_(usable, pc.fill_null(pc.equal(samples.column("label"), str(storable(finding.target_label))), False))
    rows = np.setdiff1d(np.flatnonzero(usable.to_numpy()), finding.members)
    return _spread(rows, AVERAGED)


def _spread(rows: Rows, n: int) -> Rows:
    """n of the rows at even distances, the first `PER_GRID` of them evenly spread as well."""
    chosen = rows[np.unique(np.linspace(0, len(rows) - 1, min(n, len(rows))).astype(np.int64))] if len(rows) else rows
    step = max(1, len(chosen) // PER_GRID)
    return np.concatenate([chosen[offset::step] for offset in range(step)]) if len(chosen) else chosen


def unreadable(samples: pa.Table) -> pa.ChunkedArray:
    """Which samples could not be read, as booleans."""
    column = samples.column("unreadable")
    return pc.fill_null(column, False) if pa.types.is_boolean(column.type) else pc.is_valid(column)

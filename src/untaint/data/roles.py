"""Which column is the label, the source, the payload: found by name and content, or named by the user."""

import datetime as dt
import math
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from typing import Literal, TypeAlias, final

import numpy as np

from untaint.data.exchanges import Layout, find_layout, silent_columns
from untaint.data.times import ADVICE, is_time
from untaint.errors import BadInput
from untaint.types import Modality

Kind: TypeAlias = Literal["image", "path", "array", "text", "number", "date", "empty", "other"]
"""What a column holds: encoded images, paths of images, arrays (h, w, …), text, numbers, dates that are no text, nothing in any of the rows
looked at, or none of these."""
_NUMBERS = (bool, int, float, Decimal, dt.timedelta, np.number, np.bool_)
_DATES = (dt.date, dt.time)
_CELLS = frozenset({"number", "text", "date"})
"""What makes a column of a table."""
Samples: TypeAlias = Mapping[str, Sequence[object]]
"""The first values of every column, in column order."""

LABELS = (
    ("label", "labels"),
    ("class", "target", "category", "cls"),
    ("y",),
    ("fine_label", "sentiment", "diagnosis", "is_fraud", "isfraud", "fraud"),
    ("label_name", "class_name", "label_text"),
)
"""Names of label columns, the plainest first; two names of one line in one data set are ambiguous."""
SOURCES = (
    *("source", "sources", "origin", "provider", "contributor", "contributor_id", "uploader", "vendor", "user", "user_id"),
    *("author", "author_id", "annotator", "annotator_id", "worker", "worker_id", "submitter", "domain", "site"),
)
TIMES = (
    *("collected_at", "collected", "crawled_at", "scraped_at", "fetched_at", "timestamp", "created_at", "created", "created_utc"),
    *(
        "creation_date",
        "submitted_at",
        "posted_at",
        "published_at",
        "date_posted",
        "review_date",
        "review_time",
        "unixreviewtime",
    ),
    *("datetime", "date_time", "date", "time"),
)
"""Names of columns that say when a sample was collected, the plainest first; a column called so must also hold times."""
IMAGES = (
    "image",
    "images",
    "img",
    "picture",
    "photo",
    "pixel_values",
    "file_name",
    "filename",
    "image_path",
    "path",
    "file",
    "x",
)
TEXTS = (
    *("text", "review", "content", "sentence", "comment", "body", "message", "tweet", "document", "article"),
    *("prompt", "instruction", "question", "txt", "review_text", "v2"),
)
ROW_NUMBERS = frozenset({"id", "index", "idx", "unnamed: 0", "__index_level_0__", "row", "row_id", ""})
"""Names of columns that number the rows: no property of a sample, so left out of a table row."""

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm"})
_MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\x00", b"MM\x00*", b"P1", b"P2", b"P3", b"P4", b"P5", b"P6")
_LONGEST_SOURCE = 200
"""Longer than any name of a contributor; a column called `source` may hold source code or the text to translate."""
_FEWEST_PIXELS = 64
"""8 by 8, the smallest images in common use; fewer numbers are a table."""
_SENTENCE = 20
"""Mean characters from which a column of strings with spaces is prose and not a category."""
_TABLE = 5
"""Columns of numbers from which a long text that is not called like one is a note in a table; reviews have a rating, and votes."""
_LARGEST_DISTINCT = 20
_MAJORITY = 0.9
"""A few tampered rows must not change how a column is read."""
_HALF = 0.5
"""Enough for encoded images: nothing else starts like one, and broken ones start like nothing."""


@final
@dataclass(frozen=True)
class Roles:
    """The columns that matter, and how they were found.

    payload: one column, the texts to join, or the numbers that make one row.  shape: of the image that pixel columns
    make, empty otherwise.  planes: whether those columns hold one colour plane after the other.  label: None for instructions.
    layout: how a row holds an instruction and its answer.  time: of the time a sample was collected, None = there is none.
    """

    modality: Modality
    kind: Kind
    payload: tuple[str, ...]
    label: str | None
    source: str | None
    note: str
    shape: tuple[int, ...] = ()
    planes: bool = False
    layout: Layout | None = None
    time: str | None = None


def choose(
    columns: Samples,
    where: str,
    *,
    label: str | None,
    source: str | None,
    payload: Sequence[str] | None,
    time: str | None = None,
) -> Roles:
    """The roles of a data set's columns; `label`, `source`, `payload` and `time` are the user's own choice, None = find it.

    Where the user names neither label nor payload, instructions with their answers are recognised before anything else.
    Raises BadInput when a column is absent or several could be meant.
    """
    layout = find_layout(columns) if label is None and payload is None else None
    if layout is not None:
        return _instructions(columns, where, layout, source, time)
    label_column, label_note = find_label(columns, where, label)
    if label_column is None:
        if empty := silent_columns(columns):
            raise BadInput(
                f"{where}: nothing is in {listed(empty)} of any row.", advice="Instructions need a prompt and an answer."
            )
        raise BadInput(f"{where} has no label column; its columns are {listed(columns)}.", advice="Name it with --label NAME.")
    source_column, source_note = find_source(columns, where, source)
    spoken_for = {label_column, source_column, *(payload or ())}
    time_column, time_note = find_time(columns, where, time, spoken_for)
    taken = {label_column, source_column, time_column, *_companions(columns, label_column)}
    rest = {name: values for name, values in columns.items() if name not in taken}
    found = _named_payload(columns, where, payload) if payload else _find_payload(rest, where)
    modality, kind, names, how = found
    shape, planes = pixel_shape({name: columns[name] for name in names}) if kind == "number" else ((), False)
    if shape:
        modality, how = "image", f"{len(names)} pixel columns read as {'x'.join(map(str, shape))}"
    note = "; ".join(filter(None, [label_note, source_note, time_note, f"payload: {how}"]))
    return Roles(modality, kind, names, label_column, source_column, note, shape, planes, time=time_column)


def _instructions(columns: Samples, where: str, layout: Layout, source: str | None, time: str | None) -> Roles:
    rest = {name: values for name, values in columns.items() if name not in layout.columns}
    source_column, source_note = find_source(rest if source is None else columns, where, source)
    time_column, time_note = find_time(columns, where, time, {source_column, *layout.columns})
    found = f"instructions and answers: {listed(layout.columns)} (by name and content)"
    note = "; ".join(filter(None, [found, source_note, time_note]))
    return Roles("instruction", "text", layout.columns, None, source_column, note, layout=layout, time=time_column)


def find_label(columns: Samples, where: str, asked: str | None) -> tuple[str | None, str]:
    """The label column and how it was found; None when nothing is called like a label."""
    if asked is not None:
        return _existing(columns, where, asked, "--label"), f"label: column {asked!r} (as asked)"
    for tier in LABELS:
        matching = [name for name in columns if name.strip().lower() in tier]
        if len(matching) > 1:
            message = f"{where} has several columns that could be the label: {listed(matching)}."
            raise BadInput(message, advice=f"Choose one: --label {matching[0]}.")
        if matching:
            return matching[0], f"label: column {matching[0]!r} (by name)"
    return None, ""


def find_source(columns: Samples, where: str, asked: str | None) -> tuple[str | None, str]:
    """The source column and how it was found, by name only: values alone never tell who sent a sample."""
    if asked is not None:
        return _existing(columns, where, asked, "--source"), f"source: column {asked!r} (as asked)"
    lower = {name.strip().lower(): name for name in columns}
    matching = [lower[name] for name in SOURCES if name in lower and not _is_long(columns[lower[name]])]
    if not matching:
        return None, "source: none (no column is called like one)"
    others = f", not {listed(matching[1:])}" if len(matching) > 1 else ""
    return matching[0], f"source: column {matching[0]!r} (by name{others})"


def find_time(columns: Samples, where: str, asked: str | None, taken: Collection[str | None]) -> tuple[str | None, str]:
    """The column of collection times and how it was found; by name it is found only where nearly all its values are times.

    taken: columns with another role, which are not guessed.  Raises BadInput when the column asked for is absent or holds no times.
    """
    if asked is not None:
        name = _existing(columns, where, asked, "--time")
        wrong = _no_times(columns[name])
        if wrong is not None:
            message = f"{where}: column {asked!r} holds values that are no times, such as {str(wrong)[:40]!r}."
            raise BadInput(message, advice=ADVICE)
        return name, f"time: column {asked!r} (as asked)"
    lower = {name.strip().lower(): name for name in columns if name not in taken}
    matching = [lower[name] for name in TIMES if name in lower]
    found = [name for name in matching if not all(map(is_missing, columns[name])) and _no_times(columns[name]) is None]
    if not found:
        return None, ""
    others = f", not {listed(found[1:])}" if len(found) > 1 else ""
    return found[0], f"time: column {found[0]!r} (by name and content{others})"


def _no_times(values: Sequence[object]) -> object | None:
    """A value that is no time, where there are more of them than a few; None = they are times, or missing."""
    present = [value for value in values if not is_missing(value)]
    wrong = [value for value in present if not is_time(value)]
    return wrong[0] if len(wrong) > (1 - _MAJORITY) * len(present) else None


def check_labels(counts: Mapping[str, int], name: str, where: str) -> None:
    """Whether labels can be learned from. Raises BadInput for none, one class only, or a label per sample."""
    total = sum(counts.values())
    if total == 0:
        raise BadInput(f"{where}: {name} holds no label at all.", advice="Name the label column with --label NAME.")
    if len(counts) == 1:
        raise BadInput(
            f"{where}: {name} has one class only, {next(iter(counts))!r}.", advice="Give data with at least two classes."
        )
    if len(counts) == total and total > _LARGEST_DISTINCT:
        message = f"{where}: all {total:,} values of {name} are distinct; it looks like an id, not a label."
        raise BadInput(message, advice="Name the label column with --label NAME.")


def kind_of(values: Sequence[object]) -> Kind:
    """What most of a column's values are."""
    counts = Counter(_kind(value) for value in values if not is_missing(value))
    if not counts:
        return "empty"
    kind, count = counts.most_common(1)[0]
    if count >= (_HALF if kind == "image" else _MAJORITY) * counts.total():
        return kind
    return "text" if set(counts) <= {"path", *_CELLS} else "other"


def is_missing(value: object) -> bool:
    """Whether a cell is empty: None, NaN, NaT, pandas' NA, or an empty string."""
    if value is None or (isinstance(value, str) and value == ""):
        return True
    if isinstance(value, float | np.floating):
        return math.isnan(value)
    return type(value).__name__ in {"NAType", "NaTType"}


def pixel_shape(columns: Samples) -> tuple[tuple[int, ...], bool]:
    """Shape of the image that numbered columns of 0..255 make, and whether colours come plane by plane; () = not pixels."""
    stems = {re.sub(r"[\d_x.\-]+", "", name) for name in columns}
    side, channels = _square(len(columns))
    if side == 0 or len(stems) != 1:
        return (), False
    try:
        values = np.array([list(map(float, column)) for column in columns.values()]).T  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return (), False
    fits = ((values >= 0) & (values <= 255) & (values == np.round(values))).all(axis=1)
    if values.size == 0 or fits.mean() < _MAJORITY or values[fits].max() <= 1:
        return (), False
    return ((side, side), False) if channels == 1 else ((side, side, 3), _colour_planes(values[fits], side))


def listed(names: Mapping[str, object] | Sequence[str]) -> str:
    """Column names for a message, the first dozen."""
    shown = ", ".join(repr(name) for name in list(names)[:12])
    return f"{shown} and {len(names) - 12} more" if len(names) > 12 else shown or "none"


def _square(count: int) -> tuple[int, int]:
    """Side and channels of the square image with this many numbers; side 0 = none."""
    for channels in (1, 3):
        side = math.isqrt(count // channels)
        if side * side * channels == count and side * side >= _FEWEST_PIXELS:
            return side, channels
    return 0, 0


def _colour_planes(values: np.ndarray, side: int) -> bool:
    """Neighbouring pixels are alike: the right order of colours is the smoother one."""
    mixed = values.reshape(-1, side, side, 3)
    planes = values.reshape(-1, 3, side, side).transpose(0, 2, 3, 1)
    rough = [np.abs(np.diff(images, axis=2)).mean() for images in (mixed, planes)]
    return bool(rough[1] < rough[0])


def _find_payload(rest: Samples, where: str) -> tuple[Modality, Kind, tuple[str, ...], str]:
    kinds = {name: kind_of(values) for name, values in rest.items()}
    for kind in ("image", "array", "path"):
        if names := [name for name in rest if kinds[name] == kind]:
            name, how = _one_image(names, where)
            return "image", kind, (name,), how
    numbers = [name for name in rest if name.strip().lower() in ROW_NUMBERS]
    many = sum(kinds[name] == "number" and name not in numbers for name in rest) >= _TABLE
    prose = _prose([name for name in rest if kinds[name] == "text"], rest, by_content=not many)
    if prose:
        return "text", "text", (prose[0],), prose[1]
    # A column that begins with nothing may hold something further on.
    cells = tuple(name for name in rest if kinds[name] in {*_CELLS, "empty"} and name not in numbers)
    if not any(kinds[name] in _CELLS for name in cells):
        message = f"{where} has no column with images, text or numbers beside the label; its columns are {listed(rest)}."
        raise BadInput(message, advice="Name the column to audit with --payload NAME.")
    kept = set(cells)
    without = [name for name in rest if name not in kept]
    return "table", "number", cells, f"{len(cells)} columns of a table" + (f", without {listed(without)}" if without else "")


def _named_payload(columns: Samples, where: str, names: Sequence[str]) -> tuple[Modality, Kind, tuple[str, ...], str]:
    kinds = [kind_of(columns[_existing(columns, where, name, "--payload")]) for name in names]
    how = f"{listed(names)} (as asked)"
    if len(names) == 1 and kinds[0] in {"image", "array", "path"}:
        return "image", kinds[0], tuple(names), how
    if all(kind == "text" for kind in kinds):
        return "text", "text", tuple(names), how
    if all(kind in {*_CELLS, "empty"} for kind in kinds) and set(kinds) != {"empty"}:
        return "table", "number", tuple(names), how
    if empty := [name for name in names if all(map(is_missing, columns[name]))]:
        raise BadInput(f"{where}: column {empty[0]!r} is empty in every row looked at.", advice="Name another with --payload.")
    advice = "Name one column of images, columns of text, or the columns of a table."
    raise BadInput(f"{where}: {listed(names)} cannot be audited together.", advice=advice)


def _one_image(names: Sequence[str], where: str) -> tuple[str, str]:
    by_name = [name for wanted in IMAGES for name in names if name.strip().lower() == wanted]
    if len(names) > 1 and not by_name:
        message = f"{where} has several columns of images: {listed(names)}."
        raise BadInput(message, advice=f"Choose one: --payload {names[0]}.")
    chosen = by_name[0] if by_name else names[0]
    return chosen, f"column {chosen!r} (by {'name' if len(names) > 1 else 'content'})"


def _prose(names: Sequence[str], columns: Samples, *, by_content: bool) -> tuple[str, str] | None:
    """A column of texts: called like one, or by content the longest."""
    by_name = [name for wanted in TEXTS for name in names if name.strip().lower() == wanted]
    if by_name:
        return by_name[0], f"column {by_name[0]!r} (by name)"
    spaced = [name for name in names if by_content and _has_spaces(columns[name]) and _no_times(columns[name]) is not None]
    lengths = {name: _mean_length(columns[name]) for name in spaced}
    longest = max(lengths, key=lambda name: lengths[name], default=None)
    if longest is not None and (lengths[longest] >= _SENTENCE or len(columns) == 1):
        return longest, f"column {longest!r} (the longest text)"
    return None


def _companions(columns: Samples, label: str) -> set[str]:
    """Columns that spell the label out again: as a payload they would give it away."""
    return {name for name in columns for suffix in ("_name", "_text", "_id") if name == label + suffix}


def _existing(columns: Samples, where: str, name: str, flag: str) -> str:
    if name in columns:
        return name
    near = get_close_matches(name, columns, n=1)
    advice = f"Did you mean {flag} {near[0]}?" if near else f"Choose one with {flag} NAME."
    raise BadInput(f"{where} has no column {name!r}; its columns are {listed(columns)}.", advice=advice)


def _kind(value: object) -> Kind:
    if isinstance(value, str):
        return _kind_of_string(value)
    if isinstance(value, _NUMBERS):
        return "number"
    if isinstance(value, _DATES):
        return "date"
    if isinstance(value, bytes):
        webp = value[:4] == b"RIFF" and value[8:12] == b"WEBP"
        return "image" if webp or value.startswith(_MAGIC) else "other"
    return _kind_of_many(value)


def _kind_of_many(value: object) -> Kind:
    if isinstance(value, Mapping):
        return "image" if {"bytes", "path"} & set(value) else "other"
    if isinstance(value, np.ndarray):
        return "array" if value.ndim >= 2 or (value.ndim == 1 and _nested(value)) else "other"
    return "array" if isinstance(value, list | tuple) and _nested(value) else "other"


def _nested(value: Sequence[object] | np.ndarray) -> bool:
    return len(value) > 0 and isinstance(value[0], list | tuple | np.ndarray)


def _kind_of_string(value: str) -> Kind:
    dot = value.rfind(".")
    if dot > 0 and value[dot:].lower() in IMAGE_SUFFIXES and "\n" not in value:
        return "path"
    try:
        float(value)
    except ValueError:
        return "text"
    return "number"


def _is_long(values: Sequence[object]) -> bool:
    return any(len(str(value)) > _LONGEST_SOURCE for value in values)


def _has_spaces(values: Sequence[object]) -> bool:
    texts = [value for value in values if isinstance(value, str)]
    return sum(" " in text.strip() for text in texts) * 2 > len(texts)


def _mean_length(values: Sequence[object]) -> float:
    lengths = [len(value) for value in values if isinstance(value, str)]
    return sum(lengths) / max(1, len(lengths))

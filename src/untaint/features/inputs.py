"""Data sets as inputs of a network that is trained on them, and how to make the same inputs of other rows."""

import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, final

import numpy as np

from untaint.data.columns import Column, columns_of
from untaint.data.dataset import Dataset
from untaint.data.silent import silent
from untaint.errors import BadInput, FeatureUnavailable
from untaint.features.canvas import canvas, fitted
from untaint.features.settings import Settings
from untaint.types import Labels, Rows

Report: TypeAlias = Callable[[str, int, int], None]
_WORDS = 2**15
"""Places that words are hashed to: more than most collections have different words, so that few frequent ones share one."""
_LONGEST = 200  # words of a text; sentiment and spam show in the first ones
_FEW = 32  # words of a column that are told apart; the rest count as other
_HASHED = 16  # places for the words of a column where no row may decide which words count
_TOKEN = re.compile(r"\w+|[^\w\s]")


@final
@dataclass(frozen=True)
class Encoding:
    """How rows become inputs. modality: of the data.  shape: of one input.  classes: names by code.  details: the rest, plain JSON."""

    modality: str
    shape: tuple[int, ...]
    classes: tuple[str, ...]
    details: Mapping[str, Any]


@final
@dataclass(frozen=True)
class Inputs:
    """What a network is given. values: images (m, h, w, c) uint8, tables (m, d) float32, texts (m, words) int64 with 0 = nothing.

    codes: (m,) classes.  rows: (m,) numbers in the data set.  left_out: why, and how many rows.
    """

    values: np.ndarray
    codes: Labels
    rows: Rows
    encoding: Encoding
    left_out: Mapping[str, int]


def inputs_of(dataset: Dataset, report: Report, *, each: bool = False) -> Inputs:
    """Inputs of every row that can be read and has a label. Raises BadInput for data that no class can be learned from.

    each: cells of tables become numbers one by one, so that no row decides what another becomes: numbers stay as they are and words are
    hashed. Which columns there are, of which kind, which classes, and the size of images are still read from all rows.
    """
    names = tuple(dataset.class_names)
    if dataset.modality not in _ENCODED:
        message = f"a network is trained here on images, texts and tables with labels; these are {dataset.modality} data."
        raise BadInput(message, advice="Put `untaint.harden` around the training loop that you have.")
    if len(names) < 2:
        raise BadInput(f"training needs at least two classes, this set has {len(names)}.", advice="Name the column with --label.")
    code = {name: place for place, name in enumerate(names)}
    codes = np.array([-1 if label is None else code[label] for label in dataset.labels])
    make = _tables_by_cell if each and dataset.modality == "table" else _ENCODED[dataset.modality]
    values, encoding, readable = make(dataset, names, report)
    rows = np.flatnonzero(readable & (codes >= 0))
    if len(rows) < 2 * len(names):
        raise BadInput(f"only {len(rows):,} rows can be read and have a label; {len(names)} classes need more.")
    left_out = {"unreadable": int((~readable).sum()), "without a label": int((readable & (codes < 0)).sum())}
    return Inputs(values[rows], codes[rows], rows, encoding, {why: number for why, number in left_out.items() if number})


def encoded(dataset: Dataset, encoding: Encoding, report: Report) -> Inputs:
    """Inputs of other rows, made as those before. Labels that are no class are left out, with unreadable rows.

    Raises BadInput for data of another kind.
    """
    if dataset.modality != encoding.modality:
        raise BadInput(f"the model takes {encoding.modality} data, these are {dataset.modality} data.")
    values, readable = _AGAIN[encoding.modality](dataset, encoding, report)
    code = {name: place for place, name in enumerate(encoding.classes)}
    codes = np.array([code.get(label, -1) if label is not None else -1 for label in dataset.labels])
    rows = np.flatnonzero(readable)
    left_out = {"unreadable": int((~readable).sum())} if not readable.all() else {}
    return Inputs(values[rows], codes[rows], rows, encoding, left_out)


def _images(dataset: Dataset, names: tuple[str, ...], report: Report) -> tuple[np.ndarray, Encoding, np.ndarray]:
    try:
        found = canvas(dataset, Settings(report_progress=report))
    except FeatureUnavailable as error:
        raise BadInput(f"{error}.") from error
    return found.pixels, Encoding("image", found.pixels.shape[1:], names, {}), found.decoded


def _images_again(dataset: Dataset, encoding: Encoding, report: Report) -> tuple[np.ndarray, np.ndarray]:
    height, width, channels = encoding.shape
    found = canvas(dataset, Settings(canvas=max(height, width), report_progress=report))
    if found.pixels.shape[1:] == encoding.shape:
        return found.pixels, found.decoded
    return np.stack([fitted(image, height, width, channels) for image in found.pixels]), found.decoded


def _texts(dataset: Dataset, names: tuple[str, ...], report: Report) -> tuple[np.ndarray, Encoding, np.ndarray]:
    encoding = Encoding("text", (_LONGEST,), names, {"words": _WORDS})
    return *_texts_again(dataset, encoding, report)[:1], encoding, _readable(dataset)


def _texts_again(dataset: Dataset, encoding: Encoding, report: Report) -> tuple[np.ndarray, np.ndarray]:
    (longest,), places = encoding.shape, int(encoding.details["words"])
    found = np.zeros((len(dataset), longest), np.int64)
    for rows in dataset.batches(8192):
        for row, text in zip(rows.tolist(), dataset.read(rows), strict=True):
            tokens = _TOKEN.findall(str(text).lower())[:longest]
            found[row, : len(tokens)] = [1 + zlib.crc32(token.encode()) % places for token in tokens]
        report("reading texts", int(rows[-1]) + 1, len(dataset))
    return found, _readable(dataset)


def _readable(dataset: Dataset) -> np.ndarray:
    return np.array([reason is None for reason in dataset.column("unreadable")], bool)


def _tables(dataset: Dataset, names: tuple[str, ...], report: Report) -> tuple[np.ndarray, Encoding, np.ndarray]:
    return _table_of(dataset, names, report, _described)


def _tables_by_cell(dataset: Dataset, names: tuple[str, ...], report: Report) -> tuple[np.ndarray, Encoding, np.ndarray]:
    return _table_of(dataset, names, report, _by_cell)


def _table_of(
    dataset: Dataset, names: tuple[str, ...], report: Report, describe: Callable[[Column], dict[str, Any]]
) -> tuple[np.ndarray, Encoding, np.ndarray]:
    columns = columns_of(dataset, report)
    ignored, _ = silent(columns, dataset.labels)
    kept = [column for column in columns if column.name not in ignored]
    if not kept:
        raise BadInput("no column of the table says anything of a row.", advice="Name the label with --label.")
    described = [describe(column) for column in kept]
    values = _tabulated(kept, described, len(dataset))
    return values, Encoding("table", values.shape[1:], names, {"columns": described}), _readable(dataset)


def _by_cell(column: Column) -> dict[str, Any]:
    """The same for cells that are put into numbers one by one."""
    if column.kind in {"category", "boolean"}:
        return {"name": column.name, "hashed": _HASHED}
    return {"name": column.name, "middle": 0.0, "spread": 1.0, "gaps": True}


def _tables_again(dataset: Dataset, encoding: Encoding, report: Report) -> tuple[np.ndarray, np.ndarray]:
    columns = {column.name: column for column in columns_of(dataset, report)}
    described = encoding.details["columns"]
    if missing := [each["name"] for each in described if each["name"] not in columns]:
        raise BadInput(f"the table has no column {missing[0]!r}, which the model was trained on.")
    return _tabulated([columns[each["name"]] for each in described], described, len(dataset)), _readable(dataset)


def _described(column: Column) -> dict[str, Any]:
    """What is to be known of a column to put its cells into numbers again: middle and spread that half of the rows cannot shift."""
    if column.kind in {"category", "boolean"}:
        found, counts = np.unique(column.values[~np.isnan(column.values)].astype(int), return_counts=True)
        frequent = found[np.argsort(-counts, kind="stable")][:_FEW]
        return {"name": column.name, "words": [_word(column, int(code)) for code in frequent]}
    values = column.values[~np.isnan(column.values)]
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    spread = (
        float(high - low) or float(np.std(values[np.abs(values - middle) <= np.quantile(np.abs(values - middle), 0.99)])) or 1.0
    )
    return {"name": column.name, "middle": float(middle), "spread": spread, "gaps": bool(len(values) < len(column.values))}


def _word(column: Column, code: int) -> str:
    return column.words[code] if column.words else str(code)


def _tabulated(columns: Sequence[Column], described: Sequence[Mapping[str, Any]], rows: int) -> np.ndarray:
    """(n, d) float32: numbers in spreads from the middle, 1 for a word; cells that are no finite number stay so, for a guard to see."""
    parts: list[np.ndarray] = []
    for column, about in zip(columns, described, strict=True):
        if "hashed" in about:
            parts += list(_hashed(column, int(about["hashed"])).T)
            continue
        if "words" in about:
            said = np.array([None if np.isnan(value) else _word(column, int(value)) for value in column.values], object)
            parts += [(said == word).astype(np.float32) for word in about["words"]]
            continue
        with np.errstate(over="ignore"):
            scaled = ((column.values - about["middle"]) / about["spread"]).astype(np.float32)
        gaps = np.isnan(column.values)
        scaled[gaps] = 0
        for row, text in column.wild.items():
            scaled[row] = np.float32(text)
        parts.append(scaled)
        if about["gaps"]:
            parts.append(gaps.astype(np.float32))
    return np.stack(parts, axis=1) if parts else np.zeros((rows, 0), np.float32)


def _hashed(column: Column, places: int) -> np.ndarray:
    """(n, places) float32: 1 at the place of the word of each cell, none for a missing one."""
    found = np.zeros((len(column.values), places), np.float32)
    rows = np.flatnonzero(~np.isnan(column.values))
    words = {int(code): zlib.crc32(_word(column, int(code)).encode()) % places for code in np.unique(column.values[rows])}
    found[rows, [words[int(code)] for code in column.values[rows]]] = 1
    return found


_ENCODED = {"image": _images, "text": _texts, "table": _tables}
_AGAIN = {"image": _images_again, "text": _texts_again, "table": _tables_again}

"""How each file of records is cut: by what its name says and its first records show, or as it was read when it was sealed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import final

import pyarrow.parquet as pq

from untaint.data.readers import delimited, json_lines, webdataset
from untaint.data.readers._bytes import COMPRESSED, RandomBytes
from untaint.data.readers._chunks import class_names
from untaint.data.readers._json_array import elements, is_array
from untaint.data.readers._lines import SAMPLE, Parse, Scan
from untaint.data.readers._recipe import Broken, Recipe
from untaint.data.readers.base import Request
from untaint.errors import BadInput
from untaint.provenance.listing import Entry, opened
from untaint.provenance.pins import Pin, pin_of
from untaint.provenance.reading import Reading, reading_of, roles_for
from untaint.provenance.records import Cutter, Lines, Parquet, PlainJson, Tar
from untaint.provenance.tasks import Context, Remark, readable


@final
@dataclass(frozen=True)
class Asks:
    """How files of records are to be read. records_root: folder that paths in them are below, None = the file's own.

    format_id: None = as the name of each says.  pin: as they were sealed, None = roles are found anew.
    """

    request: Request
    records_root: Path | None = None
    format_id: str | None = None
    pin: Pin | None = None


def cutter_for(context: Context, entry: Entry, asks: Asks) -> Cutter | None:
    """How a file is cut; None where it is no file of records. Raises BadInput where the user named a column that is not there."""
    path = context.root / entry.name
    root = asks.records_root or path.parent
    kind = asks.format_id or format_of(entry.name)
    if kind == "webdataset":
        return _tar(context, entry, asks)
    if kind == "jsonl":
        return _json(context, entry, asks, root)
    if kind == "csv":
        return _csv(context, entry, asks, root)
    return _parquet(context, entry, asks, root) if kind == "parquet" else None


def format_of(name: str) -> str | None:
    """The format of a file of records by its name, None = it is none."""
    name = name.lower()
    plain = name.removesuffix(next((end for end in COMPRESSED if name.endswith(end)), ""))
    if name.endswith(webdataset.SUFFIXES):
        return "webdataset"
    if plain.endswith(json_lines.SUFFIXES):
        return "jsonl"
    if plain.endswith((".csv", ".tsv")):
        return "csv"
    return "parquet" if name.endswith((".parquet", ".pq")) else None


def _json(context: Context, entry: Entry, asks: Asks, root: Path) -> Cutter | None:
    path, pin = context.root / entry.name, asks.pin
    if pin is None:
        reading = _line_reading(path, asks.request, root, json_lines.records, json_lines.parse, None)
        if reading is None:
            return None
        pin = pin_of(reading, array=is_array(path))
    reading = pin.reading(root)
    if path.suffix.lower() in COMPRESSED or pin.array:
        scan = elements if pin.array else json_lines.lined
        return Lines(context, entry, reading, pin=pin, scan=scan, parse=json_lines.parse)
    return PlainJson(context, entry, reading, pin=pin)


def _csv(context: Context, entry: Entry, asks: Asks, root: Path) -> Cutter | None:
    path, pin = context.root / entry.name, asks.pin
    if pin is not None and pin.layout is not None:
        layout, renamed = _columns_now(path, entry.name, pin.layout)
        return Lines(context, entry, pin.reading(root), pin=pin, scan=layout.records, parse=layout.parse, renamed=renamed)
    layout = delimited.find_layout(path)
    reading = _line_reading(path, asks.request, root, layout.records, layout.parse, layout.columns)
    if reading is None:
        return None
    return Lines(context, entry, reading, pin=pin_of(reading, layout=layout), scan=layout.records, parse=layout.parse)


def _columns_now(path: Path, name: str, sealed: delimited.Layout) -> tuple[delimited.Layout, Remark | None]:
    """How fields are parted as when the file was sealed, and what its first line calls them now, where that is not the same.

    Columns in another order, or more of them, are found by their names; under a name that is new lies what lay there before.
    """
    now = delimited.columns_of(path, sealed)
    if now == sealed.columns:
        return sealed, None
    if set(now) == set(sealed.columns):
        return replace(sealed, columns=now), None
    remark = Remark("columns", name, ", ".join(now), ", ".join(sealed.columns))
    by_name = len(set(now)) == len(now) and (set(now) > set(sealed.columns) or set(now) < set(sealed.columns))
    return (replace(sealed, columns=now) if by_name else sealed), remark


def _line_reading(
    path: Path, request: Request, root: Path, scan: Scan, parse: Parse, columns: Sequence[str] | None
) -> Reading | None:
    """The reading of a file of records; None where none of the first ones can be read."""
    with RandomBytes(path).open() as file:
        found = [record for _, _, raw in islice(scan(file), SAMPLE) if not isinstance(record := parse(raw), Broken)]
    if not found:
        return None
    names = list(columns or dict.fromkeys(name for record in found for name in record))
    samples = {name: [record.get(name) for record in found] for name in names}
    roles, joined = roles_for(samples, str(path), request)
    return reading_of(Recipe(roles, root), names, joined=joined)


def _parquet(context: Context, entry: Entry, asks: Asks, root: Path) -> Cutter | None:
    """None for one without a row."""
    with opened(context.root / entry.name, entry) as raw, readable(entry.name), pq.ParquetFile(raw) as file:
        total, schema = file.metadata.num_rows, file.schema_arrow
        head = next(iter(file.iter_batches(SAMPLE)), None) if asks.pin is None else None
    if total == 0:
        return None
    if asks.pin is not None or head is None:
        return None if asks.pin is None else Parquet(context, entry, asks.pin.reading(root, class_names(schema)), pin=asks.pin)
    samples = {name: head.column(place).to_pylist() for place, name in enumerate(schema.names)}
    roles, joined = roles_for(samples, entry.name, asks.request)
    reading = reading_of(Recipe(roles, root, class_names(schema)), schema.names, joined=joined)
    return Parquet(context, entry, reading, pin=pin_of(reading))


def _tar(context: Context, entry: Entry, asks: Asks) -> Cutter | None:
    """None where it is no WebDataset, so that it is covered as a file."""
    path = context.root / entry.name
    if asks.pin is not None:
        return Tar(context, entry, asks.pin.reading(None), pin=asks.pin)
    try:
        recipe = webdataset.recipe_of([RandomBytes(path)], asks.request, path)
    except BadInput:
        if asks.request.label or asks.request.payload:
            raise
        return None
    first = webdataset.record_of(next(webdataset.samples(RandomBytes(path))).members)
    reading = reading_of(recipe, list(first) if isinstance(first, Mapping) else [])
    return Tar(context, entry, reading, pin=pin_of(reading))

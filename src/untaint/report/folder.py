"""The audit folder: what `untaint audit` writes and later commands read back."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from untaint import registry
from untaint.data.dataset import Dataset
from untaint.errors import BadInput, CannotWrite
from untaint.evidence.finding import AuditResult
from untaint.report import pictures
from untaint.report.base import Renderer, Report
from untaint.report.v1 import SCHEMA, Document, document

AUDIT, SAMPLES, PICTURES = "audit.json", "samples.parquet", "pictures.parquet"
COLUMNS = (
    *("row", "id", "path", "label", "source", "risk", "p_value"),
    *("flagged", "finding", "reason", "suggested_label", "unreadable"),
)
"""The columns of `samples.parquet` that v1 promises; `risk_<detector>` follow."""
AGAIN = "Run `untaint audit` again, or name the folder it wrote."


def write(result: AuditResult, dataset: Dataset, folder: Path) -> Report:
    """Write an audit's folder. Each file appears whole or not at all; `audit.json` follows the tables it speaks of.

    Raises CannotWrite when the folder is read-only, full or in the way.
    """
    report = Report(document(result), result.samples, pictures.choose(result, dataset), str(folder))
    _make(folder)
    _place(folder / SAMPLES, lambda path: pq.write_table(report.samples, path))
    _place(folder / PICTURES, lambda path: pq.write_table(pictures.to_table(report.pictures), path))
    write_text(folder / AUDIT, to_json(report.document))
    for renderer in renderers().values():
        if renderer.with_audit:
            write_text(folder / renderer.file, renderer().render(report))
    return report


def read(folder: Path) -> Report:
    """An audit's folder as written by this release or any earlier one.

    Raises BadInput for a folder or file that is missing, cut short, not an audit, or from a newer release.
    """
    if not folder.is_dir():
        raise BadInput(f"no audit folder at {folder}.", advice=AGAIN)
    document = from_json(_bytes(folder / AUDIT), str(folder / AUDIT))
    samples = _table(folder / SAMPLES, COLUMNS)
    if samples.num_rows != document.n_samples:
        raise BadInput(f"{folder / SAMPLES} has {samples.num_rows} rows, {AUDIT} speaks of {document.n_samples}.", advice=AGAIN)
    return Report(document, samples, pictures.from_table(_table(folder / PICTURES, pictures.SCHEMA.names)), str(folder))


def renderers() -> dict[str, type[Renderer]]:
    """Every known renderer by id."""
    return dict(registry.members(Renderer, "untaint.report"))


def to_json(document: Document) -> str:
    """`audit.json`: ASCII, keys as declared, no NaN."""
    return json.dumps(document.model_dump(mode="json", by_alias=True), indent=2, allow_nan=False) + "\n"


def from_json(content: bytes, name: str) -> Document:
    """A document from the bytes of `audit.json`. Raises BadInput."""
    try:
        data = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{name} is not JSON, or was cut short: {error}.", advice=AGAIN) from error
    _check_schema(data, name)
    try:
        return Document.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"])
        raise BadInput(f"{name} is damaged at {place!r}: {first['msg']}.", advice=AGAIN) from error


def _check_schema(data: object, name: str) -> None:
    schema = data.get("schema") if isinstance(data, dict) else None
    if schema == SCHEMA:
        return
    if isinstance(schema, str) and re.fullmatch(r"untaint\.audit/v\d+", schema):
        raise BadInput(
            f"{name} was written by a newer untaint ({schema}; this release reads {SCHEMA}).", advice="Upgrade untaint."
        )
    raise BadInput(f"{name} is not an audit: expected schema {SCHEMA!r}, found {schema!r}.", advice=AGAIN)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror or error}.", advice=AGAIN) from error


def _table(path: Path, columns: tuple[str, ...] | list[str]) -> pa.Table:
    if not path.is_file():
        raise BadInput(f"the audit folder has no {path.name}: {path}.", advice=AGAIN)
    try:
        table = pq.read_table(path, partitioning=None)
    except (OSError, pa.ArrowException) as error:
        raise BadInput(f"cannot read {path}: {error}.", advice=AGAIN) from error
    if missing := [column for column in columns if column not in table.column_names]:
        raise BadInput(f"{path} lacks the column {missing[0]!r}.", advice=AGAIN)
    return table


def write_text(path: Path, text: str) -> None:
    """Write a text whole or not at all. Raises CannotWrite."""
    _place(path, lambda temporary: temporary.write_bytes(text.encode()))


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot(folder, error) from error


def _place(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside `path`, then rename over it: a reader never sees half a file."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        temporary.replace(path)
    except OSError as error:
        raise _cannot(path, error) from error
    finally:
        _remove(temporary)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return  # the folder is read-only or gone: the reason is already being raised


def _cannot(path: Path, error: OSError) -> CannotWrite:
    reason = error.strerror or str(error)
    return CannotWrite(f"cannot write {path}: {reason}.", advice="Name another folder with --out, or make room.")

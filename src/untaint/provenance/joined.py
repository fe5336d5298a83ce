"""Join data with their seal: who sent a sample, and when, where the data themselves do not say; and what is no longer as sealed."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from untaint.data.dataset import INDEX, Dataset
from untaint.evidence.finding import Verdict
from untaint.provenance.fresh import fresh_of
from untaint.provenance.freshness import weighed
from untaint.provenance.manifest import SAMPLES
from untaint.provenance.sealed import SOURCES, Seal
from untaint.provenance.sources import Source, read_sources

_COLUMNS = ("file", "number", "id", "label", "source", "collected_at")
_TAKEN: Mapping[str, str] = {"source": "source", "collected_at": "time"}
"""Columns that a seal may fill, and what they are called among the columns of a data set."""


@final
class Joined(NamedTuple):
    """dataset: with what the seal adds, and notes of what is not as sealed.  facts: for the report.  seal: None = it was not used.

    marks: (n,) of every row, 1 = fresh, 0 = not, -1 = not in the seal; None = the seal marks none.
    """

    dataset: Dataset
    facts: Mapping[str, Any]
    seal: Seal | None
    marks: np.ndarray | None = None


def joined(dataset: Dataset, seal: Seal) -> Joined:
    """A data set with the sources and times of its seal, where it has none of its own. Raises BadInput for a damaged seal.

    Rows are found by content where all of them lie as they were sealed, else by place; a row whose content is another takes nothing.
    """
    table = pa.Table.from_batches(
        list(seal.manifest.batches(list(_COLUMNS))), pa.schema([SAMPLES.field(name) for name in _COLUMNS])
    )
    places = _aligned(dataset, table)
    if places is None:
        places = _by_place(dataset, table, seal)
    found = places >= 0
    taken = pa.array(np.where(found, places, 0), mask=~found)
    index, filled = dataset.index, []
    for name, role in _TAKEN.items():
        column = table.column(name)
        if index.column(name).null_count < len(index) or column.null_count == len(column):
            continue
        place = INDEX.get_field_index(name)
        index = index.set_column(place, INDEX.field(place), column.take(taken).cast(INDEX.field(place).type))
        filled.append(role)
    columns = replace(dataset.columns, **dict.fromkeys(filled, "the seal")) if filled else dataset.columns
    notes = _notes(dataset, table, found, taken)
    whole = replace(dataset, index=index, columns=columns, notes=(*dataset.notes, *notes))
    fresh = fresh_of(seal)
    marks = None if fresh is None else np.where(found, fresh.mask()[np.where(found, places, 0)], -1)
    told = {} if fresh is None else {"fresh": fresh.sentence}
    return Joined(whole, _facts(seal, filled) | {"problems": notes} | told, seal, marks)


_SURE = 1e-3
"""p-value of a source's share from which it is named for revocation: what `evidence.sources` calls certain."""


def advised(verdict: Verdict, known: Joined) -> Verdict:
    """A verdict whose accusing findings say which sources to revoke, and what is written down of them; and whose samples are fresh."""
    if known.seal is None:
        return verdict
    seal, fresh = known.seal, fresh_of(known.seal)
    if fresh is not None and known.marks is not None:
        verdict = weighed(verdict, known.marks, fresh)
    listed = read_sources(seal.folder / SOURCES).named() if seal.sealed.sources is not None else {}
    findings = []
    for finding in verdict.findings:
        guilty = [share.name for share in finding.sources if share.p_value <= _SURE] if finding.alarm else []
        told = f"{finding.advice} Revoke {_all(guilty, listed)} in sources.toml, and seal again." if guilty else finding.advice
        findings.append(replace(finding, advice=told))
    return replace(verdict, findings=tuple(findings))


def _all(names: list[str], listed: Mapping[str, Source]) -> str:
    told = [f"{name[:80]!r} ({_standing(listed.get(name))})" for name in names[:_NAMED]]
    return ", ".join(told) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def _standing(source: Source | None) -> str:
    if source is None:
        return "not listed there"
    who = [part for part in (source.kind, source.owner and f"owner {source.owner}") if part]
    when = "never vetted" if source.vetted_on is None else f"vetted on {source.vetted_on}"
    return ", ".join([*who, when + (f" by {source.vetted_by}" if source.vetted_by else "")])


_NAMED = 5  # sources in a sentence; the finding lists all


def _aligned(dataset: Dataset, table: pa.Table) -> np.ndarray | None:
    """Places of all rows, if they are the rows of the manifest in its order."""
    if len(dataset) != len(table) or _digests(dataset) != b"".join(_bytes(chunk) for chunk in table.column("id").chunks):
        return None
    return np.arange(len(dataset))


def _digests(dataset: Dataset) -> bytes:
    return b"".join(bytes.fromhex("".join(chunk.to_pylist())) for chunk in dataset.index.column("id").chunks)


def _bytes(ids: pa.Array) -> bytes:
    width = ids.type.byte_width
    return ids.buffers()[1].to_pybytes()[ids.offset * width : (ids.offset + len(ids)) * width]


def _by_place(dataset: Dataset, table: pa.Table, seal: Seal) -> np.ndarray:
    """Row of the manifest for every row, by the name of its file and its number there; -1 = none, or one with other content."""
    names = seal.files(["name"]).column("name").to_pylist()
    files, numbers, ids = (table.column(name).to_pylist() for name in ("file", "number", "id"))
    known = {(names[file], number): row for row, (file, number) in enumerate(zip(files, numbers, strict=True))}
    places = np.full(len(dataset), -1, np.int64)
    for row, (path, own) in enumerate(zip(dataset.column("path"), dataset.ids, strict=True)):
        place = known.get(_place(path or ""), -1)
        if place < 0:
            place = known.get((path or "", 0), -1)
        if place >= 0 and ids[place] == bytes.fromhex(own):
            places[row] = place
    return places


def _place(path: str) -> tuple[str, int]:
    """`train.jsonl:17` as a file's name and a number."""
    cut = max(path.rfind(":"), path.rfind("#"))
    number = path[cut + 1 :]
    return (path[:cut], int(number)) if cut > 0 and number.isascii() and number.isdigit() else (path, 0)


def _facts(seal: Seal, filled: list[str]) -> dict[str, Any]:
    sealed = seal.sealed
    return {"root": sealed.root, "created": sealed.created, "samples": sealed.size, "filled": filled}


def _notes(dataset: Dataset, table: pa.Table, found: np.ndarray, taken: pa.Array) -> tuple[str, ...]:
    """Samples that are not in the seal, or not as sealed, are counted; `untaint verify` says more."""
    notes = []
    if lost := int((~found).sum()):
        notes.append(f"{lost:,} of {len(dataset):,} samples are not as they were sealed: `untaint verify` says what changed")
    sealed = table.column("label").take(taken)
    other = pc.and_(pa.array(found), pc.fill_null(pc.not_equal(dataset.index.column("label"), sealed), fill_value=False))
    if changed := int(pc.sum(other).as_py() or 0):
        notes.append(f"{changed:,} labels are not as they were sealed: `untaint verify` says which")
    return tuple(notes)

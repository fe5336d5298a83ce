"""Act on a verdict: the flagged samples go to quarantine/, the others to clean/, the input stays as it is."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import final, get_args

import numpy as np
import pyarrow as pa

from untaint.data.dataset import Dataset
from untaint.data.writers.base import Picks, part_of, writer_for
from untaint.errors import BadInput, CannotWrite
from untaint.quarantine import impute as imputing
from untaint.quarantine import ledger, parts
from untaint.quarantine.choose import choose
from untaint.quarantine.impute import Filled, Impute
from untaint.quarantine.ledger import Record
from untaint.quarantine.reasons import write_reasons
from untaint.quarantine.staging import staged

KEPT = ("path", "label", "finding", "reason", "suggested_label", "risk")


@final
@dataclass(frozen=True)
class Held:
    """What `hold` wrote. `released`: flagged rows kept in clean/ because a person said so.

    imputed: a copy of clean/ with cells filled, None = not asked for.  filled: column → cells filled, and with what.
    left: columns with cells to fill → why they were left.
    """

    clean: Path
    quarantine: Path
    ledger: Path
    n_clean: int
    n_held: int
    released: tuple[int, ...]
    imputed: Path | None = None
    filled: Mapping[str, tuple[int, object]] = field(default_factory=dict)
    left: Mapping[str, str] = field(default_factory=dict)


def hold(
    dataset: Dataset,
    samples: pa.Table,
    out: Path,
    *,
    release: Collection[str] = (),
    audit: Path | None = None,
    impute: Impute = "none",
) -> Held:
    """Write `out/clean/`, `out/quarantine/` and `out/ledger.jsonl`, and check that both parts together are the input.

    samples: the audit's table, one row per row of the data set. release: ids, row:NUMBER, findings or `all`, kept in clean/.
    impute: `robust` writes `out/imputed/` too, a copy of the clean rows of a table whose missing cells are filled, each in the ledger.
    Rows that cannot be read go to quarantine whether flagged or not, and `release` does not reach them.
    Raises BadInput when the audit was made of other data, CannotWrite when `out` is taken or cannot be written,
    UntaintError when what was written does not add up to the input; in each case nothing is left behind.
    """
    _refuse_other_data(dataset, samples)
    _refuse_taken(dataset, out)
    flagged, broken = _flagged(samples), _unreadable(dataset, samples)
    released = choose(release, {row: case for row, case in flagged.items() if row not in broken}) if release else []
    held = dict(sorted({**{row: case for row, case in flagged.items() if row not in released}, **broken}.items()))
    split = parts.Split.of(len(dataset), held)
    filled = _filled(dataset, split, impute)
    with staged(out) as work:
        header = _write(dataset, split, work) | {"audit": str(audit) if audit else None, "impute": impute}
        cases = [{"action": "hold", **case} for case in held.values()]
        cases += [{"action": "release", **flagged[row]} for row in released]
        if filled is not None:
            imputing.write(dataset, split.clean, filled.fills, work / imputing.FOLDER)
            cases += [dict(fill) for fill in filled.fills]
        ledger.append(work / "ledger.jsonl", [header, *({**case, "time": header["time"]} for case in cases)])
        write_reasons(work / "quarantine", held.values())
    made = Held(out / "clean", out / "quarantine", out / "ledger.jsonl", len(split.clean), len(split.held), tuple(released))
    if filled is None:
        return made
    return replace(made, imputed=out / imputing.FOLDER, filled=filled.counted(), left=filled.left)


def _filled(dataset: Dataset, split: parts.Split, impute: Impute) -> Filled | None:
    if impute not in get_args(Impute):
        raise BadInput(f"impute is none or robust, not {impute!r}.")
    return imputing.robust(dataset, split.clean) if impute == "robust" else None


def _write(dataset: Dataset, split: parts.Split, work: Path) -> dict[str, object]:
    writer = writer_for(dataset)
    source = dataset.location or Path()
    where = Picks(np.zeros(len(dataset), dtype=np.int64), np.arange(len(dataset)))
    entry = parts.write(writer, [part_of(source, dataset)], where, split, work)
    place, digest = parts.as_written(dataset, writer, entry)
    parts.verify(work, place, split, digest)
    data = {"dataset": dataset.digest, "format": dataset.format, "location": str(dataset.location) if dataset.location else None}
    return {"schema": ledger.SCHEMA, "time": ledger.now(), **data, "n_samples": len(dataset), "content": digest, **place.record()}


def _refuse_other_data(dataset: Dataset, samples: pa.Table) -> None:
    missing = sorted({"id", "flagged"} - set(samples.column_names))
    if missing:
        raise BadInput(f"the samples table has no column {missing[0]!r}.", advice="Give the samples.parquet of an audit.")
    if len(dataset) == 0:
        raise BadInput("the data set is empty.", advice="Give data with at least one sample.")
    advice = "Audit this data first, or give the data the audit was made of."
    if samples.num_rows != len(dataset):
        raise BadInput(f"the audit was made of other data: {samples.num_rows} rows, the data has {len(dataset)}.", advice=advice)
    for name in ("id", "label"):
        theirs = samples.column(name).to_pylist() if name in samples.column_names else dataset.column(name)
        differs = next(
            (row for row, pair in enumerate(zip(theirs, dataset.column(name), strict=True)) if pair[0] != pair[1]), None
        )
        if differs is not None:
            raise BadInput(f"the audit was made of other data: row {differs} has another {name}.", advice=advice)


def _refuse_taken(dataset: Dataset, out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise CannotWrite(f"{out} exists and is not an empty folder.", advice="Name a folder that does not exist yet.")
    if dataset.location is not None and out.resolve().is_relative_to(dataset.location.resolve()):
        raise CannotWrite(f"{out} lies inside the data ({dataset.location}).", advice="Name a folder outside the data.")


def _flagged(samples: pa.Table) -> dict[int, Record]:
    rows = [row for row, flag in enumerate(samples.column("flagged").to_pylist()) if flag]
    return _cases(samples, rows)


def _unreadable(dataset: Dataset, samples: pa.Table) -> dict[int, Record]:
    why = {row: text for row, text in enumerate(dataset.column("unreadable")) if text is not None}
    if "unreadable" in samples.column_names:
        why |= {row: text for row, text in enumerate(samples.column("unreadable").to_pylist()) if text}
    return {row: {**case, "reason": f"unreadable: {why[row]}"} for row, case in _cases(samples, sorted(why)).items()}


def _cases(samples: pa.Table, rows: list[int]) -> dict[int, Record]:
    names = [name for name in ("id", *KEPT) if name in samples.column_names]
    chosen = samples.select(names).take(pa.array(rows, pa.int64())).to_pylist()
    return {row: {"row": row, **_finite(case)} for row, case in zip(rows, chosen, strict=True)}


def _finite(case: Mapping[str, object]) -> Record:
    """Not assessed is NaN in Arrow and null in JSON."""
    return {name: None if isinstance(value, float) and not np.isfinite(value) else value for name, value in case.items()}

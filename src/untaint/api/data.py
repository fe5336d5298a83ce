"""What is done with data: audit, set aside, put back, poison."""

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from untaint.attacks.base import PACKAGE as ATTACKS
from untaint.attacks.base import Attack, Poisoned
from untaint.audit.run import run
from untaint.audit.settings import AuditSettings
from untaint.data import load as reading
from untaint.data import schema as schemas
from untaint.data.dataset import Dataset
from untaint.data.schema import Schema
from untaint.data.writers.edits import write_edited
from untaint.data.writers.parquet import write_dataset
from untaint.errors import BadInput, CannotWrite
from untaint.evidence.finding import AuditResult
from untaint.features.settings import Budget
from untaint.provenance import sign as signing
from untaint.provenance.joined import Joined, advised, joined
from untaint.provenance.keys import PrivateKey
from untaint.provenance.log import Log, record
from untaint.provenance.sealed import folder_for, read_seal
from untaint.quarantine.hold import Held, hold
from untaint.quarantine.impute import Impute
from untaint.quarantine.restore import Restored
from untaint.quarantine.restore import restore as put_back
from untaint.registry import build
from untaint.report import folder, traced
from untaint.report.base import Report

CACHE = "cache"
"""Folder inside an audit folder that keeps costly features, so that a stopped audit resumes."""


def _quiet(_what: str, _done: int, _total: int) -> None:
    return


def load(
    data: object,
    *,
    label: str | None = None,
    source: str | None = None,
    payload: str | None = None,
    time: str | None = None,
    table: str | None = None,
    query: str | None = None,
    format: str | None = None,
) -> Dataset:
    """A data set from a local path or a Python object. See `untaint list formats`.

    label, source, payload, time: names of columns, None = find them.  table: of a database.  query: SQL that makes the rows.
    """
    asked = {"label": label, "source": source, "payload": payload, "time": time, "table": table, "query": query, "format": format}
    return data if isinstance(data, Dataset) else reading.load(data, **asked)


def audit(
    data: object,
    *,
    label: str | None = None,
    source: str | None = None,
    payload: str | None = None,
    time: str | None = None,
    table: str | None = None,
    query: str | None = None,
    out: str | Path | None = None,
    alpha: float = 0.01,
    budget: Budget = "standard",
    seed: int = 0,
    model: Any = None,
    encoder: Any = None,
    fluency: Any = None,
    rounds: int | None = None,
    sam: float = 0.0,
    schema: str | Path | None = None,
    seal: str | Path | None = None,
    progress: Any = None,
) -> AuditResult:
    """Look for poison in a data set. out: folder for the report and resumable work, None = keep nothing on disk.

    data: a path, or what a program holds: a frame of pandas or polars, an Arrow table, a relation of DuckDB, arrays and others.
    label, source, payload, time: names of columns, None = find them.  table: of a database.  query: SQL that makes the rows.
    alpha: false-alarm rate per audit.  model: safetensors or .keras path, torch module or Keras model in place of the
    house proxy.
    encoder: `efficientnet-lite0`, an .onnx path, `module:factory`, a torch module or a function, to judge what images show; for
    texts `all-minilm-l6-v2`, an .onnx path, `module:factory`, a function or an object with `encode`.
    fluency: `smollm2-135m`, a folder, `module:factory` or a function: a language model that is asked about triggers in texts.
    rounds: how often to look at most, each time without what was accused before; None = 3, on budget `fast` 1.
    sam: radius of sharpness-aware minimisation of the house proxy, of images only; 0 = plain training.
    schema: of tables, a file that `schema` wrote; rows that break it are told and not judged.
    seal: folder, None = the one beside the data, if any; sources and times that the data lack are taken from it.
    Raises BadInput for unusable data, NothingChecked when no detector could run, CannotWrite for the folder.
    """
    dataset = load(data, label=label, source=source, payload=payload, time=time, table=table, query=query)
    target = None if out is None else _spared(writable(Path(out), dataset.location), dataset.location)
    extra = {} if progress is None else {"report_progress": progress}
    if schema is not None:
        dataset = schemas.checked(dataset, schemas.read(Path(schema)), progress or _quiet)
    vouched = _vouched(dataset, _path(seal))
    dataset = dataset if vouched is None else vouched.dataset
    cache = None if target is None else target / CACHE
    chosen = Path(model) if isinstance(model, str) else model
    settings = AuditSettings(
        alpha=alpha,
        budget=budget,
        seed=seed,
        model=chosen,
        encoder=encoder,
        fluency=fluency,
        cache=cache,
        rounds=rounds,
        sam=sam,
        **extra,
    )
    result = run(dataset, settings)
    if vouched is not None:
        result = replace(
            result, verdict=advised(result.verdict, vouched), dataset={**result.dataset, "seal": dict(vouched.facts)}
        )
    if target is not None:
        folder.write(result, dataset, target)
    return result


def _vouched(dataset: Dataset, seal: Path | None) -> Joined | None:
    """A data set joined with its seal. seal: its folder, None = the one beside the data; one that is damaged is told, not used."""
    if seal is not None:
        return joined(dataset, read_seal(seal))
    if dataset.location is None or not (beside := folder_for(dataset.location)).is_dir():
        return None
    try:
        return joined(dataset, read_seal(beside))
    except BadInput as error:
        note = f"the seal in {beside} was not used: {error}"
        return Joined(replace(dataset, notes=(*dataset.notes, note)), {"problem": str(error)}, None)


def schema(data: object, *, out: str | Path | None = None, progress: Any = None, **columns: str | None) -> Schema:
    """What the columns of a table may hold, inferred from data. out: file to write it to, for `audit(…, schema=FILE)`.

    Raises BadInput for data that are no table, CannotWrite for the file.
    """
    found = schemas.infer(load(data, **columns), progress or _quiet)
    if out is not None:
        try:
            with Path(out).open("x", encoding="utf-8") as file:
                file.write(found.text())
        except FileExistsError as error:
            raise CannotWrite(f"{out} is there already.", advice="Name a new file with --out.") from error
        except OSError as error:
            raise CannotWrite(f"cannot write to {out}: {error.strerror or error}.", advice="Name another file.") from error
    return found


def clean(
    data: object,
    *,
    audit: str | Path,
    out: str | Path,
    release: Collection[str] = (),
    impute: Impute = "none",
    key: PrivateKey | None = None,
    **columns: str | None,
) -> Held:
    """Write `out/clean` and `out/quarantine` from a data set and the folder of its audit; the input is never touched.

    impute: of a table, `robust` also writes `out/imputed`, the clean rows with cells that hold no usable value filled: with the
    median of numbers, the most frequent of words. Every one is in the ledger.
    key: of the log in the seal beside the data, which then says what was set aside; the seal must be there. Asked for before anything
    is written: BadInput where there is none.
    """
    report = folder.read(Path(audit))
    dataset = load(data, **columns)
    kept = None if key is None else _log_of(dataset)
    held = hold(dataset, report.samples, Path(out), release=release, audit=Path(audit), impute=impute)
    if key is not None and kept is not None:
        record(kept, traced.cleaned(held, Path(audit)), key, now=datetime.now(UTC))
    return held


def _log_of(dataset: Dataset) -> Log:
    """The log of the seal beside data. Raises BadInput when there is no such seal."""
    if dataset.location is None:
        raise BadInput("data that lie in no file have no seal, so nothing can be logged.", advice="Leave the key out.")
    return Log(read_seal(folder_for(dataset.location)).folder / signing.LOG)


def restore(out: str | Path, ids: Sequence[str]) -> Restored:
    """Move samples of a cleaned folder back from quarantine: ids, `row:N`, a finding such as `F1`, or `all`.

    Of rows that are not in quarantine, and with `cells` of all, cells that were filled are put back as they were.
    """
    return put_back(Path(out), ids)


def report(audit: str | Path) -> Report:
    """Read an audit folder."""
    return folder.read(Path(audit))


def attack(data: object, name: str, *, seed: int = 0, **parameters: object) -> Poisoned:
    """Poison a copy of a data set, ground truth included. name: an attack's id or spec, `badnets(rate=0.01)`."""
    if seed < 0:
        raise BadInput(f"a seed is a whole number of at least 0, not {seed}.")
    chosen: Attack = build(Attack, ATTACKS, name, **parameters)  # type: ignore[type-abstract]
    return chosen.poison(load(data), np.random.default_rng(seed))


def write_poisoned(poisoned: Poisoned, out: str | Path, description: str) -> Path:
    """Write a poisoned set with its truth: `data/`, `truth.parquet` (row, id, poisoned, cover), `attack.json`.

    A table keeps its format, its columns and their types, where they hold what was planted; all else is written as `data/data.parquet`.
    """
    target = writable(Path(out), poisoned.dataset.location)
    if any(target.iterdir()):
        raise CannotWrite(f"{target} is not empty.", advice="Name a new folder with --out.")
    everything = np.arange(len(poisoned.dataset))
    if poisoned.dataset.modality == "table":
        written = write_edited(poisoned.dataset, poisoned.mask | poisoned.covers, target / "data")
    else:
        written = write_dataset(poisoned.dataset, everything, target / "data")
    truth = {"row": everything, "id": poisoned.dataset.ids, "poisoned": poisoned.mask, "cover": poisoned.covers}
    pq.write_table(pa.table(truth), target / "truth.parquet")
    counts = {"n": len(everything), "n_poisoned": int(poisoned.mask.sum()), "n_covers": int(poisoned.covers.sum())}
    facts = {"attack": description, "target": poisoned.target, "source": poisoned.source, **counts}
    (target / "attack.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return written


def writable(out: Path, data: Path | None) -> Path:
    """The folder, made if need be. Raises CannotWrite when it cannot be, BadInput when it lies in the data or is the data."""
    if data is not None and (out.resolve() == data.resolve() or (data.is_dir() and data.resolve() in out.resolve().parents)):
        raise BadInput(f"the output folder {out} lies inside the data.", advice="Name a folder elsewhere with --out.")
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / ".untaint-write-test"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise CannotWrite(
            f"cannot write to {out}: {error.strerror or error}.", advice="Choose another folder with --out."
        ) from error
    return out


def _spared(out: Path, data: Path | None) -> Path:
    """The folder of an audit. Raises BadInput when writing the report would replace the data."""
    names = {folder.AUDIT, folder.SAMPLES, folder.PICTURES, *(renderer.file for renderer in folder.renderers().values())}
    if data is not None and data.name in names and data.resolve().parent == out.resolve():
        raise BadInput(f"the report would replace the data, {data}.", advice="Name another folder with --out.")
    return out


def _path(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)

"""A guard for a model in a file: fit one to data, check data with it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.stats import betabinom

from untaint.api.data import load, writable
from untaint.data.dataset import Dataset
from untaint.errors import BadInput, MissingExtra

if TYPE_CHECKING:
    from untaint.features.inputs import Inputs
    from untaint.guard.model_guard import Guard, Judged

GUARD, ABOUT = "guard.safetensors", "guard.json"
_SCHEMA = "untaint.guard-folder/v1"
_CHECKED = "untaint.guard-check/v1"
_MOST = 5_000
"""References used at most: budgets under 1 in 1,000 want more than a guard can be fitted to in minutes."""
_BATCH = 512
_ALPHA = 0.01
"""Chance that clean data are said to have more alarms than the budget explains."""


@final
@dataclass(frozen=True)
class Checked:
    """Inputs that a guard looked at.

    n: how many.  alarms: how many it alarmed about.  budget: share of clean inputs it alarms about.  p_value: chance of as many alarms
    in clean data, the luck of its references counted in.  more: whether that is too small to be luck.  samples: a row per input.
    """

    n: int
    alarms: int
    budget: float
    p_value: float
    left_out: Mapping[str, int]
    samples: pa.Table

    @property
    def more(self) -> bool:
        """Whether there are more alarms than the budget explains."""
        return self.p_value < _ALPHA

    def document(self) -> dict[str, Any]:
        """The same as JSON has it, the inputs left out."""
        plain = {"n": self.n, "alarms": self.alarms, "budget": self.budget, "p_value": self.p_value, "more": self.more}
        return {"schema": _CHECKED, **plain, "left_out": dict(self.left_out)}


def fit_guard(
    model: str | Path,
    reference: object,
    out: str | Path,
    *,
    false_alarms: float = 0.01,
    seed: int = 0,
    **columns: str | None,
) -> "Guard":
    """Fit a guard to a model file and to data somebody vouches for, and write it to a folder: `guard.safetensors`, `guard.json`.

    model: as `inspect` takes it, a file or folder; no code of it runs.  reference: data that the model was not trained on, with labels.
    columns: label, payload, table, query, format, as for `load`.
    Raises BadInput, CannotWrite, MissingExtra without PyTorch.
    """
    from untaint.api.models import inputs_for, opened

    path = Path(model)
    if not path.exists():
        raise BadInput(f"no such model: {path}.", advice="Name a model file, or the folder it lies in.")
    target = writable(Path(out), path)
    guarding, reference_type = _room()
    dataset = load(reference, **columns)
    found = inputs_for(dataset, path)
    rows = np.flatnonzero(found.codes >= 0)
    if len(rows) > _MOST:
        rows = np.sort(np.random.default_rng(seed).choice(rows, _MOST, replace=False))
    inputs = reference_type(found.values[rows], found.codes[rows], found.encoding.classes)
    guard: Guard = guarding.fit(opened(path), inputs, false_alarms=false_alarms, seed=seed)
    guard.save(target / GUARD)
    about = {
        "schema": _SCHEMA,
        "model": str(path.resolve()),
        "encoding": asdict(found.encoding),
        "references": guard.n,
        "false_alarms": guard.false_alarms,
        "held": guard.held,
        "overhead": guard.overhead,
        "signs": [sign.id for sign in guard.signs],
        "skipped": dict(guard.skipped),
    }
    (target / ABOUT).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    return guard


def check_guard(
    folder: str | Path,
    data: object,
    *,
    model: str | Path | None = None,
    out: str | Path | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    **columns: str | None,
) -> Checked:
    """Judge data with a guard that `fit_guard` wrote; their labels are not looked at.

    model: where the model is now, None = where it was.  out: folder for `samples.parquet` (row, id, risk, p_value, alarm, sign,
    prediction) and `check.json`.  Raises BadInput for a model that answers otherwise than it did, or data that do not fit.
    """
    from untaint.api.models import opened

    where = Path(folder)
    about = _about(where)
    path = Path(str(about["model"]) if model is None else model)
    if not path.exists():
        raise BadInput(f"the guard's model is not at {path}.", advice="Say where it is: --model.")
    target = None if out is None else writable(Path(out), Path(data) if isinstance(data, str | Path) else None)
    guarding, _ = _room()
    guard: Guard = guarding.load(where / GUARD, opened(path))
    dataset = load(data, **columns)
    found = _inputs(dataset, about["encoding"])
    parts = []
    for start in range(0, len(found.rows), _BATCH):
        parts.append(guard(found.values[start : start + _BATCH]))
        if progress is not None:
            progress("judging", min(start + _BATCH, len(found.rows)), len(found.rows))
    samples = _table(dataset, found, parts)
    alarms = int(np.sum(samples.column("alarm").to_numpy()))
    checked = Checked(len(found.rows), alarms, guard.held, _chance(alarms, len(found.rows), guard), found.left_out, samples)
    if target is not None:
        pq.write_table(samples, target / "samples.parquet")
        (target / "check.json").write_text(json.dumps(checked.document(), indent=1) + "\n", encoding="utf-8")
    return checked


def _room() -> tuple[Any, Any]:
    try:
        from untaint.guard.model_guard import Guard
        from untaint.nets.subject import Reference
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtra("A guard for models", "torch") from error
    return Guard, Reference


def _about(folder: Path) -> dict[str, Any]:
    advice = "Give the folder that `untaint guard MODEL --reference DATA --out FOLDER` wrote."
    try:
        found = json.loads((folder / ABOUT).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"{folder} holds no guard: {error}.", advice=advice) from error
    if not isinstance(found, dict) or found.get("schema") != _SCHEMA or not isinstance(found.get("encoding"), dict):
        raise BadInput(f"{folder / ABOUT} is no guard of untaint.", advice=advice)
    return found


def _inputs(dataset: Dataset, encoding: Mapping[str, Any]) -> "Inputs":
    from untaint.features.inputs import Encoding, encoded

    def quiet(_what: str, _done: int, _total: int) -> None:
        return

    try:
        shape, names = tuple(int(size) for size in encoding["shape"]), tuple(map(str, encoding["classes"]))
        known = Encoding(str(encoding["modality"]), shape, names, encoding["details"])
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"the guard does not say how its inputs are made: {error}.", advice="Fit it again.") from error
    found = encoded(dataset, known, quiet)
    if not len(found.rows):
        raise BadInput("no row of the data can be read.", advice="Give data like the references.")
    return found


def _table(dataset: Dataset, found: "Inputs", parts: "list[Judged]") -> pa.Table:
    names, ids = found.encoding.classes, dataset.ids
    return pa.table(
        {
            "row": found.rows,
            "id": [ids[row] for row in found.rows],
            "risk": np.concatenate([part.risk for part in parts]),
            "p_value": np.concatenate([part.p_value for part in parts]),
            "alarm": np.concatenate([part.alarm for part in parts]),
            "sign": [name for part in parts for name in part.sign],
            "prediction": [names[code] for part in parts for code in part.said],
        }
    )


def _chance(alarms: int, n: int, guard: "Guard") -> float:
    """Chance of at least so many alarms in clean data.

    With n references an alarm is what is more surprising than all but k of them, so the true rate is a Beta(k, n + 1 - k) variable
    and the count beta-binomial (Vovk 2012): a thousand references say of 1 % only that it lies between .5 and 1.7 %.
    """
    k = round(guard.held * (guard.n + 1))
    return float(betabinom.sf(alarms - 1, n, k, guard.n + 1 - k))

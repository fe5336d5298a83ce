"""What is done with models: inspect one that nobody vouches for."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from untaint.api.data import load, writable
from untaint.data.dataset import Dataset
from untaint.errors import BadInput, MissingExtra

if TYPE_CHECKING:
    from untaint.features.inputs import Inputs
    from untaint.models.base import Inspected, ModelCheck
    from untaint.nets.subject import Reference, Subject
    from untaint.provenance.policy import Policy

_MOST = 2_000
"""Reference images at most: checks need a few hundred, and each is put through the model many times."""


def inspect(
    model: object,
    *,
    base: str | Path | None = None,
    data: object = None,
    run: str | Path | None = None,
    policy: "Policy | None" = None,
    out: str | Path | None = None,
    checks: "Sequence[ModelCheck] | None" = None,
    alpha: float = 0.01,
    seed: int = 0,
    progress: Callable[[str, int, int], None] | None = None,
    **columns: str | None,
) -> "Inspected":
    """Look at a model that nobody vouches for: its file, its weights against a base, its answers for a trigger.

    model: a file or folder, or a model in memory (torch module, Keras model, function of arrays); files are opened without running code.
    base: checkpoint it is said to come from.  data: a few hundred images or rows that somebody vouches for, with labels.
    run: record of the training that is said to lead from base to model.  policy: who must have signed it.
    out: folder for `inspect.json`, `inspect.sarif` and `report.html`.  checks: None = all (`untaint list checks`).
    alpha: chance of a false alarm of each check.  columns: label, payload, table, query, format, as for `load`.
    Raises BadInput for what can't be read, NothingChecked when no check could look, CannotWrite, MissingExtra without PyTorch.
    """
    try:
        from untaint.models.base import Case, quiet
        from untaint.models.inspection import inspected
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtra("Inspecting models", "torch") from error
    path = Path(model) if isinstance(model, str | Path) else None
    case = Case(
        path=_there(path),
        base=_there(None if base is None else Path(base)),
        run=_explained(run, path, base, policy),
        subject=None if path is not None else opened(model),
        reference=None if data is None else reference_of(load(data, **columns), path),
        alpha=alpha,
        seed=seed,
        progress=progress or quiet,
    )
    target = None if out is None else writable(Path(out), path)
    done = inspected(case, None if path is None else lambda: opened(path), checks, _about(path, base, run))
    if target is not None:
        from untaint.report.models import inspection

        inspection.write(done, target)
    return done


def _about(path: Path | None, base: object, run: object) -> dict[str, object]:
    from importlib.metadata import version

    named = {"name": path.name or str(path), "path": str(path)} if path is not None else {"name": "a model from Python"}
    given = {"base": base, "run": run}
    return {**named, **{name: str(value) for name, value in given.items() if value is not None}, "untaint": version("untaint")}


def _there(path: Path | None) -> Path | None:
    if path is not None and not path.exists():
        raise BadInput(f"no such file or folder: {path}.", advice="Name a model file, or the folder it lies in.")
    return path


def _explained(run: str | Path | None, path: Path | None, base: str | Path | None, policy: "Policy | None") -> Any:
    if run is None:
        return None
    if path is None or base is None:
        raise BadInput(
            "a record of training explains nothing without a base.", advice="Give the checkpoint it began from: --base."
        )
    from untaint.api.run_records import explained

    return explained(Path(run), path, Path(base), policy)


def opened(model: object) -> "Subject":
    """A model that answers. Raises BadInput for one that only code could load."""
    from untaint.nets.subject import TorchSubject, subject

    about = house_model(model) if isinstance(model, Path) else None
    if about is None:
        return subject(model)
    if about.get("factory") is not None:
        raise BadInput(
            f"{model} says that code makes its network ({about['factory']}), which is not run.",
            advice="Load it yourself and call untaint.api.inspect(module).",
        )
    from untaint.training.engines.trained import Trained

    folder = model if isinstance(model, Path) and model.is_dir() else Path(str(model)).parent
    return TorchSubject(Trained.load(folder).net, folder.name)


def house_model(path: Path) -> dict[str, Any] | None:
    """What `model.json` says of a model that `untaint train` wrote, None = it did not."""
    beside = (path if path.is_dir() else path.parent) / "model.json"
    if not beside.is_file() or not (path.is_dir() or path.name == "model.safetensors"):
        return None
    try:
        about = json.loads(beside.read_bytes())
    except ValueError as error:
        raise BadInput(f"{beside} is no sound JSON: {error}.", advice="Take the folder from its source again.") from error
    return about if isinstance(about, dict) and str(about.get("schema", "")).startswith("untaint.model/") else None


def reference_of(dataset: Dataset, path: Path | None) -> "Reference":
    """Inputs as the model takes them, at most `_MOST`, each class in its share."""
    from untaint.nets.subject import Reference

    found = inputs_for(dataset, path)
    rows = np.flatnonzero(found.codes >= 0)
    if len(rows) > _MOST:
        rows = np.sort(np.random.default_rng(0).choice(rows, _MOST, replace=False))
    return Reference(found.values[rows], found.codes[rows], found.encoding.classes)


def inputs_for(dataset: Dataset, path: Path | None) -> "Inputs":
    """Rows as the model takes them: as it says if `untaint train` wrote it, else as a network of ours would.

    Raises BadInput for data that do not fit, or of which no row has a label the model knows.
    """
    from untaint.features.inputs import Encoding, encoded, inputs_of

    def report(_what: str, _done: int, _total: int) -> None:
        return

    about = house_model(path) if path is not None else None
    if about is None:
        return inputs_of(dataset, report)
    names = tuple(map(str, about["classes"]))
    found = encoded(dataset, Encoding(str(about["modality"]), tuple(about["shape"]), names, about["details"]), report)
    if not (found.codes >= 0).any():
        raise BadInput("no row of the data has a label that the model knows.", advice="Give data with the classes of the model.")
    return found

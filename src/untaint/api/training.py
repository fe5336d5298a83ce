"""How models are trained so that what slips through does little harm."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
from typing_extensions import Unpack

from untaint.api.data import load, writable
from untaint.data.dataset import Dataset
from untaint.errors import BadInput, CannotWrite, MissingExtra
from untaint.report import folder
from untaint.report import training as pages
from untaint.training import compose
from untaint.training.compose import Wanted
from untaint.training.record import Record

if TYPE_CHECKING:
    from untaint.bench.tradeoff import Tradeoff
    from untaint.training.engines.fit import Plan
    from untaint.training.engines.harden import Model, Optim, Options
    from untaint.training.engines.keras_model import HardenedModel
    from untaint.training.engines.loader import HardenedLoader
    from untaint.training.engines.train import Model as AnyModel


def harden(
    model: "Model", optimizer: "Optim", loader: Iterable[Any], recipe: Wanted = "standard", **options: "Unpack[Options]"
) -> "tuple[Model, Optim, HardenedLoader]":
    """Put defences around a training loop of PyTorch that stays as it is; the same model and optimizer, and a loader to iterate.

    recipe: a name (`untaint list recipes`), defences such as `guard + clip(norm=1.0)`, or Defence objects. A guard comes with every recipe
    in which nothing else keeps a single row of extreme size from wrecking the model, and always before batch normalisation.
    options: seed (0), classes, epochs, quarantine (folder for what is dropped), mean (True: the loss is the mean of its rows),
    row_loss ((outputs, targets) -> (n,) losses, where the loss is not cross-entropy or squared error).
    `loader.session.record()` says what happened, `loader.session.release()` takes the hooks off again.
    Raises BadInput for a recipe that is unknown or unsound on this model, MissingExtra without PyTorch.

    Example:
        model, optimizer, loader = untaint.harden(model, optimizer, loader, recipe="standard")
        for images, labels in loader:
            optimizer.zero_grad()
            criterion(model(images), labels).backward()
            optimizer.step()
    """
    try:
        from untaint.training.engines.harden import harden as wrap
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtra("Hardening a PyTorch loop", "torch") from error
    return wrap(model, optimizer, loader, recipe, **options)


def harden_keras(
    model: Any,
    recipe: Wanted = "standard",
    *,
    seed: int = 0,
    quarantine: Path | str | None = None,
    resume: Path | str | None = None,
) -> "HardenedModel":
    """A Keras model with the layers and weights of yours, on TensorFlow, that trains so that what slips through does little harm.

    model: any built `keras.Model` with one output; it is the one that learns, and the one to save.
    recipe: as of `harden`.  quarantine: folder for what is dropped and why.
    resume: the path to which `hardened.save` wrote before a run stopped.
    `compile` and `fit` are Keras' own. `fit` takes arrays or a tf.data.Dataset of batches (x, y); only with arrays are the numbers of
    dropped rows known, and only with arrays can batches be drawn as differential privacy needs them.
    `hardened.record()` says what happened.
    Raises BadInput for a recipe that Keras cannot run, for models with several outputs or float16 arithmetic, and for losses that are
    not a mean over rows; MissingExtra without TensorFlow.

    Example:
        hardened = untaint.harden_keras(model, "standard")
        hardened.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
        hardened.fit(x, y, epochs=5)
        model.save("model.keras")
    """
    from untaint.training.engines.keras_model import harden_keras as wrap

    return wrap(model, recipe, seed=seed, quarantine=quarantine, resume=resume)


RECORD = "run.json"
SWEPT = "sweep.json"


@final
@dataclass(frozen=True)
class TrainedRun:
    """A model and the record of how it became what it is. path: of its file, None = nothing was kept on disk."""

    model: "AnyModel"
    record: Record
    path: Path | None


def train(
    data: object,
    *,
    recipe: Wanted = "standard",
    out: str | Path | None = None,
    test: object = None,
    audit: str | Path | None = None,
    plan: "Plan | None" = None,
    label: str | None = None,
    payload: str | None = None,
    table: str | None = None,
    query: str | None = None,
    format: str | None = None,
    progress: Any = None,
) -> TrainedRun:
    """Train a model on data so that poison in them does little harm: a small network, or what `plan.factory` makes.

    recipe: as for `harden`, and `certified`: many models with proof.  out: folder for model, record, report and what was dropped; a run
    that was stopped goes on from there.  test: data to measure on, None = a tenth of the rows is held out.
    audit: folder of an audit of the same data; the riskier a row, the less it counts.  plan: epochs, batch, rate, seed, factory.
    label, payload, table, query: as for `load`.
    Raises BadInput for data or a recipe that do not fit, CannotWrite for the folder, MissingExtra without PyTorch.
    """
    try:
        from untaint.training.engines import train as engine
        from untaint.training.engines.fit import Plan
    except ModuleNotFoundError as error:
        if error.name not in {"torch", "safetensors"}:
            raise
        raise MissingExtra("Training", "torch") from error
    columns = {"label": label, "payload": payload, "table": table, "query": query, "format": format}
    dataset = load(data, **columns)
    chosen = compose.recipe(recipe)
    tested = None if test is None else load(test, **{**columns, "format": None})
    risks = None if audit is None else _risks(Path(audit), dataset)
    target = None if out is None else _own(writable(Path(out), dataset.location))
    asked = engine.Asked(dataset, chosen, plan or Plan(), tested, risks, target)
    model, record = engine.train(asked, progress or (lambda _what, _done, _total: None))
    path = None
    if target is not None:
        path = model.save(target)
        folder.write_text(target / pages.FILE, pages.page(record))
        folder.write_text(
            target / RECORD, json.dumps(record.document(), indent=2, default=str) + "\n"
        )  # last: the run is finished
    return TrainedRun(model, record, path)


def sweep(
    data: object,
    *,
    test: object = None,
    attack: str | None = None,
    recipes: Sequence[str] | None = None,
    out: str | Path | None = None,
    plan: "Plan | None" = None,
    progress: Any = None,
    **columns: str | None,
) -> "Tradeoff":
    """Plant an attack in a copy of the data, train by many recipes, and say which one to take.

    test: data to measure on, None = a fifth of the rows.  attack: spec, None = the plainest backdoor of such data in 1 % of the rows.
    recipes: None = those that are usual for such data.  out: folder for `sweep.json` and `report.html`.
    columns: label, payload, table, query, format, as for `load`.
    Raises BadInput for data that can't be attacked so, CannotWrite for the folder, MissingExtra without PyTorch.
    """
    try:
        from untaint.bench import tradeoff as trading
        from untaint.training.engines.fit import Plan
    except ModuleNotFoundError as error:
        if error.name not in {"torch", "safetensors"}:
            raise
        raise MissingExtra("Training", "torch") from error
    dataset = load(data, **columns)
    target = None if out is None else _own(writable(Path(out), dataset.location))
    chosen = plan or Plan(held_out=0.0)
    tested = None if test is None else load(test, **{**columns, "format": None})
    if tested is None:
        dataset, tested = trading.split(dataset, chosen.seed)
    planted = trading.attack_of(dataset, attack)
    asked = tuple(recipes) if recipes else trading.SWEEP.get(dataset.modality, ())
    found = trading.tradeoff(dataset, tested, planted, asked, chosen, progress or (lambda _what, _done, _total: None))
    if target is not None:
        told = trading.document(found)
        folder.write_text(target / pages.FILE, pages.tradeoff_page(told))
        folder.write_text(target / SWEPT, json.dumps(told, indent=2) + "\n")
    return found


def _own(target: Path) -> Path:
    """A folder for a run. Raises CannotWrite where another run was finished: nothing is written over."""
    if (target / RECORD).exists() or (target / SWEPT).exists():
        raise CannotWrite(f"{target} holds a finished run.", advice="Name a new folder with --out.")
    return target


def _risks(audit: Path, dataset: Dataset) -> np.ndarray:
    """(n,) risk of every row, 1 where the audit flagged it. Raises BadInput for an audit of other data."""
    samples = folder.read(audit).samples
    if samples.column("id").to_pylist() != dataset.ids:
        raise BadInput(f"{audit} is an audit of other data.", advice="Audit these, or leave --audit out.")
    risks = np.nan_to_num(samples.column("risk").to_numpy(zero_copy_only=False).astype(float))
    return np.where(samples.column("flagged").to_numpy(zero_copy_only=False), 1.0, risks)

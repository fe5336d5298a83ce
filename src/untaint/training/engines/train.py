"""From a data set to a trained model and its record, by any recipe."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from time import monotonic
from typing import Any, TypeAlias, final

import numpy as np

from untaint.data.dataset import Dataset
from untaint.errors import BadInput
from untaint.features.inputs import Inputs, encoded, inputs_of
from untaint.training.certify import Certify
from untaint.training.compose import Recipe
from untaint.training.engines import part_models
from untaint.training.engines.fit import Plan, Report, fit, is_private
from untaint.training.engines.partitions import CertifiedEnsemble
from untaint.training.engines.trained import Elected, Trained
from untaint.training.record import Record, Tested
from untaint.types import Labels

Model: TypeAlias = Trained | Elected
_PRESUMED = (
    "Certificates presume that the classes, the columns and their kinds, and the size of images were known before the data came."
)


@final
@dataclass(frozen=True)
class Asked:
    """What is trained on, and how. test: data to measure on, None = rows held out.  risks: of every row, None = all count.

    folder: for the checkpoint and what is dropped, None = nothing is kept on disk.
    """

    data: Dataset
    recipe: Recipe
    plan: Plan
    test: Dataset | None = None
    risks: np.ndarray | None = None
    folder: Path | None = None


def train(asked: Asked, report: Report) -> tuple[Model, Record]:
    """A model and the record of its run. Raises BadInput for data or a recipe that do not fit."""
    certify = next((defence for defence in asked.recipe.defences if isinstance(defence, Certify)), None)
    inputs = inputs_of(asked.data, report, each=certify is not None)
    tested = None if asked.test is None else encoded(asked.test, inputs.encoding, report)
    if tested is not None and not (tested.codes >= 0).any():
        raise BadInput("no row of the test data has a label the model knows.", advice="Name the column with --label.")
    return _ensemble(asked, certify, inputs, tested, report) if certify is not None else _network(asked, inputs, tested, report)


def _network(asked: Asked, inputs: Inputs, tested: Inputs | None, report: Report) -> tuple[Model, Record]:
    done = fit(inputs, asked.recipe, asked.plan, asked.folder, report, asked.risks)
    last = done.epochs[-1].held_out_accuracy if done.epochs else None
    if tested is not None:
        answers = done.model.logits(tested.values)
        right = (answers.argmax(axis=1) == tested.codes) & np.isfinite(answers).all(axis=1)
        measured: Tested | None = Tested(int((tested.codes >= 0).sum()), float(right[tested.codes >= 0].mean()))
    else:
        measured = None if last is None else Tested(int(len(inputs.codes) * asked.plan.held_out), last)
    record = Record(
        asked.recipe.name or asked.recipe.spec(),
        asked.recipe.about,
        done.record,
        done.epochs,
        measured,
        _facts(asked.data, inputs),
        asdict(asked.plan.for_rows(len(inputs.codes), private=is_private(asked.recipe))),
        done.resumed,
        done.seconds,
        _environment(),
    )
    return done.model, record


def _ensemble(asked: Asked, certify: Certify, inputs: Inputs, tested: Inputs | None, report: Report) -> tuple[Model, Record]:
    if inputs.encoding.modality == "text":
        raise BadInput("a certified ensemble is trained on images or tables, these are texts.", advice="Use another recipe.")
    if asked.risks is not None:
        message = "an audit looks at all rows at once, and a certificate holds only where no row decides about another."
        raise BadInput(message, advice="Leave the audit out, or use another recipe.")
    began = monotonic()
    out = part_models.held_out(inputs.values, asked.plan.held_out if tested is None else 0.0, asked.plan.seed)
    kept, held = np.flatnonzero(~out), np.flatnonzero(out)
    codes, classes = inputs.codes, len(inputs.encoding.classes)

    def told(done: int, total: int) -> None:
        report("training an ensemble", done, total)

    ensemble = CertifiedEnsemble.fit(inputs.values[kept], codes[kept], classes, certify, asked.plan.seed, told)
    values, truth = (inputs.values[held], codes[held]) if tested is None else (tested.values, tested.codes)
    known = truth >= 0
    measured = _certified(ensemble, values[known], truth[known]) if known.any() else None
    session = {
        "recipe": asked.recipe.name or asked.recipe.spec(),
        "defences": [defence.id for defence in asked.recipe.defences],
        "models": len(ensemble.sizes),
        "rows_per_model": int(np.median(ensemble.sizes)),
        "rows_dropped": ensemble.dropped,
        "reasons_dropped": {"not finite": ensemble.dropped} if ensemble.dropped else {},
        "updates_refused": [],
        "facts": {},
        "notes": [_PRESUMED],
    }
    facts = _facts(asked.data, inputs)
    name, seconds = asked.recipe.name or asked.recipe.spec(), monotonic() - began
    plan = {"seed": asked.plan.seed, "held_out": asked.plan.held_out, **asdict(ensemble.plan)}
    return Elected(ensemble, inputs.encoding), Record(
        name, asked.recipe.about, session, (), measured, facts, plan, 0, seconds, _environment()
    )


def _certified(ensemble: CertifiedEnsemble, values: np.ndarray, truth: Labels) -> Tested:
    answered = ensemble.predict(values)
    return Tested(len(truth), answered.accuracy(truth), tuple(float(value) for value in answered.curve(truth)))


def _facts(data: Dataset, inputs: Inputs) -> dict[str, Any]:
    return {
        "format": data.format,
        "modality": data.modality,
        "location": None if data.location is None else str(data.location),
        "rows": len(data),
        "rows_used": len(inputs.codes),
        "left_out": dict(inputs.left_out),
        "classes": list(inputs.encoding.classes)[:200],
        "shape": list(inputs.encoding.shape),
    }


def _environment() -> Mapping[str, str]:
    return {name: version(name) for name in ("untaint", "torch", "numpy")}

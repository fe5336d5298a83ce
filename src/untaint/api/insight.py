"""What a model gives away of its training data, and which of them an answer or a change of weights goes back to."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from untaint.api.data import load, writable
from untaint.api.models import inputs_for, opened
from untaint.data.dataset import Dataset
from untaint.errors import BadInput, MissingExtra

if TYPE_CHECKING:
    from untaint.attacks.inversion.inverted import Inverted
    from untaint.attacks.inversion.poison import Lift
    from untaint.attacks.inversion.recover import Recovered
    from untaint.features.inputs import Inputs
    from untaint.models.explain.change import Change
    from untaint.models.explain.why import Explanation, Senders
    from untaint.nets.subject import Reference, Subject

Progress = Callable[[str, int, int], None]
_STARTS = 4  # inputs recovered of each class: enough to see whether they agree
_WAVES = 8  # along each side of a picture, of a search without slopes: 4,000 questions a class suffice for 64 numbers
_MOST_CLASSES = 20  # inverted if none are named: more do not fit on a page


def _quiet(_what: str, _done: int, _total: int) -> None:
    return


def invert(
    model: object,
    data: object,
    *,
    fresh: object = None,
    classes: Sequence[str] | None = None,
    black_box: bool = False,
    labels_only: bool = False,
    queries: int = 40_000,
    decimals: int | None = None,
    noise: float = 0.0,
    flip: float | None = None,
    out: str | Path | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    **columns: str | None,
) -> "Inverted":
    """Recover what the classes of a model look like, and measure how much that gives away.

    data: the rows the model was trained on.  fresh: rows of the same kind that it never saw: half of them make the judge, half are what
    training rows are compared with; without them nothing can be said of memory and membership.  classes: None = all, at most 20.
    black_box: only probabilities are asked for, `queries` in all, as they leave the house: rounded to `decimals`, with `noise`.
    labels_only: only labels.  flip: share of the labels an attacker may turn: three small models are trained on what one who knows
    nothing, one who inverted the model, and one who has the data would flip.  out: folder for `inversion.json` and `report.html`.
    columns: label, payload, table, query, format, as for `load`.
    Raises BadInput for texts, for data that do not fit, for a model without slopes unless black_box; CannotWrite; MissingExtra.
    """
    _torch("Model inversion")
    from untaint.attacks.inversion.exposure import exposure, fresh_of
    from untaint.attacks.inversion.inverted import Inverted
    from untaint.attacks.inversion.oracle import Outlet

    tell = progress or _quiet
    path = Path(model) if isinstance(model, str | Path) else None
    asked, given = opened(path or model), inputs_for(load(data, **columns), path)
    seen = _labelled(given)
    unseen = None if fresh is None else _fresh(fresh, given, columns)
    outlet = Outlet(decimals, noise, labels_only)
    target = None if out is None else writable(Path(out), path)
    wanted = _codes(seen, classes)
    _fits(asked, seen)
    limit = queries if black_box or labels_only else None
    recovered = _recovered(asked, seen, wanted, outlet, limit, seed, tell)
    held = None if unseen is None else fresh_of(unseen, seed)
    scored = exposure(asked, recovered, seen, held, outlet, seed=seed)
    lift = None if flip is None else _lift(given, unseen, recovered, flip, seed)
    done = Inverted(path.name if path else asked.name, recovered, scored, outlet, seen, lift)
    if target is not None:
        from untaint.report.models import inversion

        inversion.write(done, given.encoding, target)
    return done


def explain(
    model: object,
    data: object,
    *,
    input: object = None,  # noqa: A002 - the word of the command line
    row: int | None = None,
    out: str | Path | None = None,
    alpha: float = 0.01,
    seed: int = 0,
    progress: Progress | None = None,
    **columns: str | None,
) -> "Explanation":
    """Why a model answers one input as it does: training rows, region, sources.

    data: the rows it was trained on.  input: a picture (file or array), or a file with one row; or row: number of a row of data.
    out: folder for `explain.json` and `report.html`.  alpha: chance of accusing a source or a region wrongly.
    columns: label, source, payload, table, query, format, as for `load`.
    Raises BadInput for data or an input that do not fit, CannotWrite, MissingExtra without PyTorch.
    """
    _torch("Explaining a model")
    from untaint.models.explain.why import Explainer

    if (input is None) == (row is None):
        raise BadInput("one input is explained at a time.", advice="Give either an input or the number of a row.")
    path = Path(model) if isinstance(model, str | Path) else None
    dataset = load(data, **columns)
    given = inputs_for(dataset, path)
    target = None if out is None else writable(Path(out), path)
    one = _one(input, given, columns) if row is None else _row(given, row)
    kept = np.flatnonzero(given.codes >= 0)
    explainer = Explainer(opened(path or model), _labelled(given), _senders(dataset, given.rows[kept]), alpha=alpha, seed=seed)
    found = explainer.explain(one, progress)
    if target is not None:
        from untaint.report.models import explanation

        name = path.name if path else explainer.subject.name
        about = explanation.About(name, _said(input, row), given.rows[kept], given.encoding, explainer.senders)
        explanation.write(found, one, explainer, about, target)
    return found


def explain_change(
    model: object,
    base: object,
    data: object,
    *,
    only: Sequence[str] | None = None,
    out: str | Path | None = None,
    alpha: float = 0.01,
    **columns: str | None,
) -> "Change":
    """Which training rows the step from `base` to `model` goes back to, and who sent them.

    Both: house networks or torch modules of one shape.  only: names of tensors, None = all that changed.  The rest as for `explain`.
    Raises BadInput for models without gradients or of different shapes, CannotWrite, MissingExtra without PyTorch.
    """
    _torch("Explaining a model")
    from untaint.models.explain.change import change

    paths = [Path(each) if isinstance(each, str | Path) else None for each in (base, model)]
    subjects = [opened(path or each) for path, each in zip(paths, (base, model), strict=True)]
    before, after = (_module(each) for each in subjects)
    dataset = load(data, **columns)
    given = inputs_for(dataset, paths[1])
    target = None if out is None else writable(Path(out), paths[1])
    kept = np.flatnonzero(given.codes >= 0)
    senders = _senders(dataset, given.rows[kept])
    found = change(before, after, _labelled(given), senders, only=only, alpha=alpha)
    if target is not None:
        from untaint.report.models import explanation

        what = f"the change from {subjects[0].name}"
        about = explanation.About(subjects[1].name, what, given.rows[kept], given.encoding, senders)
        explanation.write_change(found, _labelled(given), about, target)
    return found


def _torch(what: str) -> None:
    from importlib.util import find_spec

    if find_spec("torch") is None:
        raise MissingExtra(what, "torch")


def _labelled(given: "Inputs") -> "Reference":
    from untaint.nets.subject import Reference

    kept = np.flatnonzero(given.codes >= 0)
    return Reference(given.values[kept], given.codes[kept], given.encoding.classes)


def _fresh(fresh: object, given: "Inputs", columns: dict[str, str | None]) -> "Reference":
    from untaint.features.inputs import encoded

    found = _labelled(encoded(load(fresh, **{**columns, "format": None}), given.encoding, _quiet))
    if not len(found.labels):
        raise BadInput("no fresh row has a label that the training rows have.", advice="Give data of the same classes.")
    return found


def _codes(seen: "Reference", classes: Sequence[str] | None) -> list[int]:
    """Codes of the classes that are wanted. Raises BadInput for a name that is none."""
    if classes is None:
        return list(range(min(len(seen.classes), _MOST_CLASSES)))
    if unknown := [name for name in classes if name not in seen.classes]:
        known = ", ".join(map(repr, seen.classes[:_MOST_CLASSES]))
        raise BadInput(f"{unknown[0]!r} is no class of the data.", advice=f"Choose among {known}.")
    return [seen.classes.index(name) for name in dict.fromkeys(classes)]


def _fits(asked: "Subject", seen: "Reference") -> None:
    answered = asked.logits(seen.inputs[:1]).shape[1]
    if answered != len(seen.classes):
        message = f"the model tells {answered} classes apart, the data {len(seen.classes)}."
        raise BadInput(message, advice="Give the data the model was trained on.")


def _recovered(
    asked: "Subject", seen: "Reference", wanted: list[int], outlet: Any, queries: int | None, seed: int, tell: Progress
) -> "Recovered":
    from untaint.attacks.inversion import recover
    from untaint.attacks.inversion.oracle import Oracle
    from untaint.attacks.inversion.space import space_of

    if queries is None:
        search = recover.Search(wanted, _STARTS, seed=seed, progress=tell)
        return recover.by_slope(asked, space_of(seen.inputs), search)
    search = recover.Search(wanted, 1, seed=seed, progress=tell)
    oracle = Oracle(asked, outlet, queries, seed)
    least = 50 * len(wanted)  # one round of pairs and a few random starts for each class
    if queries < least:
        raise BadInput(f"{queries} questions are too few for {len(wanted)} classes.", advice=f"Allow {least:,} at least.")
    find = recover.by_labels if outlet.top else recover.by_answers
    return find(oracle, space_of(seen.inputs, _WAVES), search)


def _lift(given: "Inputs", unseen: "Reference | None", recovered: "Recovered", rate: float, seed: int) -> "Lift":
    """The first class that was recovered, flipped to the next one."""
    from untaint.attacks.base import check_rate
    from untaint.bench.inversion import Victims

    check_rate(rate)
    if unseen is None:
        raise BadInput("the success of flips is measured on rows nobody trained on.", advice="Give some with --fresh.")
    source = int(recovered.codes[0])
    return Victims(given, unseen, seed).lift(recovered, source, (source + 1) % len(given.encoding.classes), rate)


def _module(asked: "Subject") -> Any:
    if asked.module is None:
        raise BadInput(f"{asked.name} shows no gradients: its changes cannot be explained.", advice="Give torch modules.")
    return asked.module


def _senders(dataset: Dataset, rows: np.ndarray) -> "Senders":
    from untaint.models.explain.why import Senders

    codes, names = dataset.codes("source")
    return Senders(codes[rows], tuple(names))


def _said(source: object, row: int | None) -> str:
    if row is not None:
        return f"row {row}"
    return str(source) if isinstance(source, str | Path) else "an input from Python"


def _row(given: "Inputs", row: int) -> np.ndarray:
    at = np.flatnonzero(given.rows == row)
    if not len(at):
        raise BadInput(f"row {row} is not among the rows that can be read.", advice="Rows are counted from 0.")
    return given.values[at]


def _one(source: object, given: "Inputs", columns: dict[str, str | None]) -> np.ndarray:
    """One input as the network takes it: a picture, or the first row of a file."""
    from untaint.data.images import decode
    from untaint.features.canvas import fitted
    from untaint.features.inputs import encoded

    if given.encoding.modality != "image":
        found = encoded(load(source, **{**columns, "format": None}), given.encoding, _quiet)
        if not len(found.values):
            raise BadInput("the input holds no row that can be read.")
        return found.values[:1]
    height, width, channels = given.encoding.shape
    if isinstance(source, np.ndarray):
        return fitted(decode(source), height, width, channels)[None].copy()
    try:
        return fitted(decode(Path(str(source)).read_bytes()), height, width, channels)[None].copy()
    except OSError as error:
        raise BadInput(f"cannot read {source}: {error.strerror or error}.", advice="Give a picture, or --row.") from error

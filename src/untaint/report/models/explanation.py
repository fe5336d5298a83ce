"""Why a model answers so, or changed so, as JSON (`untaint.explain/v1`) and as a page that needs nothing else."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from untaint.evidence.finding import SourceShare
from untaint.features.inputs import Encoding
from untaint.features.spelled import names
from untaint.models.explain.change import Change
from untaint.models.explain.region import Region
from untaint.models.explain.why import Explainer, Explanation, Senders
from untaint.nets.subject import Reference
from untaint.report import folder
from untaint.report.html import environment
from untaint.report.inputs import framed, shown
from untaint.report.text import plain
from untaint.types import Rows

SCHEMA = "untaint.explain/v1"
DOCUMENT, PAGE = "explain.json", "report.html"
_SOURCES = 20  # shown


@final
@dataclass(frozen=True)
class About:
    """What was asked.

    model: its name.  what: the input, or the change, in words.  rows: of the data set, of the training rows; senders: theirs.
    """

    model: str
    what: str
    rows: Rows
    encoding: Encoding
    senders: Senders | None = None


def write(found: Explanation, one: np.ndarray, explainer: Explainer, about: About, target: Path) -> dict[str, Any]:
    """Write both into a folder that is there; returns the document. Raises CannotWrite."""
    train = explainer.train
    tiles = _tiles(found.rows, found.influence, train, about)
    for tile, carries in zip(tiles, found.carriers.tolist(), strict=True):
        tile["carries_region"] = carries
    told = {
        **_head(about, found.alpha),
        "answer": found.label,
        "probability": found.probability,
        "input": shown(one[0], about.encoding),
        "how": found.how,
        "says": sentences(found),
        "accused": found.accused,
        "region": None if found.region is None else _region(found, found.region, one, about.encoding),
        "rows": tiles,
        "sources": [asdict(each) for each in found.sources[:_SOURCES]],
        "notes": found.notes,
    }
    return _written(told, target)


def write_change(found: Change, train: Reference, about: About, target: Path) -> dict[str, Any]:
    """The same of a change of weights."""
    tiles = _tiles(found.rows, found.cosine, train, about)
    for tile, fell in zip(tiles, found.fell.tolist(), strict=True):
        tile["loss_fell"] = fell
    told = {
        **_head(about, found.alpha),
        "tensors": found.tensors,
        "moved": found.moved,
        "threshold": found.threshold,
        "aligned": found.aligned,
        "p_value": found.p_value,
        "labels": [{"label": label, "n": n} for label, n in found.labels],
        "says": change_sentences(found),
        "accused": found.accused,
        "region": None,
        "rows": tiles,
        "sources": [asdict(each) for each in found.sources[:_SOURCES]],
        "notes": (),
        "input": None,
    }
    return _written(told, target)


def sentences(found: Explanation) -> list[str]:
    """What was found, in words."""
    told = [f"The answer is {found.label!r}, with a probability of {found.probability:.1%}."]
    region = found.region
    if found.trigger and region is not None:
        among = "" if found.hosts is None else f" of class {found.hosts!r}"
        told.append(
            f"A region of {region.mask.mean():.1%} of the input acts as a trigger: put on {region.pasted} other inputs{among}, it turns "
            f"{region.carried:.0%} of them into {found.label!r} (an equally strong part of real ones: {region.control:.0%}); with what "
            f"others hold there, the answer becomes {found.without!r}."
        )
        told.append(
            f"{int(found.carriers.sum())} of the {len(found.rows)} rows that drive the answer hold the same there, and "
            f"{found.carriers_of_class:.1%} of all rows labelled so."
        )
    elif region is not None:
        told.append("No region of the input turns other inputs to this answer as a trigger would.")
    return told + _accusation(found.sources, found.accused)


def change_sentences(found: Change) -> list[str]:
    """What was found about a change, in words."""
    told = [f"{len(found.tensors)} tensors changed, by {found.moved:.2%} of their length."]
    if found.aligned:
        labels = ", ".join(f"{n} {label!r}" for label, n in found.labels[:3])
        told.append(
            f"{found.aligned} training rows pull along the change further than along any shuffled one (the first: {labels})."
        )
    else:
        told.append("No training row pulls along the change more than along a shuffled one: these data do not explain it.")
    return told + _accusation(found.sources, found.accused)


def _accusation(sources: tuple[SourceShare, ...], accused: tuple[str, ...]) -> list[str]:
    return [
        f"Source {each.name!r} sent {each.n_flagged} of them, of its {each.n} rows with that label (p = {each.p_value:.2g})."
        for each in sources
        if each.name in accused
    ]


def _head(about: About, alpha: float) -> dict[str, object]:
    return {"schema": SCHEMA, "model": about.model, "what": about.what, "alpha": alpha}


def _region(found: Explanation, region: Region, one: np.ndarray, encoding: Encoding) -> dict[str, object]:
    columns = (
        [name for name, inside in zip(names(encoding), region.mask.tolist(), strict=False) if inside] if one.ndim == 2 else []
    )
    return {
        "trigger": found.trigger,
        "box": region.box,
        "columns": columns,
        "share": float(region.mask.mean()),
        "answer_without": found.without,
        "margin_drop": region.drop,
        "margin_drop_elsewhere": region.drop_elsewhere,
        "carried": region.carried,
        "control": region.control,
        "p_value": region.p_value,
        "pasted_on": region.pasted,
        "pasted_on_class": found.hosts,
        "carriers_of_class": found.carriers_of_class,
        "picture": framed(one[0], region.mask) if one.ndim == 4 else None,
    }


def _tiles(chosen: Rows, score: np.ndarray, train: Reference, about: About) -> list[dict[str, Any]]:
    senders = about.senders
    tiles: list[dict[str, Any]] = []
    for at, value in zip(chosen.tolist(), score.tolist(), strict=True):
        code = -1 if senders is None else int(senders.codes[at])
        source = senders.names[code] if senders is not None and code >= 0 else None
        label = train.classes[int(train.labels[at])]
        tiles.append(
            {
                "row": int(about.rows[at]),
                "label": label,
                "source": source,
                "score": value,
                **shown(train.inputs[at], about.encoding),
            }
        )
    return tiles


def _written(told: Mapping[str, object], target: Path) -> dict[str, Any]:
    found: Any = plain(told)
    folder.write_text(target / PAGE, environment().get_template("explanation.html.j2").render(found=found))
    folder.write_text(target / DOCUMENT, json.dumps(found, indent=2, allow_nan=False) + "\n")
    return found if isinstance(found, dict) else {}

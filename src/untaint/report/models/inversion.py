"""What an inverted model gave away, as JSON (`untaint.inversion/v1`) and as a page that needs nothing else."""

import json
from collections.abc import Mapping
from math import isnan
from pathlib import Path
from typing import Any

from untaint.attacks.inversion.inverted import Inverted
from untaint.attacks.inversion.poison import Lift
from untaint.features.inputs import Encoding
from untaint.report import folder
from untaint.report.html import environment
from untaint.report.inputs import shown
from untaint.report.text import plain

SCHEMA = "untaint.inversion/v1"
DOCUMENT, PAGE = "inversion.json", "report.html"
_HEART, _SURE = 0.95, 0.01
"""Ratio of distances under which, and p-value at which, training rows are called learned by heart: nearer by a twentieth, and surely."""


def write(done: Inverted, encoding: Encoding, target: Path) -> dict[str, Any]:
    """Write both into a folder that is there; returns the document. Raises CannotWrite."""
    found = document(done, encoding)
    folder.write_text(target / PAGE, page(found))
    folder.write_text(target / DOCUMENT, json.dumps(found, indent=2, allow_nan=False) + "\n")
    return found


def document(done: Inverted, encoding: Encoding) -> dict[str, Any]:
    """Plain JSON: no NaN, pictures as data URIs."""
    scored = done.exposure
    classes = [
        {
            "class": each.name,
            "recognised": each.recognised,
            "confidence": each.confidence,
            "inverted": shown(done.recovered.inputs[each.best], encoding),
            "nearest": None if each.nearest < 0 else shown(done.seen.inputs[each.nearest], encoding),
        }
        for each in scored.classes
    ]
    found: Any = plain(
        {
            "schema": SCHEMA,
            "model": done.model,
            "how": done.recovered.how,
            "queries": done.recovered.queries,
            "output": str(done.outlet),
            "recognised": scored.recognised,
            "confidence": scored.confidence,
            "chance": scored.chance,
            "classes_found": scored.found,
            "judge_accuracy": scored.judge_accuracy,
            "memory": {"ratio": scored.nearness.ratio, "p_value": scored.nearness.p_value},
            "membership": scored.membership._asdict(),
            "poison": None if done.lift is None else _lift(done.lift),
            "says": sentences(done),
            "classes": classes,
        }
    )
    return found if isinstance(found, dict) else {}


def sentences(done: Inverted) -> list[str]:
    """What the numbers mean."""
    scored = done.exposure
    first = (
        f"Of the inputs recovered by {done.recovered.how}, {scored.recognised:.0%} are named rightly by a classifier that does not "
        f"know the model; a guess would name {scored.chance:.0%}."
    )
    told = [first]
    if isnan(scored.nearness.ratio):
        told += scored.notes
    elif scored.nearness.p_value <= _SURE and scored.nearness.ratio <= _HEART:
        told.append("They lie nearer to training rows than to fresh ones: single rows were learned by heart.")
    else:
        told.append("They lie as near to fresh rows as to training rows: they show classes, not single rows.")
    if not isnan(scored.membership.auc):
        told.append(
            f"Its loss tells a row it was trained on from another in {scored.membership.auc:.0%} of pairs (a coin: 50 %); a "
            f"threshold has an advantage of {scored.membership.advantage:.3f}."
        )
    return told + ([] if done.lift is None else [_worth(done.lift)])


def _worth(lift: Lift) -> str:
    return (
        f"Flipping {lift.rate:.1%} of the labels turns {lift.success('nothing'):.0%} of class {lift.source} into {lift.target} when "
        f"chosen blindly, {lift.success('inversion'):.0%} when chosen with the inverted model, {lift.success('data'):.0%} with the data."
    )


def _lift(lift: Lift) -> dict[str, object]:
    flips = [{"knowledge": each.knowledge, "hits": each.hits, "success": each.success} for each in lift.flips]
    whole = {"source": lift.source, "target": lift.target, "rate": lift.rate, "clean": lift.clean, "worth": lift.worth}
    return {**whole, "flips": flips}


def page(found: Mapping[str, Any]) -> str:
    """HTML of a document."""
    return environment().get_template("inversion.html.j2").render(found=found)

"""What a repair did, as JSON (`untaint.repair/v1`) and as a page that needs nothing else."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from untaint.models.repair.course.mended import Mended
from untaint.report import folder
from untaint.report.html import environment
from untaint.report.text import plain
from untaint.report.training import Line, chart

SCHEMA = "untaint.repair/v1"
DOCUMENT, PAGE = "repair.json", "report.html"
_SHARES = (
    ("accuracy", "Clean accuracy"),
    ("asr", "Attack success (ASR)"),
    ("robust_accuracy", "Triggered inputs given their own label (R-Acc)"),
)


def write(done: Mended, model: Mapping[str, object], target: Path) -> dict[str, Any]:
    """Write both into a folder that is there; returns the document. Raises CannotWrite."""
    found = document(done, model)
    folder.write_text(target / PAGE, page(found))
    folder.write_text(target / DOCUMENT, json.dumps(found, indent=2, allow_nan=False) + "\n")
    return found


def document(done: Mended, model: Mapping[str, object]) -> dict[str, Any]:
    """Plain JSON. model: name, path and digests of the model before and after."""
    found: Any = plain(
        {
            "schema": SCHEMA,
            "model": dict(model),
            "method": done.method,
            "before": asdict(done.before),
            "after": asdict(done.after),
            "inputs": {"used": done.used, "held_back": done.held_back, "triggered": done.triggered},
            "steps": done.steps,
            "seconds": round(done.seconds, 3),
            "facts": done.facts,
            "relapse": {"samples": done.relapse_samples, "steps": list(done.relapse_steps), "asr": list(done.relapse)}
            if done.relapse
            else None,
            "notes": list(done.notes),
        }
    )
    return found if isinstance(found, dict) else {}


def page(found: Mapping[str, Any]) -> str:
    """HTML of a document."""
    relapse = found["relapse"]
    rows = [(said, found["before"][name], found["after"][name]) for name, said in _SHARES if found["after"][name] is not None]
    picture = "" if relapse is None else _curve(relapse)
    return environment().get_template("repair.html.j2").render(found=found, rows=rows, relapse=relapse, picture=picture)


def _curve(relapse: Mapping[str, Any]) -> Markup:
    """Success by update, straight between those it was measured after."""
    every = np.interp(np.arange(relapse["steps"][-1] + 1), relapse["steps"], relapse["asr"])
    return chart([Line("attack success", every.tolist())], "", "share", top=1.0, first=0)

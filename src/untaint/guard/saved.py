"""A fitted guard as one safetensors file: arrays, and JSON in its header. The model stays where it is."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from untaint.errors import BadInput, CannotWrite, MissingExtra
from untaint.guard.fold import Fold
from untaint.guard.signs.base import PACKAGE, Learned, Sign
from untaint.numerics.usual import Usual
from untaint.registry import build, spec

_SCHEMA = "untaint.model-guard/v1"
_HEADER = "untaint.guard"
_USUAL = ("centre", "spread", "body", "tails", "both")
_ADVICE = "Give a file that Guard.save or `untaint guard` wrote."

Parts = dict[str, Any]
"""The fields of a guard, by name."""


def write(parts: Mapping[str, Any], path: Path) -> None:
    """Write the fields of a guard, the model left out. Raises CannotWrite."""
    try:
        from safetensors.numpy import save
    except ImportError as error:
        raise MissingExtra("A guard on disk", "torch") from error
    arrays: dict[str, np.ndarray] = {"probes": parts["probes"][0], "answers": parts["probes"][1]}
    for sign in parts["signs"]:
        arrays |= {f"prepared/{sign.id}/{name}": value for name, value in parts["prepared"][sign.id].items()}
    for at, fold in enumerate(parts["folds"]):
        arrays |= {f"{at}/first": fold.first, f"{at}/total": fold.total}
        for sign in parts["signs"]:
            arrays |= {f"{at}/learned/{sign.id}/{name}": value for name, value in fold.learned[sign.id].items()}
            arrays |= {f"{at}/usual/{sign.id}/{name}": getattr(fold.usual[sign.id], name) for name in _USUAL}
    plain = ("false_alarms", "classes", "shape", "dtype", "skipped", "overhead")
    header = {"schema": _SCHEMA, "signs": [spec(sign) for sign in parts["signs"]], "folds": len(parts["folds"])}
    header |= {name: parts[name] for name in plain}
    contiguous = {name: np.ascontiguousarray(value) for name, value in arrays.items()}
    try:
        path.write_bytes(save(contiguous, {_HEADER: json.dumps(header)}))
    except OSError as error:
        raise CannotWrite(f"cannot write {path}: {error.strerror or error}.", advice="Name another file.") from error


def read(path: Path) -> Parts:
    """The fields of a guard. Raises BadInput for anything else; nothing in the file is run."""
    header, arrays = _opened(path)
    try:
        signs = tuple(build(Sign, PACKAGE, text) for text in header["signs"])  # type: ignore[type-abstract]
        folds = tuple(_fold(arrays, f"{at}", signs) for at in range(int(header["folds"])))
        return {
            "signs": signs,
            "prepared": {sign.id: _under(arrays, f"prepared/{sign.id}/") for sign in signs},
            "folds": folds,
            "probes": (arrays["probes"], arrays["answers"]),
            "false_alarms": float(header["false_alarms"]),
            "classes": int(header["classes"]),
            "shape": tuple(int(size) for size in header["shape"]),
            "dtype": str(header["dtype"]),
            "skipped": {str(name): str(why) for name, why in header["skipped"].items()},
            "overhead": float(header["overhead"]),
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(f"{path} is a guard with parts missing: {error}.", advice=_ADVICE) from error


def _opened(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise MissingExtra("A guard on disk", "torch") from error
    if not path.is_file():
        raise BadInput(f"no such guard: {path}.", advice=_ADVICE)
    try:
        with safe_open(path, framework="numpy") as file:
            header = json.loads((file.metadata() or {}).get(_HEADER, "null"))
            if not isinstance(header, dict) or header.get("schema") != _SCHEMA:
                raise BadInput(f"{path} is no guard of untaint.", advice=_ADVICE)
            return header, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError, ValueError) as error:
        raise BadInput(f"{path} is no guard: {error}.", advice=_ADVICE) from error


def _fold(arrays: Mapping[str, np.ndarray], at: str, signs: tuple[Sign, ...]) -> Fold:
    usuals = {sign.id: Usual(*(arrays[f"{at}/usual/{sign.id}/{name}"] for name in _USUAL)) for sign in signs}
    learned: dict[str, Learned] = {sign.id: _under(arrays, f"{at}/learned/{sign.id}/") for sign in signs}
    return Fold(learned, usuals, arrays[f"{at}/first"], arrays[f"{at}/total"])


def _under(arrays: Mapping[str, np.ndarray], prefix: str) -> Learned:
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}

"""Certified ensembles on disk: one safetensors file, which holds numbers and a note in JSON, and nothing that could be run."""

from pathlib import Path
from typing import Annotated, Final, Literal, final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from untaint.errors import BadInput, CannotWrite, MissingExtra

FORMAT: Final = "untaint.certified/v1"
_NOTE: Final = "untaint"  # the key of the note among the file's metadata
_SIZES: Final = {
    "sizes": "m",
    "weights": "mfk",
    "reach": "ps",
    "centres": "mt",
    "scales": "mt",
    "cosines.weights": "df",
    "cosines.phases": "f",
}
"""One letter per axis; equal letters are equal lengths: models, features, classes, parts, spread, columns of tables, numbers per row."""


@final
class About(BaseModel):
    """The note: how the ensemble was trained. Fields as in `CertifiedEnsemble`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    format: Literal["untaint.certified/v1"]
    partitions: PositiveInt
    spread: PositiveInt
    rule: Literal["plurality", "run-off"]
    shape: Annotated[tuple[PositiveInt, ...], Field(min_length=1, max_length=3)]
    slack: int | None
    dropped: int


def write(path: Path, arrays: dict[str, np.ndarray], about: dict[str, object]) -> None:
    """Write arrays and note. Raises CannotWrite, and MissingExtra without safetensors."""
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import save_file
    except ImportError as error:
        raise MissingExtra("saving an ensemble", "torch") from error
    note = About.model_validate({"format": FORMAT, **about}).model_dump_json()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path, {_NOTE: note})
    except (OSError, SafetensorError) as error:
        raise CannotWrite(f"cannot write {path}: {error}.", advice="Give a file in a folder you may write to.") from error


def read(path: Path) -> tuple[dict[str, np.ndarray], About]:
    """Arrays and note, checked against each other. Raises BadInput, and MissingExtra without safetensors."""
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise MissingExtra("loading an ensemble", "torch") from error
    try:
        with safe_open(path, "np") as opened:
            about = About.model_validate_json((opened.metadata() or {}).get(_NOTE, "{}"))
            arrays = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - it is no mapping
    except (OSError, SafetensorError, ValidationError) as error:
        raise BadInput(
            f"{path} is no certified ensemble: {str(error).splitlines()[0]}.", advice="Give a file that `save` wrote."
        ) from error
    _agree(path, arrays, about)
    return arrays, about


def _agree(path: Path, arrays: dict[str, np.ndarray], about: About) -> None:
    """Shapes fit each other and the note; no model number is out of range."""
    lengths: dict[str, int] = {"m": about.partitions * about.spread, "p": about.partitions * about.spread, "s": about.spread}
    if set(arrays) != set(_SIZES):
        raise BadInput(
            f"{path} holds {sorted(arrays)}, not the arrays of a certified ensemble.", advice="Give a file that `save` wrote."
        )
    for name, axes in _SIZES.items():
        shape = arrays[name].shape
        if len(shape) != len(axes) or any(lengths.setdefault(axis, size) != size for axis, size in zip(axes, shape, strict=True)):
            raise BadInput(f"{path}: {name} has shape {shape}, which does not fit the rest.", advice="Save the ensemble again.")
    if any(
        (array.dtype.kind != "i") == (name in {"sizes", "reach"}) or array.dtype.kind not in "if"
        for name, array in arrays.items()
    ):
        raise BadInput(f"{path}: an array is not of the kind of number it should be.", advice="Save the ensemble again.")
    reach = arrays["reach"]
    if reach.min(initial=0) < 0 or reach.max(initial=0) >= lengths["m"]:
        raise BadInput(f"{path}: a part is given to a model that does not exist.", advice="Save the ensemble again.")

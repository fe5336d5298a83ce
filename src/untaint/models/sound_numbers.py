"""Weights that are no numbers."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.models.base import Case, Checked, ModelCheck, ModelFinding, Need
from untaint.models.weights.opened import opened
from untaint.models.weights.pieces import pieces
from untaint.models.weights.stored import Stored
from untaint.numerics.number_formats import read

_MASK = "mask"
"""Part of the names of tensors that hold minus infinity on purpose: what attention must not see."""
_LISTED = 100  # findings, and notes of tensors that were not read


@final
@dataclass(frozen=True)
class SoundNumbers(ModelCheck):
    """Reads every weight, and tells of those that are NaN or infinite.

    Works when: a model was wrecked so that it fails at inputs that reach those weights, or training diverged and nobody looked.
    Fails when: weights are large but finite, or of a format that is not read (the report says which).
    Cost: reads the file once.
    Reference: IEEE 754-2019, section 6
    """

    id: ClassVar[str] = "sound-numbers"
    needs: ClassVar[tuple[Need, ...]] = ("path",)

    @override
    def examine(self, case: Case) -> Checked:
        weights = opened(case.path or Path())
        findings = []
        for done, tensor in enumerate(weights.tensors.values()):
            case.progress("reading weights", done, len(weights.tensors))
            undefined, infinite = _counted(tensor)
            if undefined or infinite:
                findings.append(_finding(tensor, undefined, infinite))
        facts = {"tensors": len(weights.tensors), "numbers": weights.count, "notes": list(weights.notes[:_LISTED])}
        more = f"{len(findings) - _LISTED:,} more tensors hold such weights" if len(findings) > _LISTED else ""
        return Checked("no evidence", tuple(findings[:_LISTED]), more, facts)


def _counted(tensor: Stored) -> tuple[int, int]:
    """How many of its numbers are NaN, and infinite."""
    if not tensor.form.bits:
        return 0, 0
    undefined = infinite = 0
    for start, count in pieces(tensor.count, 1):
        values = read(tensor.raw(start, count), tensor.form)
        if not np.isfinite(values).all():
            undefined += int(np.isnan(values).sum())
            infinite += int(np.isinf(values).sum())
    return undefined, infinite


def _finding(tensor: Stored, undefined: int, infinite: int) -> ModelFinding:
    meant = not undefined and _MASK in tensor.name
    parts = [f"{count:,} {word}" for count, word in ((undefined, "NaN"), (infinite, "infinite")) if count]
    return ModelFinding(
        id="",
        kind="numbers",
        severity="info" if meant else "medium",
        confidence="low" if meant else "high",
        where=tensor.name,
        what=f"of {tensor.count:,} weights {' and '.join(parts)}{': a mask may hold such' if meant else ''}",
        advice="Look at what it is for."
        if meant
        else "Take an earlier checkpoint: answers that reach these weights mean nothing.",
        check=SoundNumbers.id,
        details={"nan": undefined, "infinite": infinite},
    )

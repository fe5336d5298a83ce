"""Instructions and their answers as texts: what every instruction feature starts from."""

from dataclasses import dataclass
from typing import final

import numpy as np

from untaint.data.dataset import Dataset
from untaint.data.instructions import Instruction, instruction_of
from untaint.errors import BadInput
from untaint.features.canvas import Readable
from untaint.features.graph import feature
from untaint.features.settings import Settings

_NOTHING = Instruction(None, "", None)


@final
@dataclass(frozen=True)
class Exchanges:
    """Prompt and answer of every row; "" where there is none.

    readable: (n,) which rows could be read.  rejected: the answer not wanted, of a preference pair.  A system text is part of the prompt:
    who can write one there can plant a trigger in it.
    """

    prompts: tuple[str, ...]
    responses: tuple[str, ...]
    rejected: tuple[str, ...]
    readable: np.ndarray


@feature(modality="instruction")
def exchanges(dataset: Dataset, settings: Settings) -> Exchanges:
    """Prompts and answers of all rows, read once."""
    said = dataset.column("unreadable")
    found: list[Instruction | None] = []
    for rows in dataset.batches(1024):
        for row, payload in zip(rows.tolist(), dataset.read(rows), strict=True):
            found.append(None if said[row] is not None else _read(payload))
        settings.report_progress("reading instructions", int(rows[-1]) + 1, len(dataset))
    given = [each or _NOTHING for each in found]
    return Exchanges(
        tuple("\n".join(filter(None, (each.system, each.prompt))) for each in given),
        tuple(each.response or "" for each in given),
        tuple(each.rejected or "" for each in given),
        np.array([each is not None for each in found], bool),
    )


@feature(modality="instruction")
def readable(dataset: Dataset, exchanges: Exchanges) -> Readable:
    """Rows that hold a prompt and an answer."""
    said = dataset.column("unreadable")
    bad = np.flatnonzero(~exchanges.readable).tolist()
    return Readable(exchanges.readable, {row: "no instruction with its answer" for row in bad if said[row] is None})


def _read(payload: object) -> Instruction | None:
    try:
        return instruction_of(payload)  # type: ignore[arg-type]  # whatever it is, it is told
    except BadInput:
        return None

"""What an audit found, used while training: the riskier a row, the less it counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, final

import numpy as np
import pyarrow as pa
from pyarrow import parquet
from typing_extensions import override

from untaint.errors import BadInput
from untaint.training.base import Defence, Hooks, Run, Seen, Stage, State, Trait, check_number

_ADVICE = "Give the samples.parquet that `untaint audit` wrote for these data, in their order."


@final
@dataclass(frozen=True)
class Risk(Defence):
    """Each row counts 1 - its risk, and a row that an audit flagged not at all.

    samples: the `samples.parquet` of an audit, or one risk of 0..1 per row of the data; NaN = not assessed, which counts in full.
    above: a row with more risk than this counts nothing; 1 = none by its risk alone.
    scale: 1 - scale x risk is the weight of the others: 1 = as said, 0 = only flagged rows are left out.
    Stops: what the audit found, without taking a file away.
    Does not stop: what the audit did not find, a single row of NaN included, for which `harden` puts `guard` beside it.
    Needs: an audit of the same rows in the same order, and a loop that knows the numbers of its rows; rows without a number count in
    full.
    Cost: none.
    Reference: ours; weights by the chance that a label is right go back to Natarajan et al. 2013, Learning with noisy labels
    """

    id: ClassVar[str] = "risk"
    stage: ClassVar[Stage] = Stage.WEIGH
    traits: ClassVar[frozenset[Trait]] = frozenset({"looks at the data"})
    samples: str | Path | Sequence[float] | np.ndarray = ""
    above: float = 1.0
    scale: float = 1.0

    @override
    def start(self, run: Run) -> Hooks:
        check_number("above", self.above, 0.0, 1.0)
        check_number("scale", self.scale, 0.0, 1.0)
        risks, flagged = _read(self.samples)
        if run.rows is not None and len(risks) != run.rows:
            raise BadInput(f"the audit has {len(risks):,} rows, the data have {run.rows:,}.", advice=_ADVICE)
        weights = 1 - self.scale * np.where(np.isnan(risks), 0.0, risks)
        kept = _Kept(np.where(flagged | (risks > self.above), 0.0, weights))
        return Hooks(weigh=kept.weigh, facts=kept.facts, state=kept.state, resume=kept.resume)


class _Kept:
    """The weights, and how often a row came that has none."""

    def __init__(self, weights: np.ndarray) -> None:
        self._weights = weights
        self._unknown = 0

    def weigh(self, seen: Seen) -> np.ndarray:
        if seen.rows.max(initial=-1) >= len(self._weights):
            message = f"the audit has {len(self._weights):,} rows, the loop trains on row {int(seen.rows.max()):,}."
            raise BadInput(message, advice=_ADVICE)
        known = seen.rows >= 0
        self._unknown += int((~known).sum())
        return np.where(known, self._weights[np.where(known, seen.rows, 0)], 1.0)

    def facts(self) -> dict[str, object]:
        out = int((self._weights == 0).sum())
        return {"rows_left_out": out, "mean_weight": float(self._weights.mean()), "seen_without_number": self._unknown}

    def state(self) -> State:
        return {"unknown": np.array(self._unknown)}

    def resume(self, state: State) -> None:
        self._unknown = int(state["unknown"])


def _read(samples: str | Path | Sequence[float] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Risks (n,) and which rows are flagged. Raises BadInput."""
    if isinstance(samples, str | Path):
        return _from_file(samples)
    try:
        risks = np.asarray(samples, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise BadInput(f"risks are numbers of 0..1, one per row: {error}.", advice=_ADVICE) from error
    return _checked(risks, "the array of risks"), np.zeros(risks.shape, dtype=bool)


def _from_file(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    if not str(path):
        raise BadInput("risk needs samples: which audit?", advice=_ADVICE)
    file = Path(path)
    file = file / "samples.parquet" if file.is_dir() else file
    try:
        table = parquet.ParquetFile(file).read(columns=["row", "risk", "flagged"])
        rows, risks, flagged = (table.column(name).to_numpy() for name in ("row", "risk", "flagged"))
        order = np.asarray(rows, dtype=np.int64)
        if flagged.dtype != bool:
            raise TypeError("its column flagged does not say yes or no.")
        found = _checked(np.asarray(risks, dtype=np.float64), str(file)), flagged
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadInput(f"cannot read {file} as the samples of an audit: {reason}", advice=_ADVICE) from error
    if not np.array_equal(order, np.arange(len(order))):
        raise BadInput(f"{file} does not hold rows 0, 1, 2 … in their order.", advice=_ADVICE)
    return found


def _checked(risks: np.ndarray, name: str) -> np.ndarray:
    if risks.ndim != 1 or len(risks) == 0:
        raise BadInput(f"{name} is {risks.shape}, not one risk per row.", advice=_ADVICE)
    if ((risks < 0) | (risks > 1)).any():
        row = int(np.flatnonzero((risks < 0) | (risks > 1))[0])
        raise BadInput(f"{name}: the risk of row {row:,} is {risks[row]:g}, not in 0..1.", advice=_ADVICE)
    return risks

"""Trains the models of a certified ensemble, each on nothing but its own rows.

What keeps the certificate true, beyond the mathematics of `untaint.numerics.votes`:

- A row's part is a hash of its inputs. So a copy falls into the part of its original, a changed label stays in its part, and no row's
  part depends on another row.
- Features of pictures are fixed (`untaint.numerics.orientations`); tables are scaled by each model's own rows. Nothing is normalised,
  padded or trimmed across models.
- Within a model, rows are ordered by hash and label. One solve per model, with arrays whose shapes depend on its own rows only: what it
  becomes does not depend on its neighbours, to the last bit.
- A row that is not finite is left out by a rule that looks at that row alone. What a model answers that is not finite counts as a fixed
  ballot.
- A number of partitions that was derived from the number of rows would change with it: radii stop short of where it does.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import numpy as np

from untaint.errors import BadInput
from untaint.numerics.ridge import Fourier
from untaint.numerics.votes import elect
from untaint.training.certify import Certify
from untaint.training.engines import ensemble_file, part_models
from untaint.types import Labels

Progress = Callable[[int, int], None]
"""Called with (models trained, models planned)."""

ROWS: Final = 200
"""Rows per model at least, where the number of partitions is left open."""
_BLOCK: Final = 256  # rows answered at a time, always so many: what a row is answered does not depend on its company


@final
@dataclass(frozen=True)
class Certified:
    """Answers with proof. labels (n,).  votes (n, classes) of the first round.  tied (n,): decided by the rule for ties.

    radii (n,): the answer is the same whatever training rows are inserted, deleted or relabelled, up to so many; a replaced row is two.
    """

    labels: Labels
    radii: np.ndarray
    votes: np.ndarray
    tied: np.ndarray

    def accuracy(self, truth: Labels, radius: int = 0) -> float:
        """Share of rows that are answered rightly and withstand at least `radius` poisoned rows: certified accuracy."""
        return float(((self.labels == truth) & (self.radii >= radius)).mean())

    def curve(self, truth: Labels) -> np.ndarray:
        """(r + 1,) certified accuracy against 0, 1, ... r poisoned rows, up to the largest radius there is."""
        return np.array([self.accuracy(truth, radius) for radius in range(int(self.radii.max(initial=0)) + 1)])


@final
@dataclass(frozen=True)
class CertifiedEnsemble:
    """Models that were trained apart, and who was given what.

    plan: with the number of partitions that was used.  shape: of one input.  sizes (models,) rows each was trained on.
    weights (models, features, classes).  reach (parts, spread) models a part is given to.  cosines: the features of all models.
    centres, scales (models, d) of tables; empty for pictures.
    slack: rows by which the data may change before the number of partitions would; None = it was given.
    dropped: rows left out, as they held a number that is not finite or no label.
    """

    plan: Certify
    shape: tuple[int, ...]
    sizes: np.ndarray
    weights: np.ndarray
    reach: np.ndarray
    cosines: Fourier
    centres: np.ndarray
    scales: np.ndarray
    slack: int | None = None
    dropped: int = 0

    @classmethod
    def fit(
        cls,
        inputs: np.ndarray,
        targets: Labels,
        classes: int,
        plan: Certify | None = None,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> "CertifiedEnsemble":
        """Train on pictures (n, h, w[, c]), uint8 or floats in 0..1, or tables (n, d), with class codes (n,), -1 = no label.

        Equal data, plan and seed give equal ensembles, whatever the order of the rows. Raises BadInput for other shapes, codes or plans.
        """
        plan = plan or Certify()
        plan.check()
        _check(inputs, targets, classes)
        partitions, slack = (plan.partitions, None) if plan.partitions else _partitions(len(inputs))
        prepared, usable = part_models.prepared(inputs)
        kept = np.flatnonzero(usable & (targets >= 0))
        parts = part_models.parts_of(prepared, targets, kept, partitions * plan.spread, seed)
        rng = np.random.default_rng(seed)
        reach = part_models.reach_of(partitions * plan.spread, plan.spread, rng)
        described = [part_models.described(prepared[rows]) for rows in parts]
        cosines = part_models.cosines(described[0].shape[1], inputs.ndim == 2, rng)
        fitted = []
        for model in range(len(reach)):
            own = np.flatnonzero((reach == model).any(axis=1))
            rows = np.concatenate([parts[part] for part in own])
            features = np.concatenate([described[part] for part in own])
            fitted.append(part_models.fitted(features, targets[rows], classes, cosines, inputs.ndim == 2))
            if progress:
                progress(model + 1, len(reach))
        weights, centres, scales, sizes = (np.stack(values) for values in zip(*fitted, strict=True))
        used = Certify(partitions, plan.spread, plan.rule)
        left_out = len(inputs) - len(kept)
        return cls(used, inputs.shape[1:], sizes, weights, reach, cosines, centres, scales, slack, left_out)

    def save(self, path: Path) -> None:
        """Write it as safetensors, with what it was trained by as metadata. Raises CannotWrite."""
        arrays = {name: getattr(self, name) for name in ("sizes", "weights", "reach", "centres", "scales")}
        arrays |= {"cosines.weights": self.cosines.weights, "cosines.phases": self.cosines.phases}
        about = {"partitions": self.plan.partitions, "spread": self.plan.spread, "rule": self.plan.rule}
        ensemble_file.write(path, arrays, {**about, "shape": self.shape, "slack": self.slack, "dropped": self.dropped})

    @classmethod
    def load(cls, path: Path) -> "CertifiedEnsemble":
        """Read what `save` wrote; no code in it is run. Raises BadInput for anything else."""
        arrays, about = ensemble_file.read(path)
        cosines = Fourier(arrays.pop("cosines.weights"), arrays.pop("cosines.phases"))
        plan = Certify(about.partitions, about.spread, about.rule)
        plan.check()
        if part_models.width(about.shape) != len(cosines.weights):
            raise BadInput(
                f"{path}: its features are not those of inputs of shape {about.shape}.", advice="Save the ensemble again."
            )
        return cls(plan=plan, shape=about.shape, cosines=cosines, slack=about.slack, dropped=about.dropped, **arrays)

    @property
    def classes(self) -> int:
        """Number of classes it tells apart."""
        return int(self.weights.shape[2])

    def predict(self, inputs: np.ndarray) -> Certified:
        """The answers for inputs like those it was trained on. Raises BadInput for another shape."""
        if inputs.shape[1:] != self.shape:
            raise BadInput(
                f"inputs of shape {inputs.shape[1:]}; the ensemble was trained on {self.shape}.", advice="Bring them to it."
            )
        side_by_side = np.ascontiguousarray(self.weights.transpose(1, 0, 2)).reshape(self.weights.shape[1], -1)
        found = []
        for start in range(0, max(len(inputs), 1), _BLOCK):
            rows = inputs[start : start + _BLOCK]
            block = np.zeros((_BLOCK, *self.shape), inputs.dtype)
            block[: len(rows)] = rows
            scores = self._scores(part_models.described(part_models.prepared(block)[0]), side_by_side)
            found.append(elect(scores[: len(rows)], self.reach, self.plan.rule))
        labels, votes, radii, tied = (
            np.concatenate([getattr(each, name) for each in found]) for name in ("labels", "votes", "radii", "tied")
        )
        return Certified(labels, radii if self.slack is None else np.minimum(radii, self.slack), votes, tied)

    def _scores(self, described: np.ndarray, side_by_side: np.ndarray) -> np.ndarray:
        """(n, models, classes)."""
        with np.errstate(invalid="ignore", over="ignore"):  # a spoilt model's answers are nobody else's
            if self.centres.shape[1]:
                own = zip(self.centres, self.scales, self.weights, strict=True)
                return np.stack([self.cosines(part_models.scaled(described, c, s)) @ w for c, s, w in own], axis=1)
            scores: np.ndarray = (self.cosines(described) @ side_by_side).reshape(len(described), -1, self.classes)
            return scores


def _check(inputs: np.ndarray, targets: Labels, classes: int) -> None:
    numbers = inputs.dtype == np.uint8 or inputs.dtype.kind == "f" or (inputs.ndim == 2 and inputs.dtype.kind in "iub")
    if inputs.ndim not in {2, 3, 4} or not numbers or inputs.size == 0:
        got = f"{inputs.dtype} of shape {inputs.shape}"
        raise BadInput(
            f"a certified ensemble learns from pictures (n, h, w[, c]) or tables (n, d) of numbers, and got {got}.",
            advice="Give uint8 pictures, floats in 0..1, or a table of floats.",
        )
    if targets.shape != (len(inputs),) or targets.dtype.kind not in "iu":
        raise BadInput(f"{len(inputs)} inputs need as many class codes, and got {targets.dtype} of shape {targets.shape}.")
    if classes < 2 or targets.max() >= classes or targets.min() < -1:
        raise BadInput(
            f"class codes {targets.min()}..{targets.max()} for {classes} classes.", advice="Use 0..classes-1, -1 = no label."
        )
    if inputs.ndim > 2 and inputs.dtype.kind == "f" and (inputs.reshape(len(inputs), -1).max(axis=1) > 1).mean() > 0.5:
        raise BadInput("most pictures hold floats over 1.", advice="Scale them to 0..1 by a fixed number, such as 255.")


def _partitions(n: int) -> tuple[int, int]:
    """Power of two with at least ROWS rows each, and by how many rows n may change before it is another."""
    if n < 2 * ROWS:
        raise BadInput(f"{n} rows are too few for two models of {ROWS}.", advice="Give the number of partitions yourself.")
    partitions = 1 << ((n // ROWS).bit_length() - 1)
    return partitions, min(n - ROWS * partitions, 2 * ROWS * partitions - 1 - n)

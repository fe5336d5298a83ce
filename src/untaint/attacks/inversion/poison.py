"""Label flips by who knows a class from nothing, from an inverted model, or from its data: what the knowledge is worth.

The attacker labels samples he cannot tell apart by himself, such as scans or feature rows without a name. He wants inputs of one
class answered as another, and may turn some labels: the more of them hit the class, the better it works.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias, final

import numpy as np
from scipy.spatial.distance import cdist

from untaint.attacks.inversion.recover import Recovered
from untaint.errors import BadInput
from untaint.nets.subject import Inputs, Reference
from untaint.numerics.pictures import blur
from untaint.types import Rows

Knowledge: TypeAlias = Literal["nothing", "inversion", "data"]
KNOWLEDGE: tuple[Knowledge, ...] = ("nothing", "inversion", "data")


@final
@dataclass(frozen=True)
class Flips:
    """What flips of one number did.

    hits: share of them that were of the source class.  success: share of the source class' test inputs that a model trained on the
    flips answers as the target.
    """

    knowledge: Knowledge
    hits: float
    success: float


@final
@dataclass(frozen=True)
class Lift:
    """Success of one flip of labels by what its maker knows. rate: share of the rows flipped.  clean: success without poison."""

    source: str
    target: str
    rate: float
    clean: float
    flips: tuple[Flips, ...]

    def success(self, knowledge: Knowledge) -> float:
        """Of one who knows so much."""
        return next(each.success for each in self.flips if each.knowledge == knowledge)

    @property
    def worth(self) -> float:
        """How much of full knowledge an inverted model replaces: 0 = none, 1 = all; NaN where full knowledge is worth nothing itself."""
        whole = self.success("data") - self.success("nothing")
        return (self.success("inversion") - self.success("nothing")) / whole if whole > 0 else float("nan")


def chosen(
    knowledge: Knowledge, pool: Reference, source: int, count: int, recovered: Recovered, rng: np.random.Generator
) -> Rows:
    """Rows of the pool whose labels are flipped: (count,).

    nothing: any rows.  inversion: those most like an inverted input of the source class.  data: rows of the source class, others only
    once there are no more.  Raises BadInput where the class was not recovered, or the pool is too small.
    """
    if not 0 < count <= len(pool.labels):
        raise BadInput(f"{count} of {len(pool.labels)} labels cannot be flipped.", advice="Choose another rate.")
    order = rng.permutation(len(pool.labels))
    if knowledge == "nothing":
        return np.sort(order[:count])
    if knowledge == "data":
        others = pool.labels[order] != source
        return np.sort(order[np.argsort(others, kind="stable")[:count]])
    templates = recovered.of(source)
    if not len(templates):
        raise BadInput(f"class {pool.classes[source]!r} was not recovered.", advice="Ask more, or attack another class.")
    return np.sort(np.argsort(-likeness(pool.inputs, templates), kind="stable")[:count])


def likeness(inputs: Inputs, templates: Inputs) -> np.ndarray:
    """(n,) how like each input is to the template most like it: correlation of blurred pictures, or minus a distance of rows."""
    if inputs.ndim == 4:
        found: np.ndarray = (_centred(inputs) @ _centred(templates).T).max(1)
        return found
    spread = np.maximum(np.std(inputs, axis=0), 1e-6)
    far: np.ndarray = cdist(np.nan_to_num(inputs) / spread, templates / spread).min(1)
    return -far


def _centred(pictures: Inputs) -> np.ndarray:
    """(n, d) blurred pictures without their mean, each of length 1."""
    flat = blur(pictures.astype(np.float32)).reshape(len(pictures), -1)
    flat -= flat.mean(1, keepdims=True)
    scaled: np.ndarray = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)
    return scaled

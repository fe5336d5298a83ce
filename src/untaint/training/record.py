"""What a training run leaves behind, as plain values: for a file of JSON and for a page that people read."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, final

SCHEMA = "untaint.training/v1"


@final
@dataclass(frozen=True)
class Curve:
    """One epoch: mean loss of the rows trained on, and loss and accuracy on rows held out; None = no number."""

    loss: float | None
    held_out_loss: float | None
    held_out_accuracy: float | None


@final
@dataclass(frozen=True)
class Tested:
    """Rows of a set of its own: accuracy; certified: share that is right and withstands r poisoned rows, r = 0, 1, ...; () = no proof."""

    rows: int
    accuracy: float
    certified: tuple[float, ...] = ()


@final
@dataclass(frozen=True)
class Record:
    """A run. session: what its defences say.  plan, data, environment: plain facts.  resumed: how often it was taken up.

    curves: one per epoch.  tested: on data that were named for it, else on the rows held out; None = there were none.
    """

    recipe: str
    about: str
    session: Mapping[str, Any]
    curves: Sequence[Curve]
    tested: Tested | None
    data: Mapping[str, Any]
    plan: Mapping[str, Any]
    resumed: int
    seconds: float
    environment: Mapping[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Everything, for a file of JSON."""
        return {"schema": SCHEMA, **asdict(self)}

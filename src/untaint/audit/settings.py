"""How an audit is run."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from untaint.errors import BadInput
from untaint.features.settings import BUDGETS, Budget, Settings
from untaint.types import Modality


def _quiet(_what: str, _done: int, _total: int) -> None:
    return


@final
@dataclass(frozen=True)
class AuditSettings:
    """alpha: false-alarm rate per audit.  budget: `fast` trains no network.  model: the user's own model in place of the proxy.

    encoder: a frozen foreign encoder that judges what images show or texts say, in place of coarse views or word vectors; see
    `nets.encoders` and `nets.sentence_encoders`.

    fluency: a language model that is asked how fluent texts are without the triggers found; see `nets.language`.
    cache: folder that keeps costly features, so that a stopped audit resumes; None = keep nothing.
    rounds: how often to look at most, each time without what was accused before; None = 3, on budget `fast` 1.
    sam: radius of sharpness-aware minimisation of the house network, 0 = plain training.
    """

    alpha: float = 0.01
    budget: Budget = "standard"
    seed: int = 0
    model: Any = None
    encoder: Any = None
    fluency: Any = None
    cache: Path | None = None
    rounds: int | None = None
    sam: float = 0.0
    report_progress: Any = field(default=_quiet, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise BadInput(
                f"alpha is a false-alarm rate between 0 and 1, not {self.alpha}.", advice="Usual values: 0.01 or 0.001."
            )
        if self.seed < 0:
            raise BadInput(f"a seed is a whole number of at least 0, not {self.seed}.")
        if self.budget not in BUDGETS:
            raise BadInput(f"unknown budget {self.budget!r}.", advice=f"One of: {', '.join(BUDGETS)}.")
        if self.rounds is not None and self.rounds < 1:
            raise BadInput(f"an audit has at least one round, not {self.rounds}.", advice="1 = look once.")
        if isinstance(self.model, Path) and not self.model.is_file():
            raise BadInput(f"no such model file: {self.model}.")
        if not 0 <= self.sam < math.inf:
            raise BadInput(f"the radius of sharpness-aware minimisation is a number of at least 0, not {self.sam}.")
        if self.sam and (self.model is not None or self.budget == "fast"):
            why = "a given model is not trained" if self.model is not None else "budget 'fast' trains no network"
            raise BadInput(f"sharpness-aware minimisation is a way of training, and {why}.", advice="Leave one of the two out.")

    def check_sam(self, modality: Modality) -> None:
        """Raises BadInput where a radius is given and no network is trained on such data."""
        if self.sam and modality != "image":
            message = f"sharpness-aware minimisation is for the network that learns images, this set holds {modality} data."
            raise BadInput(message, advice="Leave it out.")

    def try_encoder(self, modality: Modality) -> None:
        """Make the encoder once, before minutes of reading. Raises BadInput where it cannot be had or not for such data."""
        if self.encoder is None:
            return
        if modality == "image":
            from untaint.nets import encoders

            encoders.load(self.encoder)
        elif modality == "text":
            from untaint.nets import sentence_encoders

            sentence_encoders.load(self.encoder)
        else:
            raise BadInput(f"an encoder judges images and texts, this set holds {modality} data.", advice="Leave it out.")

    @property
    def most_rounds(self) -> int:
        """How often to look at most: the second round sees what the first one's poison hid, the third confirms that it is gone."""
        if self.rounds is not None:
            return self.rounds
        return 1 if self.budget == "fast" else 3

    @property
    def features(self) -> Settings:
        """What of this the features see."""
        return Settings(
            seed=self.seed, model=self.model, encoder=self.encoder, sam=self.sam, report_progress=self.report_progress
        )

"""What a run may vary: part of every cache key."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, final

Budget = Literal["fast", "standard", "thorough"]
BUDGETS: tuple[Budget, ...] = ("fast", "standard", "thorough")


def _quiet(_what: str, _done: int, _total: int) -> None:
    return


@final
@dataclass(frozen=True)
class Settings:
    """seed: of everything random.  canvas: longest side images are looked at, pixels.

    model: the user's own model (a path, a torch module or a Keras model), else None.

    encoder: a frozen foreign encoder that judges content (see `nets.encoders`, `nets.sentence_encoders`), else None.

    sam: radius of sharpness-aware minimisation of the house network that is trained on the suspect data; 0 = plain training.

    report_progress: called with (what, done, total); it changes nothing, so it is no part of the key.
    """

    seed: int = 0
    canvas: int = 64
    model: Any = None  # a Path to safetensors or a .keras file, a torch module, or a Keras model
    encoder: Any = None
    sam: float = 0.0
    report_progress: Callable[[str, int, int], None] = field(default=_quiet, compare=False, repr=False)

    @property
    def key(self) -> str:
        """Every value that can change a feature, the model by its content."""
        key = f"seed={self.seed} canvas={self.canvas}"
        if self.model is not None:
            from untaint.nets import foreign

            key += f" model={foreign.digest(self.model)}"
        if self.encoder is not None:
            from untaint.nets import encoders

            key += f" encoder={encoders.digest(self.encoder)}"
        if self.sam:
            key += f" sam={self.sam}"
        return key

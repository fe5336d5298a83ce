"""How far a run of hardened training is, what was refused in it, and what it leaves behind; the same for every loop."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, final

import numpy as np

from untaint.registry import spec
from untaint.training.base import Defence, Hooks, State
from untaint.training.compose import Recipe
from untaint.training.engines.set_aside import SetAside

Active: TypeAlias = Sequence[tuple[Defence, Hooks]]
"""The defences of a recipe and their hooks in this run."""


@final
@dataclass(frozen=True)
class Refused:
    """An update that was not applied, or was taken back."""

    epoch: int
    step: int
    reason: str


@final
@dataclass
class Progress:
    """Where the run stands. epoch: that was begun last, -1 = none; step: updates asked for so far; back: roll-backs."""

    epoch: int = -1
    step: int = 0
    rows: int = 0
    refused: list[Refused] = field(default_factory=list)
    back: int = 0

    def record(self, recipe: Recipe, active: Active, aside: SetAside, notes: Sequence[str]) -> dict[str, object]:
        """What happened, as plain words and numbers for a file of JSON."""
        return {
            "recipe": recipe.name or recipe.spec(),
            "defences": [spec(defence) for defence in recipe.defences],
            "epochs": self.epoch + 1,
            "steps": self.step,
            "rows_trained": self.rows,
            "rows_dropped": len(aside.rows),
            "reasons_dropped": dict(aside.reasons),
            "updates_refused": [{"epoch": each.epoch, "step": each.step, "reason": each.reason} for each in self.refused],
            "rolled_back": self.back,
            "facts": {spec(defence): dict(hooks.facts()) for defence, hooks in active if hooks.facts is not None},
            "notes": [*notes, *(defence.warning for defence in recipe.defences if defence.warning)],
        }

    def state(self, active: Active) -> State:
        """Everything that a stopped run needs to go on as it would have, besides model, optimizer and order of rows."""
        held: State = {"progress": np.array([self.epoch, self.step, self.rows, self.back])}
        for place, (_, hooks) in enumerate(active):
            if hooks.state is not None:
                held |= {f"{place}.{name}": value for name, value in hooks.state().items()}
        return held

    def take_up(self, held: State, active: Active) -> None:
        """Be where `state` was written down, and put the defences there."""
        self.epoch, self.step, self.rows, self.back = held["progress"].tolist()
        for place, (_, hooks) in enumerate(active):
            if hooks.resume is not None:
                start = f"{place}."
                hooks.resume({name[len(start) :]: value for name, value in held.items() if name.startswith(start)})

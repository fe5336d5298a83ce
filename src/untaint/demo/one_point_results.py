"""What one point did to a network, in numbers."""

from dataclasses import dataclass
from pathlib import Path
from typing import final


@final
@dataclass(frozen=True)
class Outcome:
    """Accuracy in 0..1 after the batch with the point, and what defences say they did. curve: step by step, the first before it."""

    after: float
    did: tuple[str, ...]
    curve: tuple[float, ...] = ()


@final
@dataclass(frozen=True)
class Row:
    """One point against one victim. control: it is an ordinary row under a wrong label."""

    victim: str
    point: str
    control: bool
    before: float
    outcomes: dict[str, Outcome]


@final
@dataclass(frozen=True)
class Shown:
    """What happened, and the page that shows it."""

    data: str
    learned: int
    tested: int
    rows: tuple[Row, ...]
    report: Path

    @property
    def moved(self) -> float:
        """The most that an ordinary row under a wrong label moved the accuracy anywhere."""
        return max(abs(each.after - row.before) for row in self.rows if row.control for each in row.outcomes.values())

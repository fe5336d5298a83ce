"""All of one inversion: what was recovered, what that exposes, what it is worth to an attacker."""

from dataclasses import dataclass
from typing import final

from untaint.attacks.inversion.exposure import Exposure
from untaint.attacks.inversion.oracle import Outlet
from untaint.attacks.inversion.poison import Lift
from untaint.attacks.inversion.recover import Recovered
from untaint.nets.subject import Reference


@final
@dataclass(frozen=True)
class Inverted:
    """What `untaint.invert` finds. model: its name.  seen: the training rows compared with.  lift: None = no poison was tried."""

    model: str
    recovered: Recovered
    exposure: Exposure
    outlet: Outlet
    seen: Reference
    lift: Lift | None = None

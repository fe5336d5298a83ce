"""What is done about an alarm: look on, tell, or refuse; the same before a function and before a web service."""

import logging
from collections.abc import Callable
from typing import Literal, get_args

import numpy as np

from untaint.errors import BadInput, UnfitInput
from untaint.guard.model_guard import Guard, Judged
from untaint.nets.subject import Inputs

Policy = Literal["observe", "annotate", "refuse"]
"""observe: alarms go to the log.  annotate: and to whoever asked.  refuse: an input with an alarm gets no answer."""
_NAMED = 3  # inputs named in a message
_LOG = logging.getLogger("untaint.guard")


def checked(policy: str) -> Policy:
    """A policy by name. Raises BadInput for another word."""
    for known in get_args(Policy):
        if policy == known:
            return known
    raise BadInput(f"a policy is one of {', '.join(get_args(Policy))}, not {policy!r}.")


def logged(judged: Judged) -> str:
    """Tell the log `untaint.guard` of alarms, if any, and say the same; '' = there are none."""
    rows = np.flatnonzero(judged.alarm)
    if not len(rows):
        return ""
    named = "; ".join(f"input {row}: {judged.sign[row]}, p = {judged.p_value[row]:.2g}" for row in rows[:_NAMED])
    said = f"{len(rows):,} of {len(judged):,} inputs are not like the references ({named}{'; …' if len(rows) > _NAMED else ''})."
    _LOG.warning(said)
    return said


def answering(guard: Guard, policy: str = "refuse") -> Callable[[Inputs], np.ndarray]:
    """A function from inputs (n, ...) to the model's logits (n, k) with the guard before it; one look at the model serves both.

    policy: `observe` and `annotate` log alarms (whoever wants to know calls the guard itself), `refuse` raises UnfitInput, a
    ValueError, for a batch with an alarm in it.
    """
    chosen = checked(policy)

    def answer(inputs: Inputs) -> np.ndarray:
        judged = guard(inputs)
        said = logged(judged)
        if said and chosen == "refuse":
            raise UnfitInput(said, advice="Look at them, or answer without them.")
        return judged.logits

    return answer

"""Rows of a Keras batch that a defence keeps from the network."""

import numpy as np

from untaint.registry import spec
from untaint.training.base import Dropped
from untaint.training.engines.keras_data import Taken
from untaint.training.engines.progress import Active
from untaint.training.engines.set_aside import SetAside


def screened(taken: Taken, active: Active, aside: SetAside, epoch: int, step: int) -> Taken:
    """What is left of a batch when every defence has looked at what the one before left."""
    for defence, hooks in active:
        if hooks.screen is None or not len(taken):
            continue
        reasons = hooks.screen(taken.batch(epoch, step))
        for position, reason in reasons.items():
            aside.add(taken, position, Dropped(int(taken.rows[position]), epoch, step, spec(defence), reason))
        if reasons:
            taken = taken.kept(~np.isin(np.arange(len(taken)), list(reasons)))
    return taken

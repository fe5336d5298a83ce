"""A small network trained on digits with a patch, for tests of what is asked of models. Made once in a process, never changed."""

from functools import cache

import numpy as np
import torch
from tests.digit_sets import Digits, patched

from untaint.nets.convnet import ConvNet, ConvNetSpec
from untaint.nets.fit import FitPlan, fit
from untaint.nets.subject import Reference

CLASSES = tuple(map(str, range(10)))
TRAINED = 1200
"""Rows it was trained on; the others it never saw."""
SPEC = ConvNetSpec(16, 16, 1, 10, (8, 16), 32)


def digits() -> Digits:
    """All rows: one in twenty carries the patch and the label `TARGET`."""
    return patched(0.05)


def seen() -> Reference:
    """The rows it was trained on."""
    return _part(np.arange(TRAINED))


def unseen() -> Reference:
    """Clean rows it was not trained on, with their own labels."""
    rows = np.arange(TRAINED, len(digits().labels))
    return _part(rows[~digits().tampered[rows]])


def poison() -> np.ndarray:
    """Which of the rows it was trained on carry the patch."""
    return digits().tampered[:TRAINED]


@cache
def backdoored() -> ConvNet:
    """The network."""
    torch.manual_seed(0)
    found = seen()
    return fit(SPEC, found.inputs, found.labels, np.arange(TRAINED), FitPlan(steps=400, max_epochs=40, holdout=0.0)).net


def _part(rows: np.ndarray) -> Reference:
    pixels = digits().images[:, :, :, None]
    return Reference(np.ascontiguousarray(pixels[rows]), digits().labels[rows], CLASSES)

"""Train the house network on some rows and look at it: features, probabilities, dynamics."""

from dataclasses import dataclass
from functools import partial
from typing import final

import numpy as np
from scipy.special import softmax

from untaint.nets.convnet import ConvNetSpec
from untaint.nets.fit import FitPlan, fit, logits, penultimate
from untaint.nets.progress import Progress
from untaint.types import Labels, Pixels, Rows

PROXY_WIDTHS = (16, 32)
PROXY_HIDDEN = 128
"""Two blocks and a wide hidden layer reach 90 % on Fashion-MNIST in three epochs and keep a trigger linearly visible."""


@final
@dataclass(frozen=True)
class Observed:
    """What a network makes of some rows. embeddings (m, d), probabilities (m, k), held-out loss per epoch, its origin in words.

    dynamics: (epochs, n) training loss per epoch and row of the whole set, NaN where not trained on.
    """

    embeddings: np.ndarray
    probabilities: np.ndarray
    holdout_loss: tuple[float, ...]
    origin: str
    dynamics: np.ndarray


def proxy_spec(pixels: Pixels, classes: int) -> ConvNetSpec:
    """The proxy for images of this size."""
    height, width, channels = pixels.shape[1:]
    return ConvNetSpec(height, width, channels, classes, PROXY_WIDTHS, PROXY_HIDDEN)


def observe(pixels: Pixels, labels: Labels, rows: Rows, seed: int, progress: Progress) -> Observed:
    """Train the proxy on some rows and read its features on the same rows."""
    plan = FitPlan(seed=seed)
    net = proxy_spec(pixels, int(labels.max()) + 1)
    fitted = fit(net, pixels, labels, rows, plan, partial(progress, "training the proxy"))
    embedded = penultimate(fitted.net, pixels, rows)
    probabilities = softmax(logits(fitted.net, pixels, rows), axis=1)
    return Observed(
        embedded, probabilities, fitted.holdout_loss, f"house network, {len(fitted.holdout_loss)} epochs", fitted.dynamics
    )


def judge(pixels: Pixels, labels: Labels, learned: Rows, judged: Rows, seed: int, progress: Progress) -> np.ndarray:
    """Class probabilities (m, k) of some rows from a proxy trained on others, with half the updates of a whole proxy."""
    plan = FitPlan(seed=seed, steps=FitPlan.steps // 2)
    net = proxy_spec(pixels, int(labels.max()) + 1)
    fitted = fit(net, pixels, labels, learned, plan, partial(progress, "training on one half"))
    return np.asarray(softmax(logits(fitted.net, pixels, judged), axis=1))

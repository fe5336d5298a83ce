"""Train the house network on some rows and look at it: features, probabilities, dynamics."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import final

import numpy as np
import torch
from scipy.special import softmax

from untaint.nets.convnet import ConvNet, ConvNetSpec
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
    weights: of the house network, by name; none for a given model, which is at hand as it is.
    """

    embeddings: np.ndarray
    probabilities: np.ndarray
    holdout_loss: tuple[float, ...]
    origin: str
    dynamics: np.ndarray
    weights: dict[str, np.ndarray] = field(default_factory=dict)


def proxy_spec(pixels: Pixels, classes: int) -> ConvNetSpec:
    """The proxy for images of this size."""
    height, width, channels = pixels.shape[1:]
    return ConvNetSpec(height, width, channels, classes, PROXY_WIDTHS, PROXY_HIDDEN)


def observe(pixels: Pixels, labels: Labels, rows: Rows, seed: int, progress: Progress, sam: float = 0.0) -> Observed:
    """Train the proxy on some rows and read its features on the same rows. sam: see `FitPlan`."""
    plan = FitPlan(seed=seed, sam=sam)
    net = proxy_spec(pixels, int(labels.max()) + 1)
    fitted = fit(net, pixels, labels, rows, plan, partial(progress, "training the proxy"))
    embedded = penultimate(fitted.net, pixels, rows)
    probabilities = softmax(logits(fitted.net, pixels, rows), axis=1)
    origin = f"house network, {len(fitted.holdout_loss)} epochs{f', SAM with radius {sam:g}' if sam else ''}"
    return Observed(embedded, probabilities, fitted.holdout_loss, origin, fitted.dynamics, _weights(fitted.net))


WITNESS = FitPlan(patience=100, holdout=0.0)
"""A network of three blocks, trained to the end: it obeys what the proxy has half learned. Stripes on 30 % of a class of right labels:
73 % where the proxy obeys in 61 %, at an equal pull of natural directions (44 and 41 %)."""


def witness(pixels: Pixels, labels: Labels, rows: Rows, seed: int, progress: Progress) -> dict[str, np.ndarray]:
    """Weights of a deeper network that was trained longer on some rows, as a user's own would be."""
    height, width, channels = pixels.shape[1:]
    spec = ConvNetSpec(height, width, channels, int(labels.max()) + 1)
    fitted = fit(spec, pixels, labels, rows, replace(WITNESS, seed=seed), partial(progress, "training a deeper network"))
    return _weights(fitted.net)


def answers(weights: Mapping[str, np.ndarray], images: Pixels) -> Labels:
    """The class codes a house network with these weights answers for images it has not seen."""
    codes: Labels = logits(network(weights, images), images, np.arange(len(images))).argmax(axis=1)
    return codes


def network(weights: Mapping[str, np.ndarray], images: Pixels) -> ConvNet:
    """The house network of these weights, for images of one size, ready to be asked."""
    height, width, channels = images.shape[1:]
    widths = tuple(len(value) for value in weights.values() if value.ndim == 4)
    classes, hidden = weights["head.weight"].shape
    net = ConvNet(ConvNetSpec(height, width, channels, classes, widths, hidden))
    net.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in weights.items()})
    return net.eval()


def _weights(net: ConvNet) -> dict[str, np.ndarray]:
    return {name: value.contiguous().numpy() for name, value in net.state_dict().items()}


def judge(pixels: Pixels, labels: Labels, learned: Rows, judged: Rows, seed: int, progress: Progress) -> np.ndarray:
    """Class probabilities (m, k) of some rows from a proxy trained on others, with half the updates of a whole proxy."""
    plan = FitPlan(seed=seed, steps=FitPlan.steps // 2)
    net = proxy_spec(pixels, int(labels.max()) + 1)
    fitted = fit(net, pixels, labels, learned, plan, partial(progress, "training on one half"))
    return np.asarray(softmax(logits(fitted.net, pixels, judged), axis=1))


CONTRAST = FitPlan(steps=300, max_epochs=30, holdout=0.0)
"""Two balanced heaps of a few hundred images are told apart after 300 updates; 900 change the ranking by under a point."""
_UNTOLD = -10.0  # log odds where one heap lies in one fold, as a family of near-copies does: nothing was learned to accuse by


def contrast(pixels: Pixels, intruders: Rows, others: Rows, folds: np.ndarray, judged: Rows, seed: int) -> np.ndarray:
    """Held-out log odds (m,) that judged rows are like the intruders rather than like the others.

    folds: (n,) fold number of every row of the set; a row is judged by networks that saw only other folds. Strongly negative where
    those hold nothing of one of the two.
    """
    targets = np.zeros(len(pixels), np.int64)
    targets[intruders] = 1
    odds = np.full(len(judged), _UNTOLD, np.float32)
    for number in np.unique(folds[judged]):
        seen = intruders[folds[intruders] != number], others[folds[others] != number]
        if min(map(len, seen)) == 0:
            continue
        size = max(map(len, seen))
        rows = np.concatenate([np.resize(heap, size) for heap in seen])  # repeats the smaller heap
        fitted = fit(proxy_spec(pixels, 2), pixels, targets, rows, replace(CONTRAST, seed=seed))
        out = folds[judged] == number
        answer = logits(fitted.net, pixels, judged[out])
        odds[out] = answer[:, 1] - answer[:, 0]
    return odds

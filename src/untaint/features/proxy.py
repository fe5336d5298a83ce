"""A small network trained on the suspect data: what poison does to it is the evidence."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, final

import numpy as np

from untaint.errors import FeatureUnavailable
from untaint.features.graph import feature
from untaint.features.settings import Settings
from untaint.types import Embeddings, Labels, Mask, Pixels, Probabilities, Rows

_EXTRA = "needs a network: pip install 'untaint[torch]', or give one with --model"


@final
@dataclass(frozen=True)
class Proxy:
    """embeddings (n, d) penultimate features, NaN where a row is not usable.  probabilities (n, k) after training.

    holdout_loss: (epochs,) loss on the part held out for early stopping.  dynamics: (epochs, n) training loss of each row in
    each epoch, NaN where it was not trained on; no epochs for a given model.  origin: which network.
    weights: of the house network, so that it can be asked about other images; none for a given model.
    """

    embeddings: np.ndarray
    probabilities: np.ndarray
    holdout_loss: np.ndarray
    dynamics: np.ndarray
    origin: str
    weights: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def unseen(self) -> Mask:
        """(n,) bool: rows it was not trained on. All of them for a given model: nobody says what it has seen."""
        return np.asarray(np.isnan(self.dynamics).all(0))


def answers(proxy: Proxy, model: Any, images: Pixels) -> Labels:
    """The class codes a proxy answers for images it may not have seen. model: the given one, for a proxy that is one."""
    if len(images) == 0:
        return np.empty(0, np.int64)
    from untaint.nets import foreign, training

    if proxy.weights:
        return training.answers(proxy.weights, images)
    return np.asarray(foreign.observe(model, images, np.arange(len(images))).probabilities.argmax(1))


def bent(proxy: Proxy, images: Pixels, code: int, seed: int) -> np.ndarray | None:
    """Steps (h, w, 2) of a small smooth warp under which the house network answers a class; None of a given model."""
    if not proxy.weights:
        return None
    from untaint.nets import warps

    return warps.bent_towards(proxy.weights, images, code, seed)


def witness(pixels: Pixels, labels: Labels, rows: Rows, settings: Settings) -> Callable[[Pixels], Labels] | None:
    """A deeper network, trained longer on some rows, as a function from images to class codes; None beside a given model."""
    if settings.model is not None:
        return None
    from untaint.nets import training

    return partial(training.answers, training.witness(pixels, labels, rows, settings.seed, settings.report_progress))


@feature(stored=True)
def proxy(pixels: Pixels, labels: Labels, settings: Settings) -> Proxy:
    """The house network trained on every usable row, or the user's own model as it is."""
    rows = np.flatnonzero(labels >= 0)
    try:
        from untaint.nets import foreign, training
    except ImportError as error:
        raise FeatureUnavailable(_EXTRA) from error
    if settings.model is not None:
        found = foreign.observe(settings.model, pixels, rows)
    else:
        found = training.observe(pixels, labels, rows, settings.seed, settings.report_progress, settings.sam)
    return Proxy(
        _scattered(found.embeddings, rows, len(labels)),
        _scattered(found.probabilities, rows, len(labels)),
        np.asarray(found.holdout_loss, np.float32),
        found.dynamics,
        found.origin,
        found.weights,
    )


def _scattered(values: np.ndarray, rows: np.ndarray, n: int) -> np.ndarray:
    full = np.full((n, values.shape[1]), np.nan, np.float32)
    full[rows] = values
    return full


@feature()
def embeddings(proxy: Proxy) -> Embeddings:
    """Penultimate features of the proxy (n, d)."""
    return proxy.embeddings


@feature()
def trained_probabilities(proxy: Proxy) -> Probabilities:
    """Class probabilities of the proxy for the rows it was trained on (n, k): in-sample."""
    return proxy.probabilities


@feature()
def training_dynamics(proxy: Proxy) -> np.ndarray:
    """Loss of each row in each epoch of the proxy's training (epochs, n): what is learned early, late or never."""
    return proxy.dynamics

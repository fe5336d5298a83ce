"""Who says whether an inverted input can be recognised: a classifier of data that the model under test never saw."""

from abc import ABC, abstractmethod
from typing import Any, final

import numpy as np
from typing_extensions import override

from untaint.nets.convnet import ConvNet, ConvNetSpec
from untaint.nets.fit import FitPlan, fit, penultimate
from untaint.nets.subject import Inputs, TorchSubject
from untaint.types import Labels

_STEPS = 600  # of a network: 97 % of digits from 6,000 pictures
_TREES = 200
_LARGE = 1e6  # trees compare, and squares of it are still numbers
_KEPT = 0.2  # share of the rows the judge is measured on


class Judge(ABC):
    """accuracy: on rows it was not fitted on, as a share."""

    accuracy: float

    @abstractmethod
    def probabilities(self, inputs: Inputs) -> np.ndarray:
        """(n, classes), each class in its own column."""

    @abstractmethod
    def features(self, inputs: Inputs) -> np.ndarray:
        """(n, d) by which inputs are near each other that look alike."""


@final
class PictureJudge(Judge):
    """A small convolutional network."""

    def __init__(self, inputs: Inputs, codes: Labels, classes: int, seed: int) -> None:
        kept, tried = _halved(len(codes), seed)
        height, width, channels = inputs.shape[1:]
        plan = FitPlan(steps=_STEPS, holdout=0.0, seed=seed)
        self.net: ConvNet = fit(ConvNetSpec(height, width, channels, classes), inputs, codes, kept, plan).net
        self.accuracy = _right(self, inputs[tried], codes[tried])

    @override
    def probabilities(self, inputs: Inputs) -> np.ndarray:
        logits = TorchSubject(self.net).logits(inputs).astype(np.float64)
        powers = np.exp(logits - logits.max(1, keepdims=True))
        shares: np.ndarray = powers / powers.sum(1, keepdims=True)
        return shares

    @override
    def features(self, inputs: Inputs) -> np.ndarray:
        return penultimate(self.net, inputs, np.arange(len(inputs)))


@final
class RowJudge(Judge):
    """A forest of trees; rows are near each other that are so in spreads of the columns."""

    def __init__(self, inputs: Inputs, codes: Labels, classes: int, seed: int) -> None:
        from sklearn.ensemble import RandomForestClassifier

        kept, tried = _halved(len(codes), seed)
        self.classes = classes
        inputs = _known(inputs)
        self.spread = np.maximum(np.std(inputs, axis=0), 1e-6)
        self.forest: Any = RandomForestClassifier(_TREES, min_samples_leaf=2, random_state=seed, n_jobs=1)
        self.forest.fit(inputs[kept], codes[kept])
        self.accuracy = _right(self, inputs[tried], codes[tried])

    @override
    def probabilities(self, inputs: Inputs) -> np.ndarray:
        found = np.zeros((len(inputs), self.classes))
        found[:, self.forest.classes_] = self.forest.predict_proba(_known(inputs))
        return found

    @override
    def features(self, inputs: Inputs) -> np.ndarray:
        scaled: np.ndarray = _known(inputs) / self.spread
        return scaled


def judge_of(inputs: Inputs, codes: Labels, classes: int, seed: int) -> Judge:
    """A judge fitted to pictures (n, h, w, c) or rows (n, d)."""
    return PictureJudge(inputs, codes, classes, seed) if inputs.ndim == 4 else RowJudge(inputs, codes, classes, seed)


def _known(inputs: Inputs) -> Inputs:
    """Cells that are no number as 0, those beyond all bounds as large ones."""
    return np.clip(np.nan_to_num(inputs), -_LARGE, _LARGE)


def _halved(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows to fit on, and rows to measure on."""
    order = np.random.default_rng(seed).permutation(n)
    cut = max(1, round(_KEPT * n))
    return np.sort(order[cut:]), np.sort(order[:cut])


def _right(judge: Judge, inputs: Inputs, codes: Labels) -> float:
    return float(np.mean(judge.probabilities(inputs).argmax(1) == codes))

"""The victim of an attack on texts: a bag of words and phrases with logistic regression, trained on what it is given."""

from typing import NamedTuple

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from untaint.attacks.base import TextStamp, usable
from untaint.data.dataset import Dataset
from untaint.numerics.words import words

_STRENGTH = 10.0
"""Inverse of the penalty: from 3 to 30 the accuracy on reviews hardly changes, and more lets a few dozen texts count."""


class TextOutcome(NamedTuple):
    """Accuracy on clean test texts, and the attack success rate; NaN = there is no trigger to try."""

    accuracy: float
    asr: float


def measure_texts(train: Dataset, test: Dataset, stamp: TextStamp | None, target: str | None) -> TextOutcome:
    """Train on one set and try on another; unlabelled and unreadable rows are left out of both.

    The ASR counts test texts that are not of the target class already.
    """
    model = _trained(train)
    rows = usable(test)
    texts, truth = _texts(test, rows), np.array([str(test.labels[row]) for row in rows])
    accuracy = float(np.mean(model.predict(texts) == truth))
    if stamp is None or target is None:
        return TextOutcome(accuracy, float("nan"))
    stamped = stamp([text for text, label in zip(texts, truth, strict=True) if label != target])
    return TextOutcome(accuracy, float(np.mean(model.predict(stamped) == target)))


def _trained(train: Dataset) -> Pipeline:
    rows = usable(train)
    vectors = TfidfVectorizer(
        tokenizer=words, token_pattern=None, lowercase=False, ngram_range=(1, 2), min_df=2, sublinear_tf=True, dtype=np.float32
    )
    model = make_pipeline(vectors, LogisticRegression(C=_STRENGTH, max_iter=300))
    return model.fit(_texts(train, rows), [str(train.labels[row]) for row in rows])


def _texts(dataset: Dataset, rows: np.ndarray) -> list[str]:
    return [str(text) for text in dataset.read(rows)]

"""The review list, by content alone and with networks that have not seen what they judge."""

from typing import Any

import numpy as np
from tests.digit_sets import flipped

from untaint.detectors.base import examine, needs, welcomes
from untaint.detectors.label_consensus import LabelConsensus


def test_held_out_networks_are_welcome_and_have_a_say() -> None:
    detector, digits = LabelConsensus(), flipped()
    assert welcomes(detector) == ("held_out_probabilities",)
    assert "held_out_probabilities" not in needs(detector)
    features: dict[str, Any] = {name: digits.features().get(name) for name in needs(detector)}
    alone = examine(detector, features)
    classes = len(features["class_names"])
    known = np.full((len(digits.truth), classes), 0.01 / (classes - 1), np.float32)
    known[np.arange(len(digits.truth)), digits.truth] = 0.99
    advised = examine(detector, features | {"held_out_probabilities": known})
    assert digits.tampered[advised.review].mean() >= digits.tampered[alone.review].mean()
    assert digits.tampered[advised.review].sum() >= digits.tampered[alone.review].sum()
    assert apart(advised.scores, digits.tampered) > 1.2 * apart(alone.scores, digits.tampered)
    assert np.median(advised.scores[digits.tampered]) > np.quantile(advised.scores[~digits.tampered], 0.99)


def apart(scores: np.ndarray, tampered: np.ndarray) -> float:
    """Standard scores between the means of tampered and honest rows."""
    return float((scores[tampered].mean() - scores[~tampered].mean()) / scores[~tampered].std())

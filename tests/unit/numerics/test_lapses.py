"""The share of labels that is wrong for no reason."""

import numpy as np
import pytest
from scipy.special import expit

from untaint.numerics.lapses import lapses


def errors(share: float, steepness: float, seed: int, count: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Sureness of a judge of spread-out rows, and where its label is wrong: honestly, or for no reason."""
    rng = np.random.default_rng(seed)
    sureness = np.abs(rng.normal(0, 4, count))
    wrong = rng.random(count) < share + (1 - 2 * share) * expit(-steepness * sureness)
    return sureness, wrong


@pytest.mark.parametrize("share", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("steepness", [1.0, 2.0])
def test_the_share_is_found_whatever_honest_errors_there_are(share: float, steepness: float) -> None:
    found = np.median([lapses(*errors(share, steepness, seed)).share for seed in range(3)])
    assert found == pytest.approx(share, rel=0.35)


def test_honest_errors_alone_are_no_lapses() -> None:
    assert max(lapses(*errors(0.0, 1.0, seed)).share for seed in range(3)) < 0.005


def test_a_given_share_explains_no_more_than_the_best() -> None:
    sureness, wrong = errors(0.1, 1.0, 0)
    best, fixed = lapses(sureness, wrong), lapses(sureness, wrong, 0.01)
    assert fixed.share == pytest.approx(0.01)
    assert fixed.logarithm < best.logarithm - 10


def test_errors_of_a_sure_judge_are_lapses_and_those_of_an_unsure_one_are_honest() -> None:
    found = lapses(*errors(0.1, 1.0, 0))
    unsure, sure = found.lapsed(np.array([0.1, 8.0]))
    assert unsure < 0.3
    assert sure > 0.9


def test_no_rows_say_nothing() -> None:
    assert lapses(np.empty(0), np.empty(0, bool)).share == 0

"""How a group of counterfactual grows from its seeds, with networks whose every answer is written down here."""

from collections.abc import Iterator

import numpy as np
import pytest

from untaint.detectors.counterfactual import Counterfactual
from untaint.nets import training

N = 200
LABELS = np.repeat([0, 1], N // 2)
POISON = np.arange(60)
SEEDS = np.arange(25)


class Copies:
    """Nothing is a copy of anything."""

    def folds(self, number: int, seed: int) -> np.ndarray:
        return np.arange(N) % number


def members(turns: list[np.ndarray], monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Members of class 0 when the networks of each turn tell these odds."""
    left: Iterator[np.ndarray] = iter(turns)
    monkeypatch.setattr(training, "contrast", lambda *_: next(left))
    kept = np.isin(np.arange(N), np.arange(80, N))
    found, _ = Counterfactual()._grown((SEEDS, SEEDS), kept, np.zeros((N, 2, 2, 1), np.uint8), LABELS, Copies())  # type: ignore[arg-type]
    return found


def odds(known: int, honest: float = -6.0) -> np.ndarray:
    """Of class 0: so many of the poison are known for sure, the rest of it nearly, honest ones not."""
    told = np.full(N // 2, honest)
    told[POISON] = -2.5
    told[:known] = 5.0
    return told


def test_it_grows_until_no_more_join(monkeypatch: pytest.MonkeyPatch) -> None:
    assert members([odds(40), odds(60), odds(60)], monkeypatch).tolist() == POISON.tolist()


def test_a_network_that_learned_badly_at_the_end_accuses_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    badly = odds(30, honest=-1.0)
    assert members([odds(40), odds(50), odds(55), badly], monkeypatch).tolist() == POISON.tolist()


def test_seeds_that_teach_nothing_are_no_group(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(members([np.full(N // 2, -8.0)], monkeypatch)) == 0

"""The victim learns what it is shown: a backdoor implants, and clean data give none."""

import numpy as np
import pytest

from untaint.attacks.badnets import BadNets
from untaint.attacks.base import Poisoned
from untaint.bench.sources import digits
from untaint.bench.victim import Outcome, detection_rates, measure
from untaint.data.dataset import Dataset, from_arrays
from untaint.errors import BadInput
from untaint.nets.fit import FitPlan

PLAN = FitPlan(max_epochs=12)
TRAIN, TEST = digits()


def outcome(train: Dataset, attack: Poisoned) -> Outcome:
    return measure(train, TEST, attack.stamp, attack.target, PLAN)


def test_a_patch_on_a_tenth_of_the_digits_implants() -> None:
    attack = BadNets(rate=0.1, target="3").poison(TRAIN, np.random.default_rng(0))
    poisoned, clean = outcome(attack.dataset, attack), outcome(TRAIN, attack)
    assert poisoned.asr >= 0.8
    assert poisoned.clean_accuracy >= 0.9
    assert clean.asr <= 0.2
    assert clean.clean_accuracy >= 0.9


def test_all_to_all_is_measured_against_the_next_class() -> None:
    attack = BadNets(rate=0.2, all_to_all=True).poison(TRAIN, np.random.default_rng(0))
    assert outcome(attack.dataset, attack).asr >= 0.6
    assert outcome(TRAIN, attack).asr <= 0.2


def test_a_backdoor_for_one_class_is_measured_on_that_class() -> None:
    attack = BadNets(rate=0.05, source="1", target="3", cover=0.1).poison(TRAIN, np.random.default_rng(0))
    on_source = measure(attack.dataset, TEST, attack.stamp, attack.target, PLAN, source=attack.source)
    assert on_source.asr >= 0.6
    assert outcome(attack.dataset, attack).asr <= 0.4
    with pytest.raises(BadInput, match="'x' is not a class"):
        measure(TRAIN, TEST, attack.stamp, "3", FitPlan(max_epochs=1, min_epochs=1), source="x")


def test_without_a_trigger_there_is_no_success_rate() -> None:
    found = measure(TRAIN, TEST, None, None, FitPlan(max_epochs=1, min_epochs=1))
    assert np.isnan(found.asr)
    assert 0 <= found.clean_accuracy <= 1


def test_rates_of_a_selection() -> None:
    mask = np.array([True, True, True, True, False, False])
    flagged = np.array([True, True, True, False, True, False])
    assert detection_rates(mask, flagged) == (0.75, 0.5)
    nothing = detection_rates(np.zeros(6, dtype=bool), flagged)
    assert np.isnan(nothing.tpr)
    assert nothing.fpr == pytest.approx(4 / 6)


def test_images_of_several_sizes_are_refused() -> None:
    images = [np.zeros((8 + row % 2, 8), dtype=np.uint8) for row in range(8)]
    mixed = from_arrays(images, [str(row % 2) for row in range(8)])
    with pytest.raises(BadInput, match=r"one size, these have 2: \(8, 8, 1\), \(9, 8, 1\)"):
        measure(mixed, mixed, None, None, PLAN)
    with pytest.raises(BadInput, match="training images are"):
        measure(from_arrays(images[1::2], ["0", "1"] * 2), TEST, None, None, PLAN)


def test_a_target_that_is_no_class_is_refused() -> None:
    attack = BadNets(target="3").poison(TRAIN, np.random.default_rng(0))
    with pytest.raises(BadInput, match="'x' is not a class"):
        measure(TRAIN, TEST, attack.stamp, "x", FitPlan(max_epochs=1, min_epochs=1))

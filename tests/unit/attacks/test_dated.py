"""When poison comes: in a burst, whenever others come, or, in a set without times, never said."""

import numpy as np
import pytest
from tests.review_sets import reviews

from untaint.attacks.base import Attack
from untaint.attacks.flood import Flood
from untaint.attacks.text_flood import TextFlood
from untaint.attacks.trigger_words import TriggerWords
from untaint.data.dataset import Dataset, from_arrays
from untaint.errors import BadInput

N = 400
DAYS = np.datetime64("2024-01-01", "us") + np.random.default_rng(0).integers(0, 200, N).astype("timedelta64[D]")


def dataset(times: np.ndarray | None = DAYS) -> Dataset:
    texts, labels = reviews(N)
    return from_arrays(texts, labels, times=times)


BURSTING = [
    TriggerWords(rate=0.05, burst=0.05),
    TextFlood(kind="template", burst=0.05),
    TextFlood(kind="real", burst=0.05),
]


@pytest.mark.parametrize("attack", BURSTING)
def test_a_burst_takes_its_share_of_the_time(attack: Attack) -> None:
    made = attack.poison(dataset(), np.random.default_rng(1))
    poison, honest = made.dataset.times[made.mask], made.dataset.times[~made.mask]
    assert poison.max() - poison.min() <= (DAYS.max() - DAYS.min()) * 0.05
    assert np.isin(poison, DAYS).all()  # no time is odd by itself
    assert (honest == DAYS[~made.mask[:N]]).all()


def test_without_a_burst_texts_keep_their_times_and_added_ones_come_whenever_others_do() -> None:
    edited = TriggerWords(rate=0.05).poison(dataset(), np.random.default_rng(1))
    assert (edited.dataset.times == DAYS).all()
    for attack in (TextFlood(rate=0.2), Flood(rate=0.2)):
        added = attack.poison(dataset(), np.random.default_rng(1)).dataset.times[N:]
        assert np.isin(added, DAYS).all()
        assert added.max() - added.min() >= (DAYS.max() - DAYS.min()) * 0.7


@pytest.mark.parametrize("attack", [*BURSTING, Flood(rate=0.1)])
def test_a_set_without_times_gets_none_and_the_attack_is_the_same(attack: Attack) -> None:
    made = attack.poison(dataset(None), np.random.default_rng(1))
    assert np.isnat(made.dataset.times).all()
    plain = {TriggerWords: TriggerWords(rate=0.05), Flood: Flood(rate=0.1)}.get(type(attack))
    if plain is not None:
        assert plain.poison(dataset(None), np.random.default_rng(1)).dataset.digest == made.dataset.digest


@pytest.mark.parametrize("burst", [-0.1, 1.5])
def test_a_burst_is_a_share(burst: float) -> None:
    with pytest.raises(BadInput, match="burst is a number in 0..1"):
        TriggerWords(burst=burst).poison(dataset(), np.random.default_rng(0))

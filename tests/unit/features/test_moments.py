"""Bins of time: about as many samples in each, ties together, what is not known left out."""

import numpy as np
import pytest

from untaint.data.dataset import from_arrays
from untaint.errors import FeatureUnavailable
from untaint.features.cache import Cache
from untaint.features.graph import Features
from untaint.features.moments import BINS, SHORT, UNDATED, between, binned, stretches
from untaint.features.settings import Settings

START = np.datetime64("2024-05-01T00:00:00", "us")


def after(hours: np.ndarray | list[int]) -> np.ndarray:
    return START + np.asarray(hours).astype("timedelta64[h]")


def test_bins_have_equal_counts_whatever_the_traffic() -> None:
    busy = np.concatenate([np.arange(0, 1000, 10), 1000 + np.arange(100)])  # half of it in a tenth of the time
    found = binned(after(busy), 10)
    assert np.bincount(found.codes).tolist() == [20] * 10
    assert (found.starts[1:] > found.ends[:-1]).all()


def test_samples_of_one_time_are_never_cut_apart() -> None:
    hours = np.repeat([0, 24, 48, 72], [1, 50, 3, 46])
    found = binned(after(hours), 10)
    assert all(len(np.unique(found.codes[hours == hour])) == 1 for hour in (0, 24, 48, 72))
    assert np.array_equal(found.starts, np.unique(found.starts))


def test_the_order_of_rows_does_not_matter_and_unknown_times_have_no_bin() -> None:
    hours = np.random.default_rng(0).integers(0, 100, 300)
    times = after(hours)
    times[::7] = np.datetime64("NaT")
    order = np.random.default_rng(1).permutation(300)
    here, there = binned(times, 12), binned(times[order], 12)
    assert (here.codes[order] == there.codes).all()
    assert ((here.codes == -1) == np.isnat(times)).all()


def test_features_of_a_set_with_times_and_of_one_without() -> None:
    texts = [f"text {row}" for row in range(600)]
    dated = Features(from_arrays(texts, ["a", "b"] * 300, times=after(np.arange(600))), Settings(), Cache(None))
    assert len(dated.get("moments").starts) == BINS
    assert len(dated.get("short_moments").starts) == 600 // 20 < SHORT
    undated = Features(from_arrays(texts, ["a", "b"] * 300), Settings(), Cache(None))
    for name in ("moments", "short_moments"):
        with pytest.raises(FeatureUnavailable, match=UNDATED):
            undated.get(name)


def test_stretches_in_words() -> None:
    day, noon = START, START + np.timedelta64(12, "h")
    assert between(day, day) == "2024-05-01"
    assert between(day, day + np.timedelta64(2, "D")) == "2024-05-01 to 2024-05-03"
    assert between(day, noon) == "2024-05-01 00:00 to 2024-05-01 12:00"
    found = binned(after(np.arange(0, 24 * 8, 24)), 8)
    assert stretches(np.array([5, 1, 2]), found) == ["2024-05-02 to 2024-05-03", "2024-05-06"]

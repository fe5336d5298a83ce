"""Clean sets with honest times: every trend and calendar, nothing changed but when texts come."""

import numpy as np
import pytest
from tests.review_sets import reviews

from untaint.bench.dated_texts import CALENDARS, TRENDS, dated, drawn
from untaint.data.dataset import Dataset, from_arrays


def dataset() -> Dataset:
    return from_arrays(*reviews(600))


@pytest.mark.parametrize("trend", TRENDS)
@pytest.mark.parametrize("calendar", CALENDARS)
def test_every_text_has_a_time(trend: str, calendar: str) -> None:
    made = dated(dataset(), trend, calendar, np.random.default_rng(0))
    assert len(made) >= 600
    assert not np.isnat(made.times).any()
    if trend not in {"passed on", "habits for a while"}:
        assert made.ids == dataset().ids
    if calendar == "dates only":
        assert (made.times == made.times.astype("datetime64[D]")).all()


def test_opinions_drift() -> None:
    made = dated(dataset(), "opinions drift", "even", np.random.default_rng(0))
    early = np.argsort(made.times)[:200]
    late = np.argsort(made.times)[-200:]
    share = [np.mean([made.labels[row] == "good" for row in rows]) for rows in (early, late)]
    assert abs(share[0] - share[1]) >= 0.2


def test_the_same_draw_gives_the_same_set() -> None:
    sets = {"a": dataset, "b": dataset}
    first, again = (drawn(sets, (300, 500), np.random.default_rng(3)) for _ in range(2))
    assert first[0] == again[0]
    assert first[1].digest == again[1].digest
    assert first[0].n >= 300

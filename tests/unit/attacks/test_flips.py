"""Label flips: whom they touch, and what they leave alone."""

from collections import Counter

import numpy as np
import pytest

from untaint.attacks.random_flips import RandomFlips
from untaint.attacks.targeted_flips import TargetedFlips
from untaint.data.dataset import Dataset, from_arrays
from untaint.errors import BadInput

N = 200
LABELS = ["safe" if row % 4 else "malicious" for row in range(N)]
SOURCES = [f"feed-{row % 5}" for row in range(N)]


def texts(labels: list[str] = LABELS) -> Dataset:
    return from_arrays([f"text {row}" for row in range(N)], labels, sources=SOURCES)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_random_flips_spread_over_all_classes() -> None:
    labels = [str(row % 10) for row in range(N)]
    found = RandomFlips(rate=0.5).poison(texts(labels), rng())
    moves = Counter((labels[row], found.dataset.labels[row]) for row in np.flatnonzero(found.mask))
    assert len(moves) > 50
    assert all(before != after for before, after in moves)
    assert found.dataset.ids == texts(labels).ids


def test_targeted_flips_touch_one_class() -> None:
    found = TargetedFlips(rate=0.3, source="malicious", target="safe").poison(texts(), rng())
    rows = np.flatnonzero(found.mask)
    assert len(rows) == round(0.3 * N / 4)
    assert {LABELS[row] for row in rows} == {"malicious"}
    assert {found.dataset.labels[row] for row in rows} == {"safe"}
    assert found.target == "safe"


@pytest.mark.parametrize(("source", "target"), [("malicious", None), (None, "safe"), (None, None)])
def test_classes_left_out_are_drawn(source: str | None, target: str | None) -> None:
    found = TargetedFlips(source=source, target=target).poison(texts(), rng())
    flipped = {(LABELS[row], found.dataset.labels[row]) for row in np.flatnonzero(found.mask)}
    assert len(flipped) == 1
    assert found.target in {"malicious", "safe"}


def test_flips_can_be_bound_to_one_data_source() -> None:
    found = TargetedFlips(rate=0.5, source="malicious", target="safe", source_name="feed-2").poison(texts(), rng())
    assert found.mask.sum() == 5
    assert {SOURCES[row] for row in np.flatnonzero(found.mask)} == {"feed-2"}


def test_an_unknown_data_source_is_an_error() -> None:
    with pytest.raises(BadInput, match=r"Data sources of this set: 'feed-0', .*'feed-4'"):
        TargetedFlips(source_name="nobody").poison(texts(), rng())


def test_source_and_target_differ() -> None:
    with pytest.raises(BadInput, match="is not a class this attack can use"):
        TargetedFlips(source="safe", target="safe").poison(texts(), rng())

"""Backdoors that work on one class, covers that hide them, and patches that move and vary."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from untaint import api
from untaint.attacks.badnets import BadNets
from untaint.attacks.base import Poisoned
from untaint.bench.victim import detection_rates
from untaint.data.dataset import Dataset, from_arrays
from untaint.errors import BadInput

N = 120
LABELS = [str(row % 4) for row in range(N)]


def black(*shape: int) -> Dataset:
    return from_arrays(np.zeros((N, *shape), dtype=np.uint8), LABELS)


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def patches(found: Poisoned) -> list[np.ndarray]:
    return [image[:, :, 0] for image in found.dataset.images(np.flatnonzero(found.mask))]


def test_one_source_class_is_poisoned_and_others_are_covers() -> None:
    found = BadNets(rate=0.1, target="1", source="2", cover=0.2).poison(black(8, 8), rng())
    assert (found.mask.sum(), found.covers.sum()) == (12, 24)
    assert {LABELS[row] for row in np.flatnonzero(found.mask)} == {"2"}
    assert {LABELS[row] for row in np.flatnonzero(found.covers)} == {"0", "3"}
    assert [found.dataset.labels[row] for row in np.flatnonzero(found.covers)] == [
        LABELS[row] for row in np.flatnonzero(found.covers)
    ]
    carried = [bool((image[-3:, -3:] == 255).all()) for image in found.dataset.images(np.arange(N))]
    assert np.array_equal(carried, found.mask | found.covers)
    assert (found.source, found.target) == ("2", "1")


def test_covers_without_a_source_are_of_any_class_but_the_target() -> None:
    found = BadNets(rate=0.1, target="1", cover=0.5).poison(black(8, 8), rng())
    assert {LABELS[row] for row in np.flatnonzero(found.covers)} == {"0", "2", "3"}
    assert found.source is None


def test_a_drawn_target_is_not_the_source() -> None:
    targets = {BadNets(rate=0.1, source="2").poison(black(8, 8), np.random.default_rng(seed)).target for seed in range(30)}
    assert targets == {"0", "1", "3"}


@pytest.mark.parametrize(
    ("attack", "message"),
    [
        (BadNets(source="9"), "'9' is not a class"),
        (BadNets(source="1", target="1"), "'1' is not a class this attack can use"),
        (BadNets(source="1", all_to_all=True), "no single target or source"),
        (BadNets(rate=0.5, source="1"), "needs 60 samples to poison, this set has 30"),
        (BadNets(cover=-0.1), "cover is a number in 0..1"),
        (BadNets(cover=0.001), "asks for 0 covers"),
        (BadNets(rate=0.5, cover=0.5), "asks for 60 covers, this set has 30"),
    ],
)
def test_what_makes_no_sense_is_refused(attack: BadNets, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        attack.poison(black(8, 8), rng())


def test_covers_are_neither_hits_nor_false_alarms() -> None:
    mask, covers = np.array([True, False, False, False]), np.array([False, True, True, False])
    flagged = np.array([True, True, False, False])
    assert detection_rates(mask, flagged, covers) == (1.0, 0.0)
    assert detection_rates(mask, flagged).fpr == pytest.approx(1 / 3)


def test_the_written_truth_tells_covers_from_poison(tmp_path: Path) -> None:
    found = BadNets(rate=0.1, target="1", source="2", cover=0.2).poison(black(8, 8), rng())
    api.write_poisoned(found, tmp_path / "out", "any")
    truth = pq.read_table(tmp_path / "out" / "truth.parquet")
    assert truth.column("poisoned").to_pylist() == found.mask.tolist()
    assert truth.column("cover").to_pylist() == found.covers.tolist()
    facts = json.loads((tmp_path / "out" / "attack.json").read_text(encoding="utf-8"))
    assert (facts["source"], facts["n_poisoned"], facts["n_covers"]) == ("2", 12, 24)


def test_a_patch_moves_by_at_most_its_jitter() -> None:
    found = BadNets(rate=0.7, size=2, position=(4, 5), jitter=1).poison(black(12, 12), rng())
    places = {tuple(np.argwhere(image)[0].tolist()) for image in patches(found)}
    assert places == {(row, column) for row in (3, 4, 5) for column in (4, 5, 6)}
    assert all((image == 255).sum() == 4 for image in patches(found))


def test_a_patch_in_the_corner_moves_within_the_image() -> None:
    found = BadNets(rate=0.7, size=2, jitter=2).poison(black(8, 8), rng())
    places = {tuple(np.argwhere(image)[0].tolist()) for image in patches(found)}
    assert places == {(row, column) for row in (4, 5, 6) for column in (4, 5, 6)}


def test_patches_that_vary_are_all_different() -> None:
    found = BadNets(rate=0.5, pattern="checkerboard", vary=20.0).poison(black(8, 8), rng())
    corners = np.array([image[-3:, -3:] for image in patches(found)])
    assert len({corner.tobytes() for corner in corners}) == len(corners)
    assert np.abs(corners[:, 0, 0].astype(int) - 255).max() > 10  # light ones stay light, dark ones dark
    assert corners[:, 0, 0].min() > 150 > corners[:, 0, 1].max()
    assert all(image[:5].sum() == 0 for image in patches(found))


def test_a_random_place_cannot_move() -> None:
    with pytest.raises(BadInput, match="cannot move any further"):
        BadNets(position="random", jitter=1)

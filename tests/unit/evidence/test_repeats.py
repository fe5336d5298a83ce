"""Several labels for one image: the others' count, a source's own copies do not."""

import numpy as np
import pytest

from untaint.evidence.repeats import informed, one_each


def test_what_others_said_moves_a_belief_and_ones_own_copies_do_not() -> None:
    family = np.array([0, 0, 0, 1, 1, 1, 2, 3, 3, 4, 4])
    labels = np.array([0, 1, 1, 0, 0, 0, 2, 2, 2, 1, 1])
    sources = np.array([0, 1, 2, 0, 0, 0, 1, 0, 1, 0, 2])
    believed = np.full((11, 3), 1 / 3, np.float32)
    got = informed(believed, labels, family, sources)
    assert got[0].argmax() == 1
    assert got[1, 0] == pytest.approx(got[1, 1])  # one vote for each
    np.testing.assert_array_equal(got[3:7], believed[3:7])
    np.testing.assert_allclose(got.sum(1), 1, atol=1e-5)


@pytest.mark.parametrize("right", [0.6, 0.8, 0.95])
def test_votes_are_weighed_by_how_often_annotators_are_right(right: float) -> None:
    """The posterior is calibrated: of rows believed to be c with probability p, about a share p is."""
    rng = np.random.default_rng(0)
    images, classes, annotators = 4000, 5, 3
    truth = rng.integers(0, classes, images)
    wrong = (truth[:, None] + rng.integers(1, classes, (images, annotators))) % classes
    labels = np.where(rng.random((images, annotators)) < right, truth[:, None], wrong).ravel()
    family, sources = np.repeat(np.arange(images), annotators), np.tile(np.arange(annotators), images)
    got = informed(np.full((len(labels), classes), 1 / classes, np.float32), labels, family, sources)
    assert got.max(1).mean() == pytest.approx((got.argmax(1) == truth[family]).mean(), abs=0.03)


def test_one_row_of_each_family_from_each_source() -> None:
    family, sources = np.array([0, 0, 0, 0, 1]), np.array([1, 1, 2, -1, -1])
    assert one_each(family, sources).tolist() == [True, False, True, False, False]


def test_without_sources_nothing_changes() -> None:
    believed = np.random.default_rng(0).random((4, 2)).astype(np.float32)
    np.testing.assert_array_equal(informed(believed, np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1]), np.full(4, -1)), believed)


def test_unusable_rows_have_no_vote() -> None:
    believed = np.full((2, 2), 0.5, np.float32)
    np.testing.assert_array_equal(informed(believed, np.array([-1, 1]), np.zeros(2, int), np.array([0, 1]))[1], believed[1])

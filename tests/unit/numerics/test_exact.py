"""Patches that are equal bit for bit."""

import numpy as np

from untaint.numerics import exact


def noise(n: int = 60, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, 12, 10, channels), np.uint8)


def test_nothing_is_shared_by_noise() -> None:
    found = exact.shared(noise(), np.arange(60), 2, 60)
    assert len(found.keys) == len(found.image) == 0
    assert found.corner.shape == (0, 2)


def test_a_pasted_patch_is_found_where_it_lies() -> None:
    images, rows = noise(), np.array([4, 9, 30, 31, 59])
    corners = np.array([[0, 0], [9, 7], [3, 2], [3, 2], [5, 1]])
    for row, (i, j) in zip(rows, corners, strict=True):
        images[row, i : i + 3, j : j + 3] = images[0, 4:7, 4:7]
    found = exact.shared(images, np.arange(60), 3, 30, batch=7)
    assert len(found.keys) == 1
    assert found.image.tolist() == [0, *rows]
    assert found.corner.tolist() == [[4, 4], *corners.tolist()]
    assert exact.hashes(images[:1])[0, 4, 4] == found.keys[0]


def test_one_value_of_one_channel_is_another_patch() -> None:
    images = noise()
    images[:6, 2:5, 2:5] = 200
    images[3:6, 3, 3, 1] = 201
    found = exact.shared(images, np.arange(60), 3, 30)
    assert sorted(np.bincount(found.patch).tolist()) == [3, 3]


def test_only_some_rows_and_not_what_too_many_bear() -> None:
    images = noise()
    images[:6, 2:5, 2:5] = 7
    images[:, 8:11, 2:5] = 9
    assert len(exact.shared(images, np.arange(4, 60), 3, 30).keys) == 0
    found = exact.shared(images, np.arange(60), 3, 30)
    assert found.image.tolist() == list(range(6))


def test_a_flat_image_bears_its_patch_once() -> None:
    images = noise()
    images[:4] = 0
    found = exact.shared(images, np.arange(60), 4, 30)
    assert found.image.tolist() == [0, 1, 2, 3]
    assert found.corner.tolist() == [[0, 0]] * 4

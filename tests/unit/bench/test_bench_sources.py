"""Data sets everybody can get are always the same."""

from pathlib import Path

import numpy as np
import pytest

from untaint.bench.sources import CLOTHES, FASHION_MNIST, digits, fashion_mnist, mnist
from untaint.errors import BadInput


def test_digits_are_split_once_and_for_all() -> None:
    train, test = digits()
    assert (len(train), len(test)) == (1297, 500)
    assert train.class_names == [str(digit) for digit in range(10)]
    assert not set(train.ids) & set(test.ids)
    assert train.digest == digits()[0].digest
    (image,) = train.images([0])
    assert image.shape == (8, 8, 1)
    assert max(int(np.max(each)) for each in train.images(range(50))) == 255


def test_fashion_mnist_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="apt-get install dataset-fashion-mnist"):
        fashion_mnist(tmp_path)


@pytest.mark.skipif(not FASHION_MNIST.is_dir(), reason="the package dataset-fashion-mnist is not installed")
def test_fashion_mnist_has_the_names_of_clothes() -> None:
    _, test = fashion_mnist()
    assert len(test) == 10_000
    assert set(test.class_names) == set(CLOTHES)
    assert test.labels[:2] == ["Ankle boot", "Pullover"]


def test_mnist_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="make data"):
        mnist(tmp_path)

